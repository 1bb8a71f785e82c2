//! The tracker alone: one frame with so many persons, who walk to and fro past each other.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use watchword::config;
use watchword::detect::Detection;
use watchword::frame::Rect;
use watchword::track::Tracker;

/// Persons of 30 × 80 pixels in a 640 × 480 frame at time `t`, in seconds; a fifth of them detected faintly.
fn persons(count: usize, t: f32, out: &mut Vec<Detection>) {
    out.clear();
    out.extend((0..count).map(|i| {
        let i = i as f32;
        let (x, y) = (300.0 + 280.0 * (0.2 * t + 1.7 * i).sin(), 60.0 + (i * 67.0) % 360.0);
        let score = if i as usize % 5 == 4 { 0.3 } else { 0.8 };
        Detection { class: 0, score, rect: Rect::new(x, y, x + 30.0, y + 80.0) }
    }));
}

fn update(c: &mut Criterion) {
    let config = config::Config::default();
    let mut group = c.benchmark_group("tracker/update");
    for count in [1, 5, 25, 100] {
        let mut tracker = Tracker::new(&config.tracker, config.detector.person_threshold);
        let (mut detections, mut frame) = (Vec::new(), 0u32);
        group.bench_with_input(BenchmarkId::from_parameter(count), &count, |b, &count| {
            b.iter(|| {
                frame += 1;
                let time = Duration::from_millis(100) * frame;
                persons(count, time.as_secs_f32(), &mut detections);
                tracker.update(time, black_box(&detections));
                tracker.tracks().len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, update);
criterion_main!(benches);
