//! How a camera is doing: what its thread says, and what `availability` and `stats` tell of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::gate::Shut;

/// How a camera is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// It is being opened, or was, and has not given a frame yet.
    #[default]
    Opening,
    /// Frames come.
    Online,
    /// It broke or fell silent; it is tried again and again.
    Lost,
    /// By command.
    Paused,
    /// It is not its time.
    ScheduledOff,
    /// There will be no more frames: a recording's end, or the daemon's.
    Ended,
}

impl Status {
    /// No frame is to be expected now.
    pub fn is_silent(self) -> bool {
        !matches!(self, Self::Opening | Self::Online)
    }

    /// As `stats` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Online => "online",
            Self::Lost => "lost",
            Self::Paused => "paused",
            Self::ScheduledOff => "scheduled off",
            Self::Ended => "ended",
        }
    }
}

impl From<Shut> for Status {
    fn from(shut: Shut) -> Self {
        match shut {
            Shut::Paused => Self::Paused,
            Shut::Scheduled => Self::ScheduledOff,
        }
    }
}

/// A camera's status and its last error, shared between its thread and who asks.
#[derive(Debug, Default)]
pub struct Condition(Mutex<(Status, Option<String>)>);

impl Condition {
    pub fn status(&self) -> Status {
        self.lock().0
    }

    /// What went wrong last, whether or not it still does. Without passwords.
    pub fn last_error(&self) -> Option<String> {
        self.lock().1.clone()
    }

    pub(super) fn set(&self, status: Status) {
        self.lock().0 = status;
    }

    pub(super) fn lost(&self, error: String) {
        *self.lock() = (Status::Lost, Some(error));
    }

    fn lock(&self) -> MutexGuard<'_, (Status, Option<String>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
