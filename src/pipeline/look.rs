//! How a part of a picture looks, in so few numbers that it can be compared at every frame.

use crate::frame::{Picture, Rect};

/// Differences of the camera's noise and of a cloud's shadow, brightness from 0 to 255: they are little beside this.
const NOISE: f32 = 8.0;
/// Something small has changed where a cell's brightness, 0..=255, differs by more than this.
const CHANGE: u8 = 6;
/// Samples of a cell across and down: enough that the camera's noise averages out.
const SAMPLES: usize = 4;

/// Mean brightness of the cells of a grid, so many across and down, 0..=255, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look<const CELLS: usize>([[u8; CELLS]; CELLS]);

impl<const CELLS: usize> Default for Look<CELLS> {
    fn default() -> Self {
        Self([[0; CELLS]; CELLS])
    }
}

impl<const CELLS: usize> Look<CELLS> {
    /// Of what is inside `rect`, pixels of `picture`; what sticks out looks like the edge.
    pub fn of(picture: &Picture, rect: Rect) -> Self {
        let mut look = Self::default();
        picture.cells(rect, CELLS, SAMPLES, look.0.as_flattened_mut());
        look
    }

    /// How different both look, from 0 for the same to about 1 for nothing in common: the root mean square of the cells'
    /// differences (a moved arm counts for more than a little noise everywhere), as a share of the contrast of both, so that
    /// dusk is judged as noon is.
    pub fn difference(&self, other: &Self) -> f32 {
        let squares = self.differences(other).map(|difference| u32::from(difference).pow(2));
        let difference = (squares.sum::<u32>() as f32 / (CELLS * CELLS) as f32).sqrt();
        difference / (self.contrast() + other.contrast() + NOISE)
    }

    /// Standard deviation of the cells.
    fn contrast(&self) -> f32 {
        let (mut sum, mut squares) = (0, 0);
        for cell in self.0.as_flattened() {
            let cell = u32::from(*cell);
            (sum, squares) = (sum + cell, squares + cell * cell);
        }
        let count = (CELLS * CELLS) as f32;
        let mean = sum as f32 / count;
        (squares as f32 / count - mean * mean).max(0.0).sqrt()
    }

    /// Whether any cell has changed: whatever is small and moves in a large picture.
    pub fn has_changed(&self, other: &Self) -> bool {
        self.differences(other).any(|difference| difference > CHANGE)
    }

    fn differences(&self, other: &Self) -> impl Iterator<Item = u8> {
        self.0.as_flattened().iter().zip(other.0.as_flattened()).map(|(a, b)| a.abs_diff(*b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PixelFormat;

    /// Grey, with a white square of 20 pixels at (x, 30).
    fn picture(format: PixelFormat, x: usize) -> Picture {
        let mut picture = Picture::new(format, 100, 80);
        picture.data.fill(100);
        let plane = picture.planes[0];
        let bytes = if format == PixelFormat::Rgb24 { 3 } else { 1 };
        for y in 30..50 {
            let row = plane.offset + y * plane.stride;
            picture.data[row + x * bytes..row + (x + 20) * bytes].fill(255);
        }
        picture
    }

    #[test]
    fn what_moves_looks_different_in_every_format() {
        let all = Rect::new(0.0, 0.0, 100.0, 80.0);
        for format in [PixelFormat::Rgb24, PixelFormat::Grey, PixelFormat::Nv12, PixelFormat::I422] {
            let look = |x, rect| Look::<8>::of(&picture(format, x), rect);
            assert_eq!(look(10, all).difference(&look(10, all)), 0.0);
            assert!(look(10, all).difference(&look(60, all)) > 0.5, "{format:?}");
            let aside = Rect::new(50.0, 0.0, 100.0, 20.0);
            assert_eq!(look(10, aside).difference(&look(20, aside)), 0.0, "{format:?}");
        }
    }

    #[test]
    fn noise_is_little_and_boxes_may_stick_out_or_be_empty() {
        let mut noisy = picture(PixelFormat::Grey, 10);
        noisy
            .data
            .iter_mut()
            .enumerate()
            .for_each(|(n, byte)| *byte = byte.saturating_add((n * 7 % 13) as u8));
        let all = Rect::new(0.0, 0.0, 100.0, 80.0);
        let difference =
            Look::<8>::of(&noisy, all).difference(&Look::of(&picture(PixelFormat::Grey, 10), all));
        assert!(difference < 0.15, "{difference}");
        let beyond = Look::<8>::of(&noisy, Rect::new(-50.0, -1e9, 1e9, 500.0));
        assert_eq!(beyond.difference(&beyond), 0.0);
        assert_eq!(Look::of(&noisy, Rect::default()), Look([[noisy.data[0]; 8]; 8]));
    }
}
