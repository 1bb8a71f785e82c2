//! Telling a blocked source that its frame is no longer wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::CameraError;

/// A flag that is set once and seen by every clone.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets it, for good.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// [`CameraError::Stopped`] if it is set.
    pub(super) fn check(&self) -> Result<(), CameraError> {
        if self.is_set() { Err(CameraError::Stopped) } else { Ok(()) }
    }
}
