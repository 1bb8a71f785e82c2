//! Detector and tracker together, on videos: persons found, nobody invented, each person one id.
//!
//! Reads `../shared/data` and the pack in `models/nano`; without them, a test says so and passes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use watchword::camera::{self, Source, Stop};
use watchword::clock::SystemClock;
use watchword::config::{self, EngineKind};
use watchword::detect::{Detection, Detector, Kind, Spec};
use watchword::engine::{self, Model, ModelBytes, Options};
use watchword::frame::{Frame, Rect};
use watchword::pack::Pack;
use watchword::track::{Track, Tracker};

fn data(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(path);
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
    }
    path.exists().then_some(path)
}

fn nano() -> Option<Detector> {
    let pack = Pack::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/nano")).ok()?;
    let engine = engine::engine(EngineKind::Cpu);
    let detector = Detector::open(&pack, engine.as_ref(), Options::of(2), &config::Config::default());
    Some(detector.expect("the pack's detector loads"))
}

fn yolox() -> Option<Detector> {
    let path = data("models/yolox_nano.onnx")?;
    let model = Model { name: "yolox_nano.onnx".into(), bytes: ModelBytes::File(path) };
    let session = engine::engine(EngineKind::Cpu).load(&model, Options::of(2)).expect("it loads");
    let spec = Spec::new(model.name, Kind::Yolox, 416, 416);
    let config = config::Config::default();
    let detector = Detector::new(session, spec, &config.detector, config.tracker.low_threshold);
    Some(detector.expect("it is as described"))
}

/// A frame of a video, what was found in it, and who is followed.
struct Seen<'a> {
    index: usize,
    persons: &'a [Detection],
    tracks: &'a [Track],
}

