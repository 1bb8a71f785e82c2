//! What is drawn into a frame: zones, persons with what they do, a line about the whole.

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Drawable, OriginDimensions, Point, Primitive, RgbColor, Size, WebColors};
use embedded_graphics::primitives::{Line, PrimitiveStyle, Rectangle};

use super::Canvas;
use super::plate::place;
use super::text::Type;
use crate::frame::Rect;

/// A person to draw.
#[derive(Debug, Clone, Copy)]
pub struct Annotation<'a> {
    /// Pixels.
    pub rect: Rect,
    /// Decides the colour and is shown as `#17`.
    pub id: u64,
    /// What the person does and how probably, 0..=1; best first.
    pub lines: &'a [(&'a str, f32)],
    /// Drawn thicker: something is going on.
    pub highlighted: bool,
}

/// Colours that differ from each other and from most of the world, and that black can be read on.
const COLOURS: [Rgb888; 11] = [
    Rgb888::new(255, 196, 0),
    Rgb888::new(0, 200, 255),
    Rgb888::new(140, 240, 60),
    Rgb888::new(255, 120, 190),
    Rgb888::new(255, 140, 40),
    Rgb888::new(180, 150, 255),
    Rgb888::new(64, 224, 190),
    Rgb888::new(240, 240, 140),
    Rgb888::new(255, 110, 95),
    Rgb888::new(120, 170, 255),
    Rgb888::new(225, 225, 225),
];
/// Behind text, mixed in at [`DARK_OPACITY`].
const DARK: Rgb888 = Rgb888::new(12, 14, 20);
const DARK_OPACITY: u8 = 190;
/// Of the bar that shows a probability.
const BAR_OPACITY: u8 = 130;
/// Of a zone's surface.
const ZONE_OPACITY: u8 = 26;

impl Canvas {
    /// Tints a polygon of fractions of the frame, outlines and names it.
    pub fn draw_zone(&mut self, polygon: &[[f32; 2]], name: &str) {
        let Size { width, height } = self.size();
        // Far outside, the arithmetic of lines would overflow.
        let fraction = |v: f32, length: u32| v.clamp(-1.0, 2.0) * length as f32;
        let points = || polygon.iter().map(|p| [fraction(p[0], width), fraction(p[1], height)]);
        self.tint(points, ZONE_OPACITY);
        let style = PrimitiveStyle::with_stroke(Rgb888::WHITE, self.stroke());
        let point = |p: [f32; 2]| Point::new(p[0] as i32, p[1] as i32);
        for (from, to) in points().zip(points().cycle().skip(1)) {
            let Ok(()) = Line::new(point(from), point(to)).into_styled(style).draw(self);
        }
        let Some(highest) = points().min_by(|a, b| a[1].total_cmp(&b[1])) else { return };
        let letters = self.letters();
        let size = Size::new(letters.width(name) + 2 * self.margin(), letters.cell().height + 2);
        let inside = |v: i32, room: u32, length: u32| v.min(room as i32 - length as i32).max(0);
        let at = point(highest);
        let at = Point::new(inside(at.x, width, size.width), inside(at.y, height, size.height));
        self.shade(&Rectangle::new(at, size), DARK, DARK_OPACITY);
        letters.write(self, name, at + Point::new(self.margin() as i32, 1), Rgb888::WHITE);
        self.plates.push(Rectangle::new(at, size));
    }

    /// Writes a line along the lower edge: `left` from the left, `right` up to the right.
    pub fn draw_legend(&mut self, left: &str, right: &str) {
        let Size { width, height } = self.size();
        let letters = self.letters();
        let bar = letters.cell().height + 2 * self.margin();
        let top = height.saturating_sub(bar) as i32;
        let area = Rectangle::new(Point::new(0, top), Size::new(width, bar));
        self.shade(&area, DARK, DARK_OPACITY);
        let margin = self.margin() as i32;
        letters.write(self, left, Point::new(2 * margin, top + margin), Rgb888::WHITE);
        let start = width as i32 - letters.width(right) as i32 - 2 * margin;
        letters.write(self, right, Point::new(start, top + margin), Rgb888::CSS_LIGHT_GRAY);
        self.plates.push(area);
    }

    /// Outlines a thing that is not a person, and names it above its box or, where there is no room, in it.
    pub fn draw_object(&mut self, rect: &Rect, label: &str) {
        let area = pixels(rect, self.size());
        self.outline(&area, Rgb888::CSS_LIGHT_GRAY, 1);
        let letters = self.letters();
        let size = Size::new(letters.width(label) + 2 * self.margin(), letters.cell().height + 2);
        let top = area.top_left.y - size.height as i32;
        let at = Point::new(area.top_left.x, if top < 0 { area.top_left.y } else { top });
        self.shade(&Rectangle::new(at, size), DARK, DARK_OPACITY);
        letters.write(self, label, at + Point::new(self.margin() as i32, 1), Rgb888::CSS_LIGHT_GRAY);
        self.plates.push(Rectangle::new(at, size));
    }

