//! What a frame may cost, whom it leaves out, and how old a frame is when it is looked at: the whole pipeline, in a time
//! that stands still but for what its networks are said to take.

#[path = "common/puppets.rs"]
mod puppets;

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use puppets::{WIDTH, detector_with, live, networks_of, same, show, tower_with, vocabulary};
use watchword::camera::{CameraError, Source, SourceInfo, Stop};
use watchword::clock::Clock;
use watchword::config::{self, Config, Span};
use watchword::frame::{Frame, PixelFormat};
use watchword::heads::Method;
use watchword::pipeline::{Delivery, Feed, Gate, Observer, Pipeline, Report, Requests, Seen, Status, View};

const INTERVAL: Duration = Duration::from_millis(200);
const DETECTOR: Duration = Duration::from_millis(60);
/// What a frame may cost of [`INTERVAL`], as the pipeline has it.
const FRAME: Duration = Duration::from_millis(180);
/// Longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Time, and who waits for it. It passes when a network works, and when nobody does anything.
#[derive(Default)]
struct World {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    now: Duration,
    /// The camera was opened.
    open: bool,
    /// The camera has handed over what it gave, and waits for its next frame's time.
    waits: bool,
    /// The next frame's time.
    due: Duration,
    /// Frames given and done with, by the latest one's number from 1.
    given: u64,
    done: u64,
    /// Which frame is to be analysed next.
    next: u64,
}

impl World {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn until(&self, mut condition: impl FnMut(&State) -> bool) -> MutexGuard<'_, State> {
        let wait = self.changed.wait_timeout_while(self.lock(), PATIENCE, |state| !condition(state));
        let (state, late) = wait.unwrap();
        assert!(!late.timed_out(), "nothing goes on");
        state
    }

    /// A network works for `time`; meanwhile the camera gives what becomes due.
    fn work(&self, time: Duration) {
        self.lock().now += time;
        self.changed.notify_all();
        drop(self.until(|state| !state.open || state.waits && state.due > state.now));
    }
}

struct WorldClock(Arc<World>);

impl Clock for WorldClock {
    fn monotonic(&self) -> Duration {
        self.0.lock().now
    }

    fn utc(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.monotonic()
    }
}

/// A camera that gives a frame each [`INTERVAL`], whether or not anybody takes it.
struct Camera {
    world: Arc<World>,
    info: SourceInfo,
    stop: Stop,
    /// Every frame is brighter or darker than the one before.
    flickers: bool,
}

impl Source for Camera {
    fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        let world = Arc::clone(&self.world);
        world.lock().waits = true;
        world.changed.notify_all();
        let stop = self.stop.clone();
        let mut state =
            world.until(|state| state.now >= state.due || state.done == state.given || stop.is_set());
        if stop.is_set() {
            return Err(CameraError::Stopped);
        }
        state.now = state.now.max(state.due); // all wait: time goes on
        state.given += 1;
        (frame.sequence, frame.time.monotonic) = (state.given, state.due);
        state.due += INTERVAL;
        state.waits = false;
        frame.picture.reset(PixelFormat::Grey, 640, 480);
        frame.picture.data.fill(if self.flickers && state.given.is_multiple_of(2) { 200 } else { 90 });
        Ok(true)
    }

    fn info(&self) -> &SourceInfo {
        &self.info
    }
}

/// What was seen of a frame.
#[derive(Debug, Clone, Copy)]
struct Looked {
    took: Duration,
    latency: Duration,
    people: usize,
    oldest: Duration,
}

struct Watching {
    world: Arc<World>,
    frames: Vec<Looked>,
    most: usize,
    latest: u64,
    stop: Stop,
}

impl Observer for Watching {
    fn analysed(&mut self, seen: &Seen<'_>) {
        let state = self.world.lock();
        let (frame, view) = (seen.frame, seen.view);
        assert!(state.next == 0 || frame.sequence == state.next, "frame {} is old", frame.sequence);
        self.latest = frame.sequence;
        self.frames.push(Looked {
            took: view.times().total(),
            latency: state.now - frame.time.monotonic,
            people: view.judged().iter().map(|frame| frame.scored().count()).sum(),
            oldest: view.crops().oldest,
        });
        if self.frames.len() == self.most {
            self.stop.set();
        }
    }

