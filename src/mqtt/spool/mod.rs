//! The spool: the events of the outbox on disk, so that neither a crash nor a power cut loses one.
//!
//! The queue is the truth and the spool its image. One thread writes batches behind the publishers' backs; with a
//! healthy disk an event is offered to the broker only once it is written. With a disk that is full, read-only or
//! broken events go on from memory, within the bound for those, and it is tried again and again.

mod file;
mod record;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use serde::Serialize;
use tracing::error;

use self::writer::Writer;
use super::outbox::Shared;

/// How the spool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpoolState {
    /// There is none.
    #[default]
    Off,
    /// What an earlier run left is not read yet, so nobody knows how much waits.
    Opening,
    /// What the broker is offered is on disk.
    Ok,
    /// The disk is full; new events are in memory alone.
    Full,
    /// The disk is read-only; new events are in memory alone.
    ReadOnly,
    /// The file cannot be used for another reason; new events are in memory alone.
    Failed,
}

impl SpoolState {
    /// Every state.
    pub const ALL: [Self; 6] = [Self::Off, Self::Opening, Self::Ok, Self::Full, Self::ReadOnly, Self::Failed];

    /// As `stats` says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Opening => "opening",
            Self::Ok => "ok",
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::Failed => "failed",
        }
    }
}

/// The thread that writes. Dropped, it writes what there is, and ends.
pub(super) struct Spool {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Spool {
    /// Starts to keep `shared`'s events in the file `path`. What an earlier run left there is offered first.
    pub fn start(path: PathBuf, shared: Arc<Shared>) -> io::Result<Self> {
        shared.outbox().spooled(SpoolState::Opening);
        let writer = Writer::new(path, Arc::clone(&shared));
        let thread = thread::Builder::new().name("spool".into()).spawn(|| writer.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.shared.outbox().closing = true;
        self.shared.spool_bell.notify_one();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("the spool's thread panicked");
        }
    }
}
