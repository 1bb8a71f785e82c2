//! Events on their way to the broker: bounded, in order, each kept until exactly it was acknowledged.
//!
//! The one truth about what waits and what is dropped; the spool is its image on disk. Plain data without clocks,
//! network or disk, so that its policy can be tested against a naive model.

mod known;
mod spooled;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ulid::Ulid;

use self::known::Known;
pub(super) use self::spooled::{Closing, Pressing, Stored, Unwritten};
use crate::event::Change;

/// How much may wait that no broker has seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Events in memory alone: all of them without a spool, with one those that are not on disk yet.
    pub volatile: usize,
    /// Events, wherever they are.
    pub events: usize,
    /// Bytes of payload, wherever they are.
    pub bytes: usize,
    /// How long.
    pub age: Duration,
}

/// The queue. At its front are the events that a broker may have seen already; they are never dropped. Behind
/// them wait, within the limits, those that no broker has seen.
///
/// When more must wait than may: the oldest `update` goes first, for the next one says the same and more. Without
/// updates the oldest occurrence goes whole, `begin` to `end`, so that no subscriber hears of half of it. What
/// remains then are ends of occurrences that subscribers know to be open; of those the oldest goes last of all.
pub(super) struct EventQueue {
    /// By number, which is the order in which they go.
    entries: BTreeMap<i64, Entry>,
    /// The numbers of those that no broker has seen.
    waiting: Waiting,
    /// The numbers of those that are not on disk: all those after a certain one, since they get there in order.
    volatile: BTreeSet<i64>,
    /// Whoever is below it was handed to the present connection ..
    cursor: i64,
    /// .. and nobody from here on was.
    reach: i64,
    known: Known,
    limits: Limits,
    next_number: i64,
    dropped: u64,
    expired: u64,
    /// Whether only what is on disk may be handed to a connection.
    durable_first: bool,
    /// Events whose payload is in memory.
    resident: usize,
    /// Whether a beginning or an end is not on disk.
    urgent: bool,
    /// Whether the next event's payload is on disk alone, and wanted.
    starved: bool,
    /// Rows on disk that nobody needs any more.
    obsolete: Vec<i64>,
}

struct Entry {
    id: Ulid,
    change: Change,
    /// UTC, milliseconds since 1970.
    time: i64,
    /// Monotonic time at which it is too old to be told.
    expires: Duration,
    /// Bytes of payload.
    length: usize,
    /// `None`: on disk alone.
    payload: Option<Arc<[u8]>>,
    /// Where it is on disk.
    row: Option<i64>,
    /// Whether it was handed to the present connection.
    sent: bool,
    /// Whether it was handed to this or an earlier connection.
    offered: bool,
}

/// Who waits, by what they say.
#[derive(Default)]
struct Waiting {
    begins: BTreeSet<i64>,
    updates: BTreeSet<i64>,
    ends: BTreeSet<i64>,
    bytes: usize,
    /// How many of them are not on disk.
    volatile: usize,
}

impl Waiting {
    fn of(&mut self, change: Change) -> &mut BTreeSet<i64> {
        match change {
            Change::Begin => &mut self.begins,
            Change::Update => &mut self.updates,
            Change::End => &mut self.ends,
        }
    }

    fn add(&mut self, number: i64, entry: &Entry) {
        self.of(entry.change).insert(number);
        self.bytes += entry.length;
        self.volatile += usize::from(entry.row.is_none());
    }

    fn take(&mut self, number: i64, entry: &Entry) {
        if self.of(entry.change).remove(&number) {
            self.bytes -= entry.length;
            self.volatile -= usize::from(entry.row.is_none());
        }
    }

    fn len(&self) -> usize {
        self.begins.len() + self.updates.len() + self.ends.len()
    }
}

impl EventQueue {
    /// An empty queue; without a spool until it is told of one.
    pub fn new(limits: Limits) -> Self {
        Self {
            entries: BTreeMap::new(),
            waiting: Waiting::default(),
            volatile: BTreeSet::new(),
            cursor: i64::MIN,
            reach: i64::MIN,
            known: Known::default(),
            limits: Limits { volatile: limits.volatile.max(1), events: limits.events.max(1), ..limits },
            next_number: 0,
            dropped: 0,
            expired: 0,
            durable_first: false,
            resident: 0,
            urgent: false,
            starved: false,
            obsolete: Vec::new(),
        }
    }

