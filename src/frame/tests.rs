//! The conversion against a slow one written from the definitions, against Pillow's numbers, and on its edges.

use proptest::prelude::*;

use super::*;

pub(super) const FORMATS: [PixelFormat; 8] = [
    PixelFormat::Rgb24,
    PixelFormat::Bgr24,
    PixelFormat::Grey,
    PixelFormat::Nv12,
    PixelFormat::Nv21,
    PixelFormat::Nv16,
    PixelFormat::I420,
    PixelFormat::I422,
];
const FITS: [Fit; 4] = [Fit::Stretch, Fit::Pad, Fit::PadTopLeft, Fit::Center];

fn layout(width: usize, height: usize, filter: Filter) -> Layout {
    Layout { width, height, mean: [0.0; 3], std: [1.0; 3], bgr: false, filter, fill: 114.0 }
}

fn whole(picture: &Picture) -> Rect {
    Rect::new(0.0, 0.0, picture.width as f32, picture.height as f32)
}

/// A picture of noise whose planes have gaps before, between and after their rows.
pub(super) fn noise(format: PixelFormat, width: usize, height: usize, colour: Colour, seed: u64) -> Picture {
    let mut picture = Picture::new(format, width, height);
    picture.colour = colour;
    let mut offset = 3;
    for (plane, shape) in picture.planes.iter_mut().zip(format.shapes()) {
        let (columns, rows) = shape.size(width, height);
        *plane = Plane { offset, stride: columns * shape.channels + 5 };
        offset += plane.stride * rows + 7;
    }
    let mut state = seed | 1;
    picture.data = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    })
    .take(offset)
    .collect();
    picture
}

/// Sample (`x`, `y`), channel `c` of a plane.
pub(super) fn sample(picture: &Picture, plane: usize, x: usize, y: usize, c: usize) -> f64 {
    let Plane { offset, stride } = picture.planes[plane];
    f64::from(picture.data[offset + y * stride + x * picture.format.shapes()[plane].channels + c])
}

