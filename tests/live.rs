//! What a running pipeline goes by changes between two frames; only that which has to be is opened or closed.

#[path = "common/puppets.rs"]
mod puppets;

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use puppets::{heads, networks, vocabulary};
use watchword::camera::{CameraError, Source, SourceInfo, Stop};
use watchword::clock::{Clock, SystemClock};
use watchword::config::{self, Config, Span};
use watchword::engine::{EngineError, Input, Port, Session, Tensor};
use watchword::event::{ActionEvent, Change, Reason};
use watchword::frame::{Frame, PixelFormat};
use watchword::heads::Method;
use watchword::pipeline::{
    Control, ControlError, Delivery, Feed, Gate, Networks, Observer, Pipeline, PipelineError, Report, Seen,
    Status, Update, View,
};
use watchword::vocabulary::Vocabulary;

/// Longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was seen, to be looked at from outside.
#[derive(Default)]
struct Log {
    /// Each with the vocabulary under which it was told.
    events: Vec<(ActionEvent, String)>,
    /// Frames by camera.
    frames: HashMap<String, usize>,
    vocabulary: String,
    /// Signs that the analysis goes on.
    progress: usize,
}

struct Watching(Arc<Mutex<Log>>);

impl Observer for Watching {
    fn analysed(&mut self, seen: &Seen<'_>) {
        let mut log = self.0.lock().unwrap();
        *log.frames.entry(seen.camera.to_owned()).or_default() += 1;
        let vocabulary = log.vocabulary.clone();
        assert_eq!(seen.vocabulary.id(), vocabulary, "an observer is told before the first frame");
        log.events.extend(seen.view.events().iter().map(|e| (e.clone(), vocabulary.clone())));
    }

    fn closed(&mut self, view: &View) {
        let mut log = self.0.lock().unwrap();
        let vocabulary = log.vocabulary.clone();
        log.events.extend(view.events().iter().map(|e| (e.clone(), vocabulary.clone())));
    }

    fn reconfigured(&mut self, _: &Config, vocabulary: &Vocabulary) {
        vocabulary.id().clone_into(&mut self.0.lock().unwrap().vocabulary);
    }

    fn status(&mut self, _: &str, _: Status) {}

    fn report(&mut self, _: &Report) {}

    fn progress(&mut self) {
        self.0.lock().unwrap().progress += 1;
    }
}

/// By camera: how often it was opened, and whether it is open.
type Devices = Arc<Mutex<HashMap<String, (usize, bool)>>>;

/// A device, which can only be opened by one at a time.
struct Puppet {
    info: SourceInfo,
    picture: Frame,
    name: String,
    devices: Devices,
    stop: Stop,
}

impl Source for Puppet {
    fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        if self.stop.wait(Duration::from_millis(5)) {
            return Err(CameraError::Stopped);
        }
        frame.picture.clone_from(&self.picture.picture);
        frame.sequence += 1;
        frame.time = SystemClock.now();
        Ok(true)
    }

    fn info(&self) -> &SourceInfo {
        &self.info
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.devices.lock().unwrap().get_mut(&self.name).unwrap().1 = false;
    }
}

/// A pipeline that runs, with cameras that count how often they were opened.
struct Running {
    config: Config,
    control: Control,
    log: Arc<Mutex<Log>>,
    stop: Stop,
    devices: Devices,
    thread: JoinHandle<Result<Report, PipelineError>>,
}

impl Running {
    fn start(config: Config, method: fn() -> Method) -> Self {
        let networks = networks(&config, method());
        Self::start_with(config, networks, feed)
    }

    fn start_with(
        config: Config,
        networks: Networks,
        feed: impl Fn(&config::Camera, &Stop, &Devices) -> Feed,
    ) -> Self {
        let (control, requests) = Control::new();
        let (log, stop, devices) = <(Arc<Mutex<Log>>, Stop, Devices)>::default();
        let words = vocabulary(&config);
        words.id().clone_into(&mut log.lock().unwrap().vocabulary);
        let feeds = config.cameras.iter().map(|camera| feed(camera, &stop, &devices)).collect();
        let mut pipeline = Pipeline {
            networks,
            vocabulary: Arc::new(words),
            feeds,
            clock: Arc::new(SystemClock),
            explain: false,
            requests,
            config: config.clone(),
        };
        let thread = {
            let (log, stop) = (Arc::clone(&log), stop.clone());
            std::thread::spawn(move || pipeline.run(&mut Watching(log), &stop))
        };
        Self { config, control, log, stop, devices, thread }
    }

