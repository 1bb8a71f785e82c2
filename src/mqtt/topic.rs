//! Every topic string, built here and nowhere else.

/// The topics of one node. Base, node, camera and action are slugs, which the configuration guarantees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
}

impl Topics {
    /// Topics below `<base>/<node>`.
    pub fn new(base: &str, node: &str) -> Self {
        Self { prefix: format!("{base}/{node}") }
    }

    /// `online` or `offline`; retained, and the last will.
    pub fn availability(&self) -> String {
        format!("{}/availability", self.prefix)
    }

    /// `online` while frames of `camera` come, else `offline`; retained. It says nothing while the node is `offline`.
    pub fn camera_availability(&self, camera: &str) -> String {
        format!("{}/{camera}/availability", self.prefix)
    }

    /// Action events of all cameras.
    pub fn events(&self) -> String {
        format!("{}/events", self.prefix)
    }

    /// `ON` while anybody in front of `camera` does `action`, else `OFF`; retained.
    pub fn state(&self, camera: &str, action: &str) -> String {
        format!("{}/{camera}/{action}/state", self.prefix)
    }

    /// The tracks of each analysed frame.
    pub fn detections(&self, camera: &str) -> String {
        format!("{}/{camera}/detections", self.prefix)
    }

    /// Where Home Assistant looks for the description of `node`; retained. `prefix` is its own.
    pub fn home_assistant(prefix: &str, node: &str) -> String {
        format!("{prefix}/device/{node}/config")
    }

    /// Beginnings and ends in ONVIF's form; `prefix` is its TopicPrefix.
    pub fn onvif(prefix: &str, camera: &str, action: &str) -> String {
        format!("{prefix}/onvif-ej/tns:watchword/RuleEngine/ActionDetector/Action/&{camera}/{action}")
    }

    /// What stands before all of them: `<base>/<node>`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Numbers about the box; retained.
    pub fn stats(&self) -> String {
        format!("{}/stats", self.prefix)
    }

    /// Whether the configuration file is in effect, and what is wrong with it; retained.
    pub fn config(&self) -> String {
        format!("{}/config", self.prefix)
    }

    /// A camera's picture.
    pub fn snapshot(&self, camera: &str) -> String {
        format!("{}/{camera}/snapshot", self.prefix)
    }

    /// Every command to this node, and no answer: a filter.
    pub fn commands(&self) -> String {
        format!("{}/command/+", self.prefix)
    }

    /// The command `name`.
    pub fn command(&self, name: &str) -> String {
        format!("{}/command/{name}", self.prefix)
    }

    /// The answer to the command `name`.
    pub fn result(&self, name: &str) -> String {
        format!("{}/command/{name}/result", self.prefix)
    }
}
