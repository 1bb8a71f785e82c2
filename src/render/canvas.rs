//! A picture that can be drawn on.

use std::convert::Infallible;
use std::io;
use std::path::Path;

use embedded_graphics::Pixel;
use embedded_graphics::mono_font::ascii::{FONT_6X10, FONT_7X13_BOLD, FONT_9X15_BOLD, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{DrawTarget, Drawable, OriginDimensions, Point, Primitive, RgbColor, Size};
use embedded_graphics::primitives::{Line, PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Baseline, Text};
use jpeg_encoder::{ColorType, Encoder, EncodingError};

use crate::frame::{Picture, Rect};

/// A person to draw.
#[derive(Debug, Clone, Copy)]
pub struct Annotation<'a> {
    /// Pixels.
    pub rect: Rect,
    /// Decides the colour and is shown as `#17`.
    pub id: u64,
    /// Below the id, best first.
    pub lines: &'a [String],
    /// Drawn thicker: something is going on.
    pub highlighted: bool,
}

/// An RGB picture to draw on. Keeps its buffer from picture to picture.
#[derive(Debug, Clone, Default)]
pub struct Canvas {
    width: usize,
    height: usize,
    /// R, G, B by row.
    rgb: Vec<u8>,
    /// Where text stands already, so that no plate covers another.
    plates: Vec<Rectangle>,
}

/// Colours that differ from each other and from most of the world.
const COLOURS: [Rgb888; 8] = [
    Rgb888::new(255, 196, 0),
    Rgb888::new(0, 200, 255),
    Rgb888::new(124, 252, 0),
    Rgb888::new(255, 105, 180),
    Rgb888::new(255, 140, 0),
    Rgb888::new(173, 140, 255),
    Rgb888::new(64, 224, 208),
    Rgb888::new(240, 240, 120),
];

const QUALITY: u8 = 85;

impl Canvas {
    /// Takes over a picture.
    pub fn load(&mut self, picture: &Picture) {
        (self.width, self.height) = (picture.width, picture.height);
        picture.to_rgb(&mut self.rgb);
        self.plates.clear();
    }

    /// Pixels, width and height.
    pub fn dimensions(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Outlines a polygon of fractions of the frame and names it.
    pub fn draw_zone(&mut self, polygon: &[[f32; 2]], name: &str) {
        let (width, height) = (self.width as f32, self.height as f32);
        let point = |p: &[f32; 2]| Point::new((p[0] * width) as i32, (p[1] * height) as i32);
        let style = PrimitiveStyle::with_stroke(Rgb888::WHITE, self.stroke());
        for (from, to) in polygon.iter().zip(polygon.iter().cycle().skip(1)) {
            let Ok(()) = Line::new(point(from), point(to)).into_styled(style).draw(self);
        }
        if let Some(first) = polygon.first() {
            self.plate(point(first), &[name], Rgb888::WHITE);
        }
    }

    /// Draws a person's box, with a plate of text above it, or inside it where there is no room above.
    pub fn draw_person(&mut self, person: &Annotation<'_>) {
        // The remainder is below the number of colours.
        let colour = COLOURS[(person.id % COLOURS.len() as u64) as usize];
        let inside = person.rect.clamped(self.width as f32, self.height as f32);
        let corner = Point::new(inside.x1 as i32, inside.y1 as i32);
        let size = Size::new(inside.width() as u32, inside.height() as u32);
        let stroke = self.stroke() + u32::from(person.highlighted);
        let style = PrimitiveStyle::with_stroke(colour, stroke);
        let Ok(()) = Rectangle::new(corner, size).into_styled(style).draw(self);

        let id = format!("#{}", person.id);
        let mut lines = vec![id.as_str()];
        lines.extend(person.lines.iter().map(String::as_str));
        let above = corner.y - self.plate_size(&lines).height as i32;
        self.plate(Point::new(corner.x, if above >= 0 { above } else { corner.y }), &lines, colour);
    }

    /// Encodes the canvas as a JPEG onto the end of `out`.
    pub fn encode_jpeg(&self, out: &mut Vec<u8>) -> Result<(), EncodingError> {
        // Frames are bounded to far below 65536 pixels a side; a larger one is refused by the encoder.
        let side = |pixels: usize| u16::try_from(pixels).unwrap_or(0);
        Encoder::new(out, QUALITY).encode(&self.rgb, side(self.width), side(self.height), ColorType::Rgb)
    }

    /// Writes the canvas to a JPEG file.
    pub fn save_jpeg(&self, path: &Path) -> io::Result<()> {
        let mut jpeg = Vec::new();
        self.encode_jpeg(&mut jpeg).map_err(io::Error::other)?;
        std::fs::write(path, jpeg)
    }

    fn font(&self) -> &'static MonoFont<'static> {
        match self.height {
            ..360 => &FONT_6X10,
            360..700 => &FONT_7X13_BOLD,
            700..1000 => &FONT_9X15_BOLD,
            _ => &FONT_10X20,
        }
    }

    fn stroke(&self) -> u32 {
        1 + (self.height / 400) as u32
    }

    fn plate_size(&self, lines: &[&str]) -> Size {
        let cell = self.font().character_size;
        let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0) as u32;
        Size::new(columns * cell.width + 4, lines.len() as u32 * (cell.height + 1) + 2)
    }

