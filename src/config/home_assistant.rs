//! Whether Home Assistant is told of this box.

use serde::{Deserialize, Serialize};

/// `[homeassistant]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HomeAssistant {
    /// Whether to announce this box; `false` takes an earlier announcement back. Absent: neither.
    pub enabled: Option<bool>,
    /// First level of the topics that Home Assistant discovers devices by.
    pub discovery_prefix: String,
    /// Where Home Assistant says `online` when it has started.
    pub birth_topic: String,
}

impl Default for HomeAssistant {
    fn default() -> Self {
        Self {
            enabled: None,
            discovery_prefix: "homeassistant".into(),
            birth_topic: "homeassistant/status".into(),
        }
    }
}
