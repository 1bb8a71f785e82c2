//! What a picture can say about itself: how its planes lie, whether its data is all there, its colours for drawing.

use super::{Colour, Frame, Picture, PixelFormat, Plane, Rect};
use crate::clock::FrameTime;

/// Why a picture cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    #[error("picture {width}x{height}: it has no pixels")]
    Empty { width: usize, height: usize },
    #[error(
        "picture {width}x{height} {format:?}, plane {plane}: rows of {stride} bytes hold less than {needed}"
    )]
    Stride { width: usize, height: usize, format: PixelFormat, plane: usize, stride: usize, needed: usize },
    #[error(
        "picture {width}x{height} {format:?}, plane {plane}: ends at byte {needed}, the data at {length}"
    )]
    Short { width: usize, height: usize, format: PixelFormat, plane: usize, needed: usize, length: usize },
    #[error("picture {width}x{height}: packed rows need {needed} bytes, there are {length}")]
    Packed { width: usize, height: usize, needed: usize, length: usize },
}

/// How a plane of a format is made: interleaved channels, and what its size is halved by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub channels: usize,
    pub half_width: bool,
    pub half_height: bool,
}

impl Shape {
    const fn full(channels: usize) -> Self {
        Self { channels, half_width: false, half_height: false }
    }

    const fn half_width(channels: usize) -> Self {
        Self { channels, half_width: true, half_height: false }
    }

    const fn half(channels: usize) -> Self {
        Self { channels, half_width: true, half_height: true }
    }

    /// Samples a row and rows of the plane, in a picture of `width` × `height`.
    pub fn size(self, width: usize, height: usize) -> (usize, usize) {
        let halved = |length: usize, half: bool| if half { length.div_ceil(2) } else { length };
        (halved(width, self.half_width), halved(height, self.half_height))
    }
}

impl PixelFormat {
    /// The planes of the format, in the order of [`Picture::planes`].
    pub(super) fn shapes(self) -> &'static [Shape] {
        match self {
            Self::Rgb24 | Self::Bgr24 => const { &[Shape::full(3)] },
            Self::Grey => const { &[Shape::full(1)] },
            Self::Nv12 | Self::Nv21 => const { &[Shape::full(1), Shape::half(2)] },
            Self::Nv16 => const { &[Shape::full(1), Shape::half_width(2)] },
            Self::I420 => const { &[Shape::full(1), Shape::half(1), Shape::half(1)] },
            Self::I422 => const { &[Shape::full(1), Shape::half_width(1), Shape::half_width(1)] },
        }
    }

    /// Bytes a row and rows of each plane, in the order of [`Picture::planes`], of `width` × `height` pixels.
    pub fn planes(
        self,
        width: usize,
        height: usize,
    ) -> impl ExactSizeIterator<Item = (usize, usize)> + Clone {
        self.shapes().iter().map(move |shape| {
            let (columns, rows) = shape.size(width, height);
            (columns * shape.channels, rows)
        })
    }
}

/// The order of bytes in packed 4:2:2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    /// Y U Y V (also called YUY2).
    Yuyv,
    /// U Y V Y.
    Uyvy,
}

impl Picture {
    /// A black-to-be-filled picture (all bytes 0) whose planes follow each other without gaps.
    pub fn new(format: PixelFormat, width: usize, height: usize) -> Self {
        let mut picture = Self {
            width: 0,
            height: 0,
            format,
            colour: Colour::default(),
            planes: Default::default(),
            data: Vec::new(),
        };
        picture.reset(format, width, height);
        picture
    }

    /// Makes this a picture of `width` × `height` in `format`, without gaps, in the buffer it has. The pixels are
    /// whatever the buffer held. Allocates only when the picture becomes larger than any before.
    pub fn reset(&mut self, format: PixelFormat, width: usize, height: usize) {
        let mut offset = 0;
        self.planes = Default::default();
        for (plane, shape) in self.planes.iter_mut().zip(format.shapes()) {
            let (columns, rows) = shape.size(width, height);
            *plane = Plane { offset, stride: columns * shape.channels };
            offset += plane.stride * rows;
        }
        self.data.resize(offset, 0);
        (self.format, self.width, self.height) = (format, width, height);
    }

    /// Brightness of a pixel, 0..=255: luma, or green where there is none. Beyond the picture 0.
    pub fn brightness(&self, x: usize, y: usize) -> u8 {
        let (step, green) = match self.format {
            PixelFormat::Rgb24 | PixelFormat::Bgr24 => (3, 1),
            _ => (1, 0),
        };
        let [plane, ..] = self.planes;
        let byte = self.data.get(plane.offset + y * plane.stride + x * step + green);
        byte.copied().unwrap_or_default()
    }

