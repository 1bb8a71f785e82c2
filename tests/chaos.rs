//! The worst night: cut lines, killed brokers, killed daemons, full disks. What was on disk arrives, in order, and
//! nothing arrives that a receiver would not drop as a repeat.
//!
//! The long form of the first two, an hour of it: `cargo test --release --test chaos -- --ignored`.

#[path = "common/broker.rs"]
mod broker;
mod common;
#[path = "common/proxy.rs"]
mod proxy;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use broker::{
    Killed, Mosquitto, PATIENCE, Seen, Subscriber, example, need_mosquitto, publish, settings, start, until,
};
use common::watchword;
use proxy::{Proxy, Weather};
use rustix::process::Signal;
use ulid::Ulid;
use watchword::config;
use watchword::event::{ActionEvent, Change, Reason};
use watchword::mqtt::SpoolState;

const PERSISTENT: &str = "allow_anonymous true\npersistence true\npersistence_location {folder}/\n\
                          max_inflight_messages 0\n";

/// What names an event for a receiver: occurrence, type, time.
type Key = (String, String, String);

fn key(seen: &Seen) -> Key {
    let event = seen.json();
    let text = |field: &str| event[field].as_str().unwrap().to_owned();
    (text("id"), text("type"), text("time"))
}

fn is_event(seen: &Seen) -> bool {
    seen.topic.ends_with("/events")
}

/// Event `n` of occurrences of four events each, at times of their own.
fn step(n: usize) -> ActionEvent {
    let change = [Change::Begin, Change::Update, Change::Update, Change::End][n % 4];
    let time = example().time + Duration::from_millis(n as u64);
    let end = (change == Change::End).then_some(time);
    ActionEvent { id: Ulid::from((n / 4) as u128 + 1), change, time, end, ..example() }
}

/// First arrivals, in order; a repeat must be the same message again.
fn without_repeats(seen: impl IntoIterator<Item = Seen>) -> (Vec<Key>, usize) {
    let mut known: HashMap<Key, String> = HashMap::new();
    let (mut order, mut repeats) = (Vec::new(), 0);
    for seen in seen.into_iter().filter(is_event) {
        let key = key(&seen);
        match known.get(&key) {
            Some(first) => {
                assert_eq!(*first, seen.payload);
                repeats += 1;
            }
            None => {
                known.insert(key.clone(), seen.payload);
                order.push(key);
            }
        }
    }
    (order, repeats)
}

fn through_cuts(events: usize, cuts: usize) {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start("allow_anonymous true\nmax_inflight_messages 0\n");
    let proxy = Proxy::before(broker.port);
    let subscriber = Subscriber::start(broker.port, &[]);
    let mut settings = config::Mqtt { keep_alive: config::Span::from_secs_f64(5.0), ..settings(proxy.port) };
    settings.spool.path = Some(folder.path().join("spool.db"));
    let (publisher, mqtt) = start(&settings);
    let share = events / cuts;
    for cut in 0..cuts {
        // Some weather for the second half of each share, so that the line breaks with much under way.
        let slow = Weather { bytes: 2_048, delay: Duration::from_millis(1) };
        proxy.set(
            [Weather::FAIR, slow, Weather { delay: Duration::from_millis(5), ..Weather::FAIR }][cut % 3],
        );
        (cut * share..(cut + 1) * share).for_each(|n| publisher.event(&step(n)));
        let enough = (cut * share + share / 2) as u64;
        until("half of it is through", || publisher.counters().acked >= enough);
        match cut % 4 {
            0 | 1 => proxy.cut(),
            2 => proxy.close_to_client(),
            _ => proxy.close_to_broker(),
        }
    }
    proxy.set(Weather::FAIR);
    until("all is acknowledged", || publisher.counters().queued == 0);
    let counters = publisher.counters();
    assert_eq!((counters.acked, counters.dropped, counters.spool), (events as u64, 0, SpoolState::Ok));
    assert_eq!(mqtt.shutdown(PATIENCE), 0);
    publish(broker.port, "after", "x", &["-q", "1"]);
    let (order, repeats) = without_repeats(subscriber.up_to(|seen| seen.topic == "after"));
    assert_eq!(order.len(), events);
    for (n, (id, _, _)) in order.iter().enumerate() {
        assert_eq!(*id, Ulid::from((n / 4) as u128 + 1).to_string(), "event {n} is out of order");
    }
    println!("{events} events, {cuts} cuts, {repeats} repeats");
    assert!(repeats <= cuts * 20, "{repeats} repeats: more than were ever under way");
}

