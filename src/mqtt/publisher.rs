//! The handle by which the rest of the daemon publishes. No method waits for the network.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value as Json;
use tracing::warn;

use super::command::{self, Received, Request};
use super::listeners::Incoming;
use super::outbox::{Counters, Shared};
use super::payload::{TrackScores, detections_json, event_json, to_json};
use super::stats::{Stats, stats_json};
use super::topic::Topics;
use crate::config::Onvif;
use crate::event::ActionEvent;

/// Puts messages into the outbox. Cheap to clone; usable from any thread, also while the broker is away.
#[derive(Clone)]
pub struct Publisher(pub(super) Arc<Shared>);

impl Publisher {
    /// Makes camera and action pairs known, so that their `state` says `OFF` before anything happens. Pairs that
    /// are known keep their state.
    pub fn announce<'a>(&self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let mut outbox = self.0.outbox();
        for (camera, action) in pairs {
            outbox.levels.announce(camera, action);
        }
        drop(outbox);
        self.0.bell.notify_one();
    }

    /// Says whether frames of `camera` come: its `availability`.
    pub fn camera(&self, camera: &str, online: bool) {
        self.0.outbox().presence.set(camera, online);
        self.0.bell.notify_one();
    }

    /// Puts a document onto a topic, where it stands until it is replaced: retained, and told again to every connection.
    /// An empty one takes away what stood there.
    pub fn stand(&self, topic: &str, payload: Vec<u8>) {
        self.0.outbox().documents.set(topic, payload);
        self.0.bell.notify_one();
    }

    /// Tells the present connection once more what stands on `topic`.
    pub(super) fn stand_again(&self, topic: &str) {
        self.0.outbox().documents.tell_again(topic);
        self.0.bell.notify_one();
    }

    /// The topics of this node.
    pub(super) fn topics(&self) -> Topics {
        self.0.outbox().topics.clone()
    }

    /// Has `handler` called for whatever others publish on topics that fit `filter` (levels may be `+`), in place of
    /// who listened to that filter before. It is called on the connection's thread: it must neither block nor take
    /// long. `false` if there are too many listeners.
    pub fn listen(&self, filter: &str, handler: impl Fn(Incoming) + Send + Sync + 'static) -> bool {
        let listens = self.0.listeners.listen(filter, Arc::new(handler));
        self.0.bell.notify_one();
        listens
    }

    /// Has `obey` called for each command to this node, or nobody. It says whether it takes the command on, and is to
    /// answer it then; for the rest see [`Publisher::listen`]. What is no command is answered here.
    pub fn obey(&self, obey: Option<impl Fn(Request) -> bool + Send + Sync + 'static>) {
        let filter = self.0.outbox().topics.commands();
        let Some(obey) = obey else { return self.ignore(&filter) };
        let publisher = Arc::downgrade(&self.0);
        self.listen(&filter, move |message| {
            let Some(publisher) = publisher.upgrade().map(Publisher) else { return };
            match Received::new(&message) {
                Received::Request(request) => {
                    let (name, id) = (request.name.clone(), request.id.clone());
                    if !obey(request) {
                        let busy = "too many commands wait; send it again later".to_owned();
                        publisher.answer(&name, id.as_ref(), Err(busy));
                    }
                }
                Received::Refused { name, id, error } => publisher.answer(&name, id.as_ref(), Err(error)),
                Received::Stale => {
                    let topic = message.topic;
                    warn!(topic, "a retained command is not obeyed; commands are published without retain");
                }
            }
        });
    }

    /// Answers the command `name` with what came of it, an object or null, or with what was wrong.
    pub fn answer(&self, name: &str, id: Option<&Json>, result: Result<Json, String>) {
        let mut outbox = self.0.outbox();
        let topic = outbox.topics.result(name);
        outbox.put_answer(topic, command::answer(id, result));
        drop(outbox);
        self.0.bell.notify_one();
    }

    /// Publishes a JPEG of `camera`; `false` if there is no connection. Whether to is the caller's decision
    /// (`mqtt.snapshots`).
    pub fn snapshot(&self, camera: &str, jpeg: Vec<u8>) -> bool {
        let mut outbox = self.0.outbox();
        let topic = outbox.topics.snapshot(camera);
        let put = outbox.put_snapshot(topic, jpeg);
        drop(outbox);
        self.0.bell.notify_one();
        put
    }

    /// Says how the configuration stands; see [`Topics::config`].
    pub fn configuration(&self, status: &Json) {
        let topic = self.0.outbox().topics.config();
        self.stand(&topic, status.to_string().into_bytes());
    }

    /// Has nobody called for `filter` any more.
    pub fn ignore(&self, filter: &str) {
        self.0.listeners.ignore(filter);
    }

    /// Events from now on name this pack and vocabulary.
    pub fn set_origin(&self, pack: &str, vocabulary: &str) {
        let mut outbox = self.0.outbox();
        pack.clone_into(&mut outbox.origin.pack);
        vocabulary.clone_into(&mut outbox.origin.vocabulary);
    }

    /// Takes away the `state` of pairs that there are no more, once it is off.
    pub fn retire<'a>(&self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let mut outbox = self.0.outbox();
        for (camera, action) in pairs {
            outbox.levels.retire(camera, action);
        }
        drop(outbox);
        self.0.bell.notify_one();
    }

    /// Takes away the `availability` of a camera that there is no more.
    pub fn retire_camera(&self, camera: &str) {
        self.0.outbox().presence.retire(camera);
        self.0.bell.notify_one();
    }

    /// From now on events are published in ONVIF's form, too, or no longer, as `settings` say.
    pub fn onvif(&self, settings: &Onvif) {
        let mut outbox = self.0.outbox();
        let prefix = settings.topic_prefix.clone().unwrap_or_else(|| outbox.topics.prefix().to_owned());
        outbox.onvif = settings.enabled.then_some(prefix);
    }

    /// Publishes an event, and `state` where it changes. This is the hand-over that `latency_ms` runs to. Every `begin`
    /// must be followed by an `end` of the same id.
    pub fn event(&self, event: &ActionEvent) {
        let now = self.0.clock.monotonic();
        let latency = now.saturating_sub(event.captured);
        let mut outbox = self.0.outbox();
        let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        let payload = to_json(&event_json(event, &outbox.origin, latency_ms));
        outbox.events.expire(now);
        outbox.events.push(event.id, event.change, event.time.as_millisecond(), now, payload);
        outbox.levels.follow(event);
        drop(outbox);
        self.0.spool_bell.notify_one();
        self.0.bell.notify_one();
    }

    /// Publishes the tracks of one analysed frame. Whether to is the caller's decision (`mqtt.detections`); while the
    /// broker is away they are dropped before any work is done.
    pub fn detections<'a>(
        &self,
        camera: &'a str,
        time: Timestamp,
        tracks: impl Iterator<Item = TrackScores<'a>> + Clone,
    ) {
        let mut outbox = self.0.outbox();
        if !outbox.takes_detections() {
            return;
        }
        let payload = to_json(&detections_json(&outbox.origin.node, camera, time, tracks));
        let topic = outbox.topics.detections(camera);
        outbox.put_detections(topic, payload);
        drop(outbox);
        self.0.bell.notify_one();
    }

    /// Publishes statistics; older ones that still wait are replaced.
    pub fn stats(&self, stats: &Stats) {
        let mut outbox = self.0.outbox();
        let payload = to_json(&stats_json(stats, &outbox.origin, outbox.counters()));
        outbox.put_stats(payload);
        drop(outbox);
        self.0.bell.notify_one();
    }

    /// How delivery goes.
    pub fn counters(&self) -> Counters {
        self.0.outbox().counters()
    }
}
