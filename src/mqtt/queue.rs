//! Events on their way to the broker: bounded, in order, each kept until exactly it was acknowledged.
//!
//! Plain data without time or network, so that its policy can be tested against a naive model.

use std::collections::{HashSet, VecDeque};

use ulid::Ulid;

use crate::event::Change;

/// The queue. At its front are the events that a broker may have seen already; they are never dropped. Behind
/// them wait, at most `capacity`, those that no broker has seen.
///
/// When one more must wait than may: the oldest `update` goes first, for the next one says the same and more. Without
/// updates the oldest occurrence goes whole, `begin` to `end`, so that no subscriber hears of half of it. What
/// remains then are ends of occurrences that subscribers know to be open; of those the oldest goes last of all.
pub(super) struct EventQueue {
    entries: VecDeque<Entry>,
    /// Entries at the front that were handed to the present connection.
    sent: usize,
    /// Entries at the front that were handed to this or an earlier connection; `sent <= offered <= entries.len()`.
    offered: usize,
    capacity: usize,
    /// Occurrences whose beginning was dropped while they were still open: the rest of them is dropped as it comes.
    forsaken: HashSet<Ulid>,
    next_number: u64,
    dropped: u64,
}

struct Entry {
    number: u64,
    id: Ulid,
    change: Change,
    payload: Vec<u8>,
}

impl EventQueue {
    /// A queue in which `capacity` events may wait, at least one.
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            sent: 0,
            offered: 0,
            capacity: capacity.max(1),
            forsaken: HashSet::new(),
            next_number: 0,
            dropped: 0,
        }
    }

    /// Appends an event of the occurrence `id`, and drops what no longer fits. Every `begin` must be followed by its
    /// `end` some day, or the memory that its beginning was dropped stays.
    pub fn push(&mut self, id: Ulid, change: Change, payload: Vec<u8>) {
        if self.forsaken.contains(&id) {
            self.dropped += 1;
            if change == Change::End {
                self.forsaken.remove(&id);
            }
            return;
        }
        self.entries.push_back(Entry { number: self.next_number, id, change, payload });
        self.next_number += 1;
        while self.entries.len() - self.offered > self.capacity {
            self.drop_one();
        }
    }

    /// The next event to hand to the present connection, with the number by which it is to be acknowledged.
    pub fn send_next(&mut self) -> Option<(u64, &[u8])> {
        let entry = self.entries.get(self.sent)?;
        self.sent += 1;
        self.offered = self.offered.max(self.sent);
        Some((entry.number, &entry.payload))
    }

    /// The broker has event `number`: it leaves the queue. `false` if it was not on its way.
    pub fn acknowledge(&mut self, number: u64) -> bool {
        let Some(index) = self.entries.iter().take(self.sent).position(|e| e.number == number) else {
            return false;
        };
        self.entries.remove(index);
        self.sent -= 1;
        self.offered -= 1;
        true
    }

    /// The connection is gone: what it did not acknowledge is offered to the next one, from the oldest on.
    pub fn rewind(&mut self) {
        self.sent = 0;
    }

    /// Events not yet acknowledged.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Events dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Makes room among those that wait; there is at least one.
    fn drop_one(&mut self) {
        let waiting = |wanted: Change| {
            let position = self.entries.range(self.offered..).position(|e| e.change == wanted)?;
            Some(self.offered + position)
        };
        if let Some(update) = waiting(Change::Update) {
            self.entries.remove(update);
            self.dropped += 1;
        } else if let Some(begin) = waiting(Change::Begin).and_then(|index| self.entries.get(index)) {
            self.forsake(begin.id);
        } else {
            self.entries.remove(self.offered);
            self.dropped += 1;
        }
    }

    fn forsake(&mut self, id: Ulid) {
        let before = self.entries.len();
        let (mut index, mut ended) = (0, false);
        self.entries.retain(|entry| {
            let dropped = index >= self.offered && entry.id == id;
            index += 1;
            ended |= dropped && entry.change == Change::End;
            !dropped
        });
        self.dropped += (before - self.entries.len()) as u64;
        if !ended {
            self.forsaken.insert(id);
        }
    }
}
