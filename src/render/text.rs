//! Text that can be read at any size of frame: bitmap fonts, enlarged where the frame is larger than they are meant for.

use embedded_graphics::Pixel;
use embedded_graphics::mono_font::iso_8859_1::{FONT_6X10, FONT_7X13_BOLD, FONT_9X15_BOLD, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Dimensions, DrawTarget, Drawable, Point, Size};
use embedded_graphics::primitives::Rectangle;
use embedded_graphics::text::{Baseline, Text};

use super::Canvas;

/// How text is set on frames of one size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    font: &'static MonoFont<'static>,
    /// Pixels of the frame for one of the font.
    scale: u32,
}

impl Type {
    /// For a frame of `height` pixels: a line is about a fortieth of it, and never less than 10.
    pub fn of(height: usize) -> Self {
        let (font, scale) = match height {
            ..300 => (&FONT_6X10, 1),
            300..640 => (&FONT_7X13_BOLD, 1),
            640..840 => (&FONT_9X15_BOLD, 1),
            840..1400 => (&FONT_10X20, 1),
            _ => (&FONT_10X20, (height / 800) as u32 + 1),
        };
        Self { font, scale }
    }

    /// Pixels of a character, width and height.
    pub fn cell(self) -> Size {
        self.font.character_size * self.scale
    }

    /// Pixels of a text.
    pub fn width(self, text: &str) -> u32 {
        text.chars().count() as u32 * self.cell().width
    }

    /// Writes `text` with its top left corner at `at`.
    pub fn write(self, canvas: &mut Canvas, text: &str, at: Point, colour: Rgb888) {
        let style = MonoTextStyle::new(self.font, colour);
        let mut enlarged = Enlarged { canvas, scale: self.scale, origin: at };
        let Ok(_) = Text::with_baseline(text, Point::zero(), style, Baseline::Top).draw(&mut enlarged);
    }
}

/// Draws each pixel as a square of `scale` pixels, counted from `origin`.
struct Enlarged<'a> {
    canvas: &'a mut Canvas,
    scale: u32,
    origin: Point,
}

impl Dimensions for Enlarged<'_> {
    fn bounding_box(&self) -> Rectangle {
        self.canvas.bounding_box()
    }
}

impl DrawTarget for Enlarged<'_> {
    type Color = Rgb888;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Self::Error> {
        for Pixel(point, colour) in pixels {
            let square = Rectangle::new(self.origin + point * self.scale as i32, Size::new_equal(self.scale));
            self.canvas.fill_solid(&square, colour)?;
        }
        Ok(())
    }
}
