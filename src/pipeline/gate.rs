//! Whether a camera is to be watched now. Whoever decides holds a [`Gate`]; the camera's thread asks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use crate::event::Reason;

/// One camera's gate. Clones are the same gate. Open unless somebody has shut it.
///
/// A camera whose gate shuts gives its device or stream back, after one more frame at most, which nobody sees; what was
/// open is closed. It is opened again, without waiting for a failed attempt's turn, when the gate opens.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    paused: Arc<AtomicBool>,
}

/// Why a gate is shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// By [`Gate::pause`].
    Paused,
}

impl Gate {
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
    pub fn shut(&self, _now: Timestamp) -> Option<Shut> {
        self.is_paused().then_some(Shut::Paused)
    }
}

impl From<Shut> for Reason {
    fn from(shut: Shut) -> Self {
        match shut {
            Shut::Paused => Self::Paused,
        }
    }
}
