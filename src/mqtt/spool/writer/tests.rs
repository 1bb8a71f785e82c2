//! The spool on real files, without its thread: a test does step by step what the thread would.

use std::path::Path;

use jiff::Timestamp;
use proptest::prelude::*;
use rusqlite::Connection;
use ulid::Ulid;

use super::*;
use crate::clock::ManualClock;
use crate::event::{ActionEvent, Change};
use crate::mqtt::outbox::{Kind, Outbox, Room};
use crate::mqtt::payload::{Origin, event_json, to_json};
use crate::mqtt::queue::Limits;
use crate::mqtt::topic::Topics;

const DAY: Duration = Duration::from_secs(86_400);
const ROOM: Room = Room { acknowledged: true, unacknowledged: true };

/// A daemon's outbox and spool.
struct Daemon {
    shared: Arc<Shared>,
    writer: Writer,
}

impl Daemon {
    fn start(path: &Path) -> Self {
        Self::at(path, "2026-11-25T00:00:00Z")
    }

    fn at(path: &Path, time: &str) -> Self {
        let origin = Origin { node: "dock-3".into(), pack: "nano@1".into(), vocabulary: "9f31c2d4".into() };
        let limits = Limits { volatile: 10, events: 10_000, bytes: 10_000_000, age: DAY };
        let outbox = Outbox::new(Topics::new("watchword", "dock-3"), origin, limits);
        let clock = Arc::new(ManualClock::new(Duration::from_secs(5), time.parse().unwrap()));
        let shared = Arc::new(Shared::new(outbox, clock));
        shared.outbox().spooled(SpoolState::Opening);
        let mut writer = Writer::new(path.to_owned(), Arc::clone(&shared));
        assert!(!shared.outbox().is_delivered(), "nobody knows yet what waits");
        writer.open();
        Self { shared, writer }
    }

    fn event(&self, id: u128, change: Change) {
        let event = event(id, change);
        let mut outbox = self.shared.outbox();
        let payload = to_json(&event_json(&event, &outbox.origin, 212));
        outbox.events.push(event.id, change, event.time.as_millisecond(), Duration::from_secs(5), payload);
    }

    /// What a connection gets now: each event's number for the acknowledgement, id and JSON.
    fn sent(&mut self) -> Vec<(Kind, u128, serde_json::Value)> {
        let mut sent = Vec::new();
        loop {
            self.writer.work();
            let before = sent.len();
            while let Some(message) = self.shared.next(ROOM) {
                if message.topic.ends_with("/events") {
                    let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
                    let id: Ulid = event["id"].as_str().unwrap().parse().unwrap();
                    sent.push((message.kind, id.into(), event));
                }
            }
            if sent.len() == before && !self.shared.outbox().events.is_starved() {
                return sent;
            }
        }
    }

    /// As `sent`, as text: `begin 1`; all of it is acknowledged.
    fn deliver(&mut self) -> Vec<String> {
        let sent = self.sent();
        sent.iter().for_each(|(kind, ..)| self.shared.acknowledge(*kind));
        self.writer.work();
        sent.iter().map(|(_, id, event)| format!("{} {id}", event["type"].as_str().unwrap())).collect()
    }

    fn state(&self) -> SpoolState {
        self.shared.outbox().counters().spool
    }

    /// Tries again at once what would be tried again in a while.
    fn retry(&mut self) {
        self.writer.retry = Instant::now();
        self.writer.work();
    }
}

fn event(id: u128, change: Change) -> ActionEvent {
    let time: Timestamp = "2026-11-24T23:59:00.960Z".parse().unwrap();
    ActionEvent {
        id: id.into(),
        change,
        camera: "gate".into(),
        track: 17,
        action: "climbing_fence".into(),
        label: "climbing over a fence".into(),
        score: 0.87,
        peak_score: 0.91,
        rect: [0.41, 0.22, 0.55, 0.93],
        zones: vec!["perimeter".into()],
        begin: time,
        time,
        end: None,
        reason: None,
        provisional: false,
        captured: Duration::ZERO,
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with("-wal"))
        .collect();
    names.sort();
    names
}

