//! Masks, turns and parts of pictures against slow definitions, in every format, with gaps and odd sizes.

use proptest::prelude::*;

use super::tests::{FORMATS, noise, sample};
use super::*;

/// Star shapes: points at increasing angles around a centre.
fn polygon() -> impl Strategy<Value = Vec<[f32; 2]>> {
    (0.2f32..0.8, 0.2f32..0.8, prop::collection::vec(0.02f32..0.6, 3..9)).prop_map(|(x, y, radii)| {
        let n = radii.len() as f32;
        let point = |(i, r): (usize, &f32)| {
            let angle = i as f32 / n * std::f32::consts::TAU + 0.3;
            [(x + r * angle.cos()).clamp(0.0, 1.0), (y + r * angle.sin()).clamp(0.0, 1.0)]
        };
        radii.iter().enumerate().map(point).collect()
    })
}

fn format() -> impl Strategy<Value = PixelFormat> {
    prop::sample::select(&FORMATS[..])
}

/// Corners in pixels.
fn corners(polygon: &[[f32; 2]], picture: &Picture) -> Vec<[f64; 2]> {
    let scale =
        |&[x, y]: &[f32; 2]| [f64::from(x) * picture.width as f64, f64::from(y) * picture.height as f64];
    polygon.iter().map(scale).collect()
}

/// Even-odd.
fn inside(corners: &[[f64; 2]], [x, y]: [f64; 2]) -> bool {
    let sides = corners.iter().zip(corners.iter().cycle().skip(1));
    let crossed = sides
        .filter(|(a, b)| (a[1] > y) != (b[1] > y) && x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0]);
    crossed.count() % 2 == 1
}

