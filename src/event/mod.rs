//! From scores over time to occurrences: smoothing, hysteresis, minimum duration, cool-down, zones.
//!
//! Knows tracks, scores and frame times; has never heard of pixels, tensors or brokers.

pub mod calibration;
mod lifecycle;
mod occurrences;
mod smoothing;
mod zones;

#[cfg(test)]
mod tests;

pub use occurrences::Occurrences;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// What happened to an occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Begin,
    Update,
    End,
}

/// Why an occurrence ended, where it was not simply that the action stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The daemon stopped with the occurrence open.
    Shutdown,
    /// The daemon found it open after a restart.
    Restart,
    /// The camera delivered nothing for too long, or the recording ended.
    SourceEnded,
    /// The camera was paused by command.
    Paused,
    /// The hours ended in which the camera is watched.
    Scheduled,
    /// The action was taken out of the vocabulary.
    VocabularyChanged,
    /// The camera was taken out of the configuration, or what was told ahead of the decision is told no more.
    Reconfigured,
}

/// One person doing one action: a change in one occurrence, as published (the MQTT contract's action event
/// without what the publisher adds).
#[derive(Debug, Clone, PartialEq)]
pub struct ActionEvent {
    /// Shared by all events of one occurrence.
    pub id: Ulid,
    pub change: Change,
    /// Slug of the camera.
    pub camera: String,
    pub track: u64,
    /// Slug of the action.
    pub action: String,
    /// The action in words.
    pub label: String,
    /// Smoothed probability, 0..=1.
    pub score: f32,
    /// The highest smoothed probability so far.
    pub peak_score: f32,
    /// `[x1, y1, x2, y2]` as fractions of the frame.
    pub rect: [f32; 4],
    /// Names of the zones the person stands in.
    pub zones: Vec<String>,
    pub begin: Timestamp,
    /// The frame that this event is about.
    pub time: Timestamp,
    /// Set in `End`.
    pub end: Option<Timestamp>,
    pub reason: Option<Reason>,
    /// Whether it is told ahead of the decision, from the past alone.
    pub provisional: bool,
    /// Monotonic capture time of that frame, from which latency is counted.
    pub captured: Duration,
}