    /// Overwrites `means` with the mean brightness of the cells of a grid over `rect`, so many columns across, row by row;
    /// of each cell `samples` pixels across and down are looked at. Beyond the picture lies its edge.
    pub fn cells(&self, rect: Rect, columns: usize, samples: usize, means: &mut [u8]) {
        let rows = means.len() / columns.max(1);
        let (across, down) =
            (rect.width() / (columns * samples) as f32, rect.height() / (rows * samples) as f32);
        let at = |start: f32, step: f32, n: usize, end: usize| {
            let place = start + step * (n as f32 + 0.5);
            (place.max(0.0) as usize).min(end.saturating_sub(1))
        };
        for (cell, mean) in means.iter_mut().enumerate() {
            let (column, row) = (cell % columns * samples, cell / columns * samples);
            let mut sum = 0;
            for sample in 0..samples * samples {
                let x = at(rect.x1, across, column + sample % samples, self.width);
                let y = at(rect.y1, down, row + sample / samples, self.height);
                sum += u32::from(self.brightness(x, y));
            }
            *mean = (sum / (samples * samples) as u32) as u8; // a mean of bytes is a byte
        }
    }

    /// Whether every row of every plane lies inside the data.
    pub fn check(&self) -> Result<(), PictureError> {
        let (width, height, format) = (self.width, self.height, self.format);
        if width == 0 || height == 0 {
            return Err(PictureError::Empty { width, height });
        }
        for (plane, (&Plane { offset, stride }, shape)) in self.planes.iter().zip(format.shapes()).enumerate()
        {
            let (columns, rows) = shape.size(width, height);
            let needed = columns * shape.channels;
            if stride < needed {
                return Err(PictureError::Stride { width, height, format, plane, stride, needed });
            }
            let needed = stride.saturating_mul(rows - 1).saturating_add(offset).saturating_add(needed);
            if needed > self.data.len() {
                let length = self.data.len();
                return Err(PictureError::Short { width, height, format, plane, needed, length });
            }
        }
        Ok(())
    }

    /// Row `y` of plane `index`, from byte `from` to byte `to`. The picture has been checked.
    pub(super) fn row(&self, index: usize, y: usize, from: usize, to: usize) -> &[u8] {
        let Plane { offset, stride } = self.planes[index];
        let start = offset + y * stride;
        &self.data[start + from..start + to]
    }

    /// Fills an [`PixelFormat::I422`] picture of this one's size from rows of packed 4:2:2: the one copy that a
    /// camera's frame undergoes. `stride` is the bytes from one packed row to the next.
    pub fn split_packed(&mut self, order: Packed, packed: &[u8], stride: usize) -> Result<(), PictureError> {
        let (width, height) = (self.width, self.height);
        self.reset(PixelFormat::I422, width, height);
        if width == 0 || height == 0 {
            return Err(PictureError::Empty { width, height });
        }
        let pairs = width.div_ceil(2);
        let needed = stride.max(pairs * 4).saturating_mul(height - 1).saturating_add(pairs * 4);
        if stride < pairs * 4 || packed.len() < needed {
            return Err(PictureError::Packed { width, height, needed, length: packed.len() });
        }
        let (luma, chroma) = self.data.split_at_mut(width * height);
        let (u, v) = chroma.split_at_mut(pairs * height);
        let rows = luma.chunks_exact_mut(width).zip(u.chunks_exact_mut(pairs)).zip(v.chunks_exact_mut(pairs));
        for (((luma, u), v), row) in rows.zip(packed.chunks(stride)) {
            match order {
                Packed::Yuyv => split_row([0, 2, 1, 3], &row[..pairs * 4], luma, u, v),
                Packed::Uyvy => split_row([1, 3, 0, 2], &row[..pairs * 4], luma, u, v),
            }
        }
        Ok(())
    }