#[test]
fn nothing_is_offered_before_it_is_on_disk_and_nothing_stays_after_its_acknowledgement() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/spool.db");
    let mut daemon = Daemon::start(&path);
    daemon.event(1, Change::Begin);
    assert!(daemon.shared.next(ROOM).is_none());
    assert_eq!(daemon.deliver(), ["begin 1"]);
    daemon.event(1, Change::End);
    assert_eq!(daemon.deliver(), ["end 1"]);
    drop(daemon);
    let rows: i64 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM event", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 0);
}

#[test]
fn a_crash_repeats_what_was_under_way_and_ends_what_was_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    let mut daemon = Daemon::start(&path);
    daemon.event(1, Change::Begin);
    assert_eq!(daemon.deliver(), ["begin 1"]);
    daemon.event(2, Change::Begin);
    daemon.event(2, Change::End);
    daemon.event(1, Change::Update);
    assert_eq!(daemon.sent().len(), 3);
    daemon.event(3, Change::Begin); // never written
    drop(daemon);

    let mut daemon = Daemon::start(&path);
    daemon.event(4, Change::Begin);
    let sent = daemon.sent();
    let told: Vec<_> = sent.iter().map(|(_, id, event)| (event["type"].as_str().unwrap(), *id)).collect();
    assert_eq!(told, [("begin", 2), ("end", 2), ("update", 1), ("end", 1), ("begin", 4)]);
    let end = &sent[3].2;
    assert_eq!(
        (end["reason"].as_str(), end["end"].as_str()),
        (Some("restart"), Some("2026-11-24T23:59:00.960Z"))
    );
    assert_eq!(daemon.deliver(), [""; 0], "all of it is on its way");
    drop(daemon);

    // Once more: the end of 1 is on disk now, and not made again.
    let mut daemon = Daemon::start(&path);
    assert_eq!(daemon.deliver(), ["begin 2", "end 2", "update 1", "end 1", "begin 4", "end 4"]);
    drop(daemon);
    assert_eq!(Daemon::start(&path).deliver(), [""; 0]);
}

#[test]
fn an_occurrence_acknowledged_and_open_is_ended_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    let mut daemon = Daemon::start(&path);
    daemon.event(1, Change::Begin);
    daemon.deliver();
    daemon.event(1, Change::Update);
    daemon.deliver();
    daemon.event(2, Change::Begin);
    daemon.deliver();
    drop(daemon);
    let mut daemon = Daemon::start(&path);
    // Its latest event once more, as the contract allows.
    assert_eq!(daemon.deliver(), ["update 1", "begin 2", "end 1", "end 2"]);
    let level = daemon.shared.outbox().levels.is_told();
    assert!(level, "OFF was told");
    drop(daemon);
    assert_eq!(Daemon::start(&path).deliver(), [""; 0]);
}

#[test]
fn a_full_disk_leaves_the_bound_for_memory_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    let mut daemon = Daemon::start(&path);
    for n in 1..=20 {
        daemon.event(n, Change::Begin);
        daemon.writer.work();
    }
    daemon.writer.file.as_ref().unwrap().limit(1);
    for n in 1..=20 {
        daemon.event(n, Change::End);
        daemon.retry();
    }
    assert_eq!(daemon.state(), SpoolState::Full);
    let counters = daemon.shared.outbox().counters();
    assert_eq!(counters.queued + counters.dropped as usize, 40);
    assert!(
        counters.dropped > 0 && counters.queued >= 30,
        "{counters:?}: what fitted into the last page is on disk"
    );
    daemon.writer.file.as_ref().unwrap().limit(1_000);
    daemon.retry();
    assert_eq!(daemon.state(), SpoolState::Ok);
    drop(daemon);
    assert_eq!(Daemon::start(&path).deliver().len(), 40, "the ends that are missing are made");
}

#[test]
fn a_full_disk_does_not_hold_up_what_is_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    let mut daemon = Daemon::start(&path);
    daemon.writer.file.as_ref().unwrap().limit(1);
    for n in 1..=9 {
        daemon.event(n, Change::Begin);
        daemon.event(n + 100, Change::Begin);
        daemon.writer.work();
        if daemon.state() == SpoolState::Full {
            break;
        }
    }
    let delivered = daemon.deliver();
    assert_eq!(
        (delivered.len() % 2, delivered.last().unwrap().len()),
        (0, "begin 10x".len()),
        "{delivered:?}"
    );
    assert_eq!(daemon.state(), SpoolState::Full);
}

