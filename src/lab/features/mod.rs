//! What the networks see in a data set, kept: the features of frames, persons and objects, from which heads are trained
//! and judged without looking at a picture again.
//!
//! Knows pictures, the detector and the image tower; has never heard of heads. One video is held at a time.

mod cache;
mod extract;
mod footage;
mod sentences;
#[cfg(test)]
mod tests;

pub use cache::{Clip, is_current, path_of, write_whole};
pub use extract::{Boxes, Extractor, Person, Seen};
pub use footage::{Footage, Frames};
pub use sentences::{sentences, words};
