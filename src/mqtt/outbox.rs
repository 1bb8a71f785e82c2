//! Everything that waits for the broker, and in which order it goes.
//!
//! Publishers fill it from any thread, the session empties it; both hold it only for as long as it takes to move a
//! message. Has never heard of sockets.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;

use super::levels::Levels;
use super::listeners::Listeners;
use super::onvif;
use super::payload::Origin;
use super::presence::Presence;
use super::queue::{EventQueue, Limits};
use super::spool::SpoolState;
use super::standing::Documents;
use super::topic::Topics;
use crate::clock::Clock;

/// Answers to commands that may wait. Whoever asks for more at once gets the latest.
const ANSWERS: usize = 32;
/// Pictures that may wait for a busy connection.
const SNAPSHOTS: usize = 4;
/// Frames of detections that may wait for a busy connection: about a second of one camera.
const DETECTIONS: usize = 16;

/// How delivery goes, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counters {
    /// Whether the broker has accepted us, now.
    pub connected: bool,
    /// Events not yet acknowledged by the broker, now.
    pub queued: usize,
    /// Events handed to a connection, repeats counted again.
    pub sent: u64,
    /// Events that the broker acknowledged.
    pub acked: u64,
    /// Events that were dropped because there was no room.
    pub dropped: u64,
    /// Events that were dropped because they were too old.
    pub expired: u64,
    /// Frames of detections that were dropped because the broker was away or slow.
    pub dropped_detections: u64,
    /// Whether waiting events are on disk, now.
    pub spool: SpoolState,
}

/// The outbox, the bells that say something was put in, who listens, and the clock.
pub(super) struct Shared {
    outbox: Mutex<Outbox>,
    /// For the session.
    pub bell: Notify,
    /// For the spool.
    pub spool_bell: Condvar,
    pub listeners: Listeners,
    pub clock: Arc<dyn Clock>,
}

impl Shared {
    pub fn new(outbox: Outbox, clock: Arc<dyn Clock>) -> Self {
        Self {
            outbox: Mutex::new(outbox),
            bell: Notify::new(),
            spool_bell: Condvar::new(),
            listeners: Listeners::default(),
            clock,
        }
    }

