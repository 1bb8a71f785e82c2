//! Pictures turned by quarters, mirrored, and narrowed to a part.

use super::{Picture, PixelFormat, Plane};

/// How a picture is brought upright: turned clockwise, then mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turn {
    /// Quarters, 0 to 3.
    pub quarters: u8,
    /// Left and right change places.
    pub mirror: bool,
}

/// A rectangle of pixels: left, top, right, bottom.
pub type PixelRect = [usize; 4];

/// Of so many columns and rows at a time both the source's and the target's rows stay in the cache.
const TILE: usize = 32;

impl Turn {
    /// Whether pictures stay as they are.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Whether width and height change places.
    pub fn is_lying(self) -> bool {
        self.quarters % 2 == 1
    }

    /// Where the point (`x`, `y`) of a turned picture comes from; fractions of width and height.
    pub fn source_of(self, [x, y]: [f32; 2]) -> [f32; 2] {
        let x = if self.mirror { 1.0 - x } else { x };
        match self.quarters % 4 {
            0 => [x, y],
            1 => [y, 1.0 - x],
            2 => [1.0 - x, 1.0 - y],
            _ => [1.0 - y, x],
        }
    }

    /// Fills `out` with `picture` turned. The format stays, but for chroma at full height that is turned by a quarter: it
    /// would come out at full width, and becomes half (I422 → I420, NV16 → NV12). A picture whose data is not all there
    /// gives an empty one. Allocates only while `out` grows.
    pub fn apply(self, picture: &Picture, out: &mut Picture) {
        let format = match picture.format {
            PixelFormat::I422 if self.is_lying() => PixelFormat::I420,
            PixelFormat::Nv16 if self.is_lying() => PixelFormat::Nv12,
            format => format,
        };
        if picture.check().is_err() {
            return out.reset(format, 0, 0);
        }
        let (width, height) = (picture.width, picture.height);
        let (turned_width, turned_height) = if self.is_lying() { (height, width) } else { (width, height) };
        out.reset(format, turned_width, turned_height);
        out.colour = picture.colour;
        for (index, (from, to)) in picture.format.shapes().iter().zip(format.shapes()).enumerate() {
            let source =
                Samples { data: &picture.data, plane: picture.planes[index], size: from.size(width, height) };
            let (columns, rows) = to.size(turned_width, turned_height);
            let halved = self.is_lying() && from.half_width && !from.half_height;
            let Plane { offset, stride } = out.planes[index];
            let target = &mut out.data[offset..offset + stride * rows];
            match from.channels {
                1 => self.plane::<1>(source, target, columns, halved),
                2 => self.plane::<2>(source, target, columns, halved),
                _ => self.plane::<3>(source, target, columns, halved),
            }
        }
    }

    /// Turns a plane of samples of `N` bytes into rows of `columns`; `halved`, two of the turned ones make one.
    fn plane<const N: usize>(self, source: Samples<'_>, target: &mut [u8], columns: usize, halved: bool) {
        let (width, height) = source.size;
        let turned = if self.is_lying() { height } else { width };
        let (x_step, y_step) = (N as isize, source.plane.stride as isize);
        let (right, bottom) = (x_step * (width as isize - 1), y_step * (height as isize - 1));
        // The first sample's place in the source, and the steps there for one to the right and one down here.
        let (mut first, mut across, down) = match self.quarters % 4 {
            0 => (0, x_step, y_step),
            1 => (bottom, -y_step, x_step),
            2 => (right + bottom, -x_step, -y_step),
            _ => (right, y_step, -x_step),
        };
        if self.mirror {
            first += across * (turned as isize - 1);
            across = -across;
        }
        let first = source.plane.offset as isize + first;
        let rows = target.len() / (columns * N).max(1);
        // In bounds: the source is checked, and steps from one of its corners never leave it.
        let sample = |x: usize, y: usize| {
            let start = (first + across * x as isize + down * y as isize) as usize;
            &source.data[start..start + N]
        };
        for top in (0..rows).step_by(TILE) {
            for left in (0..columns).step_by(TILE) {
                for y in top..(top + TILE).min(rows) {
                    let row = &mut target[y * columns * N..(y + 1) * columns * N];
                    let right = (left + TILE).min(columns);
                    let (pixels, _) = row[left * N..right * N].as_chunks_mut::<N>();
                    for (x, pixel) in (left..right).zip(pixels) {
                        if halved {
                            let (a, b) = (sample(2 * x, y), sample((2 * x + 1).min(turned - 1), y));
                            for ((out, a), b) in pixel.iter_mut().zip(a).zip(b) {
                                *out = a.midpoint(*b);
                            }
                        } else {
                            pixel.copy_from_slice(sample(x, y));
                        }
                    }
                }
            }
        }
    }
}

/// A plane of a checked picture.
#[derive(Clone, Copy)]
struct Samples<'a> {
    data: &'a [u8],
    plane: Plane,
    /// Samples a row, rows.
    size: (usize, usize),
}

impl Picture {
    /// Makes this the part of itself that is `rect`, without moving a pixel. Its left and top are even, so that shared
    /// colours stay with their pixels; a part beyond the picture's edges is cut off there.
    pub fn narrow(&mut self, [left, top, right, bottom]: PixelRect) {
        let (left, top) = (left.min(self.width) & !1, top.min(self.height) & !1);
        for (plane, shape) in self.planes.iter_mut().zip(self.format.shapes()) {
            let (x, y) = (left >> usize::from(shape.half_width), top >> usize::from(shape.half_height));
            plane.offset += y * plane.stride + x * shape.channels;
        }
        self.width = right.min(self.width).saturating_sub(left);
        self.height = bottom.min(self.height).saturating_sub(top);
    }
}
