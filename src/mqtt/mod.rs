//! What leaves the box over MQTT: topics, payloads, the client that delivers them, and a broker for boxes without one.
//!
//! Knows action events and the configuration; has never heard of pixels, tensors or tracks. Nothing here makes the
//! caller wait: a [`Publisher`] only puts messages into bounded memory, and a thread of its own talks to the broker.
//!
//! The way of a message: [`Publisher`] → outbox (bounded, counts what it drops) → session (one connection) → broker.
//! Events stay in the outbox until the broker has acknowledged exactly them, and the spool keeps them on disk meanwhile.
//! What others publish comes back the other way: session → listeners → whoever asked by [`Publisher::listen`].

mod broker;
mod client;
mod command;
mod credentials;
mod dial;
mod fault;
mod home_assistant;
mod levels;
mod listeners;
mod onvif;
mod outbox;
mod payload;
mod presence;
mod probe;
mod publisher;
mod queue;
mod session;
mod spool;
mod standing;
mod stats;
mod tls;
mod topic;

pub use broker::{Broker, BrokerError};
pub use client::{Mqtt, MqttError, Reconnect, Redial};
pub use command::{Command, Received, Request};
pub use credentials::CredentialsError;
pub use home_assistant::HomeAssistant;
pub use listeners::Incoming;
pub use outbox::Counters;
pub use payload::{Origin, TrackScores, event_json};
pub use probe::{Probe, ProbeError};
pub use publisher::Publisher;
pub use spool::SpoolState;
pub use stats::{CameraStats, Stats};
pub use tls::TlsError;
pub use topic::Topics;
