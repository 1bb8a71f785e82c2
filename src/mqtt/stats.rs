//! The numbers of `<base>/<node>/stats`. The pipeline fills them in; the publisher adds who speaks and how
//! delivery goes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::outbox::Counters;
use super::payload::{Origin, Rfc3339, SCHEMA, Text};

/// The box over the last `stats.interval`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// When the interval ended.
    #[serde(serialize_with = "rfc3339")]
    pub time: Timestamp,
    /// Of the daemon.
    pub version: &'static str,
    /// Seconds since the daemon started.
    pub uptime_s: f64,
    /// By the camera's slug.
    pub cameras: BTreeMap<String, CameraStats>,
    /// Milliseconds from capture to the end of analysis; null before the first frame.
    pub latency_ms_p50: Option<f64>,
    /// As `latency_ms_p50`, 95th percentile.
    pub latency_ms_p95: Option<f64>,
    /// Mean milliseconds a frame, by stage.
    pub stage_ms: BTreeMap<&'static str, f64>,
    /// Frames or messages waiting now, by queue. The publisher's own is in `mqtt`.
    pub queue_depths: BTreeMap<&'static str, u64>,
    /// Bytes.
    pub resident_memory: u64,
    /// Degrees Celsius, by the sensor's name; empty where there is none.
    pub temperatures: BTreeMap<String, f64>,
    /// What slowed the machine down in the interval: `heat`, `under_voltage`, `over_current`, `frequency_limit`.
    pub slowed_by: Vec<&'static str>,
}

/// One camera over the last `stats.interval`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CameraStats {
    /// `opening`, `online`, `lost`, `paused`, `scheduled off` or `ended`. Its `availability` is `online` in the second
    /// only.
    pub status: &'static str,
    /// Frames a second that the source delivered.
    pub captured_fps: f64,
    /// Frames a second that were analysed.
    pub analysed_fps: f64,
    /// Frames since the start that the detector looked at; in the others people were followed without it.
    pub searched_frames: u64,
    /// Frames since the start that a newer one replaced before the analysis had time for them.
    pub dropped_frames: u64,
    /// Frames since the start that the camera counted and that never came.
    pub missed_frames: u64,
    /// Frames since the start that came damaged.
    pub corrupted_frames: u64,
    /// Times since the start that it was opened again after it broke.
    pub reopened: u64,
    /// What went wrong last, whether or not it still does; null if nothing did.
    pub last_error: Option<String>,
    /// In the latest analysed frame.
    pub persons: usize,
    /// Crops since the start that the image tower encoded.
    pub crops_encoded: u64,
    /// Crops since the start that looked as when they were encoded last, or had to wait for their turn.
    pub crops_kept: u64,
    /// Milliseconds: how long ago that was seen by which the latest frame was judged, at most.
    pub oldest_crop_ms: f64,
}

#[derive(Serialize)]
struct StatsJson<'a> {
    schema: u32,
    node: &'a str,
    pack: &'a str,
    vocabulary: &'a str,
    #[serde(flatten)]
    stats: &'a Stats,
    mqtt: Counters,
}

/// The payload on `stats`.
pub(super) fn stats_json<'a>(
    stats: &'a Stats,
    origin: &'a Origin,
    mqtt: Counters,
) -> impl Serialize + use<'a> {
    let Origin { node, pack, vocabulary } = origin;
    StatsJson { schema: SCHEMA, node, pack, vocabulary, stats, mqtt }
}

fn rfc3339<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    Text(Rfc3339(*time)).serialize(serializer)
}