    /// Before the next frame is taken up.
    fn progress(&mut self) {
        let mut state = self.world.lock();
        state.done = self.latest;
        // The newest that there is; if that was looked at, the one that will be.
        state.next = if state.given > state.done { state.given } else { state.done + 1 };
        self.world.changed.notify_all();
    }

    fn closed(&mut self, _: &View) {}
    fn status(&mut self, _: &str, _: Status) {}
    fn report(&mut self, _: &Report) {}
}

/// Who is before the camera, how long they may be kept, and what the networks take.
struct Scene {
    people: usize,
    moving: bool,
    /// `None`: as the configuration has it.
    age: Option<Duration>,
    detector: Duration,
    /// For so many crops.
    tower: fn(u32) -> Duration,
}

/// Everybody is to be looked at in every frame, as people are who never stand still.
const ALWAYS: Option<Duration> = Some(Duration::ZERO);

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Every crop costs the same.
fn even(crops: u32) -> Duration {
    crops * ms(11)
}

/// The first of a batch costs most, as in real towers.
fn batched(crops: u32) -> Duration {
    ms(40) + crops * ms(10)
}

/// Rows of ten people in YOLOX's predictions, who shift by a quarter of their width from frame to frame if `moving`.
fn people(count: usize, moving: bool) -> impl FnMut(&mut [f32]) + Send {
    let mut frame = 0usize;
    move |predictions| {
        frame += 1;
        let aside = if moving { (frame % 8).abs_diff(4) as f32 * 0.5 } else { 0.0 };
        for person in 0..count {
            let cell = (4 + person / 10 * 7) * 52 + 2 + person % 10 * 5;
            show(predictions, cell, aside, (16.0, 40.0));
        }
    }
}

/// Runs so many frames of `scene`.
fn run(scene: &Scene, frames: usize) -> (Vec<Looked>, Report) {
    let camera = config::Camera {
        name: "gate".into(),
        analysis_fps: Some(INTERVAL.as_secs_f64().recip()),
        ..config::Camera::default()
    };
    let mut config = Config { cameras: vec![camera.clone()], ..puppets::config() };
    config.detector.max_persons = 100;
    if let Some(age) = scene.age {
        config.refresh.age = Span::from_secs_f64(age.as_secs_f64());
    }
    let (world, stop) = (Arc::<World>::default(), Stop::new());
    let (mut see, cost, tower) = (people(scene.people, scene.moving), scene.detector, scene.tower);
    let detector = {
        let world = Arc::clone(&world);
        detector_with(move |predictions| {
            world.work(cost);
            see(predictions);
        })
    };
    let tower = {
        let world = Arc::clone(&world);
        tower_with(move |embeddings| {
            world.work(tower((embeddings.len() / WIDTH) as u32));
            same(embeddings);
        })
    };
    let clock: Arc<dyn Clock> = Arc::new(WorldClock(Arc::clone(&world)));
    let networks = networks_of(detector, tower, &config, Method::Fusion).timed_by(Arc::clone(&clock));
    let open = {
        let (world, stop, flickers) = (Arc::clone(&world), stop.clone(), scene.moving);
        move || {
            let mut state = world.lock();
            (state.open, state.due) = (true, state.now + INTERVAL);
            let (world, stop, info) = (Arc::clone(&world), stop.clone(), live());
            Ok(Box::new(Camera { world, info, stop, flickers }) as Box<dyn Source>)
        }
    };
    let feed = Feed {
        camera,
        open: Box::new(open),
        delivery: Delivery::Latest,
        gate: Gate::default(),
        stop: stop.clone(),
    };
    let mut pipeline = Pipeline {
        networks,
        vocabulary: Arc::new(vocabulary(&config)),
        feeds: vec![feed],
        clock,
        explain: false,
        requests: Requests::default(),
        config,
    };
    let (latest, most) = (0, frames);
    let mut watching = Watching { world, frames: Vec::new(), most, latest, stop: stop.clone() };
    let report = pipeline.run(&mut watching, &stop).unwrap();
    (watching.frames, report)
}

