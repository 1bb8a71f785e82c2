//! What the numbers that a detector puts out mean: boxes in pixels of its input.

use super::Detection;
use crate::engine::Tensor;
use crate::frame::Rect;

/// Classes of COCO.
const CLASSES: usize = 80;
/// Both detectors look at the picture at these strides, in pixels of their input.
const STRIDES: [usize; 3] = [8, 16, 32];
/// NanoDet gives each side of a box as a distribution over 0..=10 strides.
const BINS: usize = 11;

/// The cells of a network's input, at each stride row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Column, row, stride.
    cells: Vec<(f32, f32, f32)>,
    /// Cells of each stride.
    counts: [usize; STRIDES.len()],
}

impl Grid {
    /// The cells of an input of `width` × `height` pixels.
    pub fn new(width: usize, height: usize) -> Self {
        let mut cells = Vec::new();
        let counts = STRIDES.map(|stride| {
            let (columns, rows) = (width.div_ceil(stride), height.div_ceil(stride));
            for row in 0..rows {
                cells.extend((0..columns).map(|column| (column as f32, row as f32, stride as f32)));
            }
            columns * rows
        });
        Self { cells, counts }
    }

    /// Cells of all strides.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether the input has no pixels.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    fn strides(&self) -> impl Iterator<Item = &[(f32, f32, f32)]> {
        let mut rest = self.cells.as_slice();
        self.counts.iter().map(move |count| {
            let (cells, tail) = rest.split_at(*count); // the counts add up to all cells
            rest = tail;
            cells
        })
    }
}

/// NanoDet: for each stride, in any order, the class probabilities `[cells, 80]` and the box as four distributions
/// `[cells, 4 × 11]` over distances left, top, right, bottom from the cell's centre, in strides (generalised focal
/// loss, Li et al. 2020). `least` is the lowest score that counts, by class. An error is the shapes expected.
pub fn nanodet(
    outputs: &[Tensor],
    grid: &Grid,
    least: impl Fn(u16) -> f32,
    out: &mut Vec<Detection>,
) -> Result<(), String> {
    for cells in grid.strides() {
        let of = |columns: usize| {
            outputs
                .iter()
                .find(|o| o.shape.ends_with(&[cells.len(), columns]) && o.data.len() == cells.len() * columns)
        };
        let (Some(scores), Some(sides)) = (of(CLASSES), of(4 * BINS)) else {
            return Err(format!("[{0}, {CLASSES}] and [{0}, {1}] for each stride", cells.len(), 4 * BINS));
        };
        let rows = scores.data.chunks_exact(CLASSES).zip(sides.data.chunks_exact(4 * BINS));
        for (&(column, row, stride), (scores, sides)) in cells.iter().zip(rows) {
            let Some((class, score)) = best(scores) else { continue };
            if score < least(class) {
                continue;
            }
            let mut distances = [0.0; 4];
            for (distance, bins) in distances.iter_mut().zip(sides.chunks_exact(BINS)) {
                *distance = expectation(bins) * stride;
            }
            let (x, y) = ((column + 0.5) * stride, (row + 0.5) * stride);
            let [left, top, right, bottom] = distances;
            push(out, class, score, Rect::new(x - left, y - top, x + right, y + bottom));
        }
    }
    Ok(())
}

/// YOLOX: one `[1, cells, 85]`: centre and size relative to the cell (Ge et al. 2021), objectness, class
/// probabilities. `least` is the lowest score that counts, by class. An error is the shape expected.
pub fn yolox(
    outputs: &[Tensor],
    grid: &Grid,
    least: impl Fn(u16) -> f32,
    out: &mut Vec<Detection>,
) -> Result<(), String> {
    const COLUMNS: usize = 5 + CLASSES;
    let predictions = outputs.iter().find(|o| o.data.len() == grid.len() * COLUMNS);
    let Some(predictions) = predictions.filter(|o| o.shape.ends_with(&[grid.len(), COLUMNS])) else {
        return Err(format!("[1, {}, {COLUMNS}]", grid.len()));
    };
    for (&(column, row, stride), values) in grid.cells.iter().zip(predictions.data.chunks_exact(COLUMNS)) {
        let &[x, y, width, height, objectness, ref scores @ ..] = values else { continue };
        let Some((class, score)) = best(scores) else { continue };
        let score = score * objectness;
        if score < least(class) {
            continue;
        }
        let (x, y) = ((x + column) * stride, (y + row) * stride);
        let (width, height) = (width.exp() * stride, height.exp() * stride);
        push(
            out,
            class,
            score,
            Rect::new(x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0),
        );
    }
    Ok(())
}

/// The most probable class; `None` if no score is a number.
fn best(scores: &[f32]) -> Option<(u16, f32)> {
    let numbers = scores.iter().enumerate().filter(|(_, score)| !score.is_nan());
    numbers.max_by(|a, b| a.1.total_cmp(b.1)).map(|(class, score)| (class as u16, *score))
}