#[test]
fn a_file_that_may_not_be_written_is_named_so_and_used_once_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    let mut daemon = Daemon::start(&path);
    daemon.event(1, Change::Begin);
    daemon.event(1, Change::End);
    daemon.writer.work();
    drop(daemon);

    let mut daemon = Daemon::start(&path);
    daemon.writer.file.as_ref().unwrap().forbid(true);
    daemon.event(2, Change::Begin);
    assert_eq!(daemon.sent().len(), 3, "what is on disk can be read, what is not is in memory");
    assert_eq!(daemon.state(), SpoolState::ReadOnly);
    daemon.writer.file.as_ref().unwrap().forbid(false);
    daemon.retry();
    assert_eq!(daemon.state(), SpoolState::Ok);
}

#[test]
fn a_folder_that_comes_late_is_used_when_it_comes_and_what_lies_in_it_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let (away, path) = (folder.path().join("away"), folder.path().join("mnt/spool.db"));
    let mut daemon = Daemon::start(&path);
    daemon.event(1, Change::Begin);
    daemon.event(1, Change::End);
    daemon.writer.work();
    drop(daemon);
    std::fs::rename(path.parent().unwrap(), &away).unwrap();
    std::fs::write(path.parent().unwrap(), "not a folder").unwrap();

    let mut daemon = Daemon::start(&path);
    assert_eq!(daemon.state(), SpoolState::Failed);
    daemon.event(2, Change::Begin);
    assert_eq!(daemon.deliver(), ["begin 2"], "from memory");
    daemon.event(2, Change::Update);
    std::fs::remove_file(path.parent().unwrap()).unwrap();
    std::fs::rename(&away, path.parent().unwrap()).unwrap();
    daemon.retry();
    assert_eq!(daemon.state(), SpoolState::Ok);
    assert_eq!(daemon.deliver(), ["begin 1", "end 1", "update 2"]);
}

#[test]
fn a_second_daemon_is_kept_out_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    let mut first = Daemon::start(&path);
    first.event(1, Change::Begin);
    first.writer.work();
    let mut second = Daemon::start(&path);
    assert_eq!(second.state(), SpoolState::Failed);
    drop(first);
    second.retry();
    assert_eq!(second.deliver(), ["begin 1", "end 1"]);
}

#[test]
fn a_damaged_file_is_set_aside_and_what_can_be_read_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    let mut daemon = Daemon::start(&path);
    for n in 1..=400 {
        daemon.event(n, Change::Begin);
        daemon.event(n, Change::End);
        daemon.writer.work();
    }
    drop(daemon); // the log is merged into the file
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    std::fs::write(&path, &bytes).unwrap();

    let mut daemon = Daemon::start(&path);
    let saved = daemon.deliver();
    assert!(saved.len() > 200 && saved.len() < 800, "{}", saved.len());
    assert_eq!(saved[..4], ["begin 1", "end 1", "begin 2", "end 2"]);
    assert_eq!(files(folder.path()), ["spool.db", "spool.db.corrupt-20261125T000000Z"]);
    assert_eq!(std::fs::read(folder.path().join("spool.db.corrupt-20261125T000000Z")).unwrap(), bytes);
    assert_eq!(daemon.state(), SpoolState::Ok);
}

#[test]
fn a_file_damaged_under_a_running_daemon_costs_only_what_is_not_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    let mut daemon = Daemon::start(&path);
    for n in 1..=50 {
        daemon.event(n, Change::Begin);
        daemon.writer.work();
    }
    daemon.writer.begin_anew(&DatabaseError::Corrupt("as a test says".into()));
    daemon.event(1, Change::End);
    daemon.writer.work();
    drop(daemon);
    let delivered = Daemon::start(&path).deliver();
    assert_eq!(delivered.len(), 100);
    assert_eq!((delivered[0].as_str(), delivered[50].as_str()), ("begin 1", "end 1"));
}

