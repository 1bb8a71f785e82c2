//! A camera's thread: opens the source, hands due frames to the mailbox, opens it again when it breaks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::Rng;
use tracing::{debug, info, warn};

use super::gate::{Gate, Shut};
use super::mailbox::{Delivery, Mailbox};
use super::status::{Condition, Status};
use crate::camera::{CameraError, Source, Stop};
use crate::clock::Clock;
use crate::config;
use crate::event::Reason;
use crate::frame::Frame;

/// Opens a camera; a test puts in its own.
pub type Opener = Box<dyn FnMut() -> Result<Box<dyn Source>, CameraError> + Send>;

/// A camera to capture from.
pub struct Feed {
    pub camera: config::Camera,
    pub open: Opener,
    pub delivery: Delivery,
    /// Whether it is to be watched; whoever pauses it keeps a clone.
    pub gate: Gate,
    /// Stops this camera alone; what `open` opens heeds it.
    pub stop: Stop,
}

/// What a capture thread counts, and how its camera is doing.
#[derive(Debug, Default)]
pub struct CaptureCounts {
    pub condition: Condition,
    /// Frames read.
    pub captured: AtomicU64,
    /// Frames that never came: gaps in the source's sequence.
    pub missed: AtomicU64,
    /// Frames that came damaged and were passed over.
    pub corrupted: AtomicU64,
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
        Self { interval: interval(analysis_fps), due: None }
    }

    /// Lets through another rate from the next frame on.
    pub fn set(&mut self, analysis_fps: Option<f64>) {
        let interval = interval(analysis_fps);
        if interval != self.interval {
            *self = Self { interval, due: None };
        }
    }

    /// Whether a frame captured at `time` is to be analysed. Frames may come up to a quarter of the interval
    /// early, so that a source at just the wanted rate, with its jitter, is let through whole. Time that runs
    /// backwards (another device, a driver's whim) starts afresh.
    pub fn is_due(&mut self, time: Duration) -> bool {
        let early = self.interval / 4;
        match self.due {
            Some(due) if time + early < due && due - time <= self.interval + early => false,
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

fn interval(analysis_fps: Option<f64>) -> Duration {
    analysis_fps.map_or(Duration::ZERO, |fps| Duration::from_secs_f64(1.0 / fps))
}

/// How many frames a second to analyse, as the analysis tells the camera's thread.
#[derive(Debug)]
pub(super) struct Rate(AtomicU64);

impl Rate {
    /// `None`: as many as there are.
    pub fn new(analysis_fps: Option<f64>) -> Self {
        Self(AtomicU64::new(Self::bits(analysis_fps)))
    }

    pub fn set(&self, analysis_fps: Option<f64>) {
        self.0.store(Self::bits(analysis_fps), Ordering::Relaxed);
    }

    fn get(&self) -> Option<f64> {
        Some(f64::from_bits(self.0.load(Ordering::Relaxed))).filter(|fps| *fps > 0.0)
    }

    fn bits(analysis_fps: Option<f64>) -> u64 {
        analysis_fps.unwrap_or_default().to_bits()
    }
}

/// While a camera rests, its gate and its device are looked at this often.
const LOOK: Duration = Duration::from_millis(500);

/// One camera's thread.
pub(super) struct Capture<'a> {
    /// The camera's slot in the mailbox.
    pub index: usize,
    pub mailbox: &'a Mailbox,
    pub counts: Arc<CaptureCounts>,
    pub rate: &'a Rate,
    /// Whose UTC the gate goes by.
    pub clock: &'a dyn Clock,
    pub stop: &'a Stop,
}

/// Why frames come no more, where it is no failure.
enum Done {
    /// The recording has ended, or nobody wants more.
    Ended,
    Shut(Shut),
}

impl Capture<'_> {
    /// Runs until the source ends (recordings) or the stop is set.
    pub fn run(&self, mut feed: Feed) -> Result<(), CameraError> {
        let (mut frame, mut backoff) = (Frame::default(), Backoff::default());
        let mut said = String::new();
        let result = loop {
            if !self.wait_until_open(&feed, &mut backoff) {
                break Ok(());
            }
            // A driver's library may panic on what a driver says; for the other cameras' sake it counts as a loss.
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let mut source = (feed.open)()?;
                said.clear();
                info!(camera = feed.camera.name, source = source.info().description, "camera opened");
                self.deliver(&feed, source.as_mut(), &mut frame, &mut backoff)
            }));
            let outcome = outcome.unwrap_or_else(|_| {
                let reason = "the library that reads it panicked; the lines above say where".into();
                Err(CameraError::Device { name: feed.camera.source_without_password().into_owned(), reason })
            });
            match outcome {
                Ok(Done::Ended) => break Ok(()),
                Ok(Done::Shut(shut)) => self.mailbox.lost(self.index, shut.into()),
                Err(_) if self.stop.is_set() => break Ok(()),
                // A recording that cannot be read will not be better in a second.
                Err(error) if feed.delivery == Delivery::Every => break Err(error),
                Err(error) => {
                    let error = error.to_string();
                    self.counts.condition.lost(error.clone());
                    self.mailbox.lost(self.index, Reason::SourceEnded);
                    let wait = backoff.next();
                    // A camera that is away for a night is a line, and not one for every attempt.
                    if error == said {
                        debug!(camera = feed.camera.name, error, retry_in = ?wait, "camera still lost");
                    } else {
                        warn!(camera = feed.camera.name, error, retry_in = ?wait, "camera lost");
                        said = error;
                    }
                    if !self.rest(wait, &feed, &mut backoff) {
                        break Ok(());
                    }
                    self.counts.reopened.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        self.counts.condition.set(Status::Ended);
        self.mailbox.ended(self.index);
        result
    }

    fn deliver(
        &self,
        feed: &Feed,
        source: &mut dyn Source,
        frame: &mut Frame,
        backoff: &mut Backoff,
    ) -> Result<Done, CameraError> {
        let mut pace = Pace::new(self.rate.get());
        let (mut expected, mut damaged) = (None, 0);
        while !self.stop.is_set() {
            let read = source.read(frame);
            let corrupted = source.corrupted() - damaged;
            damaged += corrupted;
            self.counts.corrupted.fetch_add(corrupted, Ordering::Relaxed);
            if !read? {
                break;
            }
            if let Some(shut) = feed.gate.shut(self.clock.utc()) {
                return Ok(Done::Shut(shut));
            }
            // Only a frame shows that the camera is back: a device may open and then give nothing.
            backoff.reset();
            self.counts.condition.set(Status::Online);
            self.counts.captured.fetch_add(1, Ordering::Relaxed);
            let gap = expected.map_or(0, |next| frame.sequence.saturating_sub(next));
            // Damaged frames leave gaps, too, but are counted already.
            self.counts.missed.fetch_add(gap.saturating_sub(corrupted), Ordering::Relaxed);
            expected = Some(frame.sequence + 1);
            pace.set(self.rate.get());
            if pace.is_due(frame.time.monotonic) && !self.mailbox.put(self.index, frame, feed.delivery) {
                break;
            }
        }
        Ok(Done::Ended)
    }

    /// Returns when the gate is open: `true`, or the stop set: `false`.
    fn wait_until_open(&self, feed: &Feed, backoff: &mut Backoff) -> bool {
        let mut before = None;
        while let Some(shut) = feed.gate.shut(self.clock.utc()) {
            if before.replace(shut) != Some(shut) {
                self.counts.condition.set(shut.into());
                info!(camera = feed.camera.name, reason = Status::from(shut).name(), "camera not watched");
            }
            if self.stop.wait(LOOK) {
                return false;
            }
        }
        if before.is_some() {
            backoff.reset();
            self.counts.condition.set(Status::Opening);
        }
        !self.stop.is_set()
    }

    /// Sleeps for `time`, or until the gate shuts or a device that was away is there; `false` if the stop was set.
    fn rest(&self, time: Duration, feed: &Feed, backoff: &mut Backoff) -> bool {
        let end = Instant::now() + time;
        // An address of a stream is no path, and never there.
        let path = Path::new(&feed.camera.source);
        let mut away = false;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let is_there = path.exists();
            if away && is_there {
                // Its access rights may come a moment later.
                backoff.reset();
                return true;
            }
            if left.is_zero() || feed.gate.shut(self.clock.utc()).is_some() {
                return true;
            }
            away |= !is_there;
            if self.stop.wait(left.min(LOOK)) {
                return false;
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::SourceInfo;
    use crate::clock::SystemClock;

    fn due(fps: Option<f64>, times: impl Iterator<Item = f64>) -> usize {
        let mut pace = Pace::new(fps);
        times.filter(|t| pace.is_due(Duration::from_secs_f64(100.0 + t))).count()
    }

    #[test]
    fn a_pace_lets_through_its_rate_and_never_less_than_there_is() {
        let camera = |fps: f64| (0..(fps * 10.0) as u32).map(move |n| f64::from(n) / fps);
        assert_eq!(due(None, camera(25.0)), 250);
        // The first frame is due at once, the last a little early.
        assert!((50..=51).contains(&due(Some(5.0), camera(25.0))));
        assert_eq!(due(Some(5.0), camera(5.0)), 50);
        assert_eq!(due(Some(5.0), camera(2.0)), 20);
        let jittered = camera(10.0).enumerate().map(|(n, t)| t + if n % 2 == 0 { 0.02 } else { 0.0 });
        assert_eq!(due(Some(10.0), jittered), 100);
        // 30 / 7 is no whole number: the rate holds on average
        assert!((68..=72).contains(&due(Some(7.0), camera(30.0))));
    }

    #[test]
    fn a_leap_in_time_starts_a_new_pace() {
        let mut pace = Pace::new(Some(5.0));
        let mut at = |seconds: f64| pace.is_due(Duration::from_secs_f64(seconds));
        assert!(at(1000.0) && !at(1000.1) && at(1000.2));
        assert!(at(3.0), "backwards");
        assert!(!at(3.1) && at(5000.0), "forwards");
        assert!(!at(5000.1));
    }

    /// Gives frames 0, 1, 5 and 9 and breaks; of what lies between, one before 5 and two before the end came damaged.
    struct Gappy {
        info: SourceInfo,
        left: Vec<(u64, u64)>,
        corrupted: u64,
    }

    impl Source for Gappy {
        fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
            let Some((sequence, corrupted)) = self.left.pop() else {
                self.corrupted = 3;
                return Err(CameraError::Stalled { name: "gappy".into(), after: Duration::from_secs(5) });
            };
            (frame.sequence, self.corrupted) = (sequence, corrupted);
            Ok(true)
        }

        fn info(&self) -> &SourceInfo {
            &self.info
        }

        fn corrupted(&self) -> u64 {
            self.corrupted
        }
    }

    fn capture<'a>(mailbox: &'a Mailbox, rate: &'a Rate, stop: &'a Stop) -> Capture<'a> {
        Capture { index: 0, mailbox, counts: Arc::default(), rate, clock: &SystemClock, stop }
    }

    fn feed(source: &str, stop: &Stop, open: Opener) -> Feed {
        Feed {
            camera: config::Camera { source: source.into(), ..Default::default() },
            open,
            delivery: Delivery::Latest,
            gate: Gate::default(),
            stop: stop.clone(),
        }
    }

    #[test]
    fn a_device_that_comes_back_is_opened_without_waiting_for_its_turn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("video0");
        let (mailbox, stop, rate) = (Mailbox::new(1), Stop::new(), Rate::new(None));
        let capture = capture(&mailbox, &rate, &stop);
        let feed = feed(path.to_str().unwrap(), &stop, Box::new(|| Err(CameraError::Stopped)));
        let hour = Duration::from_secs(3600);
        let shortly = Duration::from_millis(50);
        let mut backoff = Backoff { failures: 9 };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(shortly);
                std::fs::write(&path, "").unwrap();
            });
            assert!(capture.rest(hour, &feed, &mut backoff));
        });
        assert_eq!(backoff.failures, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(shortly);
                stop.set();
            });
            assert!(
                !capture.rest(hour, &feed, &mut backoff),
                "it was there all the time, which says nothing new"
            );
        });
    }

    #[test]
    fn what_never_came_and_what_came_damaged_are_counted_apart() {
        let info = SourceInfo {
            description: String::new(),
            width: 1,
            height: 1,
            fps: None,
            frames: None,
            live: true,
        };
        let mut source = Gappy { info, left: vec![(9, 1), (5, 1), (1, 0), (0, 0)], corrupted: 0 };
        let (mailbox, stop, rate) = (Mailbox::new(1), Stop::new(), Rate::new(None));
        let capture = capture(&mailbox, &rate, &stop);
        let counts = &capture.counts;
        let feed = feed("", &stop, Box::new(|| Err(CameraError::Stopped)));
        let broken = capture.deliver(&feed, &mut source, &mut Frame::default(), &mut Backoff::default());
        assert!(matches!(broken, Err(CameraError::Stalled { .. })));
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!((count(&counts.captured), count(&counts.missed), count(&counts.corrupted)), (4, 2 + 3, 3));
    }

    #[test]
    fn waits_double_up_to_a_limit_and_start_again() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..10).map(|_| backoff.next().as_secs_f64()).collect();
        assert!((0.375..0.625).contains(&waits[0]) && waits[9] >= 22.5 && waits[9] <= 37.5, "{waits:?}");
        backoff.reset();
        assert!(backoff.next() < Duration::from_secs(1));
    }
}
