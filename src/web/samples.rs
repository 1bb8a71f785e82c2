//! How the box is now, and how it was over the last hour.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::debug;

use super::problem::Problem;
use super::state::Page;
use crate::board::{self, Tree, zones};
use crate::mqtt::{Counters, Stats};
use crate::pipeline::{ControlError, Report, statistics};

/// The analysis must be done with a frame in this time.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two points of the history, at least.
const INTERVAL: Duration = Duration::from_secs(5);
/// How far the history reaches back.
const REACH: Duration = Duration::from_secs(3600);
/// Rates are over so long, at least, but for the first.
const RATE: Duration = Duration::from_secs(2);

/// How the box is.
pub(super) struct Sample {
    pub report: Report,
    /// Rates and means since a few seconds ago.
    pub stats: Stats,
    pub delivery: Counters,
    /// Changes of events that the timeline had no time for.
    pub untold: u64,
}

impl Sample {
    /// How it is now. Waits for the frame at hand, and for slow sensors.
    fn take(page: &Page) -> Result<Self, ControlError> {
        let report = page.control.report(PATIENCE)?;
        let temperatures =
            zones(&Tree::default()).into_iter().map(|zone| (zone.name, zone.celsius)).collect();
        let board = board::Sample { temperatures, ..board::Sample::default() };
        let before = page.samples.before(&report);
        let stats = statistics(&report, before.as_ref(), board);
        let (delivery, untold) = (page.publisher.counters(), page.timeline.dropped());
        Ok(Self { report, stats, delivery, untold })
    }

    /// As [`Sample::take`], off the threads that serve.
    pub async fn now(page: &Page) -> Result<Self, Problem> {
        page.aside(|page| Self::take(page).map_err(|error| Problem::unavailable(error.to_string()))).await
    }

    fn point(&self) -> Point {
        Point {
            time: self.report.time,
            uptime: self.report.uptime,
            fps: self.stats.cameras.values().map(|camera| camera.analysed_fps).sum(),
            latency_ms: self.stats.latency_ms_p95,
            memory: self.report.resident_memory,
            waiting: self.delivery.queued,
            temperature: self.stats.temperatures.values().copied().max_by(f64::total_cmp),
        }
    }
}

/// One time of the history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub time: Timestamp,
    uptime: Duration,
    /// Frames analysed a second, all cameras.
    pub fps: f64,
    /// 95th percentile.
    pub latency_ms: Option<f64>,
    /// Bytes.
    pub memory: u64,
    /// Events not yet acknowledged by the broker.
    pub waiting: usize,
    /// Of the hottest sensor, °C.
    pub temperature: Option<f64>,
}

/// The last hour.
#[derive(Default)]
pub(super) struct Samples(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    points: VecDeque<Point>,
    /// The latest two, from which rates count.
    reports: VecDeque<Report>,
}

impl Samples {
    /// The oldest first.
    pub fn points(&self) -> Vec<Point> {
        self.kept().points.iter().copied().collect()
    }

    fn push(&self, sample: Sample) {
        let mut kept = self.kept();
        let point = sample.point();
        kept.points.retain(|earlier| point.uptime.saturating_sub(earlier.uptime) < REACH);
        kept.points.push_back(point);
        kept.reports.push_back(sample.report);
        if kept.reports.len() > 2 {
            kept.reports.pop_front();
        }
    }

    /// What `report` is to be compared with.
    fn before(&self, report: &Report) -> Option<Report> {
        let kept = self.kept();
        let old = |earlier: &&Report| report.uptime.saturating_sub(earlier.uptime) >= RATE;
        kept.reports.iter().rev().find(old).cloned()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a sample each `stats.interval`, but no oftener than [`INTERVAL`].
pub(super) async fn follow(page: Page) {
    let mut pause = INTERVAL;
    loop {
        sleep(pause).await;
        pause = INTERVAL.max(page.config().stats.interval.into());
        let taker = page.clone();
        match spawn_blocking(move || Sample::take(&taker)).await {
            Ok(Ok(sample)) => page.samples.push(sample),
            Ok(Err(ControlError::Stopped)) | Err(_) => return,
            Ok(Err(error)) => debug!(%error, "a point of the history is left out"),
        }
    }
}
