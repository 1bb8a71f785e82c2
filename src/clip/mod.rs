//! The two towers: pictures to embeddings, phrases to embeddings, in one space.
//!
//! Knows frames, engines and packs; has never heard of tracks or events.

mod embeddings;
mod image;
mod ports;
mod regions;
mod roi;
mod sight;
mod sizes;
mod text;

pub use embeddings::{Embeddings, dot, norm};
pub use image::ImageTower;
pub use regions::RegionTower;
pub use sight::Sight;
pub use sizes::TwoSizes;
pub use text::TextTower;

use crate::engine::EngineError;
use crate::pack::PackError;

/// What can go wrong with a tower; every message names the model.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model is not what the pack's manifest says.
    #[error("model {model}: {field} is {found}, the manifest wants {expected}")]
    Mismatch { model: String, field: String, found: String, expected: String },
    #[error(
        "model {model}: embedding {row} is zero or not finite; `watchword models verify` checks the pack"
    )]
    Degenerate { model: String, row: usize },
    #[error("tokenizer of {model}: {reason}")]
    Tokenizer { model: String, reason: String },
}
