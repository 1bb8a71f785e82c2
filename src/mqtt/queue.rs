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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the world does to the queue.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// The person in this slot begins something, or goes on with it (`false`), or ends it (`true`).
        Event(usize, bool),
        Send,
        /// Acknowledge one of those on their way.
        Acknowledge(usize),
        Rewind,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0_usize..5, prop::bool::weighted(0.3)).prop_map(|(slot, ends)| Step::Event(slot, ends)),
            3 => Just(Step::Send),
            2 => (0_usize..4).prop_map(Step::Acknowledge),
            1 => Just(Step::Rewind),
        ]
    }

    /// The policy written down as history: nothing is removed, everything is looked up anew.
    #[derive(Default)]
    struct Model {
        events: Vec<Past>,
        sent: Vec<usize>,
    }

    struct Past {
        id: Ulid,
        change: Change,
        offered: bool,
        acknowledged: bool,
        dropped: bool,
    }

    impl Model {
        fn alive(&self) -> Vec<usize> {
            (0..self.events.len())
                .filter(|&i| !self.events[i].acknowledged && !self.events[i].dropped)
                .collect()
        }

        fn push(&mut self, id: Ulid, change: Change, capacity: usize) {
            let begin_dropped =
                self.events.iter().any(|e| e.id == id && e.change == Change::Begin && e.dropped);
            let past = Past { id, change, offered: false, acknowledged: false, dropped: begin_dropped };
            self.events.push(past);
            loop {
                let waiting: Vec<_> = self.alive().into_iter().filter(|&i| !self.events[i].offered).collect();
                if waiting.len() <= capacity {
                    return;
                }
                let first = |change| waiting.iter().copied().find(|&i| self.events[i].change == change);
                let doomed: Vec<_> = if let Some(update) = first(Change::Update) {
                    vec![update]
                } else if let Some(begin) = first(Change::Begin) {
                    let id = self.events[begin].id;
                    waiting.iter().copied().filter(|&i| self.events[i].id == id).collect()
                } else {
                    vec![waiting[0]]
                };
                for index in doomed {
                    self.events[index].dropped = true;
                }
            }
        }

        fn send(&mut self) -> Option<usize> {
            let next = self.alive().into_iter().find(|i| !self.sent.contains(i))?;
            self.events[next].offered = true;
            self.sent.push(next);
            Some(next)
        }
    }

    proptest! {
        #[test]
        fn behaves_as_the_policy_reads(
            capacity in 1_usize..6,
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let mut queue = EventQueue::new(capacity);
            let mut model = Model::default();
            let mut open = [None::<Ulid>; 5];
            let mut numbers = std::collections::HashMap::new();
            let mut ids = 1_u128..;
            for step in steps {
                match step {
                    Step::Event(slot, ends) => {
                        let (id, change) = match open[slot] {
                            None => (Ulid::from(ids.next().unwrap()), Change::Begin),
                            Some(id) => (id, if ends { Change::End } else { Change::Update }),
                        };
                        open[slot] = (change != Change::End).then_some(id);
                        // The payload is the event's place in history.
                        queue.push(id, change, model.events.len().to_string().into_bytes());
                        model.push(id, change, capacity);
                    }
                    Step::Send => {
                        let sent = queue.send_next().map(|(number, payload)| {
                            let place: usize = std::str::from_utf8(payload).unwrap().parse().unwrap();
                            (number, place)
                        });
                        prop_assert_eq!(sent.map(|(_, place)| place), model.send());
                        numbers.extend(sent.map(|(number, place)| (place, number)));
                    }
                    Step::Acknowledge(which) => {
                        if which < model.sent.len() {
                            let place = model.sent.remove(which);
                            model.events[place].acknowledged = true;
                            prop_assert!(queue.acknowledge(numbers[&place]));
                            prop_assert!(!queue.acknowledge(numbers[&place]), "acknowledged twice");
                        }
                    }
                    Step::Rewind => {
                        queue.rewind();
                        model.sent.clear();
                    }
                }
                prop_assert_eq!(queue.len(), model.alive().len());
                prop_assert_eq!(queue.dropped(), model.events.iter().filter(|e| e.dropped).count() as u64);
                // What the policy is for: nobody hears of an occurrence whose beginning was dropped.
                for begin in model.events.iter().filter(|e| e.change == Change::Begin && e.dropped) {
                    prop_assert!(model.events.iter().all(|e| e.id != begin.id || (e.dropped && !e.offered)));
                }
            }
            // The memory of dropped beginnings is given back with their ends.
            for id in open.into_iter().flatten() {
                queue.push(id, Change::End, Vec::new());
            }
            prop_assert!(queue.forsaken.is_empty());
        }
    }

    fn id(n: u128) -> Ulid {
        Ulid::from(n)
    }

    fn rest(queue: &mut EventQueue) -> Vec<String> {
        std::iter::from_fn(|| queue.send_next().map(|(_, p)| String::from_utf8(p.to_vec()).unwrap()))
            .collect()
    }

    #[test]
    fn updates_go_first_then_whole_occurrences_and_ends_of_known_ones_last() {
        let mut queue = EventQueue::new(3);
        queue.push(id(1), Change::Begin, "begin 1".into());
        assert!(queue.send_next().is_some());
        queue.push(id(1), Change::Update, "update 1".into());
        queue.push(id(2), Change::Begin, "begin 2".into());
        queue.push(id(1), Change::End, "end 1".into());
        queue.push(id(3), Change::Begin, "begin 3".into()); // update 1 goes
        assert_eq!((queue.len(), queue.dropped()), (4, 1));
        queue.push(id(2), Change::End, "end 2".into()); // all of 2 goes, this end too
        assert_eq!((queue.len(), queue.dropped()), (3, 3));
        queue.push(id(3), Change::End, "end 3".into());
        queue.rewind();
        assert_eq!(rest(&mut queue), ["begin 1", "end 1", "begin 3", "end 3"]);
    }
}
