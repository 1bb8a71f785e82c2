//! `watchword demo`: the whole appliance on an embedded clip, model pack and broker.
//!
//! What it shows is the daemon's own pipeline and what an independent subscriber receives over MQTT; only the
//! source (a clip, analysed whole) and the drawing are the demo's.

mod subscriber;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use indicatif::ProgressBar;
use serde::Serialize;

use self::subscriber::Subscriber;
use super::annotate::Annotator;
use super::interrupt::stop_on_signals;
use super::progress;
use super::recording::{Recording, Screening};
use crate::camera::avi_bytes;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::mqtt::{Broker, Mqtt};
use crate::pipeline::{Observer, Publishing, Report, Seen, Stage, Status, View};

/// The clip; where it comes from is said in LICENSE.clip beside it.
pub(super) static CLIP: &[u8] = include_bytes!("clip.avi");
/// The demo's configuration, written as an operator would.
pub(super) const CONFIG: &str = include_str!("demo.toml");

/// Show it all working: an embedded clip, model and broker.
#[derive(clap::Args)]
pub struct Args {
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    /// Folder for the annotated clip and picture
    #[arg(long, value_name = "DIR", default_value = "demo-out")]
    out: PathBuf,
    /// Only the clip's first seconds, for a machine on which the whole of it takes long
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<f64>,
}

fn seconds(word: &str) -> Result<f64, String> {
    let seconds = word.parse().ok().filter(|seconds| *seconds > 0.0);
    seconds.ok_or_else(|| "a number of seconds, more than 0".into())
}

/// Runs the demo.
pub fn run(args: Args) -> anyhow::Result<()> {
    let config = Config::parse(CONFIG).context("the demo's own configuration")?;
    let stop = stop_on_signals()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let quiet = args.json;

    let mut screening = Screening::load(&config, Arc::clone(&clock), stop.clone())?;
    let broker = Broker::start(&config.mqtt)?;
    let mqtt_settings = broker.client(&config.mqtt);

    let camera = config.cameras.first().cloned().context("the demo's configuration has no camera")?;
    let source = avi_bytes("the demo's clip", CLIP, false, Arc::clone(&clock), stop)?;
    let mut recording = Recording::new(source, camera);
    if let Some(seconds) = args.seconds {
        recording = recording.first(seconds);
    }

    if !quiet {
        println!("Watchword {} · {}", env!("CARGO_PKG_VERSION"), screening.loaded.describe());
        println!("An MQTT broker on 127.0.0.1:{}, an embedded clip, and these words:", broker.port());
        for action in &config.actions {
            println!("  {:<22} {}", action.name, action.phrases.join(" / "));
        }
        println!();
    }

    let progress = if quiet { ProgressBar::hidden() } else { progress::bar(recording.frames()) };
    let subscriber = Subscriber::start(&mqtt_settings, progress.clone(), quiet)?;
    let origin = screening.loaded.origin(&config, screening.vocabulary());
    let (publisher, mqtt) = Mqtt::start(&mqtt_settings, origin, Arc::clone(&clock))?;

    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let mut watching = Watching {
        publishing: Publishing::new(publisher, &config),
        annotator: Annotator::create(&args.out.join("annotated.avi"), recording.analysis_fps())?,
        progress,
        persons: 0,
        failure: None,
    };
    let report = screening.show(recording, &mut watching)?;
    let undelivered = mqtt.shutdown(Duration::from_secs(3));
    let received = subscriber.finish(Duration::from_secs(3));
    watching.progress.finish_and_clear();
    if let Some(error) = watching.failure {
        return Err(error);
    }
    let picture = args.out.join("annotated.jpg");
    watching.annotator.save_best(&picture)?;
    watching.annotator.finish()?;

    let summary = Summary::new(&report, watching.persons, received.by_action, undelivered, &args.out);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        summary.print();
    }
    Ok(())
}

/// Publishes as the daemon does, and draws.
struct Watching {
    publishing: Publishing,
    annotator: Annotator,
    progress: ProgressBar,
    persons: u64,
    failure: Option<anyhow::Error>,
}

impl Observer for Watching {
    fn analysed(&mut self, seen: &Seen<'_>) {
        self.publishing.analysed(seen);
        self.persons += seen.view.visible().count() as u64;
        if let Err(error) = self.annotator.draw(seen) {
            self.failure.get_or_insert(error);
        }
        self.progress.set_position(seen.frame.sequence + 1);
    }

    fn closed(&mut self, view: &View) {
        self.publishing.closed(view);
    }

    fn status(&mut self, camera: &str, status: Status) {
        self.publishing.status(camera, status);
    }

    fn report(&mut self, report: &Report) {
        self.publishing.report(report);
    }
}

/// What the demo measured, on this machine, in this run.
#[derive(Serialize)]
struct Summary {
    frames: u64,
    analysed: u64,
    /// Persons in analysed frames, counted once a frame.
    persons: u64,
    /// Occurrences that the subscriber saw begin, by action.
    events: BTreeMap<String, u64>,
    undelivered: usize,
    seconds: f64,
    analysed_per_second: f64,
    latency_ms_p50: Option<f64>,
    latency_ms_p95: Option<f64>,
    /// Mean per analysed frame.
    stage_ms: BTreeMap<&'static str, f64>,
    resident_memory_mb: f64,
    annotated: PathBuf,
}

impl Summary {
    fn new(
        report: &Report,
        persons: u64,
        events: BTreeMap<String, u64>,
        undelivered: usize,
        out: &Path,
    ) -> Self {
        let ms = |d: Duration| (d.as_secs_f64() * 1e5).round() / 100.0;
        let seconds = report.uptime.as_secs_f64();
        let per_frame = |stage| ms(report.stages.of(stage) / (report.analysed.max(1) as u32));
        Self {
            frames: report.cameras.iter().map(|c| c.captured).sum(),
            analysed: report.analysed,
            persons,
            events,
            undelivered,
            seconds: (seconds * 100.0).round() / 100.0,
            analysed_per_second: (report.analysed as f64 / seconds * 10.0).round() / 10.0,
            latency_ms_p50: report.latency_p50.map(ms),
            latency_ms_p95: report.latency_p95.map(ms),
            stage_ms: Stage::ALL.into_iter().map(|s| (s.name(), per_frame(s))).collect(),
            resident_memory_mb: (report.resident_memory as f64 / 1e6).round(),
            annotated: out.join("annotated.avi"),
        }
    }

    fn print(&self) {
        println!();
        println!(
            "{} frames, {} analysed in {} s ({} a second)",
            self.frames, self.analysed, self.seconds, self.analysed_per_second
        );
        println!(
            "latency p50 {:.0} ms, p95 {:.0} ms; {:.0} MB of memory",
            self.latency_ms_p50.unwrap_or(0.0),
            self.latency_ms_p95.unwrap_or(0.0),
            self.resident_memory_mb
        );
    }
}
