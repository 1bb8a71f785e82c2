//! The way of a frame from every camera to every listener: threads, the queue between them, the schedule.
//!
//! One thread a camera captures and never waits for the analysis; the thread that calls [`Pipeline::run`] owns the
//! networks and analyses. Whoever holds its [`Control`] changes, between two frames, what it goes by. The only room
//! that knows all others.

mod analysis;
mod camera;
mod capture;
mod control;
mod cost;
mod crops;
mod gate;
mod judged;
mod look;
mod lookout;
mod mailbox;
mod meter;
mod networks;
mod process;
mod publish;
mod refresh;
mod report;
mod running;
mod schedule;
mod snapshots;
mod status;

use std::sync::Arc;

pub use analysis::{AnalysisError, Budget, View};
pub use capture::{CaptureCounts, Feed, Opener, Pace};
pub use control::{Control, ControlError, Requests, Trial, TriedPerson, Update};
pub use gate::{Gate, Shut};
pub use judged::Judged;
pub use mailbox::{Arrival, Delivery, Mailbox};
pub use meter::{Stage, StageTimes, Window, quantile};
pub use networks::Networks;
pub use process::{age, peak_memory, resident_memory};
pub use publish::{Publishing, statistics};
pub use refresh::Counts;
pub use report::{CameraReport, Report};
pub use schedule::Schedule;
pub use status::{Condition, Status};

use crate::camera::{CameraError, Stop};
use crate::clock::Clock;
use crate::config::Config;
use crate::frame::Frame;
use crate::vocabulary::Vocabulary;
use running::Running;

/// Why the pipeline stopped before its recordings ended.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error("camera {camera}: {source}")]
    Camera { camera: String, source: CameraError },
    #[error("camera {camera}: its thread did not start: {source}")]
    Thread { camera: String, source: std::io::Error },
    #[error("camera {camera}, frame {frame}: {source}")]
    Analysis { camera: String, frame: u64, source: Box<AnalysisError> },
}

/// A frame and what was found in it.
pub struct Seen<'a> {
    /// Name of the camera.
    pub camera: &'a str,
    pub frame: &'a Frame,
    pub view: &'a View,
    pub networks: &'a Networks,
    pub vocabulary: &'a Vocabulary,
}

/// Whoever wants to know what is seen. Called on the analysis thread: it must neither block nor take long.
pub trait Observer {
    /// A frame was analysed; its events are in the view.
    fn analysed(&mut self, seen: &Seen<'_>);
    /// A camera was lost, the configuration changed, or the pipeline stops: the view holds `end` events.
    fn closed(&mut self, view: &View);
    /// A camera's status changed; all begin as [`Status::Opening`].
    fn status(&mut self, camera: &str, status: Status);
    /// What is seen from now on is seen with this configuration and these words. Called after a change, not at the start.
    fn reconfigured(&mut self, _config: &Config, _vocabulary: &Vocabulary) {}
    /// Called each `stats.interval`, and once at the end.
    fn report(&mut self, report: &Report);
    /// Called after each frame, and while none comes at least every 100 ms; not while frames come and every one fails.
    /// Who hears nothing for long knows that the analysis is stuck.
    fn progress(&mut self) {}
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
    /// The other end of a [`Control`]; the default asks for nothing.
    pub requests: Requests,
}

impl Pipeline {
    /// Runs until every source has ended or `stop` is set; then whatever is open is closed. The feeds are used up: with
    /// others it may run again.
    pub fn run(&mut self, observer: &mut dyn Observer, stop: &Stop) -> Result<Report, PipelineError> {
        let (feeds, requests) = (std::mem::take(&mut self.feeds), std::mem::take(&mut self.requests));
        let mut running = Running::new(self, observer);
        let mut result = feeds.into_iter().try_for_each(|feed| running.start(feed));
        if result.is_ok() {
            result = running.run(&requests, stop);
        }
        drop(requests); // whoever still asks is told that nobody answers
        if result.is_err() {
            stop.set();
        }
        let (left, report) = running.finish();
        result.and(left).map(|()| report)
    }
}
