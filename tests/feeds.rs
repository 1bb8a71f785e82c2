//! Cameras side by side and one by one: what the pipeline makes of sources that come, go, hurry and are told to rest.

#[path = "common/puppets.rs"]
mod puppets;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use puppets::{frame, networks, vocabulary};
use watchword::camera::{CameraError, Source, SourceInfo, Stop};
use watchword::clock::{Clock, FrameTime, SystemClock};
use watchword::config::{self, Config};
use watchword::event::{Change, Reason};
use watchword::frame::{Frame, PixelFormat};
use watchword::heads::Method;
use watchword::pipeline::{Delivery, Feed, Gate, Observer, Pipeline, Report, Requests, Seen, Status, View};

/// Waits are generous: they end when what is waited for comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A camera of so many frames a second that counts how often it is held open.
struct Endless {
    info: SourceInfo,
    interval: Duration,
    count: u64,
    open: Arc<AtomicUsize>,
    stop: Stop,
}

impl Endless {
    fn open(fps: f64, open: &Arc<AtomicUsize>, stop: &Stop) -> Box<dyn Source> {
        open.fetch_add(1, Ordering::SeqCst);
        let info = SourceInfo {
            description: "endless".into(),
            width: 640,
            height: 480,
            fps: Some(fps),
            frames: None,
            live: true,
        };
        let interval = Duration::from_secs_f64(1.0 / fps);
        Box::new(Self { info, interval, count: 0, open: Arc::clone(open), stop: stop.clone() })
    }
}

impl Source for Endless {
    fn read(&mut self, out: &mut Frame) -> Result<bool, CameraError> {
        if self.stop.wait(self.interval) {
            return Err(CameraError::Stopped);
        }
        if out.picture.data.is_empty() {
            out.picture = frame(PixelFormat::Grey).picture;
        }
        (out.sequence, out.time) = (self.count, SystemClock.now());
        self.count += 1;
        Ok(true)
    }

    fn info(&self) -> &SourceInfo {
        &self.info
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What an observer saw, for the test's thread to look at.
#[derive(Default)]
struct Notes {
    statuses: Vec<(String, Status)>,
    ends: Vec<Option<Reason>>,
    begun: usize,
    analysed: Vec<(String, FrameTime)>,
    report: Option<Report>,
}

#[derive(Clone, Default)]
struct Watcher(Arc<Mutex<Notes>>);

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
    fn until(&self, what: &str, enough: impl Fn(&Notes) -> bool) {
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
fn config() -> Config {
    let mut config = puppets::config();
    config.actions.truncate(1);
    config.actions[0].threshold = 0.1;
    config
}

fn pipeline(config: Config, feeds: Vec<Feed>) -> Pipeline {
    let (networks, vocabulary) = (networks(&config, Method::Fusion), Arc::new(vocabulary(&config)));
    let (clock, requests) = (Arc::new(SystemClock), Requests::default());
    Pipeline { config, networks, vocabulary, feeds, clock, explain: false, requests }
}

#[test]
fn a_paused_camera_is_given_back_and_its_events_end_with_the_reason() {
    let (stop, open, gate, watcher) = (Stop::new(), Arc::default(), Gate::default(), Watcher::default());
    let feed = {
        let (stop, open) = (stop.child(), Arc::clone(&open));
        Feed {
            stop: stop.clone(),
            camera: config::Camera { name: "gate".into(), ..Default::default() },
            open: Box::new(move || Ok(Endless::open(100.0, &open, &stop))),
            delivery: Delivery::Latest,
            gate: gate.clone(),
        }
    };
    let pipeline = pipeline(config(), vec![feed]);
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| pipeline.run(&mut watcher.clone(), &stop).unwrap());
        watcher.until("an event", |notes| notes.begun > 0);
        assert_eq!(open.load(Ordering::SeqCst), 1);

        gate.pause();
        watcher.until("paused", |notes| notes.statuses.last() == Some(&("gate".into(), Status::Paused)));
        watcher.until("its ends", |notes| notes.ends.len() == notes.begun);
        assert_eq!(open.load(Ordering::SeqCst), 0, "the device is free for others");
        let (begun, analysed) = {
            let notes = watcher.0.lock().unwrap();
            assert!(notes.ends.iter().all(|reason| *reason == Some(Reason::Paused)), "{:?}", notes.ends);
            (notes.begun, notes.analysed.len())
        };

        gate.resume();
        watcher
            .until("online again", |notes| notes.statuses.last() == Some(&("gate".into(), Status::Online)));
        watcher.until("a new event", |notes| notes.begun > begun);
        assert!(watcher.0.lock().unwrap().analysed.len() > analysed);
        stop.set();
        running.join().unwrap()
    });
    let statuses: Vec<_> = watcher.0.lock().unwrap().statuses.iter().map(|(_, status)| *status).collect();
    let expected = [Status::Online, Status::Paused, Status::Opening, Status::Online, Status::Ended];
    // Between two looks of the analysis a camera may have been opened and have given a frame.
    let expected: Vec<_> =
        expected.into_iter().filter(|s| *s != Status::Opening || statuses.contains(s)).collect();
    assert_eq!(statuses, expected);
    assert_eq!((report.cameras[0].reopened, report.cameras[0].last_error.as_deref()), (0, None));
}
