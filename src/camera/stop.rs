//! Telling a blocked source that its frame is no longer wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{CameraError, SLICE};

/// A flag that is set once and seen by every clone and every [child](Stop::child).
#[derive(Debug, Clone)]
pub struct Stop {
    own: Arc<AtomicBool>,
    /// Those that count as well, but are not ours to set.
    above: Arc<[Arc<AtomicBool>]>,
}

impl Default for Stop {
    fn default() -> Self {
        Self::from(Arc::<AtomicBool>::default())
    }
}

impl Stop {
    /// Not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that is set with this one, or alone.
    #[must_use]
    pub fn child(&self) -> Self {
        let above = self.above.iter().chain([&self.own]).cloned().collect();
        Self { own: Arc::default(), above }
    }

    /// Sets it, for good.
    pub fn set(&self) {
        self.own.store(true, Ordering::Relaxed);
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.own.load(Ordering::Relaxed) || self.above.iter().any(|flag| flag.load(Ordering::Relaxed))
    }

    /// Sleeps for `time`, but not much longer than it is unset; returns whether it is set.
    pub fn wait(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while !self.is_set() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            std::thread::sleep(left.min(SLICE));
        }
        true
    }

    /// [`CameraError::Stopped`] if it is set.
    pub(super) fn check(&self) -> Result<(), CameraError> {
        if self.is_set() { Err(CameraError::Stopped) } else { Ok(()) }
    }
}

/// A flag that something else sets too, such as a signal handler.
impl From<Arc<AtomicBool>> for Stop {
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self { own: flag, above: Arc::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_stops_alone_or_with_what_is_above_it() {
        let (above, seen) =
            (Stop::new(), |stops: &[&Stop]| stops.iter().map(|s| s.is_set()).collect::<Vec<_>>());
        let (one, other) = (above.child(), above.child());
        let below = one.child();
        one.set();
        assert_eq!(seen(&[&above, &one, &other, &below]), [false, true, false, true]);
        above.clone().set();
        assert_eq!(seen(&[&above, &one, &other, &other.child()]), [true; 4]);
    }
}
