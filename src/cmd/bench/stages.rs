//! `watchword bench --stages`: where a frame's time goes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

use super::crowd::crowd;
use super::{Bench, engines};
use crate::camera::{Stop, avi_bytes};
use crate::cmd::assemble::Loaded;
use crate::config::Config;
use crate::frame::Frame;
use crate::pack::Role;
use crate::pipeline::{Budget, Observer, Seen, Stage, StageTimes, View, age, peak_memory, resident_memory};

const WARM_UP: u32 = 5;

/// Runs `frames` frames of the clip, with so many `people` who stand still, through the pipeline's own stages, one after
/// the other as fast as they go, and prints where the time went.
pub fn run(config: &Config, people: usize, frames: u32, json: bool) -> anyhow::Result<()> {
    let Bench { loaded, vocabulary, mut networks, mut publishing, mqtt, clock, _broker } =
        Bench::open(config)?;
    let ready = age();
    networks.pretend(crowd(people, None));

    let camera = config.cameras.first().context("the demo's configuration has no camera")?;
    let mut view = View::new(camera, config, &networks);
    view.allow(config.refresh.budget.map_or(Budget::Unlimited, |time| Budget::Tower(time.into())));
    let clip =
        || avi_bytes("the demo's clip", crate::cmd::demo::CLIP, false, Arc::clone(&clock), Stop::new());
    let mut source = clip()?;
    let mut frame = Frame::default();
    let (mut decode, mut hand_over, mut stages) = (Duration::ZERO, Duration::ZERO, StageTimes::default());
    let (mut measured, mut warm, mut first) = (0, view.crops(), None);
    while measured < frames {
        let start = Instant::now();
        if !source.read(&mut frame)? {
            source = clip()?;
            continue;
        }
        let decoded = start.elapsed();
        view.analyse(&frame, clock.monotonic(), &mut networks, &vocabulary)?;
        let start = Instant::now();
        let (networks, vocabulary) = (&networks, &vocabulary);
        publishing.analysed(&Seen { camera: &camera.name, frame: &frame, view: &view, networks, vocabulary });
        first = first.or_else(age);
        if frame.sequence >= u64::from(WARM_UP) || measured > 0 {
            decode += decoded;
            hand_over += start.elapsed();
            stages.add(view.times());
            measured += 1;
        } else {
            warm = view.crops();
        }
    }
    let (resident, peak) = (resident_memory(), peak_memory());
    mqtt.shutdown(Duration::from_secs(1));
    drop(networks);

    let batch = view.visible().count() + 1;
    let alone = tower_alone(&loaded, batch, frames.min(20))?;
    let frames = frames.max(1);
    let ms = |total: Duration| (total.as_secs_f64() * 1e6 / f64::from(frames)).round() / 1e3;
    stages.extend(Stage::Publish, hand_over);
    let total = decode + stages.total();
    let measured = Measured {
        pack: loaded.pack.identity(),
        engine: loaded.engine.describe(loaded.options),
        picture: format!("{}x{}", frame.picture.width, frame.picture.height),
        persons: people,
        frames,
        stage_ms: std::iter::once(("decode", ms(decode)))
            .chain(Stage::ALL.into_iter().map(|s| (s.name(), ms(stages.of(s)))))
            .collect(),
        frame_ms: ms(total),
        frames_per_second: f64::from(frames) / total.as_secs_f64(),
        outside_networks_ms: ms(stages.outside_networks()),
        crops_per_frame: (view.crops().encoded - warm.encoded) as f64 / f64::from(frames),
        oldest_crop_ms: view.crops().oldest.as_secs_f64() * 1e3,
        tower_alone_ms: alone.as_secs_f64() * 1e3,
        resident_memory_mb: resident as f64 / 1e6,
        peak_memory_mb: peak as f64 / 1e6,
        ready_ms: ready.map(|age| age.as_secs_f64() * 1e3),
        first_frame_ms: first.map(|age| age.as_secs_f64() * 1e3),
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&measured)?);
    } else {
        measured.print();
    }
    Ok(())
}

/// The image tower as the engine runs it with nothing around it: median of a few runs on one batch.
fn tower_alone(loaded: &Loaded, batch: usize, runs: u32) -> anyhow::Result<Duration> {
    let model = loaded.pack.model(Role::Image, loaded.engine.name())?;
    let mut session = loaded.engine.load(&model, loaded.options)?;
    let (size, mut outputs) = (loaded.pack.manifest().image.size, Vec::new());
    let times = (0..runs.max(3)).map(|_| engines::timed(&mut *session, size, batch, &mut outputs));
    Ok(engines::median(&mut times.collect::<anyhow::Result<Vec<_>>>()?))
}

/// Means over the measured frames.
#[derive(Serialize)]
struct Measured {
    pack: String,
    engine: String,
    picture: String,
    persons: usize,
    frames: u32,
    /// Milliseconds a frame; `detect` and `encode` hold the networks.
    stage_ms: Vec<(&'static str, f64)>,
    frame_ms: f64,
    frames_per_second: f64,
    /// Everything that is not a network, without decoding.
    outside_networks_ms: f64,
    /// What the image tower encoded.
    crops_per_frame: f64,
    /// How long ago that was seen by which the last frame was judged, at most.
    oldest_crop_ms: f64,
    /// The image tower alone on everybody and the whole frame at once, nothing around it.
    tower_alone_ms: f64,
    /// At the end of the measured frames.
    resident_memory_mb: f64,
    /// The most until then.
    peak_memory_mb: f64,
    /// From the start of the process until words, networks and broker were there.
    ready_ms: Option<f64>,
    /// .. until the first frame was analysed.
    first_frame_ms: Option<f64>,
}

impl Measured {
    fn print(&self) {
        println!("{} on {}; {} persons in {}", self.pack, self.engine, self.persons, self.picture);
        for (name, ms) in &self.stage_ms {
            println!("{name:>10} {ms:9.3} ms");
        }
        println!("{:>10} {:9.3} ms, {:.1} frames a second", "frame", self.frame_ms, self.frames_per_second);
        println!("everything but networks and decoding: {:.3} ms", self.outside_networks_ms);
        println!(
            "{:.2} crops encoded a frame; the oldest embedding in the last is {:.0} ms old",
            self.crops_per_frame, self.oldest_crop_ms
        );
        println!("the image tower alone on everybody and the whole: {:.3} ms", self.tower_alone_ms);
        println!("resident memory: {:.0} MB, at most {:.0} MB", self.resident_memory_mb, self.peak_memory_mb);
        if let (Some(ready), Some(first)) = (self.ready_ms, self.first_frame_ms) {
            println!(
                "from the start of the program: all loaded in {ready:.0} ms, a frame analysed in {first:.0} ms"
            );
        }
    }
}