    /// Puts `config` into effect, opening these cameras.
    fn update(&mut self, config: Config, open: &[&str]) {
        self.update_with(config, open, None);
    }

    fn update_with(&mut self, config: Config, open: &[&str], method: Option<Method>) {
        let feeds = open.iter().filter_map(|name| config.camera(name));
        let update = Update {
            vocabulary: Arc::new(vocabulary(&config)),
            networks: method.map(|method| networks(&config, method)),
            scorer: None,
            feeds: feeds.map(|camera| feed(camera, &self.stop, &self.devices)).collect(),
            config: config.clone(),
        };
        self.control.update(update).unwrap();
        self.config = config;
    }

    fn until(&self, what: &str, condition: impl Fn(&Log) -> bool) {
        let start = Instant::now();
        while !condition(&self.log.lock().unwrap()) {
            assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for some more frames of `camera`.
    fn watch(&self, camera: &str) {
        let frames = |log: &Log| log.frames.get(camera).copied().unwrap_or_default();
        let before = frames(&self.log.lock().unwrap());
        self.until("there are frames", |log| frames(log) >= before + 5);
    }

    fn opened(&self, camera: &str) -> usize {
        self.devices.lock().unwrap().get(camera).map_or(0, |(times, _)| *times)
    }

    fn events(&self) -> Vec<(ActionEvent, String)> {
        self.log.lock().unwrap().events.clone()
    }

    /// Stops it; all events.
    fn finish(self) -> Vec<(ActionEvent, String)> {
        self.stop.set();
        self.thread.join().unwrap().unwrap();
        assert!(self.devices.lock().unwrap().values().all(|(_, open)| !open), "every camera was given back");
        assert!(matches!(
            self.control.picture("gate", PATIENCE),
            Err(ControlError::Stopped | ControlError::NoCamera(_))
        ));
        let events = self.log.lock().unwrap().events.clone();
        for (begin, _) in events.iter().filter(|(event, _)| event.change == Change::Begin) {
            let ends = events.iter().filter(|(e, _)| e.id == begin.id && e.change == Change::End).count();
            assert_eq!(ends, 1, "whatever begins ends once: {begin:?}");
        }
        events
    }
}

fn feed(camera: &config::Camera, stop: &Stop, devices: &Devices) -> Feed {
    let (name, stop, devices) = (camera.name.clone(), stop.child(), Arc::clone(devices));
    let own = stop.clone();
    let open = move || {
        let mut all = devices.lock().unwrap();
        let (times, open) = all.entry(name.clone()).or_default();
        *times += 1;
        assert!(!std::mem::replace(open, true), "the device is busy");
        let description = "puppet".into();
        let info = SourceInfo { description, width: 640, height: 480, fps: None, frames: None, live: true };
        let (picture, name, devices) =
            (puppets::frame(PixelFormat::Rgb24), name.clone(), Arc::clone(&devices));
        Ok(Box::new(Puppet { info, picture, name, devices, stop: own.clone() }) as Box<dyn Source>)
    };
    let (gate, open) = (Gate::default(), Box::new(open));
    Feed { camera: camera.clone(), delivery: Delivery::Latest, gate, stop, open }
}

fn camera(name: &str) -> config::Camera {
    config::Camera { name: name.into(), source: "puppet".into(), ..config::Camera::default() }
}

/// Everybody does everything at once.
fn config(cameras: &[&str]) -> Config {
    let mut config = puppets::config();
    config.cameras = cameras.iter().map(|name| camera(name)).collect();
    config.events.hysteresis = 0.01;
    for action in &mut config.actions {
        action.threshold = 0.05;
        action.minimum_duration = Span::from_secs_f64(0.0);
    }
    config
}

fn begun(log: &Log, camera: &str) -> usize {
    log.events.iter().filter(|(e, _)| e.change == Change::Begin && e.camera == camera).count()
}

#[test]
fn new_words_are_swapped_in_and_only_what_was_taken_out_ends() {
    let mut running = Running::start(config(&["gate", "yard"]), || Method::Fusion);
    running.until("all goes on", |log| begun(log, "gate") == 15 && begun(log, "yard") == 15);
    let old = running.log.lock().unwrap().vocabulary.clone();

    let mut changed = running.config.clone();
    changed.actions.remove(1);
    changed.actions[0].phrases = vec!["strolling".into()];
    running.update(changed, &[]);
    let ends: Vec<_> = running.events().into_iter().filter(|(e, _)| e.change == Change::End).collect();
    assert_eq!(ends.len(), 10, "five people before two cameras");
    for (end, told_under) in &ends {
        assert_eq!((end.action.as_str(), end.reason), ("falling", Some(Reason::VocabularyChanged)));
        assert_eq!(*told_under, old, "it was seen with the old words");
    }
    running.watch("gate");
    running.watch("yard");
    assert_eq!((running.opened("gate"), running.opened("yard")), (1, 1), "no camera was touched");
    let new = vocabulary(&running.config).id().to_owned();
    assert_ne!(new, old);
    let events = running.finish();
    let (first, last) =
        (events.iter().position(|(_, told_under)| *told_under == new), events.last().unwrap());
    let after = &events[first.unwrap()..];
    assert!(after.iter().all(|(event, told_under)| event.action != "falling" && *told_under == new));
    assert!(after.iter().all(|(event, _)| event.change != Change::Begin), "the others live on");
    assert_eq!((last.0.reason, last.1.as_str()), (Some(Reason::Shutdown), new.as_str()));
}

#[test]
fn other_thresholds_close_nothing() {
    let mut running = Running::start(config(&["gate"]), || Method::Fusion);
    running.until("all goes on", |log| begun(log, "gate") == 15);
    let mut changed = running.config.clone();
    changed.actions.iter_mut().for_each(|action| action.threshold = 0.06);
    changed.tracker.max_lost = Span::from_secs_f64(9.0);
    changed.detector.max_persons = 7;
    changed.events.hysteresis = 0.02;
    changed.cameras[0].analysis_fps = Some(50.0);
    changed.cameras[0].zones = vec![config::Zone {
        name: "all".into(),
        polygon: vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]],
    }];
    running.update(changed, &[]);
    running.watch("gate");
    assert_eq!(running.opened("gate"), 1);
    assert!(running.events().iter().all(|(event, _)| event.change != Change::End));
    let events = running.finish();
    assert!(events.last().unwrap().0.zones == ["all"]);
}

