//! Consumers as a receiver should be: sessions that the broker keeps, and repeats dropped by the contract's key.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use rumqttc::{Client, Event, MqttOptions, Packet, QoS};
use serde::Deserialize;
use ulid::Ulid;

use super::Key;
use crate::event::Change;

/// What came, as those see it who drop repeats.
#[derive(Default)]
pub(super) struct Received {
    /// By node: first arrivals, in order.
    pub events: HashMap<String, Vec<(Key, Instant)>>,
    known: HashSet<Key>,
    pub repeats: u64,
    /// Whether one consumer had everything, so that the order means something.
    pub in_order: bool,
}

/// The part of an action event that identifies it.
#[derive(Deserialize)]
struct Payload {
    id: String,
    #[serde(rename = "type")]
    change: Change,
    node: String,
    time: Timestamp,
}

/// Threads that listen until they are told to finish.
pub(super) struct Consumers {
    received: Arc<Mutex<Received>>,
    done: Arc<AtomicBool>,
    threads: Vec<(Client, JoinHandle<()>)>,
}

impl Consumers {
    /// Connects, and returns once every subscription stands.
    pub fn start(host: &str, port: u16, base: &str, count: usize) -> anyhow::Result<Self> {
        let topic = format!("{base}/+/events");
        let topic = if count > 1 { format!("$share/fleet-sim/{topic}") } else { topic };
        let received = Arc::new(Mutex::new(Received { in_order: count == 1, ..Received::default() }));
        let mut this = Self { received, done: Arc::default(), threads: Vec::new() };
        for index in 0..count {
            let mut options = MqttOptions::new(format!("watchword-fleet-sim-{index}"), host, port);
            // A session that the broker keeps, so that nothing passes by while the connection is away.
            options.set_clean_session(false).set_keep_alive(Duration::from_secs(10));
            options.set_max_packet_size(1 << 20, 1 << 20);
            let (client, mut connection) = Client::new(options, 16);
            let (subscribed, confirmation) = mpsc::channel();
            let (received, done) = (Arc::clone(&this.received), Arc::clone(&this.done));
            let (subscriber, topic) = (client.clone(), topic.clone());
            let thread = std::thread::spawn(move || {
                for notification in connection.iter() {
                    match notification {
                        // Again at every connection: a broker that was killed may have forgotten.
                        Ok(Event::Incoming(Packet::ConnAck(_))) => {
                            _ = subscriber.try_subscribe(topic.clone(), QoS::AtLeastOnce);
                        }
                        Ok(Event::Incoming(Packet::SubAck(_))) => _ = subscribed.send(()),
                        Ok(Event::Incoming(Packet::Publish(publish))) => {
                            let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
                            received.note(&publish.payload);
                        }
                        Ok(_) => {}
                        Err(_) if done.load(Ordering::Relaxed) => return,
                        Err(_) => std::thread::sleep(Duration::from_millis(200)),
                    }
                }
            });
            this.threads.push((client, thread));
            confirmation
                .recv_timeout(Duration::from_secs(20))
                .with_context(|| format!("{host}:{port} did not confirm the subscription within 20 s"))?;
        }
        Ok(this)
    }

    /// Waits until `expected` events are here, but not longer than to `patience`, and leaves.
    pub fn finish(self, expected: usize, patience: Instant) -> Received {
        let lock = || self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let here = || lock().events.values().map(Vec::len).sum::<usize>();
        // After the last acknowledgement the rest is on its way.
        let patience = patience.max(Instant::now() + Duration::from_secs(2));
        while here() < expected && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.done.store(true, Ordering::Relaxed);
        for (client, thread) in self.threads {
            _ = client.disconnect();
            _ = thread.join();
        }
        std::mem::take(&mut *self.received.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Received {
    fn note(&mut self, payload: &[u8]) {
        let Ok(event) = serde_json::from_slice::<Payload>(payload) else { return };
        let Ok(id) = event.id.parse::<Ulid>() else { return };
        let key = (id, event.change, event.time.as_millisecond());
        if self.known.insert(key) {
            self.events.entry(event.node).or_default().push((key, Instant::now()));
        } else {
            self.repeats += 1;
        }
    }
}