#[test]
fn nonsense_in_place_of_the_file_is_set_aside() {
    for nonsense in [&b"these are no events, and this is no database at all"[..], &[0; 8192]] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool.db");
        std::fs::write(&path, nonsense).unwrap();
        let mut daemon = Daemon::start(&path);
        assert_eq!(daemon.state(), SpoolState::Ok);
        daemon.event(1, Change::Begin);
        assert_eq!(daemon.deliver(), ["begin 1"]);
        let aside = folder.path().join("spool.db.corrupt-20261125T000000Z");
        assert_eq!(std::fs::read(aside).unwrap(), nonsense);
    }
}

#[test]
fn another_programs_database_is_left_alone_and_a_newer_ones_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE recipe (name TEXT)").unwrap();
    let before = std::fs::read(&path).unwrap();
    let mut daemon = Daemon::start(&path);
    daemon.event(1, Change::Begin);
    assert_eq!((daemon.state(), daemon.deliver().len()), (SpoolState::Failed, 1));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(files(folder.path()), ["theirs.db"]);

    let path = folder.path().join("newer.db");
    drop(Daemon::start(&path));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    assert_eq!(Daemon::start(&path).state(), SpoolState::Ok);
    assert_eq!(files(folder.path()), ["newer.db", "newer.db.newer-20261125T000000Z", "theirs.db"]);
}

#[test]
fn what_lay_too_long_goes_unless_the_clock_was_never_set() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    let mut daemon = Daemon::start(&path);
    for n in 1..=15 {
        daemon.event(n, Change::Begin);
        daemon.event(n, Change::End);
        daemon.writer.work();
    }
    drop(daemon);
    // Of the first 20 a broker may know, and they stay.
    for (time, expired) in [
        ("1970-01-01T00:01:00Z", 0),
        ("2060-01-01T00:00:00Z", 0),
        ("2026-11-25T23:00:00Z", 0),
        ("2026-11-26T00:00:00Z", 10),
    ] {
        let daemon = Daemon::at(&path, time);
        daemon.shared.outbox().connected(Duration::from_secs(6));
        assert_eq!(daemon.shared.outbox().counters().expired, expired, "{time}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Rows from anywhere are events or an error, and never another event than was written.
    #[test]
    fn rows_are_what_was_written_or_nothing(
        id in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20),
            (0_u128..4).prop_map(|id| id.to_be_bytes().to_vec()),
        ],
        change in -2_i64..5,
        payload in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..100),
            (0_u128..4, 0..900_usize, any::<u8>()).prop_map(|(id, at, byte)| {
                let origin = Origin { node: "n".into(), pack: "p".into(), vocabulary: "v".into() };
                let mut json = to_json(&event_json(&event(id, Change::Begin), &origin, 0));
                if let Some(place) = json.get_mut(at) {
                    *place = byte;
                }
                json
            }),
        ],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool.db");
        drop(File::open(&path).unwrap());
        Connection::open(&path)
            .unwrap()
            .execute("INSERT INTO event VALUES (7, ?1, ?2, 0, ?3)", (&id, change, &payload))
            .unwrap();
        match File::open(&path) {
            Ok((file, stored)) => {
                prop_assert_eq!(&stored[0].id.to_bytes()[..], &id[..]);
                prop_assert_eq!(super::super::record::code(stored[0].change), change);
                if let Ok(read) = file.read(7, stored[0].id, stored[0].change) {
                    prop_assert_eq!(read, Some(payload.clone()));
                    prop_assert!(restart_end(&payload).is_some());
                }
            }
            Err(error) => prop_assert!(
                matches!(error, DatabaseError::Corrupt(_)) && (id.len() != 16 || !(0..3).contains(&change)),
                "{}", error
            ),
        }
        // Whatever it was, the daemon goes on, and sends nothing but events.
        let mut daemon = Daemon::start(&path);
        daemon.event(1, Change::Begin);
        prop_assert!(daemon.sent().len() <= 3);
        prop_assert_eq!(daemon.state(), SpoolState::Ok);
    }
}
