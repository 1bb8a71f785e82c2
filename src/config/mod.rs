//! The configuration: what an operator may write, its defaults and units.
//!
//! Plain data that every room may read; knows nothing of what is done with it. Durations are written `"1.5s"`,
//! `"2m"` or a number of seconds; boxes and polygons are fractions of the frame.

mod span;

pub use span::Span;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    pub node: Node,
    pub pack: Pack,
    #[serde(rename = "camera")]
    pub cameras: Vec<Camera>,
    #[serde(rename = "action")]
    pub actions: Vec<Action>,
    pub vocabulary: Vocabulary,
    pub detector: Detector,
    pub tracker: Tracker,
    pub scoring: Scoring,
    pub events: Events,
    pub mqtt: Mqtt,
    pub stats: Stats,
}

/// `[node]`: this box.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Slug; the second level of every topic.
    pub name: String,
}

/// `[pack]`: the model pack and what runs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pack {
    /// `nano` (embedded), the path of a pack folder or of a `.tar.zst` of one.
    pub path: PathBuf,
    pub engine: EngineKind,
    /// Threads of the engine; 0 takes every core.
    pub threads: usize,
}

/// Which runtime runs the networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// `rten`, the fast one.
    #[default]
    Cpu,
    /// `tract`, the second opinion.
    Tract,
}

/// `[[camera]]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Camera {
    /// Slug; part of topics.
    pub name: String,
    /// `/dev/video0`, `rtsp://..`, a video file, an `.avi`/`.mjpeg` of JPEGs, or a folder of JPEGs.
    pub source: String,
    /// Pixels, width and height; absent: as the source likes.
    pub size: Option<[u32; 2]>,
    /// Frames a second asked of a device, or assumed for pictures without times.
    pub fps: Option<f64>,
    /// Frames a second to analyse; absent: every frame that the box has time for.
    pub analysis_fps: Option<f64>,
    /// Start a recording again at its end.
    #[serde(rename = "loop")]
    pub repeat: bool,
    #[serde(rename = "zone")]
    pub zones: Vec<Zone>,
}

/// `[[camera.zone]]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Zone {
    /// Slug.
    pub name: String,
    /// At least three `[x, y]` points, fractions of the frame.
    pub polygon: Vec<[f32; 2]>,
}

/// `[[action]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Action {
    /// Slug; part of topics.
    pub name: String,
    /// Ways to say it; their embeddings are averaged. The first is the label.
    pub phrases: Vec<String>,
    /// Smoothed probability at which an occurrence begins, 0..=1.
    pub threshold: f32,
    /// How long the score must hold before an occurrence is published.
    pub minimum_duration: Span,
    /// Only inside these zones; empty: anywhere.
    pub zones: Vec<String>,
    /// What this action alone must beat besides the rest of the vocabulary.
    pub against: Vec<String>,
}

/// `[vocabulary]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Vocabulary {
    /// Sentence around each phrase, with `{}` where it goes; absent: the pack's.
    pub template: Option<String>,
    /// What people do when they do none of the actions. Takes part in the softmax, is never published.
    pub background: Vec<String>,
}

/// `[detector]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detector {
    /// Lowest score of a person that may start a track.
    pub person_threshold: f32,
    /// Lowest score of an object.
    pub object_threshold: f32,
    /// Two boxes of a class that overlap more than this are one.
    pub nms_iou: f32,
    /// At most so many a frame, best first.
    pub max_persons: usize,
    /// At most so many a frame, best first.
    pub max_objects: usize,
}

/// `[tracker]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tracker {
    /// Detections down to this score may continue a track, not start one.
    pub low_threshold: f32,
    /// Least overlap of a detection with where a track is expected.
    pub match_iou: f32,
    /// Detections in a row before a track counts.
    pub confirm: u32,
    /// How long a track survives without a detection.
    pub max_lost: Span,
}

/// `[scoring]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scoring {
    pub heads: Heads,
    pub crop: Crop,
    /// Time constant of the smoothing along a track.
    pub smoothing: Span,
    /// Factor on the cosine before the softmax; absent: the pack's.
    pub logit_scale: Option<f32>,
}

/// What turns features into scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Heads {
    /// Mean of the person's and the whole frame's embedding ("fusion").
    #[default]
    None,
    /// The whole frame alone, the paper's baseline.
    Baseline,
}

/// How a person's box becomes the tower's square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crop {
    /// The whole box, letterboxed.
    #[default]
    Pad,
    /// The whole box, its proportions given up.
    Stretch,
    /// Short side fitted, the rest cut off, as the paper's code does.
    Center,
}

/// `[events]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Events {
    /// An occurrence ends when its score falls this far below the threshold.
    pub hysteresis: f32,
    /// It ends only after the score stayed there this long.
    pub release: Span,
    /// After an end, the same person and action stay silent this long.
    pub cool_down: Span,
    /// At most one update in this time, unless the score moves by 0.1.
    pub update_interval: Span,
}

/// `[mqtt]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mqtt {
    pub broker: BrokerKind,
    /// External: where the broker is. Embedded: where to listen.
    pub host: String,
    pub port: u16,
    /// First level of every topic.
    pub base_topic: String,
    /// Absent: `watchword-<node>`.
    pub client_id: Option<String>,
    pub username: Option<String>,
    /// A file with the password, so that no password stands in this one.
    pub password_file: Option<PathBuf>,
    pub keep_alive: Span,
    /// Events that may wait while the broker is away.
    pub queue: usize,
    /// Publish the tracks of every analysed frame.
    pub detections: bool,
}

/// Whose broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BrokerKind {
    #[default]
    External,
    /// One in this process, for boxes that have none.
    Embedded,
}

/// `[stats]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Between two reports on `<base>/<node>/stats`.
    pub interval: Span,
}

impl Default for Node {
    fn default() -> Self {
        Self { name: "watchword".into() }
    }
}

impl Default for Pack {
    fn default() -> Self {
        Self { path: "nano".into(), engine: EngineKind::Cpu, threads: 0 }
    }
}


impl Default for Action {
    fn default() -> Self {
        Self {
            name: String::new(),
            phrases: Vec::new(),
            threshold: 0.5,
            minimum_duration: Span::from_secs_f64(0.5),
            zones: Vec::new(),
            against: Vec::new(),
        }
    }
}

impl Action {
    /// The action in words: its first phrase.
    pub fn label(&self) -> &str {
        self.phrases.first().map_or(self.name.as_str(), String::as_str)
    }
}

impl Default for Detector {
    fn default() -> Self {
        Self { person_threshold: 0.45, object_threshold: 0.4, nms_iou: 0.5, max_persons: 25, max_objects: 25 }
    }
}

impl Default for Tracker {
    fn default() -> Self {
        Self { low_threshold: 0.2, match_iou: 0.2, confirm: 3, max_lost: Span::from_secs_f64(2.0) }
    }
}

impl Default for Scoring {
    fn default() -> Self {
        Self {
            heads: Heads::None,
            crop: Crop::Pad,
            smoothing: Span::from_secs_f64(1.0),
            logit_scale: None,
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self {
            hysteresis: 0.1,
            release: Span::from_secs_f64(0.5),
            cool_down: Span::from_secs_f64(2.0),
            update_interval: Span::from_secs_f64(1.0),
        }
    }
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            broker: BrokerKind::External,
            host: "127.0.0.1".into(),
            port: 1883,
            base_topic: "watchword".into(),
            client_id: None,
            username: None,
            password_file: None,
            keep_alive: Span::from_secs_f64(30.0),
            queue: 1000,
            detections: false,
        }
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self { interval: Span::from_secs_f64(30.0) }
    }
}
