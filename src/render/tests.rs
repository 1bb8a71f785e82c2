//! Drawings, looked at pixel by pixel.

use embedded_graphics::prelude::{OriginDimensions, Point, Size};
use embedded_graphics::primitives::Rectangle;
use proptest::prelude::*;

use super::*;
use crate::frame::{Picture, PixelFormat, Rect};

fn canvas(width: usize, height: usize) -> Canvas {
    let mut canvas = Canvas::default();
    canvas.load(&Picture::new(PixelFormat::Rgb24, width, height));
    canvas
}

fn person(id: u64, rect: Rect) -> Annotation<'static> {
    Annotation { rect, id, lines: &[("walking", 0.71), ("talking to someone", 0.2)], highlighted: false }
}

fn within(plate: &Rectangle, frame: Size) -> bool {
    plate.intersection(&Rectangle::new(Point::zero(), frame)) == *plate
}

proptest! {
    /// Whatever the boxes, nothing panics, and text stays in the frame if the frame has room for it.
    #[test]
    fn text_stays_inside_the_frame(
        width in 160usize..800, height in 120usize..600,
        boxes in prop::collection::vec(prop::array::uniform4(-200.0f32..1000.0), 0..10),
    ) {
        let mut canvas = canvas(width, height);
        canvas.draw_zone(&[[-0.5, 0.2], [1.5, 0.3], [0.7, 1.2]], "yard");
        canvas.draw_legend("gate", "12.0 s");
        let boxes: Vec<_> = boxes.into_iter().map(|[a, b, c, d]| Rect::new(a, b, c, d)).collect();
        let persons: Vec<_> = boxes.iter().zip(1..).map(|(&rect, id)| person(id, rect)).collect();
        canvas.draw_persons(&persons);
        prop_assert_eq!(canvas.plates.len(), persons.len() + 2);
        for plate in &canvas.plates {
            prop_assert!(within(plate, canvas.size()) || plate.size.width > width as u32, "{:?}", plate);
        }
    }
}

#[test]
fn strange_boxes_are_drawn_somehow() {
    let mut canvas = canvas(64, 48);
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
        let rect = Rect::new(value, -value, value, 3.0);
        canvas.draw_persons(&[person(u64::MAX, rect)]);
        canvas.draw_zone(&[[value, 0.0], [1.0, value], [0.0, 1.0]], "somewhere");
    }
    canvas.draw_zone(&[], "nowhere");
}

#[test]
fn plates_do_not_cover_each_other() {
    let mut canvas = canvas(768, 576);
    let persons: Vec<_> = (0..8)
        .map(|n| person(n, Rect::new(300.0 + 4.0 * n as f32, 200.0, 340.0 + 4.0 * n as f32, 300.0)))
        .collect();
    canvas.draw_persons(&persons);
    for (i, a) in canvas.plates.iter().enumerate() {
        for b in &canvas.plates[i + 1..] {
            assert!(a.intersection(b).is_zero_sized(), "{a:?} {b:?}");
        }
    }
}

#[test]
fn a_plate_stands_above_its_person_if_it_can() {
    let mut canvas = canvas(768, 576);
    canvas.draw_persons(&[person(1, Rect::new(300.0, 200.0, 340.0, 300.0))]);
    let plate = canvas.plates[0];
    assert_eq!(plate.top_left.x, 300);
    assert!((196..200).contains(&(plate.top_left.y + plate.size.height as i32)), "{plate:?}");
    canvas.draw_persons(&[person(2, Rect::new(600.0, 0.0, 640.0, 100.0))]);
    let (plate, frame) = (canvas.plates[1], canvas.size());
    let over = plate.intersection(&Rectangle::new(Point::new(600, 0), Size::new(40, 100)));
    assert!(over.is_zero_sized() && within(&plate, frame), "beside, not over: {plate:?}");
}

#[test]
fn a_zone_is_tinted_inside_only() {
    let mut canvas = canvas(400, 400);
    canvas.draw_zone(&[[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]], "");
    assert!(canvas.pixel(200, 200)[0] > 10);
    assert_eq!(canvas.pixel(20, 200), [0; 3]);
    assert_eq!(canvas.pixel(380, 200), [0; 3]);
    assert_eq!(canvas.pixel(360, 200), [255; 3], "the outline");
}

#[test]
fn text_grows_with_the_frame() {
    let heights = [120, 480, 576, 720, 1080, 2160, 4320];
    let cells = heights.map(|height| text::Type::of(height).cell().height);
    assert!(cells.is_sorted() && cells[6] > 3 * cells[4], "{cells:?}");
}

#[test]
fn a_saved_picture_shows_the_box() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    let mut canvas = canvas(320, 240);
    let rect = Rect::new(100.0, 100.0, 200.0, 200.0);
    canvas.draw_persons(&[Annotation { rect, id: 0, lines: &[], highlighted: true }]);
    canvas.save_jpeg(&path).unwrap();
    let read = image::open(&path).unwrap().to_rgb8();
    assert_eq!(read.dimensions(), (320, 240));
    let [r, g, b] = read.get_pixel(198, 150).0;
    assert!(r > 150 && g > 100 && b < 100, "the right edge is yellow: {r} {g} {b}");
    assert!(read.get_pixel(150, 150).0.iter().all(|v| *v < 40), "the middle is untouched");
}

#[test]
fn a_picture_becomes_smaller_and_never_larger() {
    let mut picture = Picture::new(PixelFormat::Rgb24, 40, 20);
    let (left, _) = picture.data.split_at_mut(3 * 20);
    left.fill(200);
    let mut canvas = Canvas::default();
    canvas.load(&picture);
    canvas.shrink(40);
    assert_eq!(canvas.dimensions(), (40, 20));
    canvas.shrink(10);
    assert_eq!(canvas.dimensions(), (10, 5));
    assert_eq!(canvas.pixel(0, 0), [50; 3], "a quarter of its rows is bright");
    assert_eq!((canvas.pixel(9, 0), canvas.pixel(0, 4)), ([0; 3], [0; 3]));
    let mut jpeg = Vec::new();
    canvas.encode_jpeg(&mut jpeg).unwrap();
    assert!(jpeg.starts_with(&[0xff, 0xd8]));
}