    /// Draws the persons' boxes, and over them their plates, those of the highlighted first to get a good place.
    pub fn draw_persons(&mut self, persons: &[Annotation<'_>]) {
        let size = self.size();
        let boxes: Vec<_> = persons.iter().map(|person| pixels(&person.rect, size)).collect();
        for (person, area) in persons.iter().zip(&boxes) {
            self.outline(area, colour(person.id), self.stroke() + u32::from(person.highlighted));
        }
        for highlighted in [true, false] {
            for (person, area) in persons.iter().zip(&boxes).filter(|(p, _)| p.highlighted == highlighted) {
                self.draw_plate(person, area, &boxes);
            }
        }
    }

    /// The id on the person's colour, and below it a line and a bar for each action.
    fn draw_plate(&mut self, person: &Annotation<'_>, subject: &Rectangle, persons: &[Rectangle]) {
        let (letters, margin) = (self.letters(), self.margin());
        let title = format!("#{}", person.id);
        let percent = |p: f32| format!("{:3.0}%", p.clamp(0.0, 1.0) * 100.0);
        let gap = letters.cell().width;
        let widest =
            person.lines.iter().map(|(text, p)| letters.width(text) + gap + letters.width(&percent(*p)));
        let width = widest.chain([letters.width(&title)]).max().unwrap_or(0) + 2 * margin;
        let step = letters.cell().height + 2;
        let size = Size::new(width, step * (1 + person.lines.len() as u32));
        let plate = place(size, subject, self.size(), &self.plates, persons);
        self.plates.push(plate);

        let colour = colour(person.id);
        self.shade(&plate, DARK, DARK_OPACITY);
        let (mut at, inset) = (plate.top_left, Point::new(margin as i32, 1));
        let head = if person.lines.is_empty() { width } else { letters.width(&title) + 2 * margin };
        self.shade(&Rectangle::new(at, Size::new(head, step)), colour, 255);
        letters.write(self, &title, at + inset, Rgb888::BLACK);
        for &(text, p) in person.lines {
            at.y += step as i32;
            let bar = (p.clamp(0.0, 1.0) * width as f32) as u32;
            self.shade(&Rectangle::new(at, Size::new(bar, step - 1)), colour, BAR_OPACITY);
            letters.write(self, text, at + inset, Rgb888::WHITE);
            let percent = percent(p);
            let start = width as i32 - letters.width(&percent) as i32 - margin as i32;
            letters.write(self, &percent, Point::new(at.x + start, at.y + inset.y), Rgb888::WHITE);
        }
    }

    /// Draws along the inside of a box, with a dark line around that sets it off.
    fn outline(&mut self, area: &Rectangle, colour: Rgb888, stroke: u32) {
        let Rectangle { top_left, size: Size { width, height } } = *area;
        for (inset, thick, colour, opacity) in [(-1, 1, DARK, 120), (0, stroke, colour, 255)] {
            let at = top_left + Point::new_equal(inset);
            let (w, h) = (width.saturating_add_signed(-2 * inset), height.saturating_add_signed(-2 * inset));
            let thick = thick.min(w).min(h);
            let (across, upright) = (Size::new(w, thick), Size::new(thick, h.saturating_sub(2 * thick)));
            let (x, y) = ((w - thick) as i32, (h - thick) as i32);
            for (offset, size) in [
                (Point::zero(), across),
                (Point::new(0, y), across),
                (Point::new(0, thick as i32), upright),
                (Point::new(x, thick as i32), upright),
            ] {
                self.shade(&Rectangle::new(at + offset, size), colour, opacity);
            }
        }
    }

    /// Mixes white into a polygon (even-odd rule), row by row.
    fn tint<I: Iterator<Item = [f32; 2]> + Clone>(&mut self, points: impl Fn() -> I, opacity: u8) {
        let mut crossings = Vec::new();
        for row in 0..self.size().height {
            let y = row as f32 + 0.5;
            crossings.clear();
            let edges = points().zip(points().cycle().skip(1));
            let crossed = edges.filter(|([_, y1], [_, y2])| (*y1 <= y) != (*y2 <= y));
            crossings
                .extend(crossed.map(|([x1, y1], [x2, y2])| (x1 + (y - y1) / (y2 - y1) * (x2 - x1)) as i32));
            crossings.sort_unstable();
            for &[from, to] in crossings.as_chunks::<2>().0 {
                let span = Rectangle::new(Point::new(from, row as i32), Size::new(to.abs_diff(from), 1));
                self.shade(&span, Rgb888::WHITE, opacity);
            }
        }
    }

    fn letters(&self) -> Type {
        Type::of(self.dimensions().1)
    }

    /// Pixels around text.
    fn margin(&self) -> u32 {
        self.letters().cell().width / 2
    }

    /// Pixels of a line.
    fn stroke(&self) -> u32 {
        (self.size().height / 360).max(1) + u32::from(self.size().height >= 300)
    }
}

fn colour(id: u64) -> Rgb888 {
    // The remainder is below the number of colours.
    COLOURS[(id % COLOURS.len() as u64) as usize]
}

/// A box in whole pixels of the frame.
fn pixels(rect: &Rect, frame: Size) -> Rectangle {
    let inside = rect.clamped(frame.width as f32, frame.height as f32);
    let size = Size::new(inside.width().round() as u32, inside.height().round() as u32);
    Rectangle::new(Point::new(inside.x1 as i32, inside.y1 as i32), size)
}
