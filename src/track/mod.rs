//! Association of person detections over time.
//!
//! Knows detections and frame times; has never heard of embeddings or actions.

mod motion;
mod tracker;

pub use tracker::Tracker;

use std::time::Duration;

use crate::frame::Rect;

/// A person followed over time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Track {
    /// Unique for the camera and the life of the process; counts up from 1.
    pub id: u64,
    /// Where the person is in this frame, pixels.
    pub rect: Rect,
    /// The detector's score in this frame, or in the latest one where it found the person, 0..=1.
    pub score: f32,
    /// Monotonic time of the first detection.
    pub since: Duration,
    /// Found in this frame; false while it is only carried on by its motion.
    pub visible: bool,
}
