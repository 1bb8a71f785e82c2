//! Whether a camera is to be watched now. Whoever decides holds a [`Gate`]; the camera's thread asks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use super::schedule::Schedule;
use crate::event::Reason;

/// One camera's gate. Clones are the same gate. Open unless somebody has shut it.
///
/// A camera whose gate shuts gives its device or stream back, after one more frame at most, which nobody sees; what was
/// open is closed. It is opened again, without waiting for a failed attempt's turn, when the gate opens.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    paused: Arc<AtomicBool>,
    schedule: Arc<Schedule>,
}

/// Why a gate is shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// By [`Gate::pause`].
    Paused,
    /// The camera is not to be watched at this time.
    Scheduled,
}

impl Gate {
    /// Shut while `schedule` does not cover the time, and when it is paused.
    pub fn new(schedule: Schedule) -> Self {
        Self { paused: Arc::default(), schedule: Arc::new(schedule) }
    }

    /// A gate with another schedule that is paused and resumed together with this one.
    #[must_use]
    pub fn rescheduled(&self, schedule: Schedule) -> Self {
        Self { paused: Arc::clone(&self.paused), schedule: Arc::new(schedule) }
    }

    /// Shuts it until [`Gate::resume`].
    pub fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    /// Takes [`Gate::pause`] back.
    pub fn resume(&self) {
        self.paused.store(false, Ordering::Relaxed);
    }

    /// Whether it was paused and not resumed.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Why it is shut at `now`; `None` if it is open.
    pub fn shut(&self, now: Timestamp) -> Option<Shut> {
        if self.is_paused() {
            Some(Shut::Paused)
        } else {
            (!self.schedule.covers(now)).then_some(Shut::Scheduled)
        }
    }
}

impl From<Shut> for Reason {
    fn from(shut: Shut) -> Self {
        match shut {
            Shut::Paused => Self::Paused,
            Shut::Scheduled => Self::Scheduled,
        }
    }
}
