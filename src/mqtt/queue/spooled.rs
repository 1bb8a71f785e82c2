//! The queue's side of the spool: what is to be written, what is on disk, what is to be read again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ulid::Ulid;

use super::{Entry, EventQueue};
use crate::event::Change;

/// Events beyond these have their payload on disk alone, until their turn comes.
const RESIDENT: usize = 512;
/// Events that are read from disk at a time.
const READ: usize = 256;

/// How much the disk is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Pressing {
    /// Nothing is to be done.
    Not,
    /// Rows to delete, which costs a repeat after a crash and nothing else.
    Hardly,
    /// Updates to write.
    Some,
    /// A beginning or an end to write, or events to read.
    Very,
}

/// An event to be written.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Unwritten {
    pub number: i64,
    pub id: Ulid,
    pub change: Change,
    /// UTC, milliseconds since 1970.
    pub time: i64,
    pub payload: Arc<[u8]>,
}

/// An event that was found on disk.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Stored {
    pub row: i64,
    pub id: Ulid,
    pub change: Change,
    /// UTC, milliseconds since 1970.
    pub time: i64,
    /// Bytes of payload.
    pub length: usize,
}

/// An event whose payload is on disk alone, and wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Unread {
    pub number: i64,
    pub row: i64,
    pub id: Ulid,
    pub change: Change,
}

/// The end of an occurrence that an earlier run left open.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Closing {
    pub id: Ulid,
    /// UTC, milliseconds since 1970.
    pub time: i64,
    pub payload: Vec<u8>,
}

impl EventQueue {
    /// Whether events must be on disk before they are handed to a connection.
    pub fn require_disk(&mut self, durable_first: bool) {
        self.durable_first = durable_first;
    }

    pub fn pressing(&self) -> Pressing {
        if self.starved || self.urgent {
            Pressing::Very
        } else if !self.volatile.is_empty() {
            Pressing::Some
        } else if !self.obsolete.is_empty() {
            Pressing::Hardly
        } else {
            Pressing::Not
        }
    }

    /// Whether the next event waits for the disk.
    pub fn is_starved(&self) -> bool {
        self.starved
    }

    /// Events that are not on disk, the oldest first.
    pub fn unwritten(&mut self, most: usize) -> Vec<Unwritten> {
        self.urgent = self.volatile.len() > most;
        let entries = self.volatile.iter().filter_map(|number| Some((*number, self.entries.get(number)?)));
        let unwritten = entries.filter_map(|(number, entry)| {
            let Entry { id, change, time, ref payload, .. } = *entry;
            Some(Unwritten { number, id, change, time, payload: payload.clone()? })
        });
        unwritten.take(most).collect()
    }

