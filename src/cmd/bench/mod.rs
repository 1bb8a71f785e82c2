//! `watchword bench`: how many people this machine follows with this pack, and where the time goes.

mod answer;
mod crowd;
mod engines;
mod people;
mod stages;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use crate::clock::{Clock, SystemClock};
use crate::cmd::assemble::Loaded;
use crate::config::{BrokerKind, Config, EngineKind, Regions, Span};
use crate::engine::Options;
use crate::mqtt::{Broker, Mqtt};
use crate::pack::Pack;
use crate::pipeline::{Networks, Publishing};
use crate::vocabulary::Vocabulary;

/// Measure how many people this machine follows: frames a second, latency, power and memory.
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
    /// Weights are laid out at every run, not when they are loaded: slower, and less memory (pack.prepack = false)
    #[arg(long)]
    no_prepack: bool,
    /// "crops" or "one-pass": where the embeddings of persons come from
    #[arg(long, default_value = "crops", value_parser = regions)]
    regions: Regions,
    /// Side of the picture that the image tower reads (scoring.input), pixels
    #[arg(long, value_name = "PX")]
    input: Option<usize>,
    /// Side of the picture for crops that are no larger (scoring.small), pixels
    #[arg(long, value_name = "PX", conflicts_with = "engines")]
    small: Option<usize>,
    /// Encode everybody in every frame, whatever it costs
    #[arg(long)]
    exact: bool,
    /// What a frame may spend on the image tower, milliseconds [default: what the frame rate leaves]
    #[arg(long, value_name = "MS", conflicts_with = "exact", value_parser = milliseconds)]
    budget: Option<Span>,
    /// How many people are in view, whoever is really there; each number is a run
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_values_t = [1, 5, 20, 50])]
    people: Vec<usize>,
    /// Frames a second that the camera gives
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    fps: f64,
    /// Seconds to measure for each number of people, after everybody has been looked at once
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    seconds: f64,
    /// They stand still; otherwise they walk to and fro
    #[arg(long)]
    standing: bool,
    /// Instead: where the time of a frame with so many people goes, stage by stage
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "5")]
    #[arg(conflicts_with_all = ["people", "fps", "seconds", "standing"])]
    stages: Option<usize>,
    /// Instead: the image tower alone, on these engines in turn; without a value on all of the processor's
    #[arg(long, value_name = "ENGINE,..", num_args = 0.., value_delimiter = ',', value_parser = engine_kind)]
    #[arg(conflicts_with_all = ["engine", "regions", "exact", "budget", "people", "fps", "seconds", "standing", "stages"])]
    engines: Option<Vec<EngineKind>>,
    /// Frames to measure with --stages, runs with --engines
    #[arg(long, default_value_t = 50, conflicts_with_all = ["people", "fps", "seconds", "standing"])]
    frames: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn engine_kind(word: &str) -> Result<EngineKind, String> {
    serde_json::from_value(word.into())
        .map_err(|_| "there are cpu, tract, onnxruntime, cuda, rknn and auto".into())
}

fn regions(word: &str) -> Result<Regions, String> {
    serde_json::from_value(word.into()).map_err(|_| "there are crops and one-pass".into())
}

fn positive(word: &str) -> Result<f64, String> {
    let number = word.parse().ok().filter(|number| (1e-3..=1e3).contains(number));
    number.ok_or_else(|| "a number from 0.001 to 1000".into())
}

fn milliseconds(word: &str) -> Result<Span, String> {
    Ok(Span::from_secs_f64(positive(word)? / 1e3))
}

/// Measures what was asked for and prints it.
pub fn run(args: Args) -> anyhow::Result<()> {
    if let Some(kinds) = args.engines {
        return engines::run(
            &Pack::open(&args.pack)?.with_input(args.input),
            &kinds,
            Options { prepack: !args.no_prepack, ..Options::of(args.threads) },
            args.frames,
            args.json,
        );
    }
    let mut config = Config::parse(crate::cmd::demo::CONFIG).context("the demo's own configuration")?;
    config.pack.path = args.pack;
    config.pack.engine = args.engine;
    config.pack.threads = args.threads;
    config.pack.prepack = !args.no_prepack;
    config.scoring.regions = args.regions;
    config.scoring.input = args.input;
    config.scoring.small = args.small;
    config.refresh.exact = args.exact;
    config.refresh.budget = args.budget;
    config.mqtt.broker = BrokerKind::Embedded;
    config.mqtt.detections = true;
    match args.stages {
        Some(people) => stages::run(&config, people, args.frames, args.json),
        None => {
            let wanted = people::Wanted {
                people: args.people,
                fps: args.fps,
                seconds: args.seconds,
                standing: args.standing,
            };
            people::run(config, &wanted, args.json)
        }
    }
}

/// All that is measured, put together as the daemon does it, with a broker of its own.
struct Bench {
    loaded: Loaded,
    vocabulary: Vocabulary,
    networks: Networks,
    publishing: Publishing,
    mqtt: Mqtt,
    clock: Arc<dyn Clock>,
    _broker: Broker,
}

impl Bench {
    fn open(config: &Config) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let loaded = Loaded::open(config)?;
        let (networks, vocabulary) = loaded.load(config)?;
        let broker = Broker::start(&config.mqtt)?;
        let settings = broker.client(&config.mqtt);
        let origin = loaded.origin(config, &vocabulary);
        let (publisher, mqtt) = Mqtt::start(&settings, origin, Arc::clone(&clock))?;
        let publishing = Publishing::new(publisher, config);
        Ok(Self { loaded, vocabulary, networks, publishing, mqtt, clock, _broker: broker })
    }
}
