//! Numbers about the pipeline itself, for `stats`, the demo's summary and the bench.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use super::camera::Camera;
use super::mailbox::Mailbox;
use super::meter::{StageTimes, Window};
use super::process::resident_memory;
use super::refresh::Counts;
use super::status::Status;
use crate::clock::FrameTime;

/// The pipeline since it started.
#[derive(Debug, Clone)]
pub struct Report {
    /// When it was made.
    pub time: Timestamp,
    pub uptime: Duration,
    pub cameras: Vec<CameraReport>,
    /// Frames analysed, all cameras.
    pub analysed: u64,
    /// Capture to the end of analysis, over the latest [`Window::LENGTH`] frames; `None` before the first.
    pub latency_p50: Option<Duration>,
    pub latency_p95: Option<Duration>,
    /// Summed over all analysed frames.
    pub stages: StageTimes,
    /// Frames that wait for the analysis now, all cameras.
    pub waiting: u64,
    /// Bytes.
    pub resident_memory: u64,
}

/// One camera since the start.
#[derive(Debug, Clone)]
pub struct CameraReport {
    pub name: String,
    pub status: Status,
    pub captured: u64,
    pub analysed: u64,
    /// Of these, looked at by the detector; in the others people were followed without it.
    pub searched: u64,
    /// Replaced by a newer frame before the analysis had time for them.
    pub dropped: u64,
    /// Gaps in the source's own count.
    pub missed: u64,
    /// Came damaged and were passed over.
    pub corrupted: u64,
    /// Analysed with an error.
    pub failed: u64,
    pub reopened: u64,
    /// What went wrong last, whether or not it still does.
    pub last_error: Option<String>,
    /// Visible in the latest frame.
    pub persons: usize,
    pub crops: Counts,
}

/// Collects what a [`Report`] says.
pub(super) struct Reporter {
    started: Duration,
    interval: Duration,
    due: Duration,
    analysed: u64,
    latencies: Box<Window>,
    stages: StageTimes,
}

impl Reporter {
    pub fn new(now: Duration, interval: Duration) -> Self {
        Self {
            started: now,
            interval,
            due: now + interval,
            analysed: 0,
            latencies: Box::default(),
            stages: StageTimes::default(),
        }
    }

    pub fn analysed(&mut self, times: &StageTimes, latency: Duration) {
        self.analysed += 1;
        self.stages.add(times);
        self.latencies.push(latency);
    }

    /// Reports are due each `interval` from `now` on, if that is another interval than before.
    pub fn set_interval(&mut self, interval: Duration, now: Duration) {
        if interval != self.interval {
            self.interval = interval;
            self.due = now + interval;
        }
    }

    pub fn is_due(&self, now: Duration) -> bool {
        now >= self.due
    }

    /// The next is due an interval after `now`.
    pub fn reported(&mut self, now: Duration) {
        self.due = now + self.interval;
    }

    pub fn report(&self, cameras: &[Camera], mailbox: &Mailbox, now: FrameTime) -> Report {
        let time = now.utc;
        let now = now.monotonic;
        let cameras: Vec<_> = cameras
            .iter()
            .map(|camera| CameraReport {
                name: camera.name.clone(),
                status: camera.counts.condition.status(),
                captured: camera.counts.captured.load(Ordering::Relaxed),
                analysed: camera.analysed,
                searched: camera.view.searched(),
                dropped: camera.replaced(mailbox),
                missed: camera.counts.missed.load(Ordering::Relaxed),
                corrupted: camera.counts.corrupted.load(Ordering::Relaxed),
                failed: camera.failed,
                reopened: camera.counts.reopened.load(Ordering::Relaxed),
                last_error: camera.counts.condition.last_error(),
                persons: camera.view.visible().count(),
                crops: camera.view.crops(),
            })
            .collect();
        Report {
            time,
            uptime: now.saturating_sub(self.started),
            analysed: self.analysed,
            cameras,
            latency_p50: self.latencies.quantile(0.5),
            latency_p95: self.latencies.quantile(0.95),
            stages: self.stages,
            waiting: mailbox.waiting(),
            resident_memory: resident_memory(),
        }
    }
}