    /// The picture as RGB, 3 bytes a pixel without gaps, for drawing on; chroma is repeated, not interpolated.
    /// `out` keeps its buffer. An incomplete picture gives black.
    pub fn to_rgb(&self, out: &mut Vec<u8>) {
        out.resize(self.width * self.height * 3, 0);
        if self.check().is_err() {
            out.fill(0);
            return;
        }
        let (w, half) = (self.width, self.width.div_ceil(2));
        let matrix = Matrix::of(self.colour);
        for (y, out) in out.chunks_exact_mut(w * 3).enumerate() {
            let (pixels, _) = out.as_chunks_mut::<3>();
            let luma = |row: usize| self.row(0, row, 0, w);
            match self.format {
                PixelFormat::Rgb24 => out.copy_from_slice(self.row(0, y, 0, w * 3)),
                PixelFormat::Bgr24 => {
                    let (source, _) = self.row(0, y, 0, w * 3).as_chunks::<3>();
                    pixels.iter_mut().zip(source).for_each(|(p, &[b, g, r])| *p = [r, g, b]);
                }
                PixelFormat::Grey => pixels.iter_mut().zip(luma(y)).for_each(|(p, &v)| *p = [v; 3]),
                PixelFormat::Nv12 | PixelFormat::Nv21 | PixelFormat::Nv16 => {
                    let chroma_row = if self.format == PixelFormat::Nv16 { y } else { y / 2 };
                    let (chroma, _) = self.row(1, chroma_row, 0, half * 2).as_chunks::<2>();
                    let swap = self.format == PixelFormat::Nv21;
                    for ((pair, luma), &[a, b]) in pixels.chunks_mut(2).zip(luma(y).chunks(2)).zip(chroma) {
                        let (u, v) = if swap { (b, a) } else { (a, b) };
                        pair.iter_mut().zip(luma).for_each(|(p, &y)| *p = matrix.rgb(y, u, v));
                    }
                }
                PixelFormat::I420 | PixelFormat::I422 => {
                    let chroma_row = if self.format == PixelFormat::I422 { y } else { y / 2 };
                    let (u, v) = (self.row(1, chroma_row, 0, half), self.row(2, chroma_row, 0, half));
                    for ((pair, luma), (&u, &v)) in
                        pixels.chunks_mut(2).zip(luma(y).chunks(2)).zip(u.iter().zip(v))
                    {
                        pair.iter_mut().zip(luma).for_each(|(p, &y)| *p = matrix.rgb(y, u, v));
                    }
                }
            }
        }
    }
}

/// Takes one row of packed pixel pairs apart; `at` says where in four bytes the two lumas, U and V stand.
#[inline(always)]
fn split_row(at: [usize; 4], row: &[u8], luma: &mut [u8], u: &mut [u8], v: &mut [u8]) {
    let (quads, _) = row.as_chunks::<4>();
    let (pairs, last) = luma.as_chunks_mut::<2>();
    for ((quad, pair), (u, v)) in quads.iter().zip(pairs).zip(u.iter_mut().zip(v.iter_mut())) {
        *pair = [quad[at[0]], quad[at[1]]];
        (*u, *v) = (quad[at[2]], quad[at[3]]);
    }
    if let ([luma], Some(quad), Some(u), Some(v)) = (last, quads.last(), u.last_mut(), v.last_mut()) {
        (*luma, *u, *v) = (quad[at[0]], quad[at[2]], quad[at[3]]);
    }
}

/// YUV to RGB (ITU-R BT.601-7 and BT.709-6, 8 bit): `luma` is the factor on Y − `black`; the others are factors on
/// U − 128 and V − 128.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Matrix {
    pub black: f32,
    pub luma: f32,
    pub red_v: f32,
    pub green_u: f32,
    pub green_v: f32,
    pub blue_u: f32,
}

impl Matrix {
    pub fn of(colour: Colour) -> Self {
        let (kr, kb) = if colour.bt709 { (0.2126, 0.0722) } else { (0.299, 0.114) };
        let (black, luma, chroma) =
            if colour.full_range { (0.0, 1.0, 1.0) } else { (16.0, 255.0 / 219.0, 255.0 / 224.0) };
        let kg = 1.0 - kr - kb;
        let (red_v, blue_u) = (2.0 * (1.0 - kr) * chroma, 2.0 * (1.0 - kb) * chroma);
        Self { black, luma, red_v, green_u: -blue_u * kb / kg, green_v: -red_v * kr / kg, blue_u }
    }

    fn rgb(self, y: u8, u: u8, v: u8) -> [u8; 3] {
        let y = (f32::from(y) - self.black) * self.luma + 0.5;
        let (u, v) = (f32::from(u) - 128.0, f32::from(v) - 128.0);
        // A cast from f32 to u8 saturates.
        [
            (y + v * self.red_v) as u8,
            (y + u * self.green_u + v * self.green_v) as u8,
            (y + u * self.blue_u) as u8,
        ]
    }
}

impl Default for Frame {
    /// A frame without pixels, for a source to fill.
    fn default() -> Self {
        Self { sequence: 0, time: FrameTime::default(), picture: Picture::new(PixelFormat::Grey, 0, 0) }
    }
}
