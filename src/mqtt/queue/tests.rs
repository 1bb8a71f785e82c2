//! The policy against a naive model, and what the spool asks of the queue.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits =
    Limits { volatile: 1_000, events: 1_000, bytes: 1_000_000, age: Duration::from_secs(60) };

fn queue(capacity: usize) -> EventQueue {
    EventQueue::new(Limits { volatile: capacity, ..LIMITS })
}

fn push(queue: &mut EventQueue, id: Ulid, change: Change, payload: &str) {
    queue.push(id, change, 0, Duration::ZERO, payload.as_bytes().to_vec());
}

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
        (0..self.events.len()).filter(|&i| !self.events[i].acknowledged && !self.events[i].dropped).collect()
    }

    fn push(&mut self, id: Ulid, change: Change, capacity: usize) {
        let begin_dropped = self.events.iter().any(|e| e.id == id && e.change == Change::Begin && e.dropped);
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
        let mut queue = queue(capacity);
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
                    push(&mut queue, id, change, &model.events.len().to_string());
                    model.push(id, change, capacity);
                }
                Step::Send => {
                    let sent = queue.send_next().map(|(number, payload)| {
                        let place: usize = std::str::from_utf8(&payload).unwrap().parse().unwrap();
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
            push(&mut queue, id, Change::End, "");
        }
        queue.rewind();
        while let Some((number, _)) = queue.send_next() {
            queue.acknowledge(number);
        }
        prop_assert!(queue.known.is_empty() && queue.waiting.bytes == 0 && queue.resident == 0);
    }
}

fn id(n: u128) -> Ulid {
    Ulid::from(n)
}

fn rest(queue: &mut EventQueue) -> Vec<String> {
    std::iter::from_fn(|| queue.send_next().map(|(_, p)| String::from_utf8(p.to_vec()).unwrap())).collect()
}

#[test]
fn updates_go_first_then_whole_occurrences_and_ends_of_known_ones_last() {
    let mut queue = queue(3);
    push(&mut queue, id(1), Change::Begin, "begin 1");
    assert!(queue.send_next().is_some());
    push(&mut queue, id(1), Change::Update, "update 1");
    push(&mut queue, id(2), Change::Begin, "begin 2");
    push(&mut queue, id(1), Change::End, "end 1");
    push(&mut queue, id(3), Change::Begin, "begin 3"); // update 1 goes
    assert_eq!((queue.len(), queue.dropped()), (4, 1));
    push(&mut queue, id(2), Change::End, "end 2"); // all of 2 goes, this end too
    assert_eq!((queue.len(), queue.dropped()), (3, 3));
    push(&mut queue, id(3), Change::End, "end 3");
    queue.rewind();
    assert_eq!(rest(&mut queue), ["begin 1", "end 1", "begin 3", "end 3"]);
}

/// A disk as the queue imagines it.
#[derive(Default)]
struct Disk {
    rows: BTreeMap<i64, (Ulid, Change, Arc<[u8]>)>,
    ever: Vec<(Ulid, String)>,
}

impl Disk {
    /// Does what is to be done, as the spool would.
    fn serve(&mut self, queue: &mut EventQueue, most: usize) {
        let read = queue.to_read().into_iter();
        queue.read(read.map(|e| (e.number, self.rows.get(&e.row).map(|r| r.2.to_vec()))).collect());
        for row in queue.take_obsolete() {
            assert!(self.rows.remove(&row).is_some(), "row {row} deleted twice, or never written");
        }
        let first = self.rows.last_key_value().map_or(1, |(row, _)| row + 1);
        let events = queue.unwritten(most);
        for (row, event) in (first..).zip(&events) {
            self.ever.push((event.id, String::from_utf8_lossy(&event.payload).into_owned()));
            self.rows.insert(row, (event.id, event.change, Arc::clone(&event.payload)));
        }
        queue.written(&events, first);
    }

    fn stored(&self) -> Vec<Stored> {
        let stored = |(&row, (id, change, payload)): (&i64, &(Ulid, Change, Arc<[u8]>))| Stored {
            row,
            id: *id,
            change: *change,
            time: 0,
            length: payload.len(),
        };
        self.rows.iter().map(stored).collect()
    }

