//! The way of a frame from every camera to every listener: threads, the queue between them, the schedule.
//!
//! One thread a camera captures and never waits for the analysis; the thread that calls [`Pipeline::run`] owns the
//! networks and analyses. The only room that knows all others.

mod analysis;
mod capture;
mod crops;
mod gate;
mod judged;
mod mailbox;
mod meter;
mod networks;
mod publish;
mod report;
mod status;

use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info};

pub use analysis::{AnalysisError, View};
pub use capture::{CaptureCounts, Feed, Opener, Pace};
pub use gate::{Gate, Shut};
pub use judged::Judged;
pub use mailbox::{Arrival, Delivery, Mailbox};
pub use meter::{Stage, StageTimes, Window, resident_memory};
pub use networks::Networks;
pub use publish::Publishing;
pub use report::{CameraReport, Report};
pub use status::{Condition, Status};

use crate::camera::{CameraError, Stop};
use crate::clock::{Clock, FrameTime};
use crate::config::Config;
use crate::event::Reason;
use crate::frame::Frame;
use crate::vocabulary::Vocabulary;

/// Why the pipeline stopped before its recordings ended.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error("camera {camera}: {source}")]
    Camera { camera: String, source: CameraError },
    #[error("camera {camera}, frame {frame}: {source}")]
    Analysis { camera: String, frame: u64, source: Box<AnalysisError> },
}

/// A frame and what was found in it.
pub struct Seen<'a> {
    /// Index of the camera among the feeds.
    pub camera: usize,
    pub frame: &'a Frame,
    pub view: &'a View,
    pub networks: &'a Networks,
    pub vocabulary: &'a Vocabulary,
}

/// Whoever wants to know what is seen. Called on the analysis thread: it must neither block nor take long.
pub trait Observer {
    /// A frame was analysed; its events are in the view.
    fn analysed(&mut self, seen: &Seen<'_>);
    /// A camera was lost, or the pipeline stops: the view holds the last `end` events.
    fn closed(&mut self, view: &View);
    /// A camera's status changed; all begin as [`Status::Opening`].
    fn status(&mut self, camera: usize, status: Status);
    /// Called each `stats.interval`, and once at the end.
    fn report(&mut self, report: &Report);
}

/// The whole machine, ready to run.
pub struct Pipeline {
    pub config: Config,
    pub networks: Networks,
    pub vocabulary: Arc<Vocabulary>,
    pub feeds: Vec<Feed>,
    pub clock: Arc<dyn Clock>,
    /// Whether every frame's scores come with their reasons.
    pub explain: bool,
}

impl Pipeline {
    /// Runs until every source has ended or `stop` is set; then whatever is open is closed.
    pub fn run(self, observer: &mut dyn Observer, stop: &Stop) -> Result<Report, PipelineError> {
        let Self { config, mut networks, vocabulary, feeds, clock, explain } = self;
        let mailbox = Mailbox::new(feeds.len());
        let mut cameras: Vec<Camera> =
            feeds.iter().map(|feed| Camera::new(feed, &config, &networks)).collect();
        if explain {
            cameras.iter_mut().for_each(|camera| camera.view.explain());
        }
        let mut reporter = report::Reporter::new(clock.monotonic(), config.stats.interval.into());

        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for (index, feed) in feeds.into_iter().enumerate() {
                let counts = cameras.get(index).map(|c| Arc::clone(&c.counts)).unwrap_or_default();
                let mailbox = &mailbox;
                let capture = capture::Capture { index, mailbox, counts, clock: &*clock, stop };
                threads.push(scope.spawn(move || capture.run(feed)));
            }
            let analysed = analyse(
                &mut cameras,
                &mut networks,
                &vocabulary,
                &mailbox,
                &*clock,
                &mut reporter,
                observer,
                stop,
            );
            if analysed.is_err() {
                stop.set();
            }
            mailbox.close();
            let mut result = analysed;
            for (thread, camera) in threads.into_iter().zip(&cameras) {
                match thread.join() {
                    Ok(captured) => {
                        let captured = captured
                            .map_err(|source| PipelineError::Camera { camera: camera.name.clone(), source });
                        result = result.and(captured);
                    }
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            let now = clock.now();
            tell_status(&mut cameras, observer);
            for camera in &mut cameras {
                camera.view.close(camera.at(now), Reason::Shutdown, &mut networks, &vocabulary);
                observer.closed(&camera.view);
            }
            let report = reporter.report(&cameras, &mailbox, now);
            observer.report(&report);
            result.map(|()| report)
        })
    }
}

/// The analysis thread's side of a camera.
struct Camera {
    name: String,
    delivery: Delivery,
    counts: Arc<CaptureCounts>,
    /// What the observer knows.
    status: Status,
    view: View,
    latest: Option<FrameTime>,
    analysed: u64,
    failed: u64,
    ended: bool,
}

impl Camera {
    fn new(feed: &Feed, config: &Config, networks: &Networks) -> Self {
        Self {
            name: feed.camera.name.clone(),
            delivery: feed.delivery,
            counts: Arc::default(),
            status: Status::default(),
            view: View::new(&feed.camera, config, networks),
            latest: None,
            analysed: 0,
            failed: 0,
            ended: false,
        }
    }

