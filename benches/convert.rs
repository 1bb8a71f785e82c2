//! The conversion alone: crops of 640×480 and 1080p frames to a tower's square, a whole frame to a detector's; and framing.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use watchword::frame::{Converter, Filter, Fit, Layout, Mask, Picture, PixelFormat, Rect, Turn};

fn picture(format: PixelFormat) -> Picture {
    let mut picture = Picture::new(format, 640, 480);
    for (i, byte) in picture.data.iter_mut().enumerate() {
        *byte = (i * 31 % 251) as u8;
    }
    picture
}

fn layout(side: usize, filter: Filter) -> Layout {
    Layout { width: side, height: side, mean: [123.0; 3], std: [58.0; 3], bgr: false, filter, fill: 114.0 }
}

fn convert(c: &mut Criterion) {
    let whole = Rect::new(0.0, 0.0, 640.0, 480.0);
    let person = Rect::new(200.3, 50.1, 360.7, 450.9);
    let cases = [
        ("whole to 224 bicubic", 224, Filter::Bicubic, whole, Fit::Stretch),
        ("whole to 224 bilinear", 224, Filter::Bilinear, whole, Fit::Stretch),
        ("person to 224 bicubic", 224, Filter::Bicubic, person, Fit::Pad),
        ("whole to 416 bilinear", 416, Filter::Bilinear, whole, Fit::PadTopLeft),
    ];
    for format in [PixelFormat::Nv12, PixelFormat::I422, PixelFormat::Rgb24] {
        let picture = picture(format);
        for (name, side, filter, crop, fit) in cases {
            let mut converter = Converter::new(layout(side, filter));
            let mut out = vec![0.0; converter.layout().len()];
            c.bench_function(&format!("{format:?}, {name}"), |b| {
                b.iter(|| converter.convert(black_box(&picture), black_box(crop), fit, &mut out));
            });
        }
    }
}

/// From a 1080p camera: people far and near, one who fills the picture's height, and the whole. Crops never repeat.
fn large(c: &mut Criterion) {
    let mut picture = Picture::new(PixelFormat::Nv12, 1920, 1080);
    picture.data.iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * 31 % 251) as u8);
    let people = [(60.0f32, 150.0f32), (160.0, 400.0), (320.0, 800.0), (430.0, 1070.0)];
    for (width, height, fit) in
        people.map(|(w, h)| (w, h, Fit::Pad)).into_iter().chain([(1920.0, 1080.0, Fit::Stretch)])
    {
        let mut converter = Converter::new(layout(224, Filter::Bicubic));
        let mut out = vec![0.0; converter.layout().len()];
        let mut step = 0.0f32;
        c.bench_function(&format!("Nv12 1080p, {width}x{height} to 224 bicubic"), |b| {
            b.iter(|| {
                step = (step + 0.37) % 10.0;
                let (x, y) =
                    ((1910.0 - width).max(0.0) / 2.0 + step, (1070.0 - height).max(0.0) / 2.0 + step);
                let crop = Rect::new(x, y, x + width, y + height);
                converter.convert(black_box(&picture), crop, fit, &mut out)
            });
        });
    }
}

/// Crops never repeat; what the weights of a new one cost on top.
fn moving(c: &mut Criterion) {
    let picture = picture(PixelFormat::Nv12);
    let mut converter = Converter::new(layout(224, Filter::Bicubic));
    let mut out = vec![0.0; converter.layout().len()];
    let mut step = 0.0f32;
    c.bench_function("Nv12, moving person to 224 bicubic", |b| {
        b.iter(|| {
            step = (step + 0.37) % 100.0;
            let crop = Rect::new(200.0 + step, 50.0, 360.0 + step, 450.0 - step / 8.0);
            converter.convert(black_box(&picture), crop, Fit::Pad, &mut out)
        });
    });
}

/// What framing costs a 1080p frame: a quarter turn, a mask over a tenth of it.
fn frame(c: &mut Criterion) {
    for format in [PixelFormat::Nv12, PixelFormat::I422, PixelFormat::Rgb24] {
        let picture = Picture::new(format, 1920, 1080);
        let mut out = Picture::new(format, 0, 0);
        c.bench_function(&format!("{format:?}, 1080p turned by a quarter"), |b| {
            b.iter(|| Turn { quarters: 1, mirror: false }.apply(black_box(&picture), &mut out));
        });
        let mut masked = picture.clone();
        let mut mask = Mask::new([vec![[0.1, 0.1], [0.5, 0.1], [0.5, 0.35], [0.1, 0.35]]]);
        c.bench_function(&format!("{format:?}, 1080p masked"), |b| {
            b.iter(|| mask.apply(black_box(&mut masked)));
        });
    }
}

criterion_group!(benches, convert, large, moving, frame);
criterion_main!(benches);
