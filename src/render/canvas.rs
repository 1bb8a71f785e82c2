//! A picture that can be drawn on.

use std::convert::Infallible;
use std::io;
use std::path::Path;

use embedded_graphics::Pixel;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Dimensions, DrawTarget, OriginDimensions, Point, RgbColor, Size};
use embedded_graphics::primitives::Rectangle;
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, EncodingError, SamplingFactor};

use crate::frame::Picture;

/// Of the JPEGs.
const QUALITY: u8 = 88;

/// An RGB picture to draw on. Keeps its buffer from picture to picture.
#[derive(Debug, Clone, Default)]
pub struct Canvas {
    width: usize,
    height: usize,
    /// R, G, B by row.
    rgb: Vec<u8>,
    /// Where text stands already, so that none is written over it.
    pub(super) plates: Vec<Rectangle>,
}

impl Canvas {
    /// Takes over a picture.
    pub fn load(&mut self, picture: &Picture) {
        (self.width, self.height) = (picture.width, picture.height);
        picture.to_rgb(&mut self.rgb);
        self.plates.clear();
    }

    /// Makes the picture smaller, if it is wider than `widest`; every pixel is the mean of those that it stands for.
    pub fn shrink(&mut self, widest: usize) {
        if self.width <= widest {
            return;
        }
        let height = (self.height * widest / self.width).max(1);
        let side = |pixels: usize| u32::try_from(pixels).unwrap_or(0);
        let rgb = std::mem::take(&mut self.rgb);
        // `None` only if the buffer were smaller than the picture, which it never is.
        if let Some(picture) = image::RgbImage::from_raw(side(self.width), side(self.height), rgb) {
            self.rgb = image::imageops::thumbnail(&picture, side(widest), side(height)).into_raw();
            (self.width, self.height) = (widest, height);
        }
    }

    /// Pixels, width and height.
    pub fn dimensions(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Encodes the canvas as a JPEG onto the end of `out`.
    pub fn encode_jpeg(&self, out: &mut Vec<u8>) -> Result<(), EncodingError> {
        // Frames are bounded to far below 65536 pixels a side; a larger one is refused by the encoder.
        let side = |pixels: usize| u16::try_from(pixels).unwrap_or(0);
        let mut encoder = Encoder::new(out, QUALITY);
        // Coloured lines two pixels wide would fade at half the resolution both ways.
        encoder.set_sampling_factor(SamplingFactor::F_2_1);
        encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
        encoder.encode(&self.rgb, side(self.width), side(self.height), ColorType::Rgb)
    }

    /// `picture` as a JPEG, at most `widest` pixels wide.
    pub fn jpeg(&mut self, picture: &Picture, widest: usize) -> Result<Vec<u8>, EncodingError> {
        let mut jpeg = Vec::new();
        self.load(picture);
        self.shrink(widest);
        self.encode_jpeg(&mut jpeg)?;
        Ok(jpeg)
    }

    /// Writes the canvas to a JPEG file.
    pub fn save_jpeg(&self, path: &Path) -> io::Result<()> {
        let mut jpeg = Vec::new();
        self.encode_jpeg(&mut jpeg).map_err(io::Error::other)?;
        std::fs::write(path, jpeg)
    }

    /// Mixes `colour` into an area; an `opacity` of 255 covers what was there.
    pub(super) fn shade(&mut self, area: &Rectangle, colour: Rgb888, opacity: u8) {
        let area = area.intersection(&self.bounding_box());
        let (Ok(x), Ok(y)) = (usize::try_from(area.top_left.x), usize::try_from(area.top_left.y)) else {
            return;
        };
        let (width, height) = (area.size.width as usize, area.size.height as usize);
        if width == 0 || height == 0 {
            return;
        }
        let (over, under) = (u16::from(opacity), 255 - u16::from(opacity));
        let colour = [colour.r(), colour.g(), colour.b()].map(|c| u16::from(c) * over);
        for row in self.rgb.chunks_exact_mut(self.width * 3).skip(y).take(height) {
            // The area lies inside the picture.
            for pixel in row[x * 3..(x + width) * 3].as_chunks_mut::<3>().0 {
                for (value, colour) in pixel.iter_mut().zip(colour) {
                    *value = ((u16::from(*value) * under + colour + 127) / 255) as u8;
                }
            }
        }
    }

    /// One pixel, for tests.
    #[cfg(test)]
    pub(super) fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        self.rgb.as_chunks::<3>().0[y * self.width + x]
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width as u32, self.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, colour) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { continue };
            if x >= self.width {
                continue;
            }
            if let Some(pixel) = self.rgb.as_chunks_mut::<3>().0.get_mut(y * self.width + x) {
                *pixel = [colour.r(), colour.g(), colour.b()];
            }
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, colour: Rgb888) -> Result<(), Infallible> {
        self.shade(area, colour, 255);
        Ok(())
    }
}