/// The weights of `length` samples for an output centred at `centre`, from the filters' definitions.
fn weights(filter: Filter, scale: f64, centre: f64, length: usize) -> Vec<f64> {
    let widened = scale.max(1.0);
    let mut weights: Vec<f64> = (0..length)
        .map(|i| {
            let x = ((i as f64 + 0.5 - centre) / widened).abs();
            match filter {
                Filter::Bilinear => (1.0 - x).max(0.0),
                // Keys (1981), equation 4, a = −1/2.
                Filter::Bicubic if x < 1.0 => 1.5 * x.powi(3) - 2.5 * x.powi(2) + 1.0,
                Filter::Bicubic if x < 2.0 => -0.5 * x.powi(3) + 2.5 * x.powi(2) - 4.0 * x + 2.0,
                Filter::Bicubic => 0.0,
            }
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= sum);
    weights
}

/// One channel of one plane at one output pixel.
fn resampled(
    picture: &Picture,
    filter: Filter,
    source: Rect,
    size: (f64, f64),
    at: (f64, f64),
    plane: usize,
    c: usize,
) -> f64 {
    let shape = picture.format.shapes()[plane];
    let (columns, rows) = shape.size(picture.width, picture.height);
    let (fx, fy) = (if shape.half_width { 0.5 } else { 1.0 }, if shape.half_height { 0.5 } else { 1.0 });
    let axis = |from: f32, to: f32, factor: f64, output: f64, at: f64, length: usize| {
        let scale = (f64::from(to) - f64::from(from)) * factor / output;
        weights(filter, scale, f64::from(from) * factor + (at + 0.5) * scale, length)
    };
    let across = axis(source.x1, source.x2, fx, size.0, at.0, columns);
    let down = axis(source.y1, source.y2, fy, size.1, at.1, rows);
    let row = |y: usize| -> f64 { (0..columns).map(|x| across[x] * sample(picture, plane, x, y, c)).sum() };
    (0..rows).filter(|&y| down[y] != 0.0).map(|y| down[y] * row(y)).sum()
}

/// RGB of an output pixel, 0..=255, from the definitions (BT.601 and BT.709 written out).
fn reference(picture: &Picture, filter: Filter, source: Rect, size: (f64, f64), at: (f64, f64)) -> [f64; 3] {
    let get = |plane, c| resampled(picture, filter, source, size, at, plane, c);
    let (y, u, v) = match picture.format {
        PixelFormat::Rgb24 => return [0, 1, 2].map(|c| get(0, c).clamp(0.0, 255.0)),
        PixelFormat::Bgr24 => return [2, 1, 0].map(|c| get(0, c).clamp(0.0, 255.0)),
        PixelFormat::Grey => return [get(0, 0).clamp(0.0, 255.0); 3],
        PixelFormat::Nv12 | PixelFormat::Nv16 => (get(0, 0), get(1, 0), get(1, 1)),
        PixelFormat::Nv21 => (get(0, 0), get(1, 1), get(1, 0)),
        PixelFormat::I420 | PixelFormat::I422 => (get(0, 0), get(1, 0), get(2, 0)),
    };
    let (y, u, v) = if picture.colour.full_range {
        (y, u - 128.0, v - 128.0)
    } else {
        ((y - 16.0) * 255.0 / 219.0, (u - 128.0) * 255.0 / 224.0, (v - 128.0) * 255.0 / 224.0)
    };
    let rgb = if picture.colour.bt709 {
        [y + 1.5748 * v, y - 0.187_324 * u - 0.468_124 * v, y + 1.8556 * u]
    } else {
        [y + 1.402 * v, y - 0.344_136 * u - 0.714_136 * v, y + 1.772 * u]
    };
    rgb.map(|v| v.clamp(0.0, 255.0))
}

fn picture() -> impl Strategy<Value = Picture> {
    (prop::sample::select(FORMATS.to_vec()), 1..40usize, 1..40usize, any::<(bool, bool)>(), any::<u64>())
        .prop_map(|(format, w, h, (bt709, full_range), seed)| {
            noise(format, w, h, Colour { bt709, full_range }, seed)
        })
}

fn filter() -> impl Strategy<Value = Filter> {
    prop::sample::select(vec![Filter::Bilinear, Filter::Bicubic])
}

fn fit() -> impl Strategy<Value = Fit> {
    prop::sample::select(FITS.to_vec())
}

/// Edges that may stick out of any picture that [`picture`] makes.
fn crop() -> impl Strategy<Value = Rect> {
    (-20.0..50.0f32, -20.0..50.0f32, 0.5..50.0f32, 0.5..50.0f32)
        .prop_map(|(x, y, w, h)| Rect::new(x, y, x + w, y + h))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Every pixel inside is what the definitions say, within half a level (the way down works in 1/32 of one);
    /// every pixel outside is padding.
    #[test]
    fn agrees_with_the_definitions(
        picture in picture(), crop in crop(), fit in fit(), filter in filter(), w in 1..20usize, h in 1..20usize, bgr: bool,
    ) {
        let layout = Layout { mean: [10.0, 20.0, 30.0], std: [2.0, 4.0, 8.0], bgr, ..layout(w, h, filter) };
        let mut out = vec![f32::NAN; layout.len()];
        let placement = Converter::new(layout).convert(&picture, crop, fit, &mut out);
        let Placement { source, target } = placement;
        let size = (f64::from(target.width()), f64::from(target.height()));
        for (index, &got) in out.iter().enumerate() {
            let (channel, x, y) = (index / (w * h), index % w, index / w % h);
            let got = f64::from(got * layout.std[channel] + layout.mean[channel]);
            let at = (x as f64 - f64::from(target.x1), y as f64 - f64::from(target.y1));
            let inside = at.0 >= 0.0 && at.1 >= 0.0 && at.0 < size.0 && at.1 < size.1;
            let colour = if bgr { 2 - channel } else { channel };
            let want = if inside { reference(&picture, filter, source, size, at)[colour] } else { 114.0 };
            prop_assert!((got - want).abs() < 0.5, "{got} is not {want} at {x}, {y}, {channel}; {placement:?}");
        }
    }

    /// One colour stays that colour, however it is cropped and resized.
    #[test]
    fn a_constant_stays_constant(
        mut picture in picture(), crop in crop(), fit in fit(), filter in filter(), value: u8,
    ) {
        picture.data.fill(value);
        let mut rgb = Vec::new();
        picture.to_rgb(&mut rgb);
        let mut out = vec![0.0; 3 * 13 * 9];
        let Placement { target, .. } = Converter::new(layout(13, 9, filter)).convert(&picture, crop, fit, &mut out);
        prop_assume!(target.area() > 0.0);
        let (x, y) = (target.x1 as usize, target.y1 as usize);
        for (channel, want) in rgb[..3].iter().enumerate() {
            let got = out[channel * 13 * 9 + y * 13 + x];
            prop_assert!((got - f32::from(*want)).abs() < 0.75, "{got} is not {want}");
        }
    }

    /// A picture of the tensor's size goes through as it is.
    #[test]
    fn the_same_size_is_the_identity(w in 1..40usize, h in 1..40usize, fit in fit(), filter in filter(), seed: u64) {
        let picture = noise(PixelFormat::Rgb24, w, h, Colour::default(), seed);
        let mut out = vec![0.0; 3 * w * h];
        Converter::new(layout(w, h, filter)).convert(&picture, whole(&picture), fit, &mut out);
        for (index, got) in out.iter().enumerate() {
            prop_assert_eq!(f64::from(*got), sample(&picture, 0, index % w, index / w % h, index / (w * h)));
        }
    }

    /// The tensor's target comes back as the part of the frame that was read, which lies in crop and frame; but for
    /// Stretch, a pixel keeps its proportions up to the rounding of the target's size.
    #[test]
    fn a_placement_leads_back(
        (fw, fh) in (1.0..4000.0f32, 1.0..4000.0f32), crop in crop(), fit in fit(), w in 1..500usize, h in 1..500usize,
    ) {
        let crop = crop.clamped(fw, fh);
        prop_assume!(crop.area() > 0.0);
        let placement = Placement::new(crop, fit, w, h);
        let back = placement.to_frame(placement.target);
        let close = |a: f32, b: f32| (a - b).abs() < 1e-3;
        prop_assert!(close(back.x1, placement.source.x1) && close(back.x2, placement.source.x2));
        prop_assert!(close(back.y1, placement.source.y1) && close(back.y2, placement.source.y2));
        prop_assert_eq!(placement.source.intersection(&crop), placement.source);
        let tensor = Rect::new(0.0, 0.0, w as f32, h as f32);
        prop_assert_eq!(placement.target.intersection(&tensor), placement.target);
        prop_assert!(placement.target.width() >= 1.0 && placement.target.height() >= 1.0);
        if fit == Fit::Center {
            let (sx, sy) = (placement.source.width() / w as f32, placement.source.height() / h as f32);
            prop_assert!((sx / sy - 1.0).abs() < 1e-2, "{sx} {sy}");
        }
    }
}

#[test]
fn agrees_with_pillow() {
    let mut lines = include_str!("pillow.txt").lines().filter(|line| !line.starts_with('#'));
    let mut cases = 0;
    while let Some(case) = lines.next() {
        let words: Vec<&str> = case.split(' ').collect();
        let numbers: Vec<f32> = words[1..].iter().map(|w| w.parse().unwrap()).collect();
        let [w, h, x1, y1, x2, y2, ow, oh] = numbers[..] else { panic!("{case}") };
        let filter = if words[0] == "bicubic" { Filter::Bicubic } else { Filter::Bilinear };
        let (w, ow, oh) = (w as usize, ow as usize, oh as usize);
        let mut picture = Picture::new(PixelFormat::Rgb24, w, h as usize);
        for (i, byte) in picture.data.iter_mut().enumerate() {
            let (c, x, y) = (i % 3, i / 3 % w, i / 3 / w);
            *byte = ((x * 37 + y * 11 + c * 50 + x * y * 5) % 256) as u8;
        }
        let mut out = vec![0.0; 3 * ow * oh];
        Converter::new(layout(ow, oh, filter)).convert(
            &picture,
            Rect::new(x1, y1, x2, y2),
            Fit::Stretch,
            &mut out,
        );
        for y in 0..oh {
            for (i, want) in lines.next().unwrap().split(' ').enumerate() {
                let (x, c, want) = (i / 3, i % 3, want.parse::<f32>().unwrap());
                let got = out[c * ow * oh + y * ow + x];
                assert!((got - want).abs() < 0.2, "{case}: {got} is not {want} at {x}, {y}, {c}");
            }
        }
        cases += 1;
    }
    assert_eq!(cases, 6);
}

#[test]
fn an_empty_crop_gives_padding() {
    let picture = noise(PixelFormat::Nv12, 31, 17, Colour::default(), 1);
    let layout = Layout { mean: [14.0; 3], std: [50.0; 3], ..layout(5, 4, Filter::Bicubic) };
    let mut converter = Converter::new(layout);
    let crops = [
        Rect::new(5.0, 5.0, 5.0, 9.0),
        Rect::new(9.0, 9.0, 3.0, 3.0),
        Rect::new(-9.0, -9.0, -3.0, -3.0),
        Rect::new(40.0, 3.0, 50.0, 9.0),
        Rect::new(f32::NAN, 0.0, 5.0, 5.0),
    ];
    for fit in FITS {
        for crop in crops {
            let mut out = vec![f32::NAN; 60];
            let placement = converter.convert(&picture, crop, fit, &mut out);
            assert!(out.iter().all(|v| *v == 2.0), "{crop:?} {fit:?}: {out:?}");
            assert_eq!(placement.target.area(), 0.0);
        }
    }
}

#[test]
fn an_incomplete_picture_gives_padding() {
    let mut picture = noise(PixelFormat::I420, 8, 8, Colour::default(), 1);
    picture.data.truncate(100);
    let mut out = vec![f32::NAN; 48];
    Converter::new(layout(4, 4, Filter::Bilinear)).convert(&picture, whole(&picture), Fit::Stretch, &mut out);
    assert!(out.iter().all(|v| *v == 114.0));
}

#[test]
fn a_tiny_crop_of_an_edge_works() {
    for format in FORMATS {
        let picture = noise(format, 7, 5, Colour::default(), 9);
        for crop in [Rect::new(6.99, 4.99, 7.0, 5.0), Rect::new(0.0, 0.0, 1e-6, 1e-6)] {
            let mut out = vec![f32::NAN; 3 * 9 * 9];
            Converter::new(layout(9, 9, Filter::Bicubic)).convert(&picture, crop, Fit::Pad, &mut out);
            assert!(out.iter().all(|v| (0.0..=255.0).contains(v)), "{format:?} {crop:?}");
        }
    }
}

/// What a converter did before must not show.
#[test]
fn a_used_converter_gives_what_a_new_one_gives() {
    let mut used = Converter::new(layout(12, 20, Filter::Bicubic));
    let (mut first, mut second) = (vec![0.0; 720], vec![0.0; 720]);
    for (index, format) in FORMATS.iter().cycle().take(40).enumerate() {
        let picture = noise(*format, 5 + index % 37, 40 - index, Colour::default(), index as u64);
        let crop = Rect::new(index as f32 / 9.0, 0.3, 30.0, 9.0 + index as f32);
        let fit = FITS[index % 4];
        used.convert(&picture, crop, fit, &mut first);
        Converter::new(*used.layout()).convert(&picture, crop, fit, &mut second);
        assert_eq!(first, second);
    }
}

#[test]
fn yolox_keeps_the_side_that_fits() {
    let placement = Placement::new(Rect::new(0.0, 0.0, 640.0, 480.0), Fit::PadTopLeft, 416, 416);
    assert_eq!(placement.target, Rect::new(0.0, 0.0, 416.0, 312.0));
    for width in 1..2000 {
        let placement = Placement::new(Rect::new(0.0, 0.0, width as f32, 7.0), Fit::PadTopLeft, 416, 416);
        assert_eq!(placement.target.width(), if width < 7 { placement.target.width() } else { 416.0 });
    }
}

#[test]
fn check_names_what_is_short() {
    let mut picture = Picture::new(PixelFormat::Nv12, 5, 3);
    assert_eq!(picture.data.len(), 5 * 3 + 6 * 2);
    assert_eq!(picture.check(), Ok(()));
    picture.data.pop();
    assert_eq!(
        picture.check().unwrap_err().to_string(),
        "picture 5x3 Nv12, plane 1: ends at byte 27, the data at 26"
    );
    picture.planes[0].stride = 4;
    assert_eq!(
        picture.check().unwrap_err().to_string(),
        "picture 5x3 Nv12, plane 0: rows of 4 bytes hold less than 5"
    );
    picture.planes[0] = Plane { offset: usize::MAX, stride: usize::MAX };
    assert!(matches!(picture.check(), Err(PictureError::Short { plane: 0, .. })));
    picture.height = 0;
    assert!(matches!(picture.check(), Err(PictureError::Empty { .. })));
}

#[test]
fn rgb_for_drawing_has_the_standards_colours() {
    // 75 % bars of BT.601 and BT.709, limited range: Y, U, V and the R, G, B they stand for.
    let red = [(false, [65, 100, 212], [191, 0, 0]), (true, [51, 109, 212], [191, 0, 0])];
    let green = [(false, [112, 72, 58], [0, 191, 0]), (true, [133, 63, 52], [0, 191, 0])];
    let grey = [(false, [16, 128, 128], [0; 3]), (true, [235, 128, 128], [255; 3])];
    for (bt709, [y, u, v], want) in [red, green, grey].concat() {
        let mut picture = Picture::new(PixelFormat::I420, 3, 3);
        picture.colour.bt709 = bt709;
        picture.data[..9].fill(y);
        picture.data[9..13].fill(u);
        picture.data[13..].fill(v);
        let mut rgb = Vec::new();
        picture.to_rgb(&mut rgb);
        assert_eq!(rgb.len(), 27);
        for (got, want) in rgb.iter().zip(want.into_iter().cycle()) {
            assert!(got.abs_diff(want) <= 1, "{bt709} {y} {u} {v}: {:?}", &rgb[..3]);
        }
    }
}

#[test]
fn every_format_draws_the_same_picture() {
    // One RGB colour in every format: drawing and converting agree on where its channels stand.
    let (y, u, v, rgb) = (65, 100, 212, [191.0, 0.0, 0.0]);
    for format in FORMATS {
        let mut picture = Picture::new(format, 5, 3);
        let fill = |data: &mut [u8], bytes: &[u8]| {
            data.iter_mut().zip(bytes.iter().cycle()).for_each(|(d, b)| *d = *b)
        };
        let luma = picture.data.len().min(15);
        match format {
            PixelFormat::Rgb24 => fill(&mut picture.data, &[191, 0, 0]),
            PixelFormat::Bgr24 => fill(&mut picture.data, &[0, 0, 191]),
            PixelFormat::Grey => continue,
            _ => picture.data[..luma].fill(y),
        }
        let half = (picture.data.len() - luma) / 2 + luma;
        match format {
            PixelFormat::Nv12 | PixelFormat::Nv16 => fill(&mut picture.data[luma..], &[u, v]),
            PixelFormat::Nv21 => fill(&mut picture.data[luma..], &[v, u]),
            PixelFormat::I420 | PixelFormat::I422 => {
                picture.data[luma..half].fill(u);
                picture.data[half..].fill(v);
            }
            _ => {}
        }
        let mut drawn = Vec::new();
        picture.to_rgb(&mut drawn);
        let mut out = vec![0.0; 12];
        Converter::new(layout(2, 2, Filter::Bilinear)).convert(
            &picture,
            whole(&picture),
            Fit::Stretch,
            &mut out,
        );
        for c in 0..3 {
            assert!((f32::from(drawn[c]) - rgb[c]).abs() <= 1.0, "{format:?} {:?}", &drawn[..3]);
            assert!((out[c * 4] - rgb[c]).abs() <= 1.0, "{format:?} {out:?}");
        }
    }
}

#[test]
fn packed_rows_are_taken_apart() {
    for (order, row) in [
        (Packed::Yuyv, [10, 100, 11, 200, 12, 101, 13, 201, 0, 0]),
        (Packed::Uyvy, [100, 10, 200, 11, 101, 12, 201, 13, 0, 0]),
    ] {
        for width in [3, 4] {
            let mut picture = Picture::new(PixelFormat::Grey, width, 2);
            let packed = [row, row.map(|v| v + 4)].concat();
            picture.split_packed(order, &packed[..18], 10).unwrap();
            assert_eq!(picture.format, PixelFormat::I422);
            assert_eq!(picture.check(), Ok(()));
            let luma = [10, 11, 12, 13];
            let want =
                [&luma[..width], &luma.map(|v| v + 4)[..width], &[100, 101, 104, 105], &[200, 201, 204, 205]];
            assert_eq!(picture.data, want.concat());
            assert!(matches!(
                picture.split_packed(order, &packed[..17], 10),
                Err(PictureError::Packed { needed: 18, length: 17, .. })
            ));
            assert!(picture.split_packed(order, &packed, 7).is_err());
        }
    }
}
