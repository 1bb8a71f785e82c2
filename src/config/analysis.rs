//! How a frame is looked at: the models, the detector, the tracker, the scores, and when they make an event.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Span;

/// `[pack]`: the model pack and what runs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pack {
    /// `nano` (embedded), the path of a pack folder or of a `.tar.zst` of one.
    pub path: PathBuf,
    pub engine: EngineKind,
    /// Threads of the engine, or cores of an NPU; 0 takes every one.
    pub threads: usize,
    /// See [`crate::engine::Options::prepack`].
    pub prepack: bool,
}

impl Default for Pack {
    fn default() -> Self {
        Self { path: "nano".into(), engine: EngineKind::Cpu, threads: 0, prepack: true }
    }
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
    /// ONNX Runtime on the processor.
    OnnxRuntime,
    /// An NVIDIA GPU, by ONNX Runtime.
    Cuda,
    /// The NPU of a Rockchip chip.
    Rknn,
    /// What this machine has: an NPU, a GPU, ONNX Runtime, the program's own.
    Auto,
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

impl Default for Detector {
    fn default() -> Self {
        Self { person_threshold: 0.45, object_threshold: 0.4, nms_iou: 0.5, max_persons: 25, max_objects: 25 }
    }
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

impl Default for Tracker {
    fn default() -> Self {
        Self { low_threshold: 0.2, match_iou: 0.2, confirm: 3, max_lost: Span::from_secs_f64(2.0) }
    }
}

/// `[scoring]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scoring {
    pub heads: Heads,
    /// How long a frame waits for what comes after it, if the heads have a memory that reaches there.
    pub look_ahead: Span,
    /// While frames wait: whether what the past alone says is told at once, marked as provisional.
    pub provisional: bool,
    pub crop: Crop,
    /// Share of a person's width and height by which the box is enlarged on every side before it is looked at.
    pub enlarge: f32,
    /// Side, in pixels, of the square picture that the image tower reads; absent: the pack's.
    pub input: Option<usize>,
    /// Crops that are no larger than this are read in pictures of this size; absent: as the others.
    pub small: Option<usize>,
    pub regions: Regions,
    /// Time constant of the smoothing along a track.
    pub smoothing: Span,
    /// Factor on the cosine before the softmax; absent: the pack's.
    pub logit_scale: Option<f32>,
}

impl Default for Scoring {
    fn default() -> Self {
        Self {
            heads: Heads::Pack,
            look_ahead: Span::from_secs_f64(0.0),
            provisional: false,
            crop: Crop::Pad,
            enlarge: 0.0,
            input: None,
            small: None,
            regions: Regions::Crops,
            smoothing: Span::from_secs_f64(1.0),
            logit_scale: None,
        }
    }
}

/// `[refresh]`: what of a frame is encoded anew.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refresh {
    /// Everything at every frame, as the paper does.
    pub exact: bool,
    /// The detector looks so often for people who are known; between, they are followed by their motion and their look.
    pub detect: Span,
    /// Who was encoded so long ago is encoded again.
    pub age: Span,
    /// The whole frame is encoded again so often while something in it changes.
    pub scene: Span,
    /// What has another shape: its box, put on its box as it was encoded, overlaps it less than this (intersection over
    /// union).
    pub shape: f32,
    /// What differs in brightness by more than this share of its contrast has changed.
    pub changed: f32,
    /// What a live frame may cost; absent: what `analysis_fps` leaves.
    pub budget: Option<Span>,
}

impl Default for Refresh {
    fn default() -> Self {
        Self {
            exact: false,
            detect: Span::from_secs_f64(0.5),
            age: Span::from_secs_f64(2.0),
            scene: Span::from_secs_f64(1.0),
            shape: 0.6,
            changed: 0.9,
            budget: None,
        }
    }
}

/// What turns features into scores.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Heads {
    /// The heads that the pack carries; as `None` if it has none.
    #[default]
    Pack,
    /// Mean of the person's and the whole frame's embedding ("fusion").
    None,
    /// The whole frame alone, the paper's baseline.
    Baseline,
    /// Trained interaction heads.
    File(PathBuf),
}

impl From<String> for Heads {
    fn from(text: String) -> Self {
        match text.as_str() {
            "pack" => Self::Pack,
            "none" => Self::None,
            "baseline" => Self::Baseline,
            _ => Self::File(text.into()),
        }
    }
}

impl From<Heads> for String {
    fn from(heads: Heads) -> Self {
        match heads {
            Heads::Pack => "pack".into(),
            Heads::None => "none".into(),
            Heads::Baseline => "baseline".into(),
            Heads::File(path) => path.to_string_lossy().into_owned(),
        }
    }
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

/// Where the embedding of a person or an object comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regions {
    /// Each is cut out and encoded.
    #[default]
    Crops,
    /// The frame is encoded once, twice as large, and each is read off it.
    OnePass,
}

impl Regions {
    /// What heads are made for that are trained with such embeddings of an encoder's `space`.
    pub fn space(self, space: &str) -> String {
        match self {
            Self::Crops => space.to_owned(),
            Self::OnePass => format!("{space} one-pass"),
        }
    }
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