    /// A filled box of text near `wanted`: inside the frame, and moved down past text that is there already.
    fn plate(&mut self, wanted: Point, lines: &[&str], colour: Rgb888) {
        let size = self.plate_size(lines);
        let limit =
            Point::new(self.width as i32 - size.width as i32, self.height as i32 - size.height as i32);
        let within = |p: Point| Point::new(p.x.clamp(0, limit.x.max(0)), p.y.clamp(0, limit.y.max(0)));
        let mut plate = Rectangle::new(within(wanted), size);
        // Each step passes one plate; more steps than plates would only go round.
        for _ in 0..self.plates.len() {
            let Some(taken) = self.plates.iter().find(|p| !p.intersection(&plate).is_zero_sized()) else {
                break;
            };
            let below = taken.top_left.y + taken.size.height as i32 + 1;
            plate.top_left = within(Point::new(plate.top_left.x, below));
        }
        self.plates.push(plate);

        let Ok(()) = plate.into_styled(PrimitiveStyle::with_fill(colour)).draw(self);
        let style = MonoTextStyle::new(self.font(), Rgb888::BLACK);
        let step = self.font().character_size.height as i32 + 1;
        let mut at = plate.top_left + Point::new(2, 1);
        for line in lines {
            let Ok(_) = Text::with_baseline(line, at, style, Baseline::Top).draw(self);
            at.y += step;
        }
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
        for Pixel(point, colour) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(point.x), usize::try_from(point.y)) else { continue };
            if x >= self.width {
                continue;
            }
            let start = (y * self.width + x) * 3;
            if let Some(pixel) = self.rgb.get_mut(start..start + 3) {
                pixel.copy_from_slice(&[colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PixelFormat;

    fn canvas() -> Canvas {
        let mut canvas = Canvas::default();
        canvas.load(&Picture::new(PixelFormat::Rgb24, 320, 240));
        canvas
    }

    fn person(id: u64, rect: Rect) -> Annotation<'static> {
        Annotation { rect, id, lines: &[], highlighted: false }
    }

    #[test]
    fn whatever_the_box_drawing_stays_inside_the_frame() {
        for rect in [
            Rect::new(-50.0, -50.0, 20.0, 20.0),
            Rect::new(310.0, 230.0, 900.0, 900.0),
            Rect::new(400.0, 300.0, 500.0, 400.0),
            Rect::new(20.0, 20.0, 10.0, 10.0),
        ] {
            let mut canvas = canvas();
            canvas.draw_person(&person(3, rect));
            let plate = canvas.plates[0];
            let frame = Rectangle::new(Point::zero(), canvas.size());
            assert_eq!(plate.intersection(&frame), plate, "{rect:?}");
        }
    }

    #[test]
    fn plates_do_not_cover_each_other() {
        let mut canvas = canvas();
        for id in 0..5 {
            canvas.draw_person(&person(id, Rect::new(100.0, 60.0, 150.0, 200.0)));
        }
        for (i, a) in canvas.plates.iter().enumerate() {
            for b in canvas.plates.iter().skip(i + 1) {
                assert!(a.intersection(b).is_zero_sized(), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_saved_picture_shows_the_box() {
        let mut canvas = canvas();
        canvas.draw_person(&person(0, Rect::new(100.0, 100.0, 200.0, 200.0)));
        let mut jpeg = Vec::new();
        canvas.encode_jpeg(&mut jpeg).unwrap();
        let read = image::load_from_memory(&jpeg).unwrap().to_rgb8();
        assert_eq!(read.dimensions(), (320, 240));
        let [r, g, b] = read.get_pixel(200, 150).0;
        assert!(r > 100 && g > 80 && b < 100, "the right edge is yellow: {r} {g} {b}");
        assert!(read.get_pixel(150, 150).0.iter().all(|v| *v < 40), "the middle is untouched");
    }
}
