//! The one seam for time: a monotonic clock that dates frames and a UTC clock that names them.
//!
//! Nothing downstream of a camera asks for "now" to date an event; it uses the frame's [`FrameTime`].

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

/// When a frame was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameTime {
    /// `CLOCK_MONOTONIC` of the capture (a recording counts from the clock's reading at its first frame).
    /// Differences between these are the only durations the pipeline believes.
    pub monotonic: Duration,
    /// The same instant in UTC. It may jump when the box's clock is set.
    pub utc: Timestamp,
}

/// A source of time.
pub trait Clock: Send + Sync {
    /// Time since an arbitrary fixed point; never goes back. The kernel's `CLOCK_MONOTONIC` in production,
    /// so that drivers' timestamps compare with it.
    fn monotonic(&self) -> Duration;
    /// Wall-clock time; may jump.
    fn utc(&self) -> Timestamp;

    /// Both clocks, read together.
    fn now(&self) -> FrameTime {
        FrameTime { monotonic: self.monotonic(), utc: self.utc() }
    }
}

/// The kernel's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        // CLOCK_MONOTONIC is never negative and its nanoseconds are below 10^9.
        Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
    }

    fn utc(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is moved, for tests and for replaying recordings.
#[derive(Debug)]
pub struct ManualClock(Mutex<FrameTime>);

impl ManualClock {
    /// A clock that reads `monotonic` and `utc`.
    pub fn new(monotonic: Duration, utc: Timestamp) -> Self {
        Self(Mutex::new(FrameTime { monotonic, utc }))
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.lock();
        now.monotonic += by;
        now.utc = now.utc.saturating_add(by).unwrap_or(Timestamp::MAX);
    }

    /// Sets the wall clock alone, as NTP does.
    pub fn set_utc(&self, utc: Timestamp) {
        self.lock().utc = utc;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, FrameTime> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> Duration {
        self.lock().monotonic
    }

    fn utc(&self) -> Timestamp {
        self.lock().utc
    }
}
