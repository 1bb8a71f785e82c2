//! Whether events are published as ONVIF Profile M clients read them, too.

use serde::{Deserialize, Serialize};

/// `[onvif]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Onvif {
    pub enabled: bool,
    /// ONVIF's TopicPrefix, which names the producer. Absent: `<base topic>/<node>`.
    pub topic_prefix: Option<String>,
}