/// Runs every `step`th of the first `frames` frames of a video through `detector` and a tracker of their own, all at
/// the default settings.
fn watch(mut detector: Detector, video: &Path, frames: usize, step: usize, mut see: impl FnMut(Seen<'_>)) {
    let camera = config::Camera { source: video.display().to_string(), ..Default::default() };
    let mut source: Box<dyn Source> =
        camera::open(&camera, Arc::new(SystemClock), Stop::new()).expect("the video opens");
    let config = config::Config::default();
    let mut tracker = Tracker::new(&config.tracker, config.detector.person_threshold);
    let mut frame = Frame::default();
    let mut found = Vec::new();
    for index in 0..frames {
        if !source.read(&mut frame).expect("the video reads") {
            break;
        }
        if index % step != 0 {
            continue;
        }
        detector.prepare(&frame.picture);
        detector.detect(&mut found).expect("the detector runs");
        found.retain(|d| d.class == detector.person());
        tracker.update(frame.time.monotonic, &found);
        see(Seen { index, persons: &found, tracks: tracker.tracks() });
    }
}

/// Ground truth of `vtest.avi`: boxes by frame, counted from 0.
fn pets09() -> Option<BTreeMap<usize, Vec<Rect>>> {
    let text = std::fs::read_to_string(data("annotations/pets09/gt_excerpt.txt")?).expect("it reads");
    let mut boxes = BTreeMap::<usize, Vec<Rect>>::new();
    for line in text.lines() {
        let v: Vec<f32> = line.split(',').map_while(|v| v.trim().parse().ok()).collect();
        if let [frame, _, x, y, w, h] = v[..] {
            boxes.entry(frame as usize - 1).or_default().push(Rect::new(x, y, x + w, y + h));
        }
    }
    assert_eq!(boxes.values().map(Vec::len).sum::<usize>(), 38);
    Some(boxes)
}

/// How many of `truth` are met by a box of their own at IoU 0.5.
fn met(truth: &[Rect], boxes: impl Iterator<Item = Rect>) -> usize {
    let mut boxes: Vec<_> = boxes.collect();
    let mut met = 0;
    for rect in truth {
        let best = (0..boxes.len()).max_by(|&a, &b| boxes[a].iou(rect).total_cmp(&boxes[b].iou(rect)));
        if let Some(best) = best.filter(|&best| boxes[best].iou(rect) >= 0.5) {
            boxes.swap_remove(best);
            met += 1;
        }
    }
    met
}

fn finds_people_walking(name: &str, detector: Option<Detector>) {
    let (Some(detector), Some(video), Some(truth)) = (detector, data("videos/vtest.avi"), pets09()) else {
        return;
    };
    let least = config::Config::default().detector.person_threshold;
    let (mut all, mut detected, mut sure, mut later, mut tracked) = (0, 0, 0, 0, 0);
    watch(detector, &video, 70, 1, |seen| {
        let Some(truth) = truth.get(&seen.index) else { return };
        all += truth.len();
        detected += met(truth, seen.persons.iter().map(|d| d.rect));
        sure += met(truth, seen.persons.iter().filter(|d| d.score >= least).map(|d| d.rect));
        // Nobody is confirmed in the first frame.
        if seen.index > 0 {
            later += truth.len();
            tracked += met(truth, seen.tracks.iter().map(|t| t.rect));
        }
    });
    println!("vtest.avi, {name}: {detected} of {all} detected, {sure} surely; {tracked} of {later} followed");
    assert!(detected * 5 >= all * 4, "{detected} of {all} detected");
    assert!(tracked * 5 >= later * 4, "{tracked} of {later} followed");
}

#[test]
fn nano_finds_people_walking() {
    finds_people_walking("nano", nano());
}

#[test]
fn yolox_finds_people_walking() {
    finds_people_walking("yolox", yolox());
}

fn sees_nobody_among_cars(detector: Option<Detector>) {
    let (Some(detector), Some(video)) = (detector, data("videos/car-detection.mp4")) else { return };
    let mut frames = 0;
    watch(detector, &video, usize::MAX, 5, |seen| {
        frames += 1;
        assert_eq!(seen.tracks, [], "frame {}", seen.index);
    });
    assert!(frames > 70, "{frames}");
}

#[test]
fn nano_sees_nobody_among_cars() {
    sees_nobody_among_cars(nano());
}

#[test]
fn yolox_sees_nobody_among_cars() {
    sees_nobody_among_cars(yolox());
}

/// When each of the six persons of `one-by-one-person-detection.mp4` is there, in frames (10 a second): they come in from
/// below, stand with their back to the camera, and leave to the right, one after the other.
const ONE_BY_ONE: [(usize, usize); 6] =
    [(60, 198), (224, 452), (500, 702), (740, 872), (922, 1204), (1232, 1364)];

/// Each person is one track, no track is two persons, and the track is there nearly as long as the person.
fn gives_each_of_six_one_id(detector: Option<Detector>) {
    let (Some(detector), Some(video)) = (detector, data("videos/one-by-one-person-detection.mp4")) else {
        return;
    };
    // First and last frame in which each id is visible.
    let mut spans = BTreeMap::<u64, (usize, usize)>::new();
    watch(detector, &video, usize::MAX, 3, |seen| {
        assert!(seen.tracks.iter().filter(|t| t.visible).count() <= 1, "frame {}", seen.index);
        for track in seen.tracks.iter().filter(|t| t.visible) {
            spans.entry(track.id).or_insert((seen.index, seen.index)).1 = seen.index;
        }
    });
    println!("one-by-one: {spans:?}");
    assert_eq!(spans.len(), ONE_BY_ONE.len(), "{spans:?}");
    for ((from, to), (first, last)) in ONE_BY_ONE.into_iter().zip(spans.into_values()) {
        assert!(from <= first && last <= to, "a track from {first} to {last}, a person from {from} to {to}");
        assert!((last - first) * 10 >= (to - from) * 8, "{first} to {last} of {from} to {to}");
    }
}

#[test]
fn nano_gives_each_of_six_one_id() {
    gives_each_of_six_one_id(nano());
}

#[test]
fn yolox_gives_each_of_six_one_id() {
    gives_each_of_six_one_id(yolox());
}
