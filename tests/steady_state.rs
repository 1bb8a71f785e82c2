//! Once its buffers have grown, the way of a frame allocates nothing outside the engines.
//!
//! The engines are stood in for, so that what is counted is ours: conversion, decoding, tracking, crops, heads, scores,
//! events, the queue between threads.

#[path = "common/puppets.rs"]
mod puppets;

use std::sync::Arc;
use std::time::Duration;

use puppets::{config, frame, heads, live, networks, vocabulary};
use watchword::camera::{CameraError, Framed, Source, SourceInfo};
use watchword::clock::{Clock, FrameTime, SystemClock};
use watchword::config::{self, Config, Regions, Scoring, Span};
use watchword::frame::{Frame, PixelFormat};
use watchword::heads::Method;
use watchword::mqtt::{Mqtt, Origin};
use watchword::pipeline::{Arrival, Control, Delivery, Mailbox, Observer, Report, Seen, Status, View};
use watchword::web::{Observing, Orders, Page, Parts, Timeline};

#[test]
fn a_frame_allocates_nothing_once_buffers_have_grown() {
    let (formats, looking_back) = ([PixelFormat::Nv12, PixelFormat::Rgb24, PixelFormat::I422], config());
    for format in formats {
        steady(format, &looking_back, Method::Fusion, 0);
    }
    steady(PixelFormat::Nv12, &looking_back, heads(), KERNELS);
    let one_pass = Scoring { regions: Regions::OnePass, ..looking_back.scoring.clone() };
    steady(PixelFormat::Nv12, &Config { scoring: one_pass, ..looking_back.clone() }, Method::Fusion, 0);
    let two_sizes = Scoring { small: Some(160), ..looking_back.scoring.clone() };
    steady(PixelFormat::Nv12, &Config { scoring: two_sizes, ..looking_back.clone() }, Method::Fusion, 0);
    let looking_ahead =
        Scoring { look_ahead: Span::from_secs_f64(1.0), provisional: true, ..looking_back.scoring.clone() };
    steady(PixelFormat::Nv12, &Config { scoring: looking_ahead, ..looking_back }, heads(), KERNELS);
}

/// Noise of one size, in the buffer that it is given.
struct Noise(SourceInfo, PixelFormat);

impl Source for Noise {
    fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        frame.picture.reset(self.1, 640, 480);
        Ok(true)
    }

    fn info(&self) -> &SourceInfo {
        &self.0
    }
}

#[test]
fn framing_a_picture_allocates_nothing_once_buffers_have_grown() {
    let polygon = vec![[0.1, 0.1], [0.9, 0.2], [0.5, 0.9]];
    let camera = config::Camera {
        rotate: 90,
        mirror: true,
        region: Some([0.0, 0.1, 0.9, 1.0]),
        masks: vec![config::Mask { polygon, ..config::Mask::default() }],
        ..config::Camera::default()
    };
    for format in [PixelFormat::Nv12, PixelFormat::Rgb24, PixelFormat::I422] {
        let (mut source, mut frame) = (Framed::new(Noise(live(), format), &camera), Frame::default());
        let (mailbox, mut taken) = (Mailbox::new(1), Frame::default());
        let mut step = || {
            assert!(source.read(&mut frame).unwrap());
            assert!(mailbox.put(0, &mut frame, Delivery::Latest));
            assert_eq!(mailbox.take(&mut taken, Duration::ZERO), Some((0, Arrival::Frame)));
            assert_eq!((taken.picture.width, taken.picture.height), (432, 576));
        };
        (0..10).for_each(|_| step());
        let counted = allocation_counter::measure(|| (0..100).for_each(|_| step()));
        assert_eq!(counted.count_total, 0, "allocations in 100 frames of {format:?}: {counted:?}");
    }
}

struct Nobody;

impl Observer for Nobody {
    fn analysed(&mut self, _: &Seen<'_>) {}
    fn closed(&mut self, _: &View) {}
    fn status(&mut self, _: &str, _: Status) {}
    fn report(&mut self, _: &Report) {}
}

#[test]
fn what_the_page_hears_allocates_nothing_while_nobody_looks() {
    let gate = config::Camera { name: "gate".into(), ..config::Camera::default() };
    let config = Config { cameras: vec![gate.clone()], ..config() };
    let (mut networks, vocabulary) = (networks(&config, Method::Fusion), Arc::new(vocabulary(&config)));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let origin = Origin { node: "box".into(), pack: "puppet@1".into(), vocabulary: "1".into() };
    let (publisher, _mqtt) = Mqtt::start(&config::Mqtt::default(), origin, Arc::clone(&clock)).unwrap();
    let page = Page::new(Parts {
        config: config.clone(),
        vocabulary: Arc::clone(&vocabulary),
        engine: "puppet".into(),
        control: Control::new().0,
        publisher,
        timeline: Timeline::start(None, Arc::clone(&clock)).unwrap(),
        orders: Orders::new(|_| false),
        clock,
    });
    let mut observing = Observing::new(Nobody, page);
    let (mut view, mut frame) = (View::new(&gate, &config, &networks), frame(PixelFormat::Nv12));
    let mut allocated = 0;
    for n in 0..100 {
        frame.time.monotonic = Duration::from_millis(100 * n);
        view.analyse(&frame, frame.time.monotonic, &mut networks, &vocabulary).unwrap();
        let (networks, vocabulary) = (&networks, &*vocabulary);
        let seen = Seen { camera: "gate", frame: &frame, view: &view, networks, vocabulary };
        let counted = allocation_counter::measure(|| observing.analysed(&seen));
        allocated += counted.count_total;
    }
    assert!(
        view.judged()[0].scored().count() == 5 && allocated == 0,
        "{allocated} allocations in 100 frames"
    );
}

/// rayon, which spreads the heads' matrix products over the cores, takes a block of memory for every few dozen jobs.
const KERNELS: u64 = 10;

fn steady(format: PixelFormat, config: &Config, method: Method, most: u64) {
    let (mut networks, vocabulary) = (networks(config, method), vocabulary(config));
    {
        let mut view = View::new(&config::Camera::default(), config, &networks);
        let (mut frame, mailbox) = (frame(format), Mailbox::new(1));
        let mut step = |n: u64| {
            let monotonic = Duration::from_millis(100 * n);
            frame.sequence = n;
            frame.time = FrameTime { monotonic, utc: frame.time.utc };
            assert!(mailbox.put(0, &mut frame, Delivery::Latest));
            assert_eq!(mailbox.take(&mut frame, Duration::ZERO), Some((0, Arrival::Frame)));
            view.analyse(&frame, monotonic, &mut networks, &vocabulary).unwrap();
            assert!(view.events().is_empty(), "the thresholds are out of reach");
            view.judged().iter().map(|frame| frame.scored().count()).sum::<usize>()
        };
        for n in 0..60 {
            step(n);
        }
        let mut people = 0;
        let counted = allocation_counter::measure(|| {
            for n in 60..160 {
                people += step(n);
            }
        });
        assert_eq!(people, 500, "five people in each of a hundred frames");
        assert!(counted.count_total <= most, "allocations in 100 frames of {format:?}: {counted:?}");
    }
}