#[test]
fn ten_thousand_events_through_fifty_cuts() {
    need_mosquitto!();
    through_cuts(10_000, 50);
}

#[test]
#[ignore = "half an hour"]
fn a_million_events_through_a_thousand_cuts() {
    need_mosquitto!();
    through_cuts(1_000_000, 1_000);
}

// ---- kill -9

/// Two boxes that publish to `port`, in a process of their own.
fn fleet(port: u16, spools: &Path, seconds: f64) -> Child {
    let broker = format!("127.0.0.1:{port}");
    watchword()
        .args(["fleet-sim", "--nodes", "2", "--events-per-minute", "3000", "--broker", &broker])
        .args(["--seconds", &seconds.to_string(), "--spool"])
        .arg(spools)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What is on disk, read from a copy, so that the files stay as the dead left them.
fn committed(spools: &Path) -> Vec<Key> {
    let copy = tempfile::tempdir().unwrap();
    let mut keys = Vec::new();
    for name in ["sim-0000.db", "sim-0001.db"] {
        for name in [name.to_owned(), format!("{name}-wal")] {
            _ = std::fs::copy(spools.join(&name), copy.path().join(&name));
        }
        let database = rusqlite::Connection::open(copy.path().join(name)).unwrap();
        let mut rows = database.prepare("SELECT payload FROM event").unwrap();
        let payloads = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        for payload in payloads {
            let payload = String::from_utf8(payload.unwrap()).unwrap();
            keys.push(key(&Seen { topic: String::new(), qos: 1, retained: false, payload }));
        }
    }
    keys
}

fn killed_in_every_order(rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let spools = folder.path();
    let mut broker = Mosquitto::start(PERSISTENT);
    let subscriber = Subscriber::start(broker.port, &["-c", "-i", "keeper"]);
    // The broker is to know its subscriber after a crash, too.
    broker.signal(Signal::USR1);
    until("the broker has saved itself", || broker.folder.path().join("mosquitto.db").exists());
    let mut seen: Vec<Seen> = Vec::new();
    let mut on_disk: HashSet<Key> = HashSet::new();
    let written = || {
        let written = |name| std::fs::metadata(spools.join(name)).and_then(|file| file.modified()).ok();
        (written("sim-0000.db-wal"), written("sim-0001.db-wal"))
    };
    let progress = |what: &str| {
        for _ in 0..20 {
            let before = written();
            until(what, || written() != before);
        }
    };
    let mut daemon = fleet(broker.port, spools, 3600.0);
    for round in 0..rounds {
        progress("something is written");
        let kill_daemon = |daemon: &mut Child, on_disk: &mut HashSet<Key>| {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
            on_disk.extend(committed(spools));
        };
        match round % 4 {
            0 => kill_daemon(&mut daemon, &mut on_disk),
            1 => {
                broker.kill();
                progress("something is written while the broker is away");
                kill_daemon(&mut daemon, &mut on_disk);
                broker.restart();
            }
            2 => {
                kill_daemon(&mut daemon, &mut on_disk);
                broker.kill();
                broker.restart();
            }
            _ => {
                broker.kill();
                progress("something is written while the broker is away");
                broker.restart();
                kill_daemon(&mut daemon, &mut on_disk);
            }
        }
        // The subscriber is back, so that the next murder of the broker takes nothing with it.
        let marker = format!("round-{round}");
        let mut back = false;
        let begun = Instant::now();
        while !back {
            assert!(begun.elapsed() < PATIENCE, "the subscriber did not come back");
            publish(broker.port, "marker", &marker, &["-q", "1"]);
            while let Ok(one) = subscriber.lines.recv_timeout(Duration::from_millis(200)) {
                back |= one.payload == marker;
                seen.push(one);
                if back {
                    break;
                }
            }
        }
        daemon = fleet(broker.port, spools, 3600.0);
    }
    progress("something is written");
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    on_disk.extend(committed(spools));
    // The last one makes nothing new, and delivers what is left.
    let mut last = Killed(fleet(broker.port, spools, 0.0));
    until("everything is delivered", || last.0.try_wait().unwrap().is_some());
    publish(broker.port, "after", "x", &["-q", "1"]);
    seen.extend(subscriber.up_to(|seen| seen.topic == "after"));

    for node in ["sim-0000", "sim-0001"] {
        let of_node = seen.iter().filter(|s| s.topic.contains(node)).cloned();
        let (order, repeats) = without_repeats(of_node);
        assert!(order.len() > rounds * 4, "{} events are no test", order.len());
        let mut occurrences: HashMap<&str, Vec<(&str, &str)>> = HashMap::new();
        for (id, change, time) in &order {
            occurrences.entry(id).or_default().push((change, time));
        }
        for (id, events) in &occurrences {
            let changes: Vec<_> = events.iter().map(|(change, _)| *change).collect();
            let whole = ["begin", "update", "update", "end"];
            let (last, before) = changes.split_last().unwrap();
            assert!(
                *last == "end" && before == &whole[..before.len()] && !before.is_empty(),
                "{id}: {changes:?}"
            );
            assert!(events.is_sorted_by_key(|(_, time)| *time), "{id}: {events:?}");
        }
        println!("{node}: {} events, {repeats} repeats, {rounds} murders", order.len());
    }
    let received: HashSet<Key> = seen.iter().filter(|s| is_event(s)).map(key).collect();
    let lost: Vec<_> = on_disk.difference(&received).collect();
    assert!(lost.is_empty(), "were on disk and never came: {lost:?}");
    assert_eq!(committed(spools), [], "nothing is left behind");
}

#[test]
fn broker_and_daemon_killed_in_every_order() {
    need_mosquitto!();
    killed_in_every_order(8);
}

#[test]
#[ignore = "half an hour"]
fn broker_and_daemon_killed_in_every_order_for_long() {
    need_mosquitto!();
    killed_in_every_order(500);
}

// ---- disks

/// A file system of its own in memory, where we may mount one.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(folder));
        }
        println!("skipped: only root may mount a small file system");
        None
    }

    fn remount(&self, how: &str) {
        let status =
            Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(self.0.path()).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_said_and_survived_and_used_again_when_there_is_room() {
    need_mosquitto!();
    let Some(disk) = Mount::new("1m") else { return };
    let folder = disk.0.path();
    let broker = Mosquitto::start("allow_anonymous true\n");
    let subscriber = Subscriber::start(broker.port, &[]);
    let mut settings = settings(broker.port);
    settings.spool.path = Some(folder.join("spool.db"));
    let (publisher, mqtt) = start(&settings);
    until("the spool is there", || folder.join("spool.db").exists());
    (0..4).for_each(|n| publisher.event(&step(n)));
    until("they are delivered", || publisher.counters().acked == 4);
    // Everything else on the disk grows.
    assert!(std::fs::write(folder.join("other"), vec![1; 2 << 20]).is_err());
    let mut n = 4;
    until("the disk is full", || {
        publisher.event(&step(n));
        n += 1;
        publisher.counters().spool == SpoolState::Full
    });
    (n..n + 100).for_each(|n| publisher.event(&step(n)));
    let all = n + 100;
    until("events go on", || publisher.counters().acked == all as u64);
    std::fs::remove_file(folder.join("other")).unwrap();
    until("the disk is used again", || publisher.counters().spool == SpoolState::Ok);
    publisher.event(&step(all));
    until("events go on", || publisher.counters().acked == all as u64 + 1);
    assert_eq!(mqtt.shutdown(PATIENCE), 0);
    publish(broker.port, "after", "x", &["-q", "1"]);
    let (order, _) = without_repeats(subscriber.up_to(|seen| seen.topic == "after"));
    assert_eq!(order.len(), all + 1);
    drop(disk);
}

#[test]
fn a_read_only_disk_is_said_and_used_once_it_is_writable() {
    let Some(disk) = Mount::new("1m") else { return };
    disk.remount("ro");
    let mut settings = settings(common::NOBODY);
    settings.spool.path = Some(disk.0.path().join("spool.db"));
    let (publisher, mqtt) = start(&settings);
    publisher.event(&step(0));
    publisher.event(&ActionEvent { reason: Some(Reason::Shutdown), ..step(3) });
    until("it is said", || publisher.counters().spool == SpoolState::ReadOnly);
    disk.remount("rw");
    until("it is used", || publisher.counters().spool == SpoolState::Ok);
    assert_eq!(mqtt.shutdown(Duration::from_millis(50)), 2);
    let database = rusqlite::Connection::open(disk.0.path().join("spool.db")).unwrap();
    let rows: i64 = database.query_row("SELECT count(*) FROM event", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2);
    drop(database);
}
