//! What became of the events: what was published held against what was received.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Key;
use super::consumer::Received;
use crate::mqtt::Counters;

/// Nodes that are printed; JSON has all.
const PRINTED: usize = 10;

/// The fleet.
#[derive(Serialize)]
pub(super) struct Summary {
    nodes: usize,
    /// Until the last event was made, and until the last was acknowledged.
    seconds: f64,
    drained_seconds: f64,
    published: usize,
    /// Handed to a connection, repeats counted again.
    sent: u64,
    acked: u64,
    dropped: u64,
    /// Not acknowledged at the end.
    waiting: usize,
    received: Option<usize>,
    /// What the consumers dropped as known.
    repeats: Option<u64>,
    lost: Option<usize>,
    /// Events that came before one that was published earlier by their node; null where consumers share.
    reordered: Option<usize>,
    /// From publishing to the consumer, milliseconds.
    latency_ms_p50: Option<f64>,
    latency_ms_p95: Option<f64>,
    latency_ms_max: Option<f64>,
    /// Written to disk by this process, by event; null without spools.
    disk_bytes_per_event: Option<f64>,
    each: Vec<NodeSummary>,
}

/// One node.
#[derive(Serialize)]
pub(super) struct NodeSummary {
    node: String,
    published: usize,
    sent: u64,
    acked: u64,
    dropped: u64,
    waiting: usize,
    received: Option<usize>,
    lost: Option<usize>,
    reordered: Option<usize>,
    latency_ms_p50: Option<f64>,
    #[serde(skip)]
    latencies: Vec<Duration>,
}

impl NodeSummary {
    pub fn new(
        name: &str,
        published: &[(Key, Instant)],
        counters: Counters,
        received: Option<&Received>,
    ) -> Self {
        let arrivals = received.map(|r| r.events.get(name).map_or(&[][..], Vec::as_slice));
        let places: HashMap<Key, (usize, Instant)> =
            published.iter().enumerate().map(|(place, (key, at))| (*key, (place, *at))).collect();
        let mut latencies = Vec::new();
        let (mut reordered, mut furthest) = (0, 0);
        let mut here = HashSet::new();
        // What an earlier run left in the spool is not among ours.
        for (key, at) in arrivals.unwrap_or_default() {
            let Some((place, since)) = places.get(key) else { continue };
            here.insert(*key);
            latencies.push(at.duration_since(*since));
            reordered += usize::from(*place < furthest);
            furthest = furthest.max(*place);
        }
        latencies.sort_unstable();
        Self {
            node: name.to_owned(),
            published: published.len(),
            sent: counters.sent,
            acked: counters.acked,
            dropped: counters.dropped + counters.expired,
            waiting: counters.queued,
            received: arrivals.map(|_| here.len()),
            lost: arrivals.map(|_| published.len() - here.len()),
            reordered: received.filter(|r| r.in_order).map(|_| reordered),
            latency_ms_p50: quantile(&latencies, 0.5),
            latencies,
        }
    }
}

impl Summary {
    pub fn new(
        each: Vec<NodeSummary>,
        made: Duration,
        drained: Duration,
        disk_bytes: Option<u64>,
        received: Option<&Received>,
    ) -> Self {
        let mut latencies: Vec<_> = each.iter().flat_map(|node| node.latencies.iter().copied()).collect();
        latencies.sort_unstable();
        let published = each.iter().map(|n| n.published).sum();
        let sum = |of: fn(&NodeSummary) -> Option<usize>| each.iter().map(of).sum();
        Self {
            nodes: each.len(),
            seconds: made.as_secs_f64(),
            drained_seconds: drained.as_secs_f64(),
            published,
            sent: each.iter().map(|n| n.sent).sum(),
            acked: each.iter().map(|n| n.acked).sum(),
            dropped: each.iter().map(|n| n.dropped).sum(),
            waiting: each.iter().map(|n| n.waiting).sum(),
            received: sum(|n| n.received),
            repeats: received.map(|r| r.repeats),
            lost: sum(|n| n.lost),
            reordered: sum(|n| n.reordered),
            latency_ms_p50: quantile(&latencies, 0.5),
            latency_ms_p95: quantile(&latencies, 0.95),
            latency_ms_max: quantile(&latencies, 1.0),
            disk_bytes_per_event: disk_bytes.map(|bytes| (bytes as f64 / published.max(1) as f64).round()),
            each,
        }
    }

    /// Whether all is well.
    pub fn is_complete(&self) -> bool {
        self.dropped == 0
            && self.waiting == 0
            && self.lost.unwrap_or(0) == 0
            && self.reordered.unwrap_or(0) == 0
    }

    pub fn print(&self) {
        let or_dash = |value: Option<usize>| value.map_or("-".into(), |v: usize| v.to_string());
        println!(
            "{:<12} {:>9} {:>9} {:>9} {:>8} {:>8} {:>9} {:>6} {:>9} {:>8}",
            "node",
            "published",
            "sent",
            "acked",
            "dropped",
            "waiting",
            "received",
            "lost",
            "reordered",
            "p50 ms"
        );
        let line = |name: &str, n: &NodeSummary| {
            let p50 = n.latency_ms_p50.map_or("-".into(), |ms| format!("{ms:.1}"));
            println!(
                "{name:<12} {:>9} {:>9} {:>9} {:>8} {:>8} {:>9} {:>6} {:>9} {p50:>8}",
                n.published,
                n.sent,
                n.acked,
                n.dropped,
                n.waiting,
                or_dash(n.received),
                or_dash(n.lost),
                or_dash(n.reordered)
            );
        };
        for node in self.each.iter().take(PRINTED) {
            line(&node.node, node);
        }
        if self.nodes > PRINTED {
            println!("... and {} more (--json shows all)", self.nodes - PRINTED);
        }
        println!(
            "{} nodes, {:.1} s: {} published, {} sent, {} acknowledged, {} dropped, {} waiting",
            self.nodes,
            self.drained_seconds,
            self.published,
            self.sent,
            self.acked,
            self.dropped,
            self.waiting
        );
        if let (Some(received), Some(repeats)) = (self.received, self.repeats) {
            println!(
                "received: {received}, and {repeats} repeats; lost: {}; out of order: {}",
                or_dash(self.lost),
                or_dash(self.reordered)
            );
        }
        if let (Some(p50), Some(p95), Some(max)) =
            (self.latency_ms_p50, self.latency_ms_p95, self.latency_ms_max)
        {
            println!(
                "from publishing to the consumer: median {p50:.1} ms, 95 % {p95:.1} ms, at most {max:.1} ms"
            );
        }
        if let Some(bytes) = self.disk_bytes_per_event {
            println!("written to disk: {bytes} bytes an event");
        }
    }
}

/// Milliseconds; `sorted` from the shortest on.
fn quantile(sorted: &[Duration], quantile: f64) -> Option<f64> {
    let place = (sorted.len().checked_sub(1)? as f64 * quantile).round() as usize;
    sorted.get(place).map(|latency| (latency.as_secs_f64() * 1e6).round() / 1e3)
}