    /// The outbox. A panic elsewhere leaves it as usable as before: no method leaves it half changed.
    pub fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Outbox::next`]; asks the spool for what is on disk alone.
    pub fn next(&self, room: Room) -> Option<Message> {
        let mut outbox = self.outbox();
        let next = outbox.next(room);
        if outbox.events.is_starved() {
            self.spool_bell.notify_one();
        }
        next
    }

    /// As [`Outbox::acknowledge`]; tells the spool.
    pub fn acknowledge(&self, kind: Kind) {
        self.outbox().acknowledge(kind);
        self.spool_bell.notify_one();
    }
}

/// What waits.
pub(super) struct Outbox {
    pub topics: Topics,
    pub origin: Origin,
    pub levels: Levels,
    pub presence: Presence,
    pub documents: Documents,
    pub events: EventQueue,
    /// Whether the spool shall end.
    pub closing: bool,
    spool: SpoolState,
    /// The prefix of ONVIF topics, if events are published in that form, too.
    pub onvif: Option<String>,
    /// An event whose twin has gone before.
    held: Option<Message>,
    answers: VecDeque<Message>,
    snapshots: VecDeque<Message>,
    detections: VecDeque<Message>,
    stats: Option<Vec<u8>>,
    connected: bool,
    sent: u64,
    acked: u64,
    dropped_detections: u64,
}

/// Something to publish.
pub(super) struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub kind: Kind,
}

/// What a message is, which decides how it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Retained, at least once: availability, states, documents.
    Standing,
    /// Not retained, at least once while the connection lasts: an answer to a command.
    Answer,
    /// Not retained, at least once; the number is what the outbox wants back.
    Event(i64),
    /// Not retained, at least once with the event that comes next: the same in ONVIF's form.
    Twin,
    /// Retained, at most once.
    Stats,
    /// Not retained, at most once: what is of the moment.
    Detections,
}

impl Kind {
    /// QoS 1, else QoS 0.
    pub fn is_acknowledged(self) -> bool {
        matches!(self, Self::Standing | Self::Answer | Self::Event(_) | Self::Twin)
    }

    pub fn is_retained(self) -> bool {
        matches!(self, Self::Standing | Self::Stats)
    }
}

/// What a connection can take now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub acknowledged: bool,
    pub unacknowledged: bool,
}

impl Outbox {
    /// An outbox in which events may wait within `limits`.
    pub fn new(topics: Topics, origin: Origin, limits: Limits) -> Self {
        Self {
            topics,
            origin,
            levels: Levels::default(),
            presence: Presence::default(),
            documents: Documents::default(),
            events: EventQueue::new(limits),
            closing: false,
            spool: SpoolState::Off,
            onvif: None,
            held: None,
            answers: VecDeque::new(),
            snapshots: VecDeque::new(),
            detections: VecDeque::with_capacity(DETECTIONS),
            stats: None,
            connected: false,
            sent: 0,
            acked: 0,
            dropped_detections: 0,
        }
    }

    /// How the spool is from now on.
    pub fn spooled(&mut self, state: SpoolState) {
        self.spool = state;
        self.events.require_disk(matches!(state, SpoolState::Opening | SpoolState::Ok));
    }

    /// Whether detections would go anywhere; if not, one frame of them counts as dropped.
    pub fn takes_detections(&mut self) -> bool {
        self.dropped_detections += u64::from(!self.connected);
        self.connected
    }

    /// Puts in a frame of detections; the oldest goes if the connection is too slow for them.
    pub fn put_detections(&mut self, topic: String, payload: Vec<u8>) {
        if self.detections.len() == DETECTIONS {
            self.detections.pop_front();
            self.dropped_detections += 1;
        }
        self.detections.push_back(Message { topic, payload, kind: Kind::Detections });
    }

    /// Puts in an answer; the oldest goes if too many wait.
    pub fn put_answer(&mut self, topic: String, payload: Vec<u8>) {
        if self.answers.len() == ANSWERS {
            self.answers.pop_front();
        }
        self.answers.push_back(Message { topic, payload, kind: Kind::Answer });
    }

    /// Puts in a picture; the oldest goes if the connection is too slow for them. `false` if there is none.
    pub fn put_snapshot(&mut self, topic: String, payload: Vec<u8>) -> bool {
        if self.connected {
            if self.snapshots.len() == SNAPSHOTS {
                self.snapshots.pop_front();
            }
            self.snapshots.push_back(Message { topic, payload, kind: Kind::Detections });
        }
        self.connected
    }

    /// Puts in statistics in place of older ones.
    pub fn put_stats(&mut self, payload: Vec<u8>) {
        self.stats = Some(payload);
    }

    /// There is a connection, which knows nothing yet. `now` is monotonic.
    pub fn connected(&mut self, now: Duration) {
        self.connected = true;
        self.events.expire(now);
        self.levels.rewind();
        self.presence.rewind();
        self.documents.rewind();
        self.events.rewind();
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.connected = false;
        self.held = None;
        self.events.rewind();
        self.dropped_detections += self.detections.len() as u64;
        self.detections.clear();
        self.snapshots.clear();
    }

    /// What to hand to the connection next, if there is anything that it has room for: states before the events that
    /// made them, those before everything that may be lost.
    pub fn next(&mut self, room: Room) -> Option<Message> {
        if room.acknowledged {
            if let Some(camera) = self.presence.tell_next() {
                let payload = camera.payload().into();
                let topic = self.topics.camera_availability(&camera.name);
                return Some(Message { topic, payload, kind: Kind::Standing });
            }
            if let Some(level) = self.levels.tell_next() {
                let payload = level.payload().into();
                let topic = self.topics.state(&level.camera, &level.action);
                return Some(Message { topic, payload, kind: Kind::Standing });
            }
            if let Some(answer) = self.answers.pop_front() {
                return Some(answer);
            }
            if let Some((topic, payload)) = self.documents.tell_next() {
                let (topic, payload) = (topic.to_owned(), payload.to_vec());
                return Some(Message { topic, payload, kind: Kind::Standing });
            }
            if let Some(event) = self.held.take() {
                return Some(event);
            }
            if let Some((number, payload)) = self.events.send_next() {
                self.sent += 1;
                let twin = self.onvif.as_ref().and_then(|prefix| onvif::message(prefix, &payload));
                let (topic, payload) = (self.topics.events(), payload.to_vec());
                let event = Message { topic, payload, kind: Kind::Event(number) };
                let Some((topic, payload)) = twin else { return Some(event) };
                // First, so that the event's acknowledgement says that this has arrived, too.
                self.held = Some(event);
                return Some(Message { topic, payload, kind: Kind::Twin });
            }
        }
        if !room.unacknowledged {
            return None;
        }
        if let Some(payload) = self.stats.take() {
            return Some(Message { topic: self.topics.stats(), payload, kind: Kind::Stats });
        }
        self.snapshots.pop_front().or_else(|| self.detections.pop_front())
    }

    /// The broker has the message.
    pub fn acknowledge(&mut self, kind: Kind) {
        if let Kind::Event(number) = kind {
            self.acked += u64::from(self.events.acknowledge(number));
        }
    }

    /// Events not yet acknowledged.
    pub fn unsent(&self) -> usize {
        self.events.len()
    }

    /// Whether every event is acknowledged, those of an earlier run too.
    pub fn is_delivered(&self) -> bool {
        self.events.len() == 0 && self.spool != SpoolState::Opening
    }

    /// Whether there is nothing to hand over and no event unacknowledged.
    pub fn is_empty(&self) -> bool {
        let told = self.levels.is_told() && self.presence.is_told() && self.documents.is_told();
        let told = told && self.answers.is_empty();
        told && self.is_delivered() && self.stats.is_none() && self.detections.is_empty()
    }

    pub fn counters(&self) -> Counters {
        Counters {
            connected: self.connected,
            queued: self.events.len(),
            sent: self.sent,
            acked: self.acked,
            dropped: self.events.dropped(),
            expired: self.events.expired(),
            dropped_detections: self.dropped_detections,
            spool: self.spool,
        }
    }
}
