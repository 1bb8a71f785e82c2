//! The thread that keeps the file up to date, and what it does when it cannot.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{debug, error, info, warn};

use super::SpoolState;
use super::file::File;
use crate::database::{self, DatabaseError};
use crate::event::Change;
use crate::mqtt::outbox::Shared;
use crate::mqtt::payload::restart_end;
use crate::mqtt::queue::{Closing, Pressing, Stored};

/// Events of one transaction, at most.
const BATCH: usize = 1_000;
/// Updates wait so long for company, since each transaction costs a flush and a page. Beginnings and ends do not wait.
const GATHER: Duration = Duration::from_millis(200);
/// Deleting alone is not worth a transaction for so long; a crash meanwhile repeats what was delivered.
const TIDY: Duration = Duration::from_secs(5);
/// Between two attempts to use a file that failed.
const RETRY: Duration = Duration::from_secs(5);
/// Attempts to read what is on disk alone, before it is given up for lost and what comes after it may go.
const READINGS: u32 = 12;
/// Of the oldest events that an earlier run left, so many may have been on their way to the broker.
const OFFERED: usize = crate::mqtt::session::WINDOW;
/// Nothing waits that long: an age above it comes from a clock that was not set.
const DECADE: Duration = Duration::from_secs(10 * 366 * 86_400);

pub(super) struct Writer {
    path: PathBuf,
    shared: Arc<Shared>,
    file: Option<File>,
    /// Whether what an earlier run left is in the queue.
    restored: bool,
    state: SpoolState,
    committed: Option<Instant>,
    retry: Instant,
    failed_readings: u32,
}

impl Writer {
    pub fn new(path: PathBuf, shared: Arc<Shared>) -> Self {
        Self {
            path,
            shared,
            file: None,
            restored: false,
            state: SpoolState::Opening,
            committed: None,
            retry: Instant::now(),
            failed_readings: 0,
        }
    }

    /// Works until the outbox is closing and everything is written.
    pub fn run(mut self) {
        self.open();
        while self.wait() {
            self.work();
        }
        if self.file.is_some() {
            self.work();
        }
    }

    /// Waits for something to do; `false` once the outbox is closing.
    fn wait(&self) -> bool {
        let mut outbox = self.shared.outbox();
        while !outbox.closing {
            let now = Instant::now();
            let after = |pause| self.committed.map_or(now, |at| at + pause);
            let readable = outbox.events.is_starved() && self.file.is_some();
            let due = match outbox.events.pressing() {
                _ if self.state != SpoolState::Ok && !readable => Some(self.retry),
                Pressing::Not => None,
                Pressing::Hardly => Some(after(TIDY)),
                Pressing::Some => Some(after(GATHER)),
                Pressing::Very => Some(now),
            };
            let bell = &self.shared.spool_bell;
            outbox = match due {
                Some(due) if due <= now => return true,
                Some(due) => bell.wait_timeout(outbox, due - now).unwrap_or_else(PoisonError::into_inner).0,
                None => bell.wait(outbox).unwrap_or_else(PoisonError::into_inner),
            };
        }
        false
    }

    fn work(&mut self) {
        if self.file.is_none() {
            self.open();
        }
        if let Err(error) = self.read().and_then(|()| self.write()) {
            match error {
                DatabaseError::Corrupt(_) => self.begin_anew(&error),
                error => self.fail(&error),
            }
        }
        self.shared.bell.notify_one();
    }

    /// Reads what the queue wants back.
    fn read(&mut self) -> Result<(), DatabaseError> {
        let Some(file) = &self.file else { return Ok(()) };
        let to_read = self.shared.outbox().events.to_read();
        let payloads = to_read.into_iter().map(|e| Ok((e.number, file.read(e.row, e.id, e.change)?)));
        let payloads = payloads.collect::<Result<Vec<_>, DatabaseError>>()?;
        self.shared.outbox().events.read(payloads);
        self.failed_readings = 0;
        Ok(())
    }

