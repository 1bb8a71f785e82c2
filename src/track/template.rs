//! Where a person has gone since the detector looked: template matching.
//!
//! What was inside the box, in few samples, is searched for around where the motion leads: the least sum of absolute
//! differences, a little of it for being elsewhere than expected. Of the box only the trunk and head are taken: legs and
//! arms change with every step, and the edge of the box is background, which stays. Knows brightness; has never heard of
//! detections.

use crate::frame::{Picture, Rect};

/// Samples of a template.
const ACROSS: usize = 12;
const DOWN: usize = 24;
/// Pixels of a sample across and down: the camera's noise, and what is finer than the samples, is halved.
const SAMPLES: usize = 2;
/// How far it may be from where it is expected, samples to each side.
const ASIDE: usize = 10;
const UP: usize = 5;
/// The samples of all places that are tried.
const WIDE: usize = ACROSS + 2 * ASIDE;
const HIGH: usize = DOWN + 2 * UP;

/// The part of a box that is taken, as shares of its width and height.
const PART: Rect = Rect::new(0.2, 0.05, 0.8, 0.75);
/// A place at the edge of what is tried is believed if it differs by this share less than one in the middle.
const DISTANCE: f32 = 0.3;
/// What differs by more than this share of the template's own contrast is something else.
const STRANGE: f32 = 0.8;

/// How a person looked when found last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template([[u8; ACROSS]; DOWN]);

impl Template {
    /// Of the person in `rect`, pixels of `picture`.
    pub fn of(picture: &Picture, rect: &Rect) -> Self {
        let mut template = Self([[0; ACROSS]; DOWN]);
        picture.cells(part(rect), ACROSS, SAMPLES, template.0.as_flattened_mut());
        template
    }

    /// How far from `rect`, pixels of `picture`, the person is, if anything there looks like it.
    pub fn find(&self, picture: &Picture, rect: &Rect) -> Option<(f32, f32)> {
        let mut around = [[0; WIDE]; HIGH];
        let (part, (x, y)) = (part(rect), steps(rect));
        let (aside, up) = (x * ASIDE as f32, y * UP as f32);
        let all = Rect::new(part.x1 - aside, part.y1 - up, part.x2 + aside, part.y2 + up);
        picture.cells(all, WIDE, SAMPLES, around.as_flattened_mut());
        let places = (0..=2 * UP).flat_map(|down| (0..=2 * ASIDE).map(move |across| (across, down)));
        let (difference, (across, down)) = places
            .map(|(across, down)| {
                let far = (across.abs_diff(ASIDE) as f32 / ASIDE as f32).powi(2)
                    + (down.abs_diff(UP) as f32 / UP as f32).powi(2);
                let difference = self.difference(&around, across, down) as f32;
                (difference * (1.0 + DISTANCE * far), (across, down))
            })
            .min_by(|a, b| a.0.total_cmp(&b.0))?;
        let moved = (x * (across as f32 - ASIDE as f32), y * (down as f32 - UP as f32));
        (difference < STRANGE * self.contrast()).then_some(moved)
    }

    /// Sum of the samples' differences from those of `around`, `across` and `down` from its first.
    fn difference(&self, around: &[[u8; WIDE]; HIGH], across: usize, down: usize) -> u32 {
        let rows = around.iter().skip(down);
        self.0
            .iter()
            .zip(rows)
            .map(|(row, other)| {
                let other = other.iter().skip(across);
                row.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>()
            })
            .sum()
    }

    /// Sum of the samples' differences from their mean.
    fn contrast(&self) -> f32 {
        let samples = || self.0.as_flattened().iter().map(|sample| f32::from(*sample));
        let mean = samples().sum::<f32>() / (ACROSS * DOWN) as f32;
        samples().map(|sample| (sample - mean).abs()).sum()
    }
}

/// From one sample to the next, pixels.
fn steps(rect: &Rect) -> (f32, f32) {
    (PART.width() * rect.width() / ACROSS as f32, PART.height() * rect.height() / DOWN as f32)
}

/// The part of `rect` that is taken.
fn part(rect: &Rect) -> Rect {
    let (width, height) = (rect.width(), rect.height());
    Rect::new(
        rect.x1 + PART.x1 * width,
        rect.y1 + PART.y1 * height,
        rect.x1 + PART.x2 * width,
        rect.y1 + PART.y2 * height,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::PixelFormat;

    const SIZE: usize = 200;

    /// A wall seen with so much noise, and before it somebody of 30 × 80 pixels in motley clothes, centre at `x`, `y`.
    fn picture(x: i32, y: i32, noise: u8) -> Picture {
        let mut picture = Picture::new(PixelFormat::Grey, SIZE, SIZE);
        let mut random = (x * 1000 + y) as u32;
        for (place, byte) in picture.data.iter_mut().enumerate() {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (column, row) = ((place % SIZE) as i32 - x, (place / SIZE) as i32 - y);
            let inside = column.abs() < 15 && row.abs() < 40;
            let patch = (column + 15) / 5 + (row + 40) / 8 * 6;
            let check = (patch as u32).wrapping_mul(2_654_435_761) >> 25;
            let base = if inside { 40 + check as u8 } else { 100 };
            *byte = base + (random >> 24) as u8 % (noise + 1);
        }
        picture
    }

    fn rect(x: i32, y: i32) -> Rect {
        let (x, y) = (x as f32, y as f32);
        Rect::new(x - 15.0, y - 40.0, x + 15.0, y + 40.0)
    }

    proptest! {
        /// Within a sample of where it went.
        #[test]
        fn somebody_who_moved_is_found(x in 60i32..140, y in 70i32..130, dx in -10i32..=10, dy in -6i32..=6) {
            let template = Template::of(&picture(x, y, 10), &rect(x, y));
            let found = template.find(&picture(x + dx, y + dy, 10), &rect(x, y)).unwrap();
            prop_assert!((found.0 - dx as f32).abs() <= 1.5, "{found:?}");
            prop_assert!((found.1 - dy as f32).abs() <= 2.4, "{found:?}");
        }

        /// Boxes may stick out of the picture, be empty or anything else.
        #[test]
        fn takes_any_box(x1 in -1e4f32..1e4, y1 in -1e4f32..1e4, width in 0f32..1e4, height in 0f32..1e4) {
            let rect = Rect::new(x1, y1, x1 + width, y1 + height);
            let template = Template::of(&picture(50, 50, 20), &rect);
            template.find(&picture(60, 50, 20), &rect);
        }
    }

    #[test]
    fn who_is_gone_or_never_stood_out_is_not_found() {
        let template = Template::of(&picture(100, 100, 20), &rect(100, 100));
        assert_eq!(template.find(&picture(-500, 0, 20), &rect(100, 100)), None, "a bare wall");
        for noise in [0, 20] {
            let template = Template::of(&picture(-500, 0, noise), &rect(100, 100));
            assert_eq!(template.find(&picture(-400, 0, noise), &rect(105, 100)), None, "{noise}");
        }
    }
}
