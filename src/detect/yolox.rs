//! YOLOX's output (Ge et al. 2021; `demo_postprocess` of Megvii-BaseDetection/YOLOX).
//!
//! One output `[cells of all grids, 5 + classes]`, finest grid first: centre, relative to the cell and in strides,
//! logarithm of width and height in strides, objectness, scores; the last two already sigmoid.

use super::grid::{Grid, Missing, find, propose};
use super::{Detection, Thresholds};
use crate::engine::Tensor;
use crate::frame::Rect;

/// Adds what the output shows to `found`, in pixels of the input.
pub(super) fn decode(
    outputs: &[Tensor],
    grids: &[Grid],
    classes: usize,
    thresholds: &Thresholds,
    found: &mut Vec<Detection>,
) -> Result<(), Missing> {
    let cells = grids.iter().map(Grid::cells).sum();
    let rows = find(outputs, &[cells, 5 + classes], || "boxes and scores of all cells".into())?;
    let positions =
        grids.iter().flat_map(|grid| grid.positions().map(|position| (position, grid.stride as f32)));
    for (((column, row), stride), cell) in positions.zip(rows.chunks_exact(5 + classes)) {
        let &[x, y, width, height, objectness, ref scores @ ..] = cell else { continue };
        propose(scores, objectness, thresholds, found, || {
            let (x, y) = ((column + x) * stride, (row + y) * stride);
            let (w, h) = (width.exp() * stride / 2.0, height.exp() * stride / 2.0);
            Rect::new(x - w, y - h, x + w, y + h)
        });
    }
    Ok(())
}