    /// The time at which to close what is open: now for a live camera, the last frame's for a recording.
    fn at(&self, now: FrameTime) -> FrameTime {
        match self.delivery {
            Delivery::Latest => now,
            Delivery::Every => self.latest.unwrap_or(now),
        }
    }
}

/// Tells `observer` of every camera's status that has changed.
fn tell_status(cameras: &mut [Camera], observer: &mut dyn Observer) {
    for (index, camera) in cameras.iter_mut().enumerate() {
        let status = camera.counts.condition.status();
        if std::mem::replace(&mut camera.status, status) != status {
            observer.status(index, status);
        }
    }
}

#[allow(clippy::too_many_arguments)] // the whole machine, taken apart so that the threads can share its pieces
fn analyse(
    cameras: &mut [Camera],
    networks: &mut Networks,
    vocabulary: &Vocabulary,
    mailbox: &Mailbox,
    clock: &dyn Clock,
    reporter: &mut report::Reporter,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<(), PipelineError> {
    let mut frame = Frame::default();
    while !stop.is_set() && cameras.iter().any(|c| !c.ended) {
        let arrival = mailbox.take(&mut frame, Duration::from_millis(100));
        if let Some((index, arrival)) = arrival
            && let Some(camera) = cameras.get_mut(index)
        {
            match arrival {
                Arrival::Frame => {
                    let started = clock.monotonic();
                    // A recording's frames were not captured now; their latency counts from when we took them up.
                    let captured = match camera.delivery {
                        Delivery::Latest => frame.time.monotonic,
                        Delivery::Every => started,
                    };
                    camera.latest = Some(frame.time);
                    match camera.view.analyse(&frame, captured, networks, vocabulary) {
                        Ok(()) => {
                            camera.analysed += 1;
                            let view = &camera.view;
                            observer.analysed(&Seen {
                                camera: index,
                                frame: &frame,
                                view,
                                networks,
                                vocabulary,
                            });
                            reporter.analysed(view.times(), clock.monotonic().saturating_sub(captured));
                        }
                        Err(source) if camera.delivery == Delivery::Every => {
                            let (camera, frame) = (camera.name.clone(), frame.sequence);
                            let source = Box::new(source);
                            return Err(PipelineError::Analysis { camera, frame, source });
                        }
                        Err(source) => {
                            camera.failed += 1;
                            if camera.failed.is_power_of_two() {
                                error!(camera = camera.name, %source, failed = camera.failed, "frame not analysed");
                            }
                        }
                    }
                }
                Arrival::Lost(_) | Arrival::Ended => {
                    camera.ended |= arrival == Arrival::Ended;
                    let reason =
                        if let Arrival::Lost(reason) = arrival { reason } else { Reason::SourceEnded };
                    camera.view.close(camera.at(clock.now()), reason, networks, vocabulary);
                    observer.closed(&camera.view);
                    info!(camera = camera.name, analysed = camera.analysed, "camera delivers no more");
                }
            }
        }
        tell_status(cameras, observer);
        if reporter.is_due(clock.monotonic()) {
            let report = reporter.report(cameras, mailbox, clock.now());
            observer.report(&report);
        }
    }
    Ok(())
}
