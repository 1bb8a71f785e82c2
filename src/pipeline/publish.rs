//! The observer of the daemon: hands what was seen to MQTT. Never waits; what MQTT cannot take is counted there.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::error;

use super::snapshots::Snapshots;
use super::{Observer, Report, Seen, Stage, Status, View};
use crate::board::{Sample, SlowedBy, Tree, Watch};
use crate::config::Config;
use crate::event::{ActionEvent, Change};
use crate::mqtt::{CameraStats, HomeAssistant, Publisher, Stats, TrackScores};
use crate::vocabulary::Vocabulary;

/// Publishes events and statistics, and every frame's detections where the configuration asks for them.
pub struct Publishing {
    publisher: Publisher,
    home_assistant: HomeAssistant,
    detections: bool,
    snapshots: Option<Snapshots>,
    board: Option<Watch>,
    /// Those that were announced, and the actions before each.
    cameras: Vec<String>,
    actions: Vec<String>,
    /// The statistics before, from which rates count.
    before: Option<Report>,
}

impl Publishing {
    /// Announces every camera as offline and its actions as off, then publishes what comes.
    pub fn new(publisher: Publisher, config: &Config) -> Self {
        let home_assistant = HomeAssistant::new(publisher.clone());
        let (cameras, actions) = Default::default();
        let (detections, snapshots, before) = (false, None, None);
        let board = Watch::start(Tree::default())
            .inspect_err(|error| error!(%error, "no temperatures: the thread that reads them did not start"))
            .ok();
        let mut this =
            Self { publisher, home_assistant, detections, snapshots, board, cameras, actions, before };
        this.configure(config);
        this
    }

    fn configure(&mut self, config: &Config) {
        self.home_assistant.describe(config);
        self.publisher.onvif(&config.onvif);
        let cameras: Vec<_> = config.cameras.iter().map(|camera| camera.name.clone()).collect();
        let actions: Vec<_> = config.actions.iter().map(|action| action.name.clone()).collect();
        let gone = pairs(&self.cameras, &self.actions)
            .filter(|(camera, action)| !has(&cameras, camera) || !has(&actions, action));
        self.publisher.retire(gone);
        self.publisher.announce(pairs(&cameras, &actions));
        for camera in self.cameras.iter().filter(|camera| !has(&cameras, camera)) {
            self.publisher.retire_camera(camera);
        }
        for camera in cameras.iter().filter(|camera| !has(&self.cameras, camera)) {
            self.publisher.camera(camera, false);
        }
        (self.cameras, self.actions) = (cameras, actions);
        self.detections = config.mqtt.detections;
        if !config.mqtt.snapshots {
            self.snapshots = None;
        } else if self.snapshots.is_none() {
            self.snapshots = Snapshots::start(self.publisher.clone())
                .inspect_err(|error| error!(%error, "no snapshots: the encoder did not start"))
                .ok();
        }
    }
}

fn pairs<'a>(cameras: &'a [String], actions: &'a [String]) -> impl Iterator<Item = (&'a str, &'a str)> {
    cameras.iter().flat_map(|camera| actions.iter().map(move |action| (camera.as_str(), action.as_str())))
}

fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known == name)
}

impl Observer for Publishing {
    fn analysed(&mut self, seen: &Seen<'_>) {
        for event in seen.view.events() {
            self.publisher.event(event);
        }
        let begins = |event: &ActionEvent| event.change == Change::Begin;
        if let Some(snapshots) = &self.snapshots
            && seen.view.events().iter().any(begins)
        {
            snapshots.take(seen.camera, &seen.frame.picture);
        }
        if self.detections {
            let names = || seen.vocabulary.names().iter().map(String::as_str);
            for frame in seen.view.judged() {
                let (width, height) = frame.size;
                let tracks = frame.scored().map(|(track, scores)| {
                    let rect = track.rect.normalised(width, height);
                    TrackScores::new(track.id, rect, track.score, names().zip(scores.iter().copied()))
                });
                self.publisher.detections(seen.camera, frame.time.utc, tracks);
            }
        }
    }

    fn closed(&mut self, view: &View) {
        for event in view.events() {
            self.publisher.event(event);
        }
    }

    fn status(&mut self, camera: &str, status: Status) {
        self.publisher.camera(camera, status == Status::Online);
    }

    fn reconfigured(&mut self, config: &Config, vocabulary: &Vocabulary) {
        self.publisher.set_origin(vocabulary.pack(), vocabulary.id());
        self.configure(config);
    }

    fn report(&mut self, report: &Report) {
        let board = self.board.as_ref().map(Watch::take).unwrap_or_default();
        self.publisher.stats(&statistics(report, self.before.as_ref(), board));
        self.before = Some(report.clone());
    }
}

/// `report` as published; rates and means are over the time since `before`.
pub fn statistics(report: &Report, before: Option<&Report>, board: Sample) -> Stats {
    let start = before.map_or(Duration::ZERO, |b| b.uptime);
    let seconds = report.uptime.saturating_sub(start).as_secs_f64().max(1e-3);
    let milliseconds = |time: Duration| round(time.as_secs_f64() * 1e3, 3);
    let frames = report.analysed - before.map_or(0, |b| b.analysed);
    let stage = |stage| {
        let time =
            report.stages.of(stage).saturating_sub(before.map_or(Duration::ZERO, |b| b.stages.of(stage)));
        (stage.name(), round(time.as_secs_f64() * 1e3 / frames.max(1) as f64, 3))
    };
    let cameras = report.cameras.iter().map(|camera| {
        let earlier = before.and_then(|b| b.cameras.iter().find(|earlier| earlier.name == camera.name));
        let rate = |count: u64, earlier: Option<u64>| {
            // A camera that was removed and came back counts from 0.
            let earlier = earlier.filter(|earlier| *earlier <= count).unwrap_or(0);
            round((count - earlier) as f64 / seconds, 2)
        };
        let stats = CameraStats {
            status: camera.status.name(),
            captured_fps: rate(camera.captured, earlier.map(|c| c.captured)),
            analysed_fps: rate(camera.analysed, earlier.map(|c| c.analysed)),
            searched_frames: camera.searched,
            dropped_frames: camera.dropped,
            missed_frames: camera.missed,
            corrupted_frames: camera.corrupted,
            reopened: camera.reopened,
            last_error: camera.last_error.clone(),
            persons: camera.persons,
            crops_encoded: camera.crops.encoded,
            crops_kept: camera.crops.kept,
            oldest_crop_ms: milliseconds(camera.crops.oldest),
        };
        (camera.name.clone(), stats)
    });
    Stats {
        time: report.time,
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: round(report.uptime.as_secs_f64(), 1),
        cameras: cameras.collect(),
        latency_ms_p50: report.latency_p50.map(milliseconds),
        latency_ms_p95: report.latency_p95.map(milliseconds),
        stage_ms: Stage::ALL.into_iter().map(stage).collect(),
        queue_depths: BTreeMap::from([("frames", report.waiting)]),
        resident_memory: report.resident_memory,
        temperatures: board.temperatures,
        slowed_by: board.slowed_by.into_iter().map(SlowedBy::name).collect(),
    }
}

fn round(value: f64, decimals: i32) -> f64 {
    let unit = 10f64.powi(decimals);
    (value * unit).round() / unit
}
