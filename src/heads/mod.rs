//! From embeddings to probabilities: how much of what each person does is what the words say.
//!
//! Knows embeddings and the vocabulary; has never heard of pixels, tracks or events. What works without trained
//! weights, `fusion` and `baseline`, and the trained interaction heads make the same [`Scores`] of the same
//! [`Features`]. Features are raw encoder outputs throughout: their length matters to trained heads.

mod explain;
mod fresh;
mod import;
mod interaction;
mod matrix;
mod memory;
mod metadata;
mod norm;
mod prompt;
mod scorer;
mod scores;
mod softmax;
#[cfg(test)]
mod tests;
mod unit;
mod weights;

pub use explain::{Explanation, Step};
pub use fresh::{Size, Start, Tensors, fresh, quantise, serialise};
pub use import::{AUTHORS_PADS, ImportError, Setting, import};
pub use interaction::{Interaction, Surroundings, Trace};
pub use memory::{Memory, Reach};
pub use metadata::{Kind, Metadata, Pads};
pub use scorer::{Features, Method, Scorer, Wanted};
pub use scores::Scores;
pub use softmax::similarity;
pub use unit::Recalled;
pub use weights::{Tensor, Weights, WeightsError};
