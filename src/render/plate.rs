//! Where a plate of text goes: beside what it is about, inside the frame, and not over what else is to be seen.

use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::Rectangle;

/// Pixels between a box and its plate.
const GAP: i32 = 1;
/// How much worse it is to cover a square pixel of text than one of a person.
const TEXT: i64 = 10;

/// The best place for a plate of `size` about `subject`: above it, else to one of its sides, below, inside, or next to
/// another plate; whichever covers least of `plates` and `persons`, the earlier and the nearer if equal.
pub(super) fn place(
    size: Size,
    subject: &Rectangle,
    frame: Size,
    plates: &[Rectangle],
    persons: &[Rectangle],
) -> Rectangle {
    let (w, h) = (size.width as i32, size.height as i32);
    let (left, top) = (subject.top_left.x, subject.top_left.y);
    let (right, bottom) = (left + subject.size.width as i32, top + subject.size.height as i32);
    let around = [
        Point::new(left, top - h - GAP),
        Point::new(right - w, top - h - GAP),
        Point::new(right + GAP, top),
        Point::new(left - w - GAP, top),
        Point::new(left, bottom + GAP),
        Point::new(left, top),
    ];
    let beside = plates.iter().flat_map(|plate| {
        let (above, below) = (plate.top_left.y - h - GAP, plate.top_left.y + plate.size.height as i32 + GAP);
        [Point::new(left, below), Point::new(left, above)]
    });
    let inside = |at: Point| {
        let limit = Point::new(frame.width as i32 - w, frame.height as i32 - h);
        Rectangle::new(Point::new(at.x.min(limit.x).max(0), at.y.min(limit.y).max(0)), size)
    };
    let cost = |plate: &Rectangle| {
        let covers = |others: &[Rectangle]| -> i64 {
            others.iter().map(|other| area(&plate.intersection(other))).sum()
        };
        // Each pixel of distance counts as much as covering a few pixels of a person.
        let away = (plate.top_left - Point::new(left, top - h)).abs();
        TEXT * covers(plates) + covers(persons) + 2 * i64::from(away.x + away.y)
    };
    // `around` is not empty.
    around.into_iter().chain(beside).map(inside).min_by_key(cost).unwrap_or_default()
}

fn area(rect: &Rectangle) -> i64 {
    i64::from(rect.size.width) * i64::from(rect.size.height)
}