/// The mean of the softmax over `bins`, in bins.
fn expectation(bins: &[f32]) -> f32 {
    let top = bins.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut weighted) = (0.0, 0.0);
    for (bin, logit) in bins.iter().enumerate() {
        let weight = (logit - top).exp();
        sum += weight;
        weighted += weight * bin as f32;
    }
    weighted / sum
}

fn push(out: &mut Vec<Detection>, class: u16, score: f32, rect: Rect) {
    if [rect.x1, rect.y1, rect.x2, rect.y2].iter().all(|edge| edge.is_finite()) {
        out.push(Detection { class, score: score.min(1.0), rect });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIDE: usize = 416;

    fn zeros(shape: &[usize]) -> Tensor {
        Tensor { shape: shape.to_vec(), data: vec![0.0; shape.iter().product()] }
    }

    fn close(a: Rect, b: Rect) -> bool {
        [(a.x1, b.x1), (a.y1, b.y1), (a.x2, b.x2), (a.y2, b.y2)].iter().all(|(a, b)| (a - b).abs() < 0.05)
    }

    proptest! {
        #[test]
        fn nanodet_decodes_what_was_encoded(
            stride in 0usize..3, cell in any::<prop::sample::Index>(), class in 0u16..80, score in 0.5f32..1.0,
            sides in prop::array::uniform4(0.0f32..10.0),
        ) {
            let grid = Grid::new(SIDE, SIDE);
            // Boxes before scores, coarse before fine: order is not to be relied on.
            let mut outputs: Vec<_> = grid.counts.iter().rev()
                .flat_map(|&n| [zeros(&[1, n, 4 * BINS]), zeros(&[1, n, CLASSES])]).collect();
            let cell = cell.index(grid.counts[stride]);
            let scores = &mut outputs[(2 - stride) * 2 + 1];
            scores.data[cell * CLASSES + usize::from(class)] = score;
            let bins = &mut outputs[(2 - stride) * 2];
            for (side, distance) in sides.iter().enumerate() {
                // Two neighbouring bins whose mean is the distance; the others impossible.
                let low = (distance.floor() as usize).min(BINS - 2);
                let share = distance - low as f32;
                for bin in 0..BINS {
                    let weight: f32 = if bin == low { 1.0 - share } else if bin == low + 1 { share } else { 0.0 };
                    bins.data[cell * 4 * BINS + side * BINS + bin] = weight.max(1e-12).ln();
                }
            }
            let mut found = Vec::new();
            nanodet(&outputs, &grid, |_| 0.4, &mut found).unwrap();
            let s = STRIDES[stride] as f32;
            let columns = SIDE / STRIDES[stride];
            let (x, y) = (((cell % columns) as f32 + 0.5) * s, ((cell / columns) as f32 + 0.5) * s);
            let [l, t, r, b] = sides.map(|d| d * s);
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!((found[0].class, found[0].score), (class, score));
            let expected = Rect::new(x - l, y - t, x + r, y + b);
            prop_assert!(close(found[0].rect, expected), "{:?} {:?}", found[0].rect, expected);
        }

        #[test]
        fn yolox_decodes_what_was_encoded(
            cell in 0usize..3549, class in 0u16..80, x in -1.0f32..1.0, w in 4.0f32..400.0, h in 4.0f32..400.0,
        ) {
            let grid = Grid::new(SIDE, SIDE);
            prop_assert_eq!(grid.len(), 3549);
            let mut output = zeros(&[1, 3549, 85]);
            let (column, row, stride) = grid.cells[cell];
            let values = &mut output.data[cell * 85..(cell + 1) * 85];
            values[..5].copy_from_slice(&[x, -x, (w / stride).ln(), (h / stride).ln(), 0.9]);
            values[5 + usize::from(class)] = 0.8;
            let mut found = Vec::new();
            yolox(&[output], &grid, |_| 0.5, &mut found).unwrap();
            let (cx, cy) = ((column + x) * stride, (row - x) * stride);
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found[0].class, class);
            prop_assert!((found[0].score - 0.72).abs() < 1e-6);
            let expected = Rect::new(cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0);
            prop_assert!(close(found[0].rect, expected));
        }
    }

    #[test]
    fn outputs_of_another_shape_are_named() {
        let grid = Grid::new(SIDE, SIDE);
        let mut out = Vec::new();
        assert!(yolox(&[zeros(&[1, 3549, 84])], &grid, |_| 0.5, &mut out).unwrap_err().contains("3549, 85"));
        assert!(nanodet(&[], &grid, |_| 0.5, &mut out).unwrap_err().contains("[2704, 80]"));
    }

    #[test]
    fn numbers_that_are_none_find_nothing() {
        let grid = Grid::new(SIDE, SIDE);
        let mut output = zeros(&[1, 3549, 85]);
        output.data.fill(f32::NAN);
        let mut out = Vec::new();
        yolox(&[output], &grid, |_| 0.1, &mut out).unwrap();
        assert!(out.is_empty());
    }
}