    /// A new queue after a crash; the ends of what was open are as the payload `"end"`.
    fn restart(&self) -> EventQueue {
        let mut queue = spooled();
        let mut open: Vec<Ulid> = Vec::new();
        for stored in self.stored() {
            open.retain(|id| *id != stored.id);
            open.extend((stored.change != Change::End).then_some(stored.id));
        }
        let closing = |id| Closing { id, time: 0, payload: b"end".to_vec() };
        let ends = open.into_iter().map(closing).collect();
        queue.restore(self.stored(), ends, 2, Duration::ZERO, |_| Duration::ZERO);
        queue
    }
}

fn spooled() -> EventQueue {
    let mut queue = EventQueue::new(LIMITS);
    queue.require_disk(true);
    queue
}

/// What happens to a box.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Event(usize, bool),
    Send,
    Acknowledge(usize),
    Rewind,
    /// The disk takes at most so many.
    Serve(usize),
    Crash,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => (0_usize..4, prop::bool::weighted(0.3)).prop_map(|(slot, ends)| Fate::Event(slot, ends)),
        6 => Just(Fate::Send),
        4 => (0_usize..4).prop_map(Fate::Acknowledge),
        1 => Just(Fate::Rewind),
        6 => (0_usize..4).prop_map(Fate::Serve),
        1 => Just(Fate::Crash),
    ]
}

proptest! {
    /// A subscriber that drops repeats hears every occurrence that it heard of from its beginning to its end, each
    /// event once and in order, whatever crashes; and a disk that did its work holds nothing more in the end.
    #[test]
    fn crashes_lose_nothing_that_was_written_and_close_what_was_open(
        fates in prop::collection::vec(fate(), 0..200),
    ) {
        let mut queue = spooled();
        let mut disk = Disk::default();
        let mut open = [None::<(Ulid, usize)>; 4];
        let mut ids = 1_u128..;
        let mut on_its_way: Vec<i64> = Vec::new();
        let mut heard: Vec<(Ulid, String)> = Vec::new();
        let mut hear = |queue: &mut EventQueue| {
            let (number, payload) = queue.send_next()?;
            let payload = String::from_utf8(payload.to_vec()).unwrap();
            let id = queue.entries[&number].id;
            if !heard.contains(&(id, payload.clone())) {
                heard.push((id, payload));
            }
            Some(number)
        };
        for fate in fates.into_iter().chain([Fate::Crash]) {
            match fate {
                Fate::Event(slot, ends) => {
                    let (id, place, change) = match open[slot] {
                        None => (Ulid::from(ids.next().unwrap()), 0, Change::Begin),
                        Some((id, place)) => (id, place, if ends { Change::End } else { Change::Update }),
                    };
                    open[slot] = (change != Change::End).then_some((id, place + 1));
                    let payload = if change == Change::End { "end".to_owned() } else { place.to_string() };
                    push(&mut queue, id, change, &payload);
                }
                Fate::Send => on_its_way.extend(hear(&mut queue)),
                Fate::Acknowledge(which) => {
                    if which < on_its_way.len() {
                        prop_assert!(queue.acknowledge(on_its_way.remove(which)));
                    }
                }
                Fate::Rewind => {
                    queue.rewind();
                    on_its_way.clear();
                }
                Fate::Serve(most) => disk.serve(&mut queue, most),
                Fate::Crash => {
                    queue = disk.restart();
                    on_its_way.clear();
                    open = [None; 4];
                }
            }
        }
        while queue.len() > 0 {
            disk.serve(&mut queue, usize::MAX);
            if let Some(number) = hear(&mut queue) {
                queue.acknowledge(number);
            }
        }
        disk.serve(&mut queue, usize::MAX);
        prop_assert!(queue.entries.is_empty() && disk.rows.is_empty() && queue.known.is_empty());
        prop_assert_eq!(queue.dropped(), 0);
        prop_assert!(disk.ever.iter().all(|event| heard.contains(event)));
        let mut told: BTreeMap<Ulid, Vec<&str>> = BTreeMap::new();
        for (id, payload) in &heard {
            told.entry(*id).or_default().push(payload);
        }
        for (id, payloads) in told {
            let updates = payloads.len() - 1;
            let expected: Vec<_> = (0..updates).map(|n| n.to_string()).chain(["end".to_owned()]).collect();
            prop_assert_eq!(payloads, expected, "{}", id);
        }
    }
}

