//! NanoDet's outputs (RangiLyu/nanodet; box distributions after Li et al. 2020, "Generalized Focal Loss", eq. 4).
//!
//! A grid has two outputs: scores `[cells, classes]`, already sigmoid, and for each cell how the distances from its
//! centre to the box's left, top, right and bottom are distributed over 0..=10 strides, `[cells, 4 × 11]` logits.

use super::grid::{Grid, Missing, find, propose};
use super::{Detection, Thresholds};
use crate::engine::Tensor;
use crate::frame::Rect;

/// Values that a distance's distribution ranges over.
pub(super) const BINS: usize = 11;

/// Adds what the outputs show to `found`, in pixels of the input.
pub(super) fn decode(
    outputs: &[Tensor],
    grids: &[Grid],
    classes: usize,
    thresholds: &Thresholds,
    found: &mut Vec<Detection>,
) -> Result<(), Missing> {
    for grid in grids {
        let (cells, stride) = (grid.cells(), grid.stride);
        let scores = find(outputs, &[cells, classes], || format!("class scores of stride {stride}"))?;
        let sides = find(outputs, &[cells, 4 * BINS], || format!("box distributions of stride {stride}"))
            .or_else(|missing| find(outputs, &[cells, 4, BINS], String::new).map_err(|_| missing))?;
        let cells = scores.chunks_exact(classes).zip(sides.as_chunks::<{ 4 * BINS }>().0);
        for ((column, row), (scores, sides)) in grid.positions().zip(cells) {
            propose(scores, 1.0, thresholds, found, || {
                let stride = stride as f32;
                let (x, y) = ((column + 0.5) * stride, (row + 0.5) * stride);
                let mut distance =
                    sides.as_chunks::<BINS>().0.iter().map(|logits| expectation(logits) * stride);
                let [left, top, right, bottom] = std::array::from_fn(|_| distance.next().unwrap_or_default());
                Rect::new(x - left, y - top, x + right, y + bottom)
            });
        }
    }
    Ok(())
}

/// Σ i · softmax(logits)ᵢ
fn expectation(logits: &[f32; BINS]) -> f32 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut weight) = (0.0, 0.0);
    for (i, logit) in logits.iter().enumerate() {
        let e = (logit - most).exp();
        weight += e;
        sum += e * i as f32;
    }
    sum / weight
}
