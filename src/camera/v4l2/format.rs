//! The formats that are understood: how a driver's pixels become a picture's, copied once.

use crate::camera::jpeg;
use crate::config::DeviceFormat;
use crate::frame::{Colour, Packed, Picture, PixelFormat, Plane};

use super::driver::{Format, FourCc, MAX_PLANES};

/// How the driver's pixels become a picture's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pixels {
    /// Plane by plane as they are; in one piece of memory, or in one for each plane.
    Planes(PixelFormat),
    Packed(Packed),
    Jpeg,
}

/// A driver's name for a format, what the configuration calls it, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub code: FourCc,
    pub name: DeviceFormat,
    pub pixels: Pixels,
}

const fn known(code: &[u8; 4], name: DeviceFormat, pixels: Pixels) -> Known {
    Known { code: FourCc(*code), name, pixels }
}

/// The formats that are understood, best first: least to copy and to compute, then compressed, then without colours.
pub const FORMATS: [Known; 15] = [
    known(b"NV12", DeviceFormat::Nv12, Pixels::Planes(PixelFormat::Nv12)),
    known(b"NM12", DeviceFormat::Nv12, Pixels::Planes(PixelFormat::Nv12)),
    known(b"NV21", DeviceFormat::Nv21, Pixels::Planes(PixelFormat::Nv21)),
    known(b"NM21", DeviceFormat::Nv21, Pixels::Planes(PixelFormat::Nv21)),
    known(b"YU12", DeviceFormat::Yu12, Pixels::Planes(PixelFormat::I420)),
    known(b"YM12", DeviceFormat::Yu12, Pixels::Planes(PixelFormat::I420)),
    known(b"NV16", DeviceFormat::Nv16, Pixels::Planes(PixelFormat::Nv16)),
    known(b"NM16", DeviceFormat::Nv16, Pixels::Planes(PixelFormat::Nv16)),
    known(b"YUYV", DeviceFormat::Yuyv, Pixels::Packed(Packed::Yuyv)),
    known(b"UYVY", DeviceFormat::Uyvy, Pixels::Packed(Packed::Uyvy)),
    known(b"RGB3", DeviceFormat::Rgb3, Pixels::Planes(PixelFormat::Rgb24)),
    known(b"BGR3", DeviceFormat::Bgr3, Pixels::Planes(PixelFormat::Bgr24)),
    known(b"MJPG", DeviceFormat::Mjpg, Pixels::Jpeg),
    known(b"JPEG", DeviceFormat::Mjpg, Pixels::Jpeg),
    known(b"GREY", DeviceFormat::Grey, Pixels::Planes(PixelFormat::Grey)),
];

/// Where a plane of the picture lies: in which piece of memory, and there from which byte on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Part {
    memory: usize,
    offset: usize,
    stride: usize,
    /// From the first byte of its first row to the last one of its last row.
    length: usize,
}

/// Copies a format's buffers into pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    pixels: Pixels,
    width: usize,
    height: usize,
    colour: Colour,
    /// Of a picture that is not packed; one for each of its planes.
    parts: [Part; MAX_PLANES],
    count: usize,
    /// Of a packed one.
    stride: usize,
}

impl Layout {
    /// The layout that a driver has settled on; says what it cannot be.
    pub fn new(pixels: Pixels, format: &Format) -> Result<Self, String> {
        let (width, height) = (format.width as usize, format.height as usize);
        let mut layout = Self {
            pixels,
            width,
            height,
            colour: colour(format),
            parts: Default::default(),
            count: 0,
            stride: 0,
        };
        let stride = |memory: usize, default: usize| match format.strides.get(memory) {
            Some(0) | None => default,
            Some(stride) => *stride as usize,
        };
        let fits = |stride: usize, needed: usize| match stride >= needed {
            true => Ok(()),
            false => {
                Err(format!("the driver's rows of {stride} bytes cannot hold the {needed} of {width} pixels"))
            }
        };
        match pixels {
            Pixels::Jpeg => {}
            Pixels::Packed(_) => {
                let needed = width.div_ceil(2) * 4;
                layout.stride = stride(0, needed);
                fits(layout.stride, needed)?;
            }
            Pixels::Planes(picture) => {
                let shapes = picture.planes(width, height);
                layout.count = shapes.len();
                if format.planes != 1 && format.planes != layout.count {
                    return Err(format!("the driver gives {} in {} pieces", format.format, format.planes));
                }
                let first = stride(0, shapes.clone().next().map_or(0, |(bytes, _)| bytes));
                let mut end = 0;
                for (plane, ((needed, rows), part)) in shapes.zip(&mut layout.parts).enumerate() {
                    *part = if format.planes > 1 {
                        Part { memory: plane, offset: 0, stride: stride(plane, needed), length: 0 }
                    } else {
                        // `V4L2_PIX_FMT_NV12`, `V4L2_PIX_FMT_YUV420`: the first plane's stride says that of the
                        // others, and they follow without a gap.
                        let halved = plane > 0 && picture == PixelFormat::I420;
                        Part {
                            memory: 0,
                            offset: end,
                            stride: if halved { first / 2 } else { first },
                            length: 0,
                        }
                    };
                    fits(part.stride, needed)?;
                    part.length = part.stride * rows.saturating_sub(1) + needed;
                    end += part.stride * rows;
                }
            }
        }
        Ok(layout)
    }