    /// Appends an event of the occurrence `id`, and drops what no longer fits. `time` is the event's, in milliseconds
    /// since 1970, UTC; `now` is monotonic. Every `begin` must be followed by its `end` some day, or the memory of it
    /// stays.
    pub fn push(&mut self, id: Ulid, change: Change, time: i64, now: Duration, payload: Vec<u8>) {
        if self.known.is_forsaken(id) {
            self.dropped += 1;
            if change == Change::End {
                self.known.forget(id);
            }
            return;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.insert(
            number,
            Entry {
                id,
                change,
                time,
                expires: now.saturating_add(self.limits.age),
                length: payload.len(),
                payload: Some(payload.into()),
                row: None,
                sent: false,
                offered: false,
            },
        );
        self.trim();
    }

    /// Drops what is too old at the monotonic time `now`, by the same rule: updates, and occurrences whole. An end
    /// whose beginning was told is told however old it is.
    pub fn expire(&mut self, now: Duration) {
        let is_old =
            |entries: &BTreeMap<i64, Entry>, n: &i64| entries.get(n).is_some_and(|e| e.expires <= now);
        while let Some(&number) = self.waiting.updates.first().filter(|n| is_old(&self.entries, n)) {
            self.remove(number);
            self.expired += 1;
        }
        while let Some(&number) = self.waiting.begins.first().filter(|n| is_old(&self.entries, n)) {
            self.expired += self.forsake(number);
        }
    }

    /// The next event to hand to the present connection, with the number by which it is to be acknowledged.
    pub fn send_next(&mut self) -> Option<(i64, Arc<[u8]>)> {
        let (&number, entry) = self.entries.range_mut(self.cursor..).find(|(_, entry)| !entry.sent)?;
        if self.durable_first && entry.row.is_none() {
            return None;
        }
        let Some(payload) = entry.payload.clone() else {
            self.starved = true;
            return None;
        };
        self.waiting.take(number, entry);
        (entry.sent, entry.offered) = (true, true);
        self.cursor = number + 1;
        self.reach = self.reach.max(self.cursor);
        Some((number, payload))
    }

    /// The broker has event `number`: it leaves the queue. `false` if it was not on its way.
    pub fn acknowledge(&mut self, number: i64) -> bool {
        let on_its_way = self.entries.get(&number).is_some_and(|entry| entry.sent);
        if on_its_way {
            self.remove(number);
        }
        on_its_way
    }

    /// The connection is gone: what it did not acknowledge is offered to the next one, from the oldest on.
    pub fn rewind(&mut self) {
        for (_, entry) in self.entries.range_mut(..self.reach) {
            entry.sent = false;
        }
        (self.cursor, self.reach) = (i64::MIN, i64::MIN);
        self.starved = false;
    }

    /// Events not yet acknowledged.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Events dropped since the start because there was no room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Events dropped since the start because they were too old.
    pub fn expired(&self) -> u64 {
        self.expired
    }

    fn insert(&mut self, number: i64, entry: Entry) {
        self.known.begin(entry.id, entry.change);
        self.resident += usize::from(entry.payload.is_some());
        if entry.row.is_none() {
            self.volatile.insert(number);
            self.urgent |= entry.change != Change::Update;
        }
        if !entry.offered {
            self.waiting.add(number, &entry);
        }
        self.entries.insert(number, entry);
    }

    /// Takes an entry out, and from the disk what is no longer needed there.
    fn remove(&mut self, number: i64) {
        let Some(entry) = self.entries.remove(&number) else { return };
        self.waiting.take(number, &entry);
        self.volatile.remove(&number);
        self.resident -= usize::from(entry.payload.is_some());
        self.obsolete.extend(self.known.leave(entry.id, entry.change, entry.row));
    }

    /// Makes room among those that wait.
    fn trim(&mut self) {
        self.trim_all();
        while self.waiting.volatile > self.limits.volatile
            && let Some(&first) = self.volatile.first()
        {
            self.drop_one(first);
        }
    }

    fn trim_all(&mut self) {
        while self.waiting.len() > self.limits.events || self.waiting.bytes > self.limits.bytes {
            self.drop_one(i64::MIN);
        }
    }

    /// Drops by the policy, among those that wait from number `from` on; there is at least one.
    fn drop_one(&mut self, from: i64) {
        let first = |numbers: &BTreeSet<i64>| numbers.range(from..).next().copied();
        if let Some(begin) = first(&self.waiting.begins)
            && first(&self.waiting.updates).is_none()
        {
            self.dropped += self.forsake(begin);
        } else if let Some(number) = first(&self.waiting.updates).or_else(|| first(&self.waiting.ends)) {
            self.remove(number);
            self.dropped += 1;
        }
    }

    /// Drops the whole occurrence of the waiting event `begin`, also what is still to come. Returns how many there
    /// were.
    fn forsake(&mut self, begin: i64) -> u64 {
        let Some(id) = self.entries.get(&begin).map(|entry| entry.id) else { return 0 };
        let mut doomed = Vec::new();
        let mut ended = false;
        for (&number, entry) in self.entries.range(begin..).filter(|(_, entry)| entry.id == id) {
            doomed.push(number);
            ended |= entry.change == Change::End;
            if ended {
                break;
            }
        }
        doomed.iter().for_each(|number| self.remove(*number));
        self.obsolete.extend(self.known.forget(id));
        if !ended {
            self.known.forsake(id);
        }
        doomed.len() as u64
    }
}
