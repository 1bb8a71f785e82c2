//! Polygons blacked out, in whatever format the pixels are in.

use super::{Picture, PixelFormat};

/// Parts of a picture that nobody is to see. Fractions of its width and height; rounded outward: what a polygon touches
/// is black, and colour samples that are shared with a pixel outside are grey there, too.
#[derive(Debug, Clone, Default)]
pub struct Mask {
    polygons: Vec<Vec<[f32; 2]>>,
    /// What the polygons cover in a picture of the size below, merged, from top to bottom.
    spans: Vec<Span>,
    /// Pixels, width and height.
    size: [usize; 2],
}

/// A run of pixels in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    y: usize,
    from: usize,
    to: usize,
}

impl Mask {
    /// Each polygon is a list of corners in order, once around; its sides may not cross.
    pub fn new(polygons: impl IntoIterator<Item = Vec<[f32; 2]>>) -> Self {
        Self { polygons: polygons.into_iter().collect(), spans: Vec::new(), size: [0; 2] }
    }

    pub fn is_empty(&self) -> bool {
        self.polygons.is_empty()
    }

    /// Blacks out. Allocates only when the picture's size is another than last time. A picture whose data is not all
    /// there becomes empty.
    pub fn apply(&mut self, picture: &mut Picture) {
        if self.is_empty() {
            return;
        }
        if picture.check().is_err() {
            picture.reset(picture.format, 0, 0);
            return;
        }
        let size = [picture.width, picture.height];
        if self.size != size {
            self.size = size;
            self.spans = cover(&self.polygons, size);
        }
        let luma = match picture.format {
            PixelFormat::Rgb24 | PixelFormat::Bgr24 | PixelFormat::Grey => 0,
            _ if picture.colour.full_range => 0,
            _ => 16,
        };
        let planes = picture.planes;
        for (index, (shape, plane)) in picture.format.shapes().iter().zip(planes).enumerate() {
            // Rows and columns of chroma that begin in the span, end in it or hold it.
            let x = usize::from(shape.half_width);
            let y = usize::from(shape.half_height);
            let value = if index == 0 { luma } else { 128 };
            for span in &self.spans {
                let start = plane.offset + (span.y >> y) * plane.stride;
                let (from, to) = (span.from >> x, (span.to + x) >> x);
                // In bounds: the span is inside the picture, and the picture has been checked.
                picture.data[start + from * shape.channels..start + to * shape.channels].fill(value);
            }
        }
    }
}

/// The pixels that any of `polygons` touches.
fn cover(polygons: &[Vec<[f32; 2]>], [width, height]: [usize; 2]) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut crossings = Vec::new();
    for polygon in polygons {
        let corners: Vec<[f64; 2]> = polygon
            .iter()
            .map(|&[x, y]| [f64::from(x) * width as f64, f64::from(y) * height as f64])
            .collect();
        let sides = || corners.iter().copied().zip(corners.iter().copied().cycle().skip(1));
        let mut put = |y: usize, from: f64, to: f64| {
            let from = (from.floor().max(0.0) as usize).min(width);
            let to = (to.ceil().max(0.0) as usize).min(width);
            if from < to {
                spans.push(Span { y, from, to });
            }
        };
        for y in 0..height {
            let (top, bottom) = (y as f64, y as f64 + 1.0);
            // Seen from above, what a polygon covers of a row is what its sides cover within the row, and what of the
            // row's upper edge lies inside.
            for (a, b) in sides() {
                if let Some((from, to)) = within(a, b, top, bottom) {
                    put(y, from, to);
                }
            }
            crossings.clear();
            // A side's upper end counts and its lower end does not, so that a corner is crossed once, or not.
            crossings
                .extend(sides().filter(|(a, b)| (a[1] <= top) != (b[1] <= top)).map(|(a, b)| at(a, b, top)));
            crossings.sort_by(f64::total_cmp);
            for pair in crossings.chunks_exact(2) {
                put(y, pair[0], pair[1]);
            }
        }
    }
    spans.sort();
    spans.dedup_by(|next, last| {
        let joined = next.y == last.y && next.from <= last.to;
        if joined {
            last.to = last.to.max(next.to);
        }
        joined
    });
    spans
}

/// Where the line through `a` and `b` is at height `y`; they are not at one height.
fn at(a: [f64; 2], b: [f64; 2], y: f64) -> f64 {
    a[0] + (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1])
}

/// From where to where the side `ab` goes between the heights `top` and `bottom`, if it does.
fn within(a: [f64; 2], b: [f64; 2], top: f64, bottom: f64) -> Option<(f64, f64)> {
    let (a, b) = if a[1] <= b[1] { (a, b) } else { (b, a) };
    // One that only touches the row covers nothing of it.
    if b[1] <= top || a[1] >= bottom {
        return None;
    }
    let first = if a[1] < top { at(a, b, top) } else { a[0] };
    let second = if b[1] > bottom { at(a, b, bottom) } else { b[0] };
    Some((first.min(second), first.max(second)))
}
