//! RoIAlign of a box to one vector (He et al., Mask R-CNN, 2017): the mean of a grid of cells over the box, each read
//! between cells' middles.
//!
//! With one output cell and bilinear sampling on a regular grid the mean is separable: a weight for each column and one
//! for each row. It is what `torchvision.ops.roi_align(.., output_size=1, sampling_ratio=-1, aligned=True)` gives.

/// So that no stray number takes for ever.
const MOST_SAMPLES: f32 = 4096.0;

/// The weight that each of `cells` cells in a row has in the mean over `from..to`, where cell `i` spans `i..i + 1`.
/// Samples beyond the row by more than a cell count as nothing, the nearer ones as its end.
pub fn weights(cells: usize, from: f32, to: f32, out: &mut Vec<f32>) {
    out.clear();
    out.resize(cells, 0.0);
    let length = (to - from).max(0.0);
    let samples = length.ceil().clamp(1.0, MOST_SAMPLES);
    let last = cells.saturating_sub(1);
    for sample in 0..samples as usize {
        let at = from - 0.5 + (sample as f32 + 0.5) * length / samples;
        if !(at >= -1.0 && at <= cells as f32) {
            continue;
        }
        let at = at.clamp(0.0, last as f32);
        let low = (at as usize).min(last);
        let part = at - low as f32;
        for (cell, share) in [(low, 1.0 - part), ((low + 1).min(last), part)] {
            if let Some(weight) = out.get_mut(cell) {
                *weight += share / samples;
            }
        }
    }
}

/// The weighted mean of the grid's vectors, `width` long, which lie row by row in `cells`.
pub fn pool(cells: &[f32], width: usize, across: &[f32], down: &[f32], out: &mut Vec<f32>) {
    out.clear();
    out.resize(width, 0.0);
    let row_length = across.len() * width;
    for (row, by) in cells.chunks_exact(row_length.max(1)).zip(down).filter(|(_, by)| **by != 0.0) {
        for (cell, bx) in row.chunks_exact(width.max(1)).zip(across).filter(|(_, bx)| **bx != 0.0) {
            out.iter_mut().zip(cell).for_each(|(sum, value)| *sum += by * bx * value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bilinear, as torchvision's CPU kernel reads a sample.
    fn sample(grid: &[f32], [columns, rows]: [usize; 2], x: f32, y: f32) -> f32 {
        if y < -1.0 || y > rows as f32 || x < -1.0 || x > columns as f32 {
            return 0.0;
        }
        let corner = |at: f32, size: usize| {
            let at = at.max(0.0);
            let low = at as usize;
            if low >= size - 1 { (size - 1, size - 1, 0.0) } else { (low, low + 1, at - low as f32) }
        };
        let ((x0, x1, px), (y0, y1, py)) = (corner(x, columns), corner(y, rows));
        let at = |x: usize, y: usize| grid[y * columns + x];
        (1.0 - py) * ((1.0 - px) * at(x0, y0) + px * at(x1, y0))
            + py * ((1.0 - px) * at(x0, y1) + px * at(x1, y1))
    }

    fn naive(grid: &[f32], size: [usize; 2], [x1, y1, x2, y2]: [f32; 4]) -> f32 {
        let (width, height) = (x2 - x1, y2 - y1);
        let (columns, rows) = (width.ceil().max(1.0), height.ceil().max(1.0));
        let mut sum = 0.0;
        for row in 0..rows as usize {
            let y = y1 - 0.5 + (row as f32 + 0.5) * height / rows;
            for column in 0..columns as usize {
                sum += sample(grid, size, x1 - 0.5 + (column as f32 + 0.5) * width / columns, y);
            }
        }
        sum / (columns * rows)
    }

    proptest! {
        #[test]
        fn is_the_mean_of_samples(
            columns in 1usize..9, rows in 1usize..9, seed in 0u64..1000,
            from in prop::array::uniform2(-3.0f32..9.0), size in prop::array::uniform2(0.0f32..12.0),
        ) {
            let grid: Vec<f32> = (0..columns * rows).map(|i| ((i as u64 * 37 + seed) % 101) as f32 / 50.0 - 1.0).collect();
            let [x, y] = from;
            let corners = [x, y, x + size[0], y + size[1]];
            let (mut across, mut down, mut pooled) = (Vec::new(), Vec::new(), Vec::new());
            weights(columns, x, corners[2], &mut across);
            weights(rows, y, corners[3], &mut down);
            pool(&grid, 1, &across, &down, &mut pooled);
            let expected = naive(&grid, [columns, rows], corners);
            prop_assert!((pooled[0] - expected).abs() < 1e-4, "{} is not {}", pooled[0], expected);
        }
    }

    #[test]
    fn one_cell_is_itself_and_two_are_their_mean() {
        let (mut across, mut down, mut pooled) = (Vec::new(), Vec::new(), Vec::new());
        let cells = [1.0, 10.0, 3.0, 30.0, 5.0, 50.0, 7.0, 70.0]; // 2 × 2 cells of two values
        weights(2, 1.0, 2.0, &mut across);
        weights(2, 0.0, 1.0, &mut down);
        pool(&cells, 2, &across, &down, &mut pooled);
        assert_eq!(pooled, [3.0, 30.0]);
        weights(2, 0.0, 2.0, &mut down);
        pool(&cells, 2, &across, &down, &mut pooled);
        assert_eq!(pooled, [5.0, 50.0]);
    }
}
