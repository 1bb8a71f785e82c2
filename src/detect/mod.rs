//! From a detector's raw outputs to boxes: decoding, score thresholds, non-maximum suppression.
//!
//! Knows frames and engines; has never heard of tracks or actions.

use crate::frame::Rect;

/// One thing found in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Index into the detector's class list (COCO: 0 is a person).
    pub class: u16,
    /// 0..=1.
    pub score: f32,
    /// Pixels of the frame.
    pub rect: Rect,
}