    /// Rows that nobody needs any more; whoever takes them deletes them or brings them back.
    pub fn take_obsolete(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.obsolete)
    }

    /// See [`EventQueue::take_obsolete`].
    pub fn put_obsolete(&mut self, mut rows: Vec<i64>) {
        self.obsolete.append(&mut rows);
    }

    /// `events` are on disk, from row `first` on.
    pub fn written(&mut self, events: &[Unwritten], first: i64) {
        for (row, event) in (first..).zip(events) {
            self.obsolete.extend(self.known.stored(event.id, row));
            let Some(entry) = self.entries.get_mut(&event.number) else {
                // Acknowledged or dropped meanwhile.
                self.obsolete.extend(self.known.leave(event.id, event.change, Some(row)));
                continue;
            };
            entry.row = Some(row);
            self.volatile.remove(&event.number);
            self.waiting.volatile -= usize::from(!entry.offered);
            if self.resident > RESIDENT && !entry.sent {
                entry.payload = None;
                self.resident -= 1;
            }
        }
    }

    /// The next events whose payload is on disk alone, if the queue is starved.
    pub fn to_read(&self) -> Vec<Unread> {
        if !self.starved {
            return Vec::new();
        }
        let next = self.entries.range(self.cursor..).filter(|(_, entry)| !entry.sent);
        let unread = next.filter(|(_, entry)| entry.payload.is_none()).filter_map(|(&number, entry)| {
            Some(Unread { number, row: entry.row?, id: entry.id, change: entry.change })
        });
        unread.take(READ).collect()
    }

    /// The payloads of `to_read`; what has none is lost, and counted as dropped.
    pub fn read(&mut self, payloads: Vec<(i64, Option<Vec<u8>>)>) {
        self.starved = false;
        for (number, payload) in payloads {
            let Some(entry) = self.entries.get_mut(&number) else { continue };
            match payload {
                Some(payload) if entry.payload.is_none() => {
                    entry.payload = Some(payload.into());
                    self.resident += 1;
                }
                Some(_) => {}
                None => {
                    self.remove(number);
                    self.dropped += 1;
                }
            }
        }
    }

    /// What an earlier run left on disk, the oldest first, and the ends of what it left open: all before what is here.
    /// `now` is monotonic, `age` tells how old an event of a time is. Of the first `offered` a broker may know.
    pub fn restore(
        &mut self,
        stored: Vec<Stored>,
        ends: Vec<Closing>,
        offered: usize,
        now: Duration,
        age: impl Fn(i64) -> Duration,
    ) {
        let expires = |time, limit| now.saturating_add(limit).saturating_sub(age(time));
        let limit = self.limits.age;
        let first = self.entries.first_key_value().map_or(0, |(number, _)| (*number).min(0));
        let mut number = first - (stored.len() + ends.len()) as i64;
        for (index, Stored { row, id, change, time, length }) in stored.into_iter().enumerate() {
            self.insert(
                number,
                Entry {
                    id,
                    change,
                    time,
                    expires: expires(time, limit),
                    length,
                    payload: None,
                    row: Some(row),
                    sent: false,
                    offered: index < offered,
                },
            );
            self.obsolete.extend(self.known.stored(id, row));
            number += 1;
        }
        for Closing { id, time, payload } in ends {
            self.insert(
                number,
                Entry {
                    id,
                    change: Change::End,
                    time,
                    expires: expires(time, limit),
                    length: payload.len(),
                    payload: Some(payload.into()),
                    row: None,
                    sent: false,
                    offered: false,
                },
            );
            number += 1;
        }
        self.cursor = i64::MIN;
        // Without the bound for memory: these ends are written next.
        self.trim_all();
    }

    /// The file was opened again, perhaps it is another: it holds `rows` and no others. What of ours is neither there
    /// nor in memory is lost, and counted as dropped. Returns how many events that were.
    pub fn reconcile(&mut self, rows: &HashSet<i64>) -> usize {
        let is_gone = |row: Option<i64>| row.is_some_and(|row| !rows.contains(&row));
        self.known.unstored(is_gone);
        let mut lost = Vec::new();
        for (&number, entry) in self.entries.iter_mut().filter(|(_, entry)| is_gone(entry.row)) {
            entry.row = None;
            if entry.payload.is_none() {
                lost.push(number);
            } else if self.volatile.insert(number) && !entry.offered {
                self.waiting.volatile += 1;
            }
        }
        for number in &lost {
            // Its place among the waiting was counted as one on disk.
            if let Some(entry) = self.entries.get(number).filter(|entry| !entry.offered) {
                self.waiting.volatile += usize::from(entry.row.is_none());
            }
            self.remove(*number);
        }
        self.dropped += lost.len() as u64;
        // All others: what was to be deleted, and what was written though its commit was reported to have failed.
        let wanted: HashSet<i64> =
            self.entries.values().filter_map(|entry| entry.row).chain(self.known.kept()).collect();
        self.obsolete = rows.iter().filter(|row| !wanted.contains(row)).copied().collect();
        self.urgent = !self.volatile.is_empty();
        self.starved = false;
        lost.len()
    }
}
