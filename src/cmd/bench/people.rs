//! `watchword bench`: the daemon's own threads, queue, schedule and publisher before a camera in front of which so many
//! people walk.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::Bench;
use super::answer::{Answer, Power, Row};
use super::crowd::{Live, crowd};
use crate::board::{PowerMeter, Tree};
use crate::camera::{Source, Stop};
use crate::clock::Clock;
use crate::config::Config;
use crate::pipeline::{
    Delivery, Feed, Gate, Observer, Pipeline, Publishing, Report, Requests, Seen, Status, View, quantile,
    resident_memory,
};

/// Frames to measure, however long they take.
const FEWEST: usize = 10;
/// Somebody whom the tracker has lost is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the machine is looked at before anything runs.
const IDLE: Duration = Duration::from_secs(3);

/// What to measure.
pub(super) struct Wanted {
    /// A run for each.
    pub people: Vec<usize>,
    /// Of the camera.
    pub fps: f64,
    /// Of each run, once everybody has been looked at.
    pub seconds: f64,
    pub standing: bool,
}

/// Measures, and prints what came of it.
pub(super) fn run(mut config: Config, wanted: &Wanted, json: bool) -> anyhow::Result<()> {
    let mut meter = PowerMeter::find(&Tree::default());
    let idle = meter.as_mut().ok().and_then(|meter| meter.during(|| std::thread::sleep(IDLE)).1);

    let camera = config.cameras.first_mut().context("the demo's configuration has no camera")?;
    camera.analysis_fps = Some(wanted.fps);
    let camera = camera.clone();
    let Bench { loaded, vocabulary, networks, publishing, mqtt, clock, _broker } = Bench::open(&config)?;
    let mut watching = Watching { publishing, clock: Arc::clone(&clock), run: Run::default() };
    let mut pipeline = Pipeline {
        vocabulary: Arc::new(vocabulary),
        networks,
        feeds: Vec::new(),
        clock: Arc::clone(&clock),
        explain: false,
        requests: Requests::default(),
        config,
    };
    let mut answer = Answer {
        pack: loaded.pack.identity(),
        engine: loaded.engine.describe(loaded.options),
        fps: wanted.fps,
        exact: pipeline.config.refresh.exact,
        standing: wanted.standing,
        power: match &meter {
            Ok(meter) => Power::By { sensor: meter.description().to_owned(), idle_watts: idle },
            Err(why) => Power::Unknown { why: why.to_string() },
        },
        ..Answer::default()
    };
    for &people in &wanted.people {
        let stop = Stop::new();
        let walking = (!wanted.standing).then(|| Arc::clone(&clock));
        pipeline.networks.pretend(crowd(people, walking));
        let (interval, theirs, own) =
            (Duration::from_secs_f64(wanted.fps.recip()), Arc::clone(&clock), stop.child());
        let open = {
            let own = own.clone();
            move || {
                let live = Live::open(interval, Arc::clone(&theirs), own.clone())?;
                Ok(Box::new(live) as Box<dyn Source>)
            }
        };
        let (camera, open) = (camera.clone(), Box::new(open));
        pipeline.feeds =
            vec![Feed { camera, open, delivery: Delivery::Latest, gate: Gate::default(), stop: own }];
        watching.run = Run::new(people, Duration::from_secs_f64(wanted.seconds), stop.clone());
        let mut run = || pipeline.run(&mut watching, &stop);
        let (report, watts) = match &mut meter {
            Ok(meter) => meter.during(run),
            Err(_) => (run(), None),
        };
        report?;
        answer.picture.clone_from(&watching.run.picture);
        let row = watching.run.row(watts);
        if !json {
            answer.print_row(&row);
        }
        answer.rows.push(row);
    }
    mqtt.shutdown(Duration::from_secs(1));
    if json {
        println!("{}", serde_json::to_string_pretty(&answer.told())?);
    } else {
        answer.print_end();
    }
    Ok(())
}

/// Publishes as the daemon does, and measures.
struct Watching {
    publishing: Publishing,
    clock: Arc<dyn Clock>,
    run: Run,
}

/// What was seen of one number of people.
#[derive(Default)]
struct Run {
    people: usize,
    time: Duration,
    stop: Stop,
    picture: String,
    /// Of the first frame.
    first: Option<Duration>,
    /// When the frame was captured by which everybody had been looked at, and how many crops had been encoded by then.
    start: Option<(Duration, u64)>,
    /// When the latest frame was captured.
    end: Duration,
    encoded: u64,
    seen: usize,
    oldest: Duration,
    latencies: Vec<Duration>,
    frames: Vec<Duration>,
}

impl Run {
    fn new(people: usize, time: Duration, stop: Stop) -> Self {
        Self { people, time, stop, ..Self::default() }
    }

    /// Takes an analysed frame into account, published at `now`.
    fn analysed(&mut self, seen: &Seen<'_>, now: Duration) {
        let (view, picture, captured) = (seen.view, &seen.frame.picture, seen.frame.time.monotonic);
        let judged = view.judged().last().map_or(0, |frame| frame.scored().count());
        let encoded = view.crops().encoded;
        let Some((start, before)) = self.start else {
            let late = captured.saturating_sub(*self.first.get_or_insert(captured)) > PATIENCE;
            if judged >= self.people || late {
                self.start = Some((captured, encoded));
                self.picture = format!("{}x{}", picture.width, picture.height);
            }
            return;
        };
        (self.end, self.encoded) = (captured, encoded - before);
        let lasted = captured.saturating_sub(start);
        self.seen += judged;
        self.oldest = self.oldest.max(view.crops().oldest);
        self.latencies.push(now.saturating_sub(captured));
        self.frames.push(view.times().total());
        // Whoever waits longest has then had a turn.
        let round = self.encoded > self.people as u64 || lasted > PATIENCE;
        if lasted >= self.time && self.frames.len() >= FEWEST && round {
            self.stop.set();
        }
    }

    fn row(&mut self, watts: Option<f64>) -> Row {
        let count = self.frames.len().max(1) as f64;
        let start = self.start.map_or(self.end, |(start, _)| start);
        let (frame, latency) = (quantiles(&mut self.frames), quantiles(&mut self.latencies));
        Row {
            people: self.people,
            judged: self.seen as f64 / count,
            frames_per_second: self.frames.len() as f64
                / self.end.saturating_sub(start).as_secs_f64().max(1e-9),
            frame_ms_p50: frame.0,
            frame_ms_p95: frame.1,
            crops_per_frame: self.encoded as f64 / count,
            oldest_look_s: self.oldest.as_secs_f64(),
            latency_ms_p50: latency.0,
            latency_ms_p95: latency.1,
            watts,
            resident_memory_mb: resident_memory() as f64 / 1e6,
        }
    }
}

/// The median and the 95th percentile, milliseconds.
fn quantiles(times: &mut [Duration]) -> (f64, f64) {
    times.sort_unstable();
    let at = |fraction| quantile(times, fraction).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    (at(0.5), at(0.95))
}

impl Observer for Watching {
    fn analysed(&mut self, seen: &Seen<'_>) {
        self.publishing.analysed(seen);
        self.run.analysed(seen, self.clock.monotonic());
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