/// From a point to the nearest side.
fn distance(corners: &[[f64; 2]], [x, y]: [f64; 2]) -> f64 {
    let sides = corners.iter().zip(corners.iter().cycle().skip(1));
    let to_side = sides.map(|(a, b)| {
        let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
        let along = ((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy).max(1e-12);
        let along = along.clamp(0.0, 1.0);
        (a[0] + along * dx - x).hypot(a[1] + along * dy - y)
    });
    to_side.fold(f64::INFINITY, f64::min)
}

proptest! {
    /// Every pixel that a polygon covers any of is black, and what is well outside is as it was.
    #[test]
    fn masks_leave_nothing_of_what_they_cover_and_touch_nothing_else(
        format in format(), polygons in prop::collection::vec(polygon(), 1..3),
        width in 1usize..40, height in 1usize..40, full_range: bool, seed: u64,
    ) {
        let mut picture = noise(format, width, height, Colour { bt709: false, full_range }, seed);
        let before = picture.clone();
        let (mut rgb_before, mut rgb) = (Vec::new(), Vec::new());
        before.to_rgb(&mut rgb_before);
        let mut mask = Mask::new(polygons.clone());
        mask.apply(&mut picture);
        picture.to_rgb(&mut rgb);
        let shapes: Vec<_> = polygons.iter().map(|polygon| corners(polygon, &picture)).collect();
        for y in 0..height {
            for x in 0..width {
                let pixel = &rgb[(y * width + x) * 3..][..3];
                let grid = (0..49).map(|i| [x as f64 + f64::from(i % 7) / 6.0, y as f64 + f64::from(i / 7) / 6.0]);
                // A point on the very edge lies in two pixels.
                let near = |p: &[f64; 2]| shapes.iter().any(|s| inside(s, *p) && distance(s, *p) > 1e-3);
                if grid.clone().any(|p| near(&p)) {
                    prop_assert_eq!(pixel, [0, 0, 0], "({}, {})", x, y);
                }
                let centre = [x as f64 + 0.5, y as f64 + 0.5];
                if shapes.iter().all(|s| !inside(s, centre) && distance(s, centre) > 3.0) {
                    prop_assert_eq!(pixel, &rgb_before[(y * width + x) * 3..][..3], "({}, {})", x, y);
                }
            }
        }
        let again = picture.data.clone();
        mask.apply(&mut picture);
        prop_assert_eq!(&picture.data, &again, "twice is once");
    }

    /// Sample by sample, every turn of every format is what the definition says, and the gaps do not matter.
    #[test]
    fn turns_bring_each_sample_to_its_place(
        format in format(), quarters in 0u8..4, mirror: bool, width in 1usize..70, height in 1usize..70, seed: u64,
    ) {
        let picture = noise(format, width, height, Colour { bt709: true, full_range: true }, seed);
        let (turn, mut out) = (Turn { quarters, mirror }, Picture::new(PixelFormat::Grey, 3, 3));
        turn.apply(&picture, &mut out);
        prop_assert_eq!(out.check(), Ok(()));
        prop_assert_eq!(out.colour, picture.colour);
        let lying = quarters % 2 == 1;
        prop_assert_eq!((out.width, out.height), if lying { (height, width) } else { (width, height) });
        for (plane, (from, to)) in format.shapes().iter().zip(out.format.shapes()).enumerate() {
            let (w, h) = from.size(width, height);
            let halved = lying && from.half_width && !from.half_height;
            // What is at (x, y) in the turned plane, before it is halved.
            let expected = |x: usize, y: usize, c: usize| {
                let x = if mirror { if lying { h - 1 - x } else { w - 1 - x } } else { x };
                let (x, y) = match quarters {
                    0 => (x, y),
                    1 => (y, h - 1 - x),
                    2 => (w - 1 - x, h - 1 - y),
                    _ => (w - 1 - y, x),
                };
                sample(&picture, plane, x, y, c)
            };
            let (columns, rows) = to.size(out.width, out.height);
            for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
                for c in 0..from.channels {
                    let expected = if halved {
                        ((expected(2 * x, y, c) + expected((2 * x + 1).min(h - 1), y, c)) / 2.0).floor()
                    } else {
                        expected(x, y, c)
                    };
                    prop_assert_eq!(sample(&out, plane, x, y, c), expected);
                }
            }
        }
    }

    /// A point of the turned picture is the point of the source that the pixels say.
    #[test]
    fn points_turn_as_pixels_do(quarters in 0u8..4, mirror: bool, x in 0usize..9, y in 0usize..5) {
        let (turn, mut out) = (Turn { quarters, mirror }, Picture::new(PixelFormat::Grey, 0, 0));
        let mut picture = Picture::new(PixelFormat::Grey, 9, 5);
        picture.data.iter_mut().zip(0..).for_each(|(byte, n)| *byte = n);
        turn.apply(&picture, &mut out);
        let (x, y) = (x % out.width, y % out.height);
        let point = [(x as f32 + 0.5) / out.width as f32, (y as f32 + 0.5) / out.height as f32];
        let [from_x, from_y] = turn.source_of(point);
        let source = (from_y * 5.0) as usize * 9 + (from_x * 9.0) as usize;
        prop_assert_eq!(usize::from(out.data[y * out.width + x]), source);
    }

    /// A narrowed picture shows what the whole one shows there.
    #[test]
    fn a_part_shows_what_the_whole_shows_there(
        format in format(), width in 1usize..40, height in 1usize..40, seed: u64,
        rect in (0usize..50, 0usize..50, 0usize..50, 0usize..50),
    ) {
        let whole = noise(format, width, height, Colour::default(), seed);
        let (mut part, mut rgb, mut rgb_whole) = (whole.clone(), Vec::new(), Vec::new());
        part.narrow(rect.into());
        let (left, top) = (rect.0.min(width) & !1, rect.1.min(height) & !1);
        if part.width > 0 && part.height > 0 {
            prop_assert_eq!(part.check(), Ok(()));
        }
        part.to_rgb(&mut rgb);
        whole.to_rgb(&mut rgb_whole);
        for (y, x) in (0..part.height).flat_map(|y| (0..part.width).map(move |x| (y, x))) {
            let there = ((top + y) * width + left + x) * 3;
            prop_assert_eq!(&rgb[(y * part.width + x) * 3..][..3], &rgb_whole[there..][..3]);
        }
    }
}

#[test]
fn a_mask_covers_the_pixels_that_it_touches_and_no_row_more() {
    let mut picture = Picture::new(PixelFormat::Grey, 10, 10);
    picture.data.fill(200);
    // From the middle of pixel 2 to the middle of pixel 5, and from the very edge of row 4 to that of row 6.
    let rect = vec![[0.25, 0.4], [0.55, 0.4], [0.55, 0.6], [0.25, 0.6]];
    Mask::new([rect]).apply(&mut picture);
    for (y, row) in picture.data.chunks(10).enumerate() {
        let covered = y == 4 || y == 5 || y == 6 && row[3] == 0; // 0.6 × 10 is a little above 6 in 32 bits
        let expected: Vec<u8> =
            (0..10).map(|x| if covered && (2..6).contains(&x) { 0 } else { 200 }).collect();
        assert_eq!(row, expected, "row {y}");
    }
}

#[test]
fn pictures_that_are_not_all_there_come_out_empty() {
    let mut picture = Picture::new(PixelFormat::Nv12, 8, 8);
    picture.data.truncate(70);
    let mut out = Picture::new(PixelFormat::Grey, 4, 4);
    Turn { quarters: 1, mirror: false }.apply(&picture, &mut out);
    assert_eq!((out.width, out.height), (0, 0));
    Mask::new([vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]]).apply(&mut picture);
    assert_eq!((picture.width, picture.height), (0, 0));
}