#[test]
fn beyond_what_memory_holds_payloads_come_back_from_disk_in_order() {
    let mut queue = EventQueue::new(Limits { events: 10_000, ..LIMITS });
    queue.require_disk(true);
    let mut disk = Disk::default();
    for n in 0..5_000 {
        push(&mut queue, id(n), Change::Begin, &n.to_string());
        if n % 100 == 0 {
            assert!(queue.send_next().is_none_or(|(_, payload)| payload.len() == 1), "only what is on disk");
            queue.rewind();
            disk.serve(&mut queue, usize::MAX);
        }
    }
    disk.serve(&mut queue, usize::MAX);
    assert_eq!((queue.len(), queue.dropped()), (5_000, 0));
    assert!(queue.resident < 1_000, "{} in memory", queue.resident);
    for n in 0..5_000 {
        let (number, payload) = queue.send_next().unwrap_or_else(|| {
            assert!(queue.is_starved());
            disk.serve(&mut queue, usize::MAX);
            queue.send_next().unwrap()
        });
        assert_eq!(payload[..], *n.to_string().as_bytes());
        assert!(queue.acknowledge(number));
        assert!(queue.resident < 1_000, "{} in memory", queue.resident);
    }
}

#[test]
fn a_disk_that_takes_nothing_leaves_the_bound_for_memory() {
    let mut queue = EventQueue::new(Limits { volatile: 10, ..LIMITS });
    let mut disk = Disk::default();
    for n in 0..50 {
        push(&mut queue, id(n), Change::Begin, "x");
        push(&mut queue, id(n), Change::End, "x");
        disk.serve(&mut queue, usize::MAX);
    }
    assert_eq!((queue.len(), queue.dropped()), (100, 0));
    for n in 50..100 {
        push(&mut queue, id(n), Change::Begin, "x");
        push(&mut queue, id(n), Change::End, "x");
    }
    // What is on disk stays, of what is not the last five occurrences.
    assert_eq!((queue.len(), queue.dropped()), (110, 90));
    assert_eq!(queue.unwritten(usize::MAX).first().unwrap().id, id(95));
}

#[test]
fn a_bound_for_bytes_holds_too() {
    let mut queue = EventQueue::new(Limits { bytes: 100, ..LIMITS });
    for n in 0..30 {
        push(&mut queue, id(n), Change::Begin, "0123456789");
    }
    assert_eq!((queue.len(), queue.dropped()), (10, 20));
}

#[test]
fn what_is_too_old_goes_but_ends_of_what_was_told() {
    let mut queue = queue(100);
    let at = |queue: &mut EventQueue, n, change, seconds| {
        queue.push(id(n), change, 0, Duration::from_secs(seconds), b"x".to_vec());
    };
    at(&mut queue, 1, Change::Begin, 0);
    assert!(queue.send_next().is_some());
    at(&mut queue, 1, Change::Update, 1);
    at(&mut queue, 1, Change::End, 2);
    at(&mut queue, 2, Change::Begin, 3);
    at(&mut queue, 3, Change::Begin, 30);
    at(&mut queue, 2, Change::End, 40);
    queue.expire(Duration::from_secs(60));
    assert_eq!((queue.len(), queue.expired()), (6, 0));
    queue.expire(Duration::from_secs(80));
    let left: Vec<_> = queue.entries.values().map(|e| (e.id, e.change)).collect();
    assert_eq!(left, [(id(1), Change::Begin), (id(1), Change::End), (id(3), Change::Begin)]);
    assert_eq!((queue.expired(), queue.dropped()), (3, 0));
}

#[test]
fn a_new_file_gets_what_is_in_memory_and_the_rest_is_counted() {
    let mut queue = spooled();
    let mut disk = Disk::default();
    for n in 0..800 {
        push(&mut queue, id(n), Change::Begin, "x");
        disk.serve(&mut queue, usize::MAX);
    }
    let resident = queue.resident;
    assert!(resident < 800);
    assert_eq!(queue.reconcile(&HashSet::new()), 800 - resident);
    assert_eq!((queue.len(), queue.dropped() as usize), (resident, 800 - resident));
    let mut disk = Disk::default();
    disk.serve(&mut queue, usize::MAX);
    assert_eq!((disk.rows.len(), queue.waiting.volatile), (resident, 0));
    // The same file again changes nothing.
    assert_eq!(queue.reconcile(&disk.rows.keys().copied().collect()), 0);
    disk.serve(&mut queue, usize::MAX);
    assert_eq!((disk.rows.len(), queue.len()), (resident, resident));
}
