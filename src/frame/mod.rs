//! Pixels: what a camera delivers, and the one conversion into what a network reads.
//!
//! Knows pixel formats, strides and geometry; has never heard of a device, a network or a person.

mod convert;
#[cfg(test)]
mod framing_tests;
mod mask;
mod picture;
mod place;
mod rect;
mod taps;
#[cfg(test)]
mod tests;
mod turn;

pub use convert::{Converter, Layout};
pub use mask::Mask;
pub use picture::{Packed, PictureError};
pub use place::{Fit, Placement};
pub use rect::Rect;
pub use taps::Filter;
pub use turn::{PixelRect, Turn};

use crate::clock::FrameTime;

/// How a picture's pixels lie in memory. Packed 4:2:2 camera formats are split into planes when they are
/// copied out of the driver's buffer, so that every later step sees planes or RGB only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// One plane, 3 bytes a pixel, R first.
    Rgb24,
    /// One plane, 3 bytes a pixel, B first.
    Bgr24,
    /// One plane, luma only.
    Grey,
    /// Y, then interleaved U V at half width and half height (both rounded up).
    Nv12,
    /// Y, then interleaved V U at half width and half height.
    Nv21,
    /// Y, then interleaved U V at half width and full height.
    Nv16,
    /// Y, U, V planes, chroma at half width and half height.
    I420,
    /// Y, U, V planes, chroma at half width and full height (what YUYV and UYVY are split into).
    I422,
}

/// Which matrix turns YUV into RGB, and which range luma spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Colour {
    /// BT.709 instead of BT.601.
    pub bt709: bool,
    /// 0..=255 instead of 16..=235 (240 for chroma).
    pub full_range: bool,
}

/// One plane of a picture: where it starts in the data, and how many bytes a row takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plane {
    pub offset: usize,
    pub stride: usize,
}

/// A picture in one of the [`PixelFormat`]s. The buffer is kept from frame to frame.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    pub format: PixelFormat,
    pub colour: Colour,
    pub planes: [Plane; 3],
    pub data: Vec<u8>,
}

/// A picture, its place in the source's count, and when it was captured.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The source's own count; a gap is a dropped frame.
    pub sequence: u64,
    pub time: FrameTime,
    pub picture: Picture,
}
