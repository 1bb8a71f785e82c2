//! An observer that writes down what a pipeline tells it, and a pipeline whose networks are puppets.
#![allow(dead_code)] // each test binary uses its own part

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use watchword::clock::{FrameTime, SystemClock};
use watchword::config::Config;
use watchword::event::{Change, Reason};
use watchword::heads::Method;
use watchword::pipeline::{Feed, Observer, Pipeline, Report, Requests, Seen, Status, View};

use crate::puppets::{self, networks, vocabulary};

/// Waits are generous: they end when what is waited for comes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What an observer saw, for the test's thread to look at.
#[derive(Default)]
pub struct Notes {
    pub statuses: Vec<(String, Status)>,
    pub ends: Vec<Option<Reason>>,
    pub begun: usize,
    pub analysed: Vec<(String, FrameTime)>,
    pub report: Option<Report>,
}

#[derive(Clone, Default)]
pub struct Watcher(pub Arc<Mutex<Notes>>);

impl Watcher {
    fn events(&self, view: &View) {
        let mut notes = self.0.lock().unwrap();
        for event in view.events() {
            match event.change {
                Change::Begin => notes.begun += 1,
                Change::Update => {}
                Change::End => notes.ends.push(event.reason),
            }
        }
    }

    /// Polls until `enough`.
    pub fn until(&self, what: &str, enough: impl Fn(&Notes) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !enough(&self.0.lock().unwrap()) {
            assert!(Instant::now() < end, "it never came: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Observer for Watcher {
    fn analysed(&mut self, seen: &Seen<'_>) {
        self.events(seen.view);
        self.0.lock().unwrap().analysed.push((seen.camera.to_owned(), seen.frame.time));
    }

    fn closed(&mut self, view: &View) {
        self.events(view);
    }

    fn status(&mut self, camera: &str, status: Status) {
        self.0.lock().unwrap().statuses.push((camera.to_owned(), status));
    }

    fn report(&mut self, report: &Report) {
        self.0.lock().unwrap().report = Some(report.clone());
    }
}

/// One action that everybody does all the time.
pub fn config() -> Config {
    let mut config = puppets::config();
    config.actions.truncate(1);
    config.actions[0].threshold = 0.1;
    config
}

pub fn pipeline(config: Config, feeds: Vec<Feed>) -> Pipeline {
    let (networks, vocabulary) = (networks(&config, Method::Fusion), Arc::new(vocabulary(&config)));
    let (clock, requests) = (Arc::new(SystemClock), Requests::default());
    Pipeline { config, networks, vocabulary, feeds, clock, explain: false, requests }
}
