//! `watchword fleet-sim`: the publishing of many boxes from one process, against a broker of one's own.
//!
//! Every node is the daemon's own client, outbox and, if wanted, spool; only what it sees is made up.

mod consumer;
mod summary;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use rustix::process::{Resource, getrlimit, setrlimit};
use ulid::Ulid;

use self::consumer::Consumers;
use self::summary::{NodeSummary, Summary};
use super::interrupt::stop_on_signals;
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::event::{ActionEvent, Change};
use crate::mqtt::{Mqtt, Origin, Publisher, SpoolState};

/// Publish as a fleet of boxes would, to try a broker
#[derive(clap::Args)]
pub struct Args {
    /// How many boxes
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    nodes: u32,
    /// Events of each box: begin, two updates, end, and again
    #[arg(long, default_value_t = 60.0)]
    events_per_minute: f64,
    /// The broker, HOST:PORT
    #[arg(long, default_value = "127.0.0.1:1883")]
    broker: String,
    /// How long to make events
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// Then everything has this long to be acknowledged
    #[arg(long, default_value_t = 60.0)]
    patience: f64,
    /// Folder for each node's spool; without it events wait in memory
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Subscribe too, and check that nothing is lost or out of order
    #[arg(long)]
    verify: bool,
    /// With --verify: so many consumers share the subscription ($share/..), and drop repeats together
    #[arg(long, default_value_t = 1)]
    consumers: usize,
    /// Print the summary as JSON, with every node
    #[arg(long)]
    json: bool,
}

/// What names one event for a receiver (the MQTT contract): occurrence, type, time in milliseconds.
pub(super) type Key = (Ulid, Change, i64);

/// One simulated box.
struct Node {
    name: String,
    publisher: Publisher,
    mqtt: Mqtt,
    /// When the next event is due.
    due: Instant,
    occurrence: Option<(Ulid, Timestamp, u32)>,
    /// What was published, and when.
    published: Vec<(Key, Instant)>,
}

/// Runs the fleet.
pub fn run(args: Args) -> anyhow::Result<()> {
    ensure!(
        args.events_per_minute > 0.0 && args.events_per_minute <= 60_000.0,
        "--events-per-minute: give a number above 0 and at most 60000"
    );
    ensure!(args.consumers >= 1, "--consumers: give 1 or more");
    let (host, port) = args.broker.rsplit_once(':').context("--broker: give HOST:PORT")?;
    let port: u16 = port.parse().context("--broker: the port is no number from 0 to 65535")?;
    raise_file_limit();
    let stop = stop_on_signals()?;
    let base = "watchword-sim";
    let consumers = match args.verify {
        true => Some(Consumers::start(host.trim_matches(['[', ']']), port, base, args.consumers)?),
        false => None,
    };

    let interval = Duration::from_secs_f64(60.0 / args.events_per_minute);
    let started = Instant::now();
    let mut nodes = Vec::new();
    for index in 0..args.nodes {
        let name = format!("sim-{index:04}");
        let mut settings = config::Mqtt {
            host: host.to_owned(),
            port: Some(port),
            base_topic: base.into(),
            ..config::Mqtt::default()
        };
        settings.spool.path = args.spool.as_ref().map(|folder| folder.join(format!("{name}.db")));
        let origin = Origin { node: name.clone(), pack: "sim@1".into(), vocabulary: "00000000".into() };
        let (publisher, mqtt) = Mqtt::start(&settings, origin, Arc::new(SystemClock))?;
        // Spread over the interval, as boxes are.
        let due = started + interval.mul_f64(f64::from(index) / f64::from(args.nodes));
        nodes.push(Node { name, publisher, mqtt, due, occurrence: None, published: Vec::new() });
    }

    let end = started + Duration::from_secs_f64(args.seconds);
    while Instant::now() < end && !stop.is_set() {
        let now = Instant::now();
        for node in nodes.iter_mut().filter(|node| node.due <= now) {
            node.publish();
            node.due += interval;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    for node in &mut nodes {
        while node.occurrence.is_some() {
            node.publish();
        }
    }
    let made = started.elapsed();

    // Together: each one's farewell would wait for the one before.
    let patience = Instant::now() + Duration::from_secs_f64(args.patience);
    let is_busy = |node: &Node| {
        let counters = node.publisher.counters();
        counters.queued > 0 || counters.spool == SpoolState::Opening
    };
    while Instant::now() < patience && nodes.iter().any(is_busy) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let drained = started.elapsed();
    let received = consumers.map(|c| c.finish(nodes.iter().map(|n| n.published.len()).sum(), patience));
    let mut each = Vec::new();
    for node in nodes {
        let counters = node.publisher.counters();
        node.mqtt.shutdown(Duration::from_secs(1));
        each.push(NodeSummary::new(&node.name, &node.published, counters, received.as_ref()));
    }
    let disk_bytes = args.spool.and_then(|_| disk_bytes());
    let summary = Summary::new(each, made, drained, disk_bytes, received.as_ref());
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        summary.print();
    }
    ensure!(summary.is_complete(), "events were lost, dropped or out of order; the numbers say which");
    Ok(())
}

impl Node {
    fn publish(&mut self) {
        let now = SystemClock.now();
        let (id, begin, step) = self.occurrence.unwrap_or_else(|| {
            let milliseconds = u64::try_from(now.utc.as_millisecond()).unwrap_or(0);
            (Ulid::from_parts(milliseconds, rand::random()), now.utc, 0)
        });
        let change = match step {
            0 => Change::Begin,
            1 | 2 => Change::Update,
            _ => Change::End,
        };
        self.occurrence = (change != Change::End).then_some((id, begin, step + 1));
        // Two events of one millisecond would be one to a receiver that drops repeats.
        let time = begin.max(now.utc).as_millisecond() + i64::from(step);
        let time = Timestamp::from_millisecond(time).unwrap_or(now.utc);
        let event = ActionEvent {
            id,
            change,
            camera: "gate".into(),
            track: 17,
            action: "climbing_fence".into(),
            label: "climbing over a fence".into(),
            score: 0.87,
            peak_score: 0.91,
            rect: [0.41, 0.22, 0.55, 0.93],
            zones: vec!["perimeter".into()],
            begin,
            time,
            end: (change == Change::End).then_some(time),
            reason: None,
            provisional: false,
            captured: now.monotonic,
        };
        self.published.push(((id, change, time.as_millisecond()), Instant::now()));
        self.publisher.event(&event);
    }
}

/// A node needs a socket, an event loop and a spool of two files; the usual limit of 1024 open files is too low.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    _ = setrlimit(Resource::Nofile, limit);
}

/// What this process has caused to be written to block devices: `write_bytes` of proc(5).
fn disk_bytes() -> Option<u64> {
    let io = std::fs::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.parse().ok()
}
