//! Once its buffers have grown, the way of a frame allocates nothing outside the engines.
//!
//! The engines are stood in for, so that what is counted is ours: conversion, decoding, tracking, crops, heads, scores,
//! events, the queue between threads.

#[path = "common/puppets.rs"]
mod puppets;

use std::time::Duration;

use puppets::{config, frame, heads, networks, vocabulary};
use watchword::clock::FrameTime;
use watchword::config::{self, Config, Scoring, Span};
use watchword::frame::PixelFormat;
use watchword::heads::Method;
use watchword::pipeline::{Arrival, Delivery, Mailbox, View};

#[test]
fn a_frame_allocates_nothing_once_buffers_have_grown() {
    let (formats, looking_back) = ([PixelFormat::Nv12, PixelFormat::Rgb24, PixelFormat::I422], config());
    for format in formats {
        steady(format, &looking_back, Method::Fusion, 0);
    }
    steady(PixelFormat::Nv12, &looking_back, heads(), KERNELS);
    let looking_ahead =
        Scoring { look_ahead: Span::from_secs_f64(1.0), provisional: true, ..looking_back.scoring.clone() };
    steady(PixelFormat::Nv12, &Config { scoring: looking_ahead, ..looking_back }, heads(), KERNELS);
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
