//! `watchword bench`: where a frame's time goes on this machine, with this pack.

mod engines;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

use crate::camera::{Stop, avi_bytes};
use crate::clock::{Clock, SystemClock};
use crate::cmd::assemble::Loaded;
use crate::config::{BrokerKind, Config, EngineKind, Regions};
use crate::detect::Detection;
use crate::engine::Options;
use crate::frame::{Frame, Rect};
use crate::mqtt::{Broker, Mqtt};
use crate::pack::{Pack, Role};
use crate::pipeline::{Observer, Publishing, Seen, Stage, StageTimes, View, resident_memory};

/// Measure each stage of the pipeline on this machine.
#[derive(clap::Args)]
pub struct Args {
    /// `nano`, a pack folder or a .tar.zst of one
    #[arg(long, default_value = "nano")]
    pack: PathBuf,
    /// cpu, tract, onnxruntime, cuda, rknn or auto
    #[arg(long, default_value = "cpu", value_parser = engine_kind)]
    engine: EngineKind,
    /// Threads of the engine; 0 takes every core
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// "crops" or "one-pass": where the embeddings of persons come from
    #[arg(long, default_value = "crops", value_parser = regions)]
    regions: Regions,
    /// People in every frame, whoever is really there
    #[arg(long, default_value_t = 5)]
    persons: usize,
    /// Frames to measure, after a few to warm up
    #[arg(long, default_value_t = 50)]
    frames: u32,
    /// Encode as the daemon does: only who is new, has moved, looks different or was encoded long ago
    #[arg(long)]
    scheduled: bool,
    /// With --scheduled: what a frame may spend on it, milliseconds
    #[arg(long, value_name = "MS", requires = "scheduled")]
    budget: Option<f64>,
    /// Instead: the image tower alone, on these engines in turn; without a value on all of the processor's
    #[arg(long, value_name = "ENGINE,..", num_args = 0.., value_delimiter = ',', value_parser = engine_kind)]
    #[arg(conflicts_with_all = ["engine", "scheduled", "regions", "persons"])]
    engines: Option<Vec<EngineKind>>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const WARM_UP: u32 = 5;

fn engine_kind(word: &str) -> Result<EngineKind, String> {
    serde_json::from_value(word.into())
        .map_err(|_| "there are cpu, tract, onnxruntime, cuda, rknn and auto".into())
}

fn regions(word: &str) -> Result<Regions, String> {
    serde_json::from_value(word.into()).map_err(|_| "there are crops and one-pass".into())
}

/// Runs the clip through the pipeline's own stages and prints where the time went.
pub fn run(args: Args) -> anyhow::Result<()> {
    if let Some(kinds) = args.engines {
        return engines::run(
            &Pack::open(&args.pack)?,
            &kinds,
            Options::of(args.threads),
            args.frames,
            args.json,
        );
    }
    let mut config = Config::parse(crate::cmd::demo::CONFIG).context("the demo's own configuration")?;
    config.pack.path = args.pack.clone();
    config.pack.engine = args.engine;
    config.pack.threads = args.threads;
    config.scoring.regions = args.regions;
    config.detector.max_persons = config.detector.max_persons.max(args.persons);
    config.refresh.exact = !args.scheduled;
    config.mqtt.broker = BrokerKind::Embedded;
    config.mqtt.detections = true;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);

    let loaded = Loaded::open(&config)?;
    let vocabulary = loaded.vocabulary(&config, None)?;
    let mut networks = loaded.networks(&config)?;
    let broker = Broker::start(&config.mqtt)?;
    config.mqtt.port = Some(broker.port());
    let origin = loaded.origin(&config, &vocabulary);
    let (publisher, mqtt) = Mqtt::start(&config.mqtt, origin, Arc::clone(&clock))?;
    let mut publishing = Publishing::new(publisher, &config);

    let camera = config.cameras.first().cloned().context("the demo's configuration has no camera")?;
    let mut view = View::new(&camera, &config, &networks);
    view.allow(args.budget.map(|ms| Duration::try_from_secs_f64(ms / 1e3)).transpose().context("--budget")?);
    let clip =
        || avi_bytes("the demo's clip", crate::cmd::demo::CLIP, false, Arc::clone(&clock), Stop::new());
    let mut source = clip()?;
    let mut frame = Frame::default();
    let (mut decode, mut hand_over, mut stages) = (Duration::ZERO, Duration::ZERO, StageTimes::default());
    let (mut measured, mut warm) = (0, view.crops());
    while measured < args.frames {
        let start = Instant::now();
        if !source.read(&mut frame)? {
            source = clip()?;
            continue;
        }
        let decoded = start.elapsed();
        view.find(&frame, &mut networks)?;
        view.pretend(&crowd(args.persons, frame.picture.width as f32, frame.picture.height as f32));
        view.follow(&frame, clock.monotonic(), &mut networks, &vocabulary)?;
        let start = Instant::now();
        let (networks, vocabulary) = (&networks, &vocabulary);
        publishing.analysed(&Seen { camera: &camera.name, frame: &frame, view: &view, networks, vocabulary });
        if frame.sequence >= u64::from(WARM_UP) || measured > 0 {
            decode += decoded;
            hand_over += start.elapsed();
            stages.add(view.times());
            measured += 1;
        } else {
            warm = view.crops();
        }
    }
    let resident = resident_memory();
    mqtt.shutdown(Duration::from_secs(1));
    drop(networks);

    let batch = view.visible().count() + 1;
    let alone = tower_alone(&loaded, batch, args.frames.min(20))?;
    let frames = args.frames.max(1);
    let ms = |total: Duration| (total.as_secs_f64() * 1e6 / f64::from(frames)).round() / 1e3;
    stages.extend(Stage::Publish, hand_over);
    let total = decode + stages.total();
    let measured = Measured {
        pack: loaded.pack.identity(),
        engine: loaded.engine.describe(loaded.options),
        picture: format!("{}x{}", frame.picture.width, frame.picture.height),
        persons: args.persons,
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
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&measured)?);
    } else {
        measured.print();
    }
    Ok(())
}

/// `count` people standing in rows, none overlapping another.
fn crowd(count: usize, width: f32, height: f32) -> Vec<Detection> {
    let columns = (count as f32).sqrt().ceil().max(1.0);
    let (w, h) = (width / columns, height / columns);
    (0..count)
        .map(|i| {
            let (x, y) = ((i as f32 % columns) * w, (i as f32 / columns).floor() * h);
            let rect = Rect::new(x + 0.3 * w, y + 0.05 * h, x + 0.7 * w, y + 0.95 * h);
            Detection { class: 0, score: 0.9, rect }
        })
        .collect()
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
    resident_memory_mb: f64,
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
        println!("resident memory: {:.0} MB", self.resident_memory_mb);
    }
}