    /// Copies a buffer, whose pieces of memory `data` gives, into a picture. Says what is wrong with it.
    pub fn fill<'a>(&self, picture: &mut Picture, data: impl Fn(usize) -> &'a [u8]) -> Result<(), String> {
        match self.pixels {
            Pixels::Jpeg => {
                jpeg::decode(data(0), picture)?;
                let (width, height) = (picture.width, picture.height);
                if (width, height) != (self.width, self.height) {
                    let Self { width: wanted, height: high, .. } = self;
                    return Err(format!("a JPEG of {width}x{height} where {wanted}x{high} was agreed on"));
                }
                return Ok(());
            }
            Pixels::Packed(order) => {
                (picture.width, picture.height) = (self.width, self.height);
                picture.split_packed(order, data(0), self.stride).map_err(|error| error.to_string())?;
            }
            Pixels::Planes(format) => {
                (picture.width, picture.height, picture.format) = (self.width, self.height, format);
                picture.planes = Default::default();
                picture.data.clear();
                for (part, plane) in self.parts.iter().take(self.count).zip(&mut picture.planes) {
                    let bytes = data(part.memory);
                    let end = part.offset + part.length;
                    let bytes = bytes.get(part.offset..end).ok_or_else(|| {
                        format!("{} bytes where {}x{} needs {end}", bytes.len(), self.width, self.height)
                    })?;
                    *plane = Plane { offset: picture.data.len(), stride: part.stride };
                    picture.data.extend_from_slice(bytes);
                }
            }
        }
        picture.colour = self.colour;
        Ok(())
    }
}

/// The colours of YUV, from what the driver says, or what the kernel makes of its silence
/// (`V4L2_MAP_YCBCR_ENC_DEFAULT`, `V4L2_MAP_QUANTIZATION_DEFAULT` in `videodev2.h`).
fn colour(format: &Format) -> Colour {
    const JPEG: u32 = 7;
    // SMPTE 240M and BT.2020 are nearer to BT.709 than to BT.601.
    let bt709 = match format.encoding {
        0 => matches!(format.colorspace, 2 | 3 | 10 | 12), // SMPTE 240M, BT.709, BT.2020, DCI-P3
        encoding => matches!(encoding, 2 | 4 | 6 | 7 | 8), // BT.709, xvYCC 709, BT.2020 twice, SMPTE 240M
    };
    let full_range = match format.quantization {
        0 => format.colorspace == JPEG,
        quantization => quantization == 1,
    };
    Colour { bt709, full_range }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour_of(colorspace: u32, encoding: u32, quantization: u32) -> (bool, bool) {
        let Colour { bt709, full_range } =
            colour(&Format { colorspace, encoding, quantization, ..Format::default() });
        (bt709, full_range)
    }

    #[test]
    fn colours_are_the_drivers_or_the_kernels_defaults() {
        // Colour spaces: SMPTE 170M, BT.709, sRGB, JPEG, BT.2020, and none.
        for (colorspace, bt709, full_range) in [
            (1, false, false),
            (3, true, false),
            (8, false, false),
            (7, false, true),
            (10, true, false),
            (0, false, false),
        ] {
            assert_eq!(colour_of(colorspace, 0, 0), (bt709, full_range), "{colorspace}");
            // What is said counts more.
            assert_eq!(colour_of(colorspace, 2, 2), (true, false));
            assert_eq!(colour_of(colorspace, 1, 1), (false, true));
        }
    }

    #[test]
    fn what_cannot_be_is_said() {
        let format = Format { format: FourCc(*b"NM12"), width: 8, height: 4, planes: 3, ..Format::default() };
        let error = Layout::new(Pixels::Planes(PixelFormat::Nv12), &format).unwrap_err();
        assert!(error.contains("NM12 in 3 pieces"), "{error}");
        let format = Format { width: 8, height: 4, planes: 1, strides: [7, 0, 0], ..Format::default() };
        for pixels in [Pixels::Planes(PixelFormat::Grey), Pixels::Packed(Packed::Yuyv)] {
            assert!(Layout::new(pixels, &format).unwrap_err().contains("rows of 7 bytes"));
        }
        // The chroma of an odd width is a sample wider than the luma.
        let format = Format { width: 7, ..format };
        assert!(
            Layout::new(Pixels::Planes(PixelFormat::Nv12), &format)
                .unwrap_err()
                .contains("the 8 of 7 pixels")
        );
    }

    #[test]
    fn what_is_short_or_of_another_size_is_said() {
        let mut picture = Picture::new(PixelFormat::Grey, 0, 0);
        let format = Format { width: 8, height: 5, planes: 1, strides: [10, 0, 0], ..Format::default() };
        for known in FORMATS.iter().filter(|known| known.pixels != Pixels::Jpeg) {
            let wide = Format { strides: [30, 0, 0], ..format };
            let layout = Layout::new(known.pixels, &wide).unwrap();
            layout.fill(&mut picture, |_| &[7; 500]).unwrap();
            assert_eq!((picture.width, picture.height, picture.check()), (8, 5, Ok(())), "{}", known.code);
            let error = layout.fill(&mut picture, |_| &[7; 100]).unwrap_err();
            assert!(error.contains("8x5") && error.contains("100"), "{error}");
        }
        let mut jpeg = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 90);
        encoder.encode(&[100; 8 * 5 * 3], 8, 5, jpeg_encoder::ColorType::Rgb).unwrap();
        let whole = jpeg.len();
        // Drivers pad their buffers.
        jpeg.extend_from_slice(&[0; 100]);
        let layout = Layout::new(Pixels::Jpeg, &format).unwrap();
        layout.fill(&mut picture, |_| &jpeg).unwrap();
        assert_eq!(picture.format, PixelFormat::Rgb24);
        assert!(layout.fill(&mut picture, |_| &jpeg[..whole / 2]).is_err());
        let other = Layout::new(Pixels::Jpeg, &Format { width: 16, ..format }).unwrap();
        assert!(other.fill(&mut picture, |_| &jpeg).unwrap_err().contains("8x5 where 16x5"));
    }
}