#[test]
fn cameras_come_and_go_and_the_others_do_not_notice() {
    let mut running = Running::start(config(&["gate"]), || Method::Fusion);
    running.until("all goes on", |log| begun(log, "gate") == 15);
    let mut changed = running.config.clone();
    changed.cameras.push(camera("yard"));
    running.update(changed.clone(), &["yard"]);
    running.until("the new one sees", |log| begun(log, "yard") == 15);
    assert!(running.control.picture("yard", PATIENCE).is_ok());

    changed.cameras[1].size = Some([320, 240]);
    running.update(changed.clone(), &["yard"]);
    running.until("it sees again", |log| begun(log, "yard") == 30);
    assert_eq!((running.opened("gate"), running.opened("yard")), (1, 2));

    changed.cameras.remove(0);
    running.update(changed, &[]);
    running.watch("yard");
    assert_eq!(running.control.picture("gate", PATIENCE).unwrap_err(), ControlError::NoCamera("gate".into()));
    let ends = |events: &[(ActionEvent, String)], camera: &str, reason| {
        let ended =
            |e: &ActionEvent| e.camera == camera && e.change == Change::End && e.reason == Some(reason);
        events.iter().filter(|(event, _)| ended(event)).count()
    };
    let events = running.finish();
    assert_eq!(ends(&events, "yard", Reason::SourceEnded), 15, "of the source that was exchanged");
    assert_eq!(ends(&events, "gate", Reason::Reconfigured), 15);
    assert_eq!(ends(&events, "yard", Reason::Shutdown), 15);
}

#[test]
fn models_and_heads_are_exchanged_while_people_are_followed_on() {
    let mut running = Running::start(config(&["gate"]), || Method::Fusion);
    running.until("all goes on", |log| begun(log, "gate") == 15);
    let mut changed = running.config.clone();
    changed.scoring.look_ahead = Span::from_secs_f64(1.0);
    changed.scoring.provisional = true;
    running.update_with(changed.clone(), &[], Some(heads()));
    running.watch("gate");
    changed.scoring.look_ahead = Span::from_secs_f64(0.0);
    running.update_with(changed, &[], Some(Method::Baseline));
    running.watch("gate");
    assert_eq!(running.opened("gate"), 1);
    let events = running.finish();
    let first = &events[0].0;
    let ended = events.iter().find(|(e, _)| e.id == first.id && e.change == Change::End).unwrap();
    assert_ne!(ended.0.reason, Some(Reason::Reconfigured), "the decision goes on with other models");
}

#[test]
fn a_picture_is_of_the_camera_asked_for() {
    let running = Running::start(config(&["gate", "yard"]), || Method::Fusion);
    let picture = running.control.picture("yard", PATIENCE).unwrap();
    assert_eq!((picture.width, picture.height), (640, 480));
    assert_eq!(running.control.picture("roof", PATIENCE).unwrap_err(), ControlError::NoCamera("roof".into()));
    running.finish();
}

