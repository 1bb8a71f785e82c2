//! The configuration: what an operator may write, its defaults and units.
//!
//! Plain data that every room may read; knows nothing of what is done with it. Durations are written `"1.5s"`,
//! `"2m"` or a number of seconds; boxes and polygons are fractions of the frame. Every key has a default or is
//! validated to be there, and every mistake is reported at once, with its place and what to do about it.

mod action;
mod analysis;
mod camera;
mod changes;
mod delivery;
mod edit;
mod file_ref;
mod home_assistant;
mod hours;
mod key_path;
mod load;
mod onvif;
mod overlay;
mod polygon;
mod problem;
mod report;
mod show;
mod source;
mod span;
mod speed;
mod stream;
mod thresholds;
mod transport;
mod validate;
mod web;

#[cfg(test)]
mod tests;

pub use action::{Action, Vocabulary};
pub use analysis::{Crop, Detector, EngineKind, Events, Heads, Pack, Refresh, Regions, Scoring, Tracker};
pub use camera::{Camera, ControlValue, DeviceFormat, Mask, Zone};
pub use changes::{Changes, NoCamera};
pub use delivery::{BrokerKind, Mqtt, Node, Spool, Stats};
pub use edit::{EditError, EditedAction, with_regions, with_words};
pub use file_ref::{FileRef, FileRefError, SecretError};
pub use home_assistant::HomeAssistant;
pub use hours::{Hours, HoursError};
pub use key_path::KeyPath;
pub use load::Loaded;
pub use onvif::Onvif;
pub use overlay::Overlay;
pub use problem::{ConfigErrors, Place, Problem, Severity};
pub use span::Span;
pub use speed::Speed;
pub use stream::{Hwaccel, RtspTransport};
pub use thresholds::{ThresholdError, with_thresholds};
pub use transport::{Pin, Tls, Transport};
pub use web::{Login, Web};

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
    pub refresh: Refresh,
    pub events: Events,
    pub mqtt: Mqtt,
    pub homeassistant: HomeAssistant,
    pub onvif: Onvif,
    pub stats: Stats,
    pub web: Web,
}