/// Frames until the image tower's cost is known and everybody has had a turn.
const WARM_UP: usize = 40;
const FRAMES: usize = 80;

#[test]
fn a_frame_costs_what_it_may_and_everybody_has_a_turn_however_many_there_are() {
    let even = |people| (people, even as fn(u32) -> Duration, 10);
    for (people, tower, crops) in [even(1), even(5), even(20), even(50), (50, batched, 7)] {
        let scene = Scene { people, moving: true, age: ALWAYS, detector: DETECTOR, tower };
        let (frames, report) = run(&scene, FRAMES);
        let binds = people + 1 > crops;
        // The whole picture is one of those who have a turn.
        let turns = (people + 1).div_ceil(crops) as u32;
        for frame in &frames[WARM_UP..] {
            assert!(frame.took <= FRAME.mul_f64(1.1), "{people} people: {frame:?}");
            // Crops are encoded eight at a time, and each eight cost something of their own.
            let least = if tower(0).is_zero() { 0.9 } else { 0.8 };
            assert!(!binds || frame.took >= FRAME.mul_f64(least), "{people} people: {frame:?}");
            assert!(frame.oldest < turns * INTERVAL, "{people} people in {turns} turns: {frame:?}");
            assert_eq!(frame.people, people, "everybody is judged");
        }
        assert_eq!((report.cameras[0].dropped, report.analysed), (0, FRAMES as u64));
    }
}

#[test]
fn who_stands_still_costs_little_and_is_looked_at_again_all_the_same() {
    for people in [1, 5, 20, 50] {
        let scene = Scene { people, moving: false, age: None, detector: DETECTOR, tower: even };
        let (frames, _) = run(&scene, FRAMES);
        let age = Duration::from(config::Refresh::default().age);
        let turns = (people + 1).div_ceil(10) as u32;
        for frame in &frames[WARM_UP..] {
            assert!(frame.took <= FRAME.mul_f64(1.1), "{people} people: {frame:?}");
            assert!(frame.oldest < age + turns * INTERVAL, "{people} people: {frame:?}");
            assert_eq!(frame.people, people);
        }
        let mean =
            frames[WARM_UP..].iter().map(|frame| frame.took).sum::<Duration>() / (FRAMES - WARM_UP) as u32;
        // Each once in the time that it may be old, and the detector.
        let most = DETECTOR + even(people as u32 + 1).mul_f64(1.1 * INTERVAL.div_duration_f64(age));
        assert!(mean <= most, "{people} people: {mean:?} a frame");
    }
}

#[test]
fn what_is_analysed_is_told_as_soon_as_it_is_analysed() {
    let scene = Scene { people: 5, moving: true, age: ALWAYS, detector: DETECTOR, tower: even };
    let (frames, report) = run(&scene, FRAMES);
    assert!(frames.iter().all(|frame| frame.latency == frame.took), "no frame waits for another");
    let everything = DETECTOR + even(6);
    assert!(report.latency_p95.unwrap() <= everything.mul_f64(1.5), "{:?}", report.latency_p95);
}

#[test]
fn a_machine_that_is_too_slow_looks_at_the_newest_frame_and_at_no_older_one() {
    let scene = Scene { people: 5, moving: true, age: ALWAYS, detector: ms(970), tower: even };
    let (frames, report) = run(&scene, FRAMES);
    for frame in &frames {
        assert!(frame.latency < frame.took + INTERVAL, "it was the newest when it was taken up: {frame:?}");
    }
    let camera = &report.cameras[0];
    assert!(camera.dropped > FRAMES as u64, "the others are counted: {}", camera.dropped);
    assert_eq!(frames.last().unwrap().people, 5, "one crop a frame there always is");
}
