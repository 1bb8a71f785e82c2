//! Cameras side by side and one by one: what the pipeline makes of sources that come, go, hurry and are told to rest.

#[path = "common/puppets.rs"]
mod puppets;
#[path = "common/watcher.rs"]
mod watcher;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use puppets::frame;
use watcher::{Notes, Watcher, config, pipeline};
use watchword::camera::{CameraError, Source, SourceInfo, Stop};
use watchword::clock::{Clock, ManualClock, SystemClock};
use watchword::config;
use watchword::event::Reason;
use watchword::frame::{Frame, PixelFormat};
use watchword::pipeline::{Delivery, Feed, Gate, Schedule, Status};

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
    let mut pipeline = pipeline(config(), vec![feed]);
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

#[test]
fn a_schedule_opens_and_shuts_also_when_the_wall_clock_jumps() {
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    // A Wednesday.
    let clock = Arc::new(ManualClock::new(Duration::from_secs(100), at("2026-06-03T12:00:00Z")));
    let camera = config::Camera {
        name: "gate".into(),
        schedule: vec!["mon-fri 08:00-18:00".parse().unwrap()],
        ..Default::default()
    };
    let node = config::Node { time_zone: Some("UTC".into()), ..Default::default() };
    let (stop, open, watcher) = (Stop::new(), Arc::default(), Watcher::default());
    let gate = Gate::new(Schedule::of(&camera, &node));
    let feed = {
        let (stop, open) = (stop.child(), Arc::clone(&open));
        let own = stop.clone();
        let open = Box::new(move || Ok(Endless::open(100.0, &open, &stop)));
        Feed { camera, open, delivery: Delivery::Latest, gate, stop: own }
    };
    let mut pipeline = pipeline(config(), vec![feed]);
    pipeline.clock = clock.clone();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| pipeline.run(&mut watcher.clone(), &stop).unwrap());
        let until = |status| {
            watcher.until("a status", |notes| notes.statuses.last() == Some(&("gate".into(), status)));
        };
        until(Status::Online);
        watcher.until("an event", |notes| notes.begun > 0);
        clock.set_utc(at("2026-06-03T18:00:00Z"));
        until(Status::ScheduledOff);
        watcher.until("its ends", |notes| notes.ends.len() == notes.begun);
        assert!(watcher.0.lock().unwrap().ends.iter().all(|reason| *reason == Some(Reason::Scheduled)));
        assert_eq!(open.load(Ordering::SeqCst), 0, "the device is free for others");
        // Set back, as by NTP; then far ahead, to a Saturday.
        clock.set_utc(at("2026-06-03T17:59:00Z"));
        until(Status::Online);
        clock.set_utc(at("2027-01-02T12:00:00Z"));
        until(Status::ScheduledOff);
        stop.set();
        running.join().unwrap()
    });
}

#[test]
fn a_fast_camera_leaves_the_slow_one_its_turns_and_each_ones_losses_are_counted() {
    let (stop, open, watcher) = (Stop::new(), Arc::default(), Watcher::default());
    let feeds = [("fast", 1000.0), ("also_fast", 1000.0), ("slow", 4.0)].map(|(name, fps)| {
        let (stop, open) = (stop.child(), Arc::clone(&open));
        let own = stop.clone();
        let camera = config::Camera { name: name.into(), ..Default::default() };
        let open = Box::new(move || Ok(Endless::open(fps, &open, &stop)));
        Feed { camera, open, delivery: Delivery::Latest, gate: Gate::default(), stop: own }
    });
    let mut pipeline = pipeline(config(), feeds.into());
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| pipeline.run(&mut watcher.clone(), &stop).unwrap());
        let of =
            |notes: &Notes, camera: &str| notes.analysed.iter().filter(|(name, _)| name == camera).count();
        watcher.until("ten of the slow one", |notes| of(notes, "slow") >= 10);
        stop.set();
        running.join().unwrap()
    });
    for camera in &report.cameras {
        // One frame may lie in the slot unread.
        let lost = camera.captured - camera.analysed;
        assert!(camera.dropped == lost || camera.dropped + 1 == lost, "{camera:?}");
    }
    let [fast, also_fast, slow] = &report.cameras[..] else { panic!("{report:?}") };
    assert!(fast.dropped > 0 && also_fast.dropped > 0);
    assert!(slow.analysed >= 10);
}

/// A recording of so many frames that breaks after each third.
struct Brittle(SourceInfo, u64);

impl Source for Brittle {
    fn read(&mut self, out: &mut Frame) -> Result<bool, CameraError> {
        if self.1 % 4 == 3 {
            let reason = "a scratch".into();
            return Err(CameraError::Video { name: "brittle".into(), reason });
        }
        out.picture = frame(PixelFormat::Grey).picture;
        (out.sequence, out.time) = (self.1, SystemClock.now());
        self.1 += 1;
        Ok(true)
    }

    fn info(&self) -> &SourceInfo {
        &self.0
    }
}

#[test]
fn a_replayed_recording_is_analysed_whole_and_opened_again_when_it_breaks() {
    let (stop, watcher) = (Stop::new(), Watcher::default());
    let open = Box::new(|| {
        let description = "brittle".into();
        let info = SourceInfo { description, width: 640, height: 480, fps: None, frames: None, live: false };
        Ok(Box::new(Brittle(info, 0)) as Box<dyn Source>)
    });
    let camera = config::Camera { name: "tape".into(), ..Default::default() };
    let feed = Feed { camera, open, delivery: Delivery::Replay, gate: Gate::default(), stop: stop.child() };
    let mut pipeline = pipeline(config(), vec![feed]);
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| pipeline.run(&mut watcher.clone(), &stop).unwrap());
        watcher.until("three passes", |notes| notes.analysed.len() >= 7);
        stop.set();
        running.join().unwrap()
    });
    let tape = &report.cameras[0];
    assert!(tape.reopened >= 2 && tape.last_error.as_deref().unwrap().contains("a scratch"), "{tape:?}");
    assert!(tape.dropped <= tape.reopened + 1, "only what waits when it breaks: {tape:?}");
}
