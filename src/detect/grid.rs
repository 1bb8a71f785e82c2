//! What both detectors have in common: a grid of cells for each stride, each cell with scores and a box.

use super::{Detection, Spec, Thresholds};
use crate::engine::Tensor;
use crate::frame::Rect;

/// Input pixels from one cell to the next, on the three grids.
pub(super) const STRIDES: [usize; 3] = [8, 16, 32];

/// One grid of cells, row by row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub columns: usize,
    pub rows: usize,
    /// Pixels.
    pub stride: usize,
}

impl Grid {
    pub fn cells(&self) -> usize {
        self.columns * self.rows
    }

    /// Column and row of each cell.
    pub fn positions(&self) -> impl Iterator<Item = (f32, f32)> {
        let columns = self.columns;
        (0..self.rows).flat_map(move |row| (0..columns).map(move |column| (column as f32, row as f32)))
    }
}

/// The grids of a detector, finest first.
pub(super) fn grids(spec: &Spec) -> [Grid; 3] {
    STRIDES.map(|stride| Grid {
        columns: spec.layout.width / stride,
        rows: spec.layout.height / stride,
        stride,
    })
}

/// What a decoder looks for among the outputs, and did not find.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// `class scores of stride 8`
    pub what: String,
    pub shape: Vec<usize>,
}

/// The output of that shape, a batch of one aside, whatever its place in the order.
pub(super) fn find<'a>(
    outputs: &'a [Tensor],
    shape: &[usize],
    what: impl FnOnce() -> String,
) -> Result<&'a [f32], Missing> {
    outputs
        .iter()
        .find(|tensor| {
            tensor.shape.strip_prefix(&[1]).unwrap_or(&tensor.shape) == shape
                && tensor.data.len() == shape.iter().product::<usize>()
        })
        .map(|tensor| tensor.data.as_slice())
        .ok_or_else(|| Missing { what: what(), shape: shape.to_vec() })
}

/// Adds what a cell shows: a person, and the best of the other classes. `scores` are the cell's, by class; `objectness`
/// is a factor on them; `rect` is asked for only if there is something.
pub(super) fn propose(
    scores: &[f32],
    objectness: f32,
    thresholds: &Thresholds,
    found: &mut Vec<Detection>,
    rect: impl FnOnce() -> Rect,
) {
    let least = thresholds.person.min(thresholds.object) / objectness;
    // Nearly every cell shows nothing; without an early exit this is a loop that vectorises.
    if !scores.iter().fold(false, |any, score| any | (*score >= least)) {
        return;
    }
    let (mut person, mut object) = (None, None::<(u16, f32)>);
    for (class, score) in (0u16..).zip(scores) {
        let score = (score * objectness).min(1.0);
        if class == thresholds.person_class {
            person = (score >= thresholds.person).then_some((class, score));
        } else if score >= thresholds.object && object.is_none_or(|(_, best)| score > best) {
            object = Some((class, score));
        }
    }
    if person.is_some() || object.is_some() {
        let rect = rect();
        found.extend([person, object].into_iter().flatten().map(|(class, score)| Detection {
            class,
            score,
            rect,
        }));
    }
}
