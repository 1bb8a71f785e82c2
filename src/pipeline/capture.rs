//! A camera's thread: opens the source, hands due frames to the mailbox, opens it again when it breaks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::Rng;
use tracing::{info, warn};

use super::mailbox::{Delivery, Mailbox};
use crate::camera::{CameraError, Source, Stop};
use crate::config;
use crate::frame::Frame;

/// Opens a camera; a test puts in its own.
pub type Opener = Box<dyn FnMut() -> Result<Box<dyn Source>, CameraError> + Send>;

/// A camera to capture from.
pub struct Feed {
    pub camera: config::Camera,
    pub open: Opener,
    pub delivery: Delivery,
}

/// What a capture thread counts.
#[derive(Debug, Default)]
pub struct CaptureCounts {
    /// Frames read.
    pub captured: AtomicU64,
    /// Frames that the source itself skipped: gaps in its sequence.
    pub missed: AtomicU64,
    /// Times the source was opened after it broke.
    pub reopened: AtomicU64,
}

/// Lets through one frame each `1 / analysis_fps` of the source's own time.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    due: Option<Duration>,
}

impl Pace {
    /// `None` lets every frame through.
    pub fn new(analysis_fps: Option<f64>) -> Self {
        let interval = analysis_fps.map_or(Duration::ZERO, |fps| Duration::from_secs_f64(1.0 / fps));
        Self { interval, due: None }
    }

    /// Whether a frame captured at `time` is to be analysed. Frames may come up to a quarter of the interval
    /// early, so that a source at just the wanted rate, with its jitter, is let through whole. Time that runs
    /// backwards (another device, a driver's whim) starts afresh.
    pub fn is_due(&mut self, time: Duration) -> bool {
        let early = self.interval / 4;
        match self.due {
            Some(due) if time + early < due && due - time <= self.interval => false,
            Some(due) if time < due + self.interval && time + early >= due => {
                self.due = Some(due + self.interval);
                true
            }
            _ => {
                self.due = Some(time + self.interval);
                true
            }
        }
    }
}

/// Runs until the source ends (recordings) or `stop` is set.
pub(super) fn capture(
    index: usize,
    mut feed: Feed,
    mailbox: &Mailbox,
    counts: &Arc<CaptureCounts>,
    stop: &Stop,
) -> Result<(), CameraError> {
    let name = feed.camera.name.clone();
    let mut frame = Frame::default();
    let mut backoff = Backoff::default();
    let result = loop {
        // A driver's library may panic on what a driver says; for the other cameras' sake it counts as a loss.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut source = (feed.open)()?;
            info!(camera = name, source = source.info().description, "camera opened");
            deliver(index, source.as_mut(), &mut frame, &feed, mailbox, counts, &mut backoff, stop)
        }));
        let outcome = outcome.unwrap_or_else(|_| {
            Err(CameraError::Device {
                name: feed.camera.name.clone(),
                reason: "reading it failed badly".into(),
            })
        });
        match outcome {
            Ok(()) => break Ok(()),
            Err(_) if stop.is_set() => break Ok(()),
            // A recording that cannot be read will not be better in a second.
            Err(error) if feed.delivery == Delivery::Every => break Err(error),
            Err(error) => {
                mailbox.lost(index);
                let wait = backoff.next();
                warn!(camera = name, %error, retry_in = ?wait, "camera lost");
                if stop.wait(wait) {
                    break Ok(());
                }
                counts.reopened.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    mailbox.ended(index);
    result
}

fn deliver(
    index: usize,
    source: &mut dyn Source,
    frame: &mut Frame,
    feed: &Feed,
    mailbox: &Mailbox,
    counts: &CaptureCounts,
    backoff: &mut Backoff,
    stop: &Stop,
) -> Result<(), CameraError> {
    let mut pace = Pace::new(feed.camera.analysis_fps);
    let mut expected = None;
    while !stop.is_set() && source.read(frame)? {
        backoff.reset();
        counts.captured.fetch_add(1, Ordering::Relaxed);
        let gap = expected.map_or(0, |next| frame.sequence.saturating_sub(next));
        counts.missed.fetch_add(gap, Ordering::Relaxed);
        expected = Some(frame.sequence + 1);
        if pace.is_due(frame.time.monotonic) && !mailbox.put(index, frame, feed.delivery) {
            break;
        }
    }
    Ok(())
}

/// Waits that double from half a second to half a minute, with jitter so that cameras on one hub do not march in step.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(30);

    fn next(&mut self) -> Duration {
        let wait = Self::FIRST.saturating_mul(1 << self.failures.min(10)).min(Self::LONGEST);
        self.failures += 1;
        wait.mul_f64(rand::rng().random_range(0.75..1.25))
    }

    fn reset(&mut self) {
        self.failures = 0;
    }
}