#[test]
fn other_words_are_tried_on_the_same_people_and_change_nothing() {
    let running = Running::start(config(&["gate"]), heads);
    running.until("all goes on", |log| begun(log, "gate") == 15);
    let mut other = running.config.clone();
    other.actions.pop();
    let words = Arc::new(vocabulary(&other));
    let trial = running.control.attempt("gate", &words, PATIENCE).unwrap();
    assert_eq!(trial.persons.len(), 5);
    for person in &trial.persons {
        assert_eq!(person.scores.len(), 2);
        assert!(person.scores.iter().all(|p| (0.0..=1.0).contains(p)) && person.rect[2] <= 1.0, "{person:?}");
    }
    let same = Arc::new(vocabulary(&running.config));
    let same = running.control.attempt("gate", &same, PATIENCE).unwrap();
    let sum = |scores: &[f32]| scores.iter().sum::<f32>();
    assert!(same.persons.iter().all(|person| sum(&person.scores) > 0.99), "the three share all there is");
    assert_eq!(
        running.control.attempt("roof", &words, PATIENCE).unwrap_err(),
        ControlError::NoCamera("roof".into())
    );
    running.watch("gate");
    assert_eq!(begun(&running.log.lock().unwrap(), "gate"), 15, "nothing began because of it");
    assert!(running.finish().iter().all(|(event, _)| event.reason.is_none_or(|r| r == Reason::Shutdown)));
}

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Works,
    Fails,
    Hangs,
}

/// A detector that works, fails or hangs, and how often it was asked.
struct Moody {
    inner: Box<dyn Session>,
    mood: Arc<(Mutex<(Mood, usize)>, Condvar)>,
}

impl Session for Moody {
    fn inputs(&self) -> &[Port] {
        self.inner.inputs()
    }

    fn outputs(&self) -> &[Port] {
        self.inner.outputs()
    }

    fn run(&mut self, inputs: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), EngineError> {
        let (mood, changed) = &*self.mood;
        let mut state = mood.lock().unwrap();
        state.1 += 1;
        changed.notify_all();
        let state = changed.wait_while(state, |state| state.0 == Mood::Hangs).unwrap();
        match state.0 {
            Mood::Fails => Err(EngineError::Run { model: "moody".into(), reason: "it failed".into() }),
            _ => self.inner.run(inputs, outputs),
        }
    }
}

#[test]
fn there_is_progress_while_frames_are_analysed_and_none_while_all_fail_or_one_hangs() {
    let config = config(&["gate"]);
    let mood = Arc::new((Mutex::new((Mood::Works, 0)), Condvar::new()));
    let moody = Moody { inner: puppets::detector(), mood: Arc::clone(&mood) };
    let networks = puppets::networks_with(Box::new(moody), &config, Method::Fusion);
    let running = Running::start_with(config, networks, feed);
    let progress = || running.log.lock().unwrap().progress;
    // Returns when it was asked so many times in the new mood.
    let is_now = |new: Mood, times: usize| {
        let (mood, changed) = &*mood;
        let mut state = mood.lock().unwrap();
        *state = (new, 0);
        changed.notify_all();
        let (_state, late) =
            changed.wait_timeout_while(state, PATIENCE, |(_, asked)| *asked < times).unwrap();
        assert!(!late.timed_out(), "nobody asks the detector");
    };
    running.watch("gate");
    let before = progress();
    running.watch("gate");
    assert!(progress() > before);

    is_now(Mood::Fails, 2);
    let before = progress();
    is_now(Mood::Fails, 20);
    assert_eq!(progress(), before, "every frame fails");

    is_now(Mood::Works, 2);
    running.until("it goes on", |log| log.progress > before);
    is_now(Mood::Hangs, 1);
    let before = progress();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(progress(), before, "a frame hangs");
    is_now(Mood::Works, 1);
    running.finish();
}

#[test]
fn to_wait_for_a_camera_that_is_away_is_progress() {
    let config = config(&["gate"]);
    let networks = networks(&config, Method::Fusion);
    let lost = |camera: &config::Camera, stop: &Stop, devices: &Devices| {
        let gone = || Err(CameraError::Stalled { name: "puppet".into(), after: Duration::from_secs(5) });
        Feed { open: Box::new(gone), ..feed(camera, stop, devices) }
    };
    let running = Running::start_with(config, networks, lost);
    running.until("it waits", |log| log.progress > 5);
    assert!(running.log.lock().unwrap().frames.is_empty());
    running.finish();
}