    /// Writes what is new and deletes what is done; when the last attempt failed, at least tries.
    fn write(&mut self) -> Result<(), DatabaseError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.state != SpoolState::Ok && Instant::now() < self.retry {
            return Ok(());
        }
        let (events, obsolete) = {
            let mut outbox = self.shared.outbox();
            (outbox.events.unwritten(BATCH), outbox.events.take_obsolete())
        };
        if !events.is_empty() || !obsolete.is_empty() {
            match file.write(&events, &obsolete) {
                Ok(first) => self.shared.outbox().events.written(&events, first),
                Err(error) => {
                    self.shared.outbox().events.put_obsolete(obsolete);
                    return Err(error);
                }
            }
        } else if self.state != SpoolState::Ok {
            file.probe()?;
        }
        self.committed = Some(Instant::now());
        self.enter(SpoolState::Ok);
        Ok(())
    }

    fn open(&mut self) {
        match File::open(&self.path) {
            Ok((file, stored)) => self.adopt(file, stored),
            Err(error @ (DatabaseError::Corrupt(_) | DatabaseError::Newer(_))) => self.begin_anew(&error),
            Err(error) => self.fail(&error),
        }
    }

    /// Sets the file aside and begins another, with what can be saved.
    fn begin_anew(&mut self, error: &DatabaseError) {
        self.file = None;
        let now = self.shared.clock.utc();
        let label = if let DatabaseError::Newer(_) = error { "newer" } else { "corrupt" };
        let begun = database::set_aside(&self.path, label, now).map_err(DatabaseError::from).and_then(
            |aside| {
                error!(path = ?self.path, %error, ?aside, "the spool's file is set aside and a new one begun");
                let (mut file, _) = File::open(&self.path)?;
                let saved = if label == "corrupt" { file.salvage(&aside)? } else { Vec::new() };
                Ok((file, saved))
            },
        );
        match begun {
            Ok((file, saved)) => {
                if !saved.is_empty() {
                    info!(events = saved.len(), "saved from the damaged file");
                }
                self.adopt(file, saved);
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Goes on with a file that was opened.
    fn adopt(&mut self, file: File, stored: Vec<Stored>) {
        if self.restored {
            let rows: HashSet<i64> = stored.iter().map(|stored| stored.row).collect();
            let lost = self.shared.outbox().events.reconcile(&rows);
            if lost > 0 {
                error!(lost, "events that were on disk alone are lost with the file");
            }
        } else if let Err(error) = self.restore(&file, stored) {
            return match error {
                DatabaseError::Corrupt(_) => self.begin_anew(&error),
                error => self.fail(&error),
            };
        }
        self.restored = true;
        self.file = Some(file);
        self.retry = Instant::now();
        // At once: what a new file lacks is in memory alone until then.
        if let Err(error) = self.write() {
            self.fail(&error);
        }
        self.shared.bell.notify_one();
    }

    /// Takes over what an earlier run left, and ends what it left open.
    fn restore(&self, file: &File, stored: Vec<Stored>) -> Result<(), DatabaseError> {
        let mut latest = HashMap::new();
        for (place, stored) in stored.iter().enumerate() {
            latest.insert(stored.id, (place, stored.row, stored.change));
        }
        let mut open: Vec<_> =
            latest.into_iter().filter(|(_, (.., change))| *change != Change::End).collect();
        open.sort_by_key(|(_, (place, ..))| *place);
        let mut ends = Vec::new();
        let mut pairs = Vec::new();
        for (id, (_, row, change)) in open {
            let Some(end) = file.read(row, id, change)?.and_then(|payload| restart_end(&payload)) else {
                continue; // neither happens: the row was there a moment ago, and is sound
            };
            ends.push(Closing { id, time: end.time.as_millisecond(), payload: end.payload });
            pairs.push((end.camera, end.action));
        }
        if !stored.is_empty() {
            info!(path = ?self.path, events = stored.len(), closed = ends.len(), "an earlier run left events");
        }
        let now = self.shared.clock.now();
        let mut outbox = self.shared.outbox();
        outbox.events.restore(stored, ends, OFFERED, now.monotonic, |time| age(now.utc, time));
        for (camera, action) in pairs {
            outbox.levels.announce(&camera, &action);
        }
        Ok(())
    }

    fn fail(&mut self, error: &DatabaseError) {
        self.retry = Instant::now() + RETRY;
        let state = match error {
            DatabaseError::Full => SpoolState::Full,
            DatabaseError::ReadOnly => SpoolState::ReadOnly,
            _ => {
                self.file = None;
                SpoolState::Failed
            }
        };
        if self.state == state {
            debug!(path = ?self.path, %error, "the spool still fails");
        } else {
            error!(path = ?self.path, %error, "the spool fails; events go on from memory, and a restart would lose them");
        }
        self.enter(state);
        let mut outbox = self.shared.outbox();
        if self.file.is_none() && outbox.events.is_starved() {
            self.failed_readings += 1;
            if self.failed_readings >= READINGS {
                let lost: Vec<_> =
                    outbox.events.to_read().into_iter().map(|unread| (unread.number, None)).collect();
                warn!(lost = lost.len(), "events on disk cannot be read and are given up");
                outbox.events.read(lost);
            }
        }
    }

    fn enter(&mut self, state: SpoolState) {
        if self.state != state {
            if state == SpoolState::Ok && self.state != SpoolState::Opening {
                info!(path = ?self.path, "the spool works again");
            }
            self.state = state;
            self.shared.outbox().spooled(state);
            self.shared.bell.notify_one();
        }
    }
}

/// How old an event of `time`, in milliseconds since 1970, is.
fn age(now: Timestamp, time: i64) -> Duration {
    let age =
        now.as_millisecond().saturating_sub(time).try_into().map_or(Duration::ZERO, Duration::from_millis);
    if age > DECADE { Duration::ZERO } else { age }
}
