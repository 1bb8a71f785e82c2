//! A camera as the analysis thread knows it: the thread that captures, what is seen, what is counted.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::capture::{Capture, CaptureCounts, Feed, Rate};
use super::control::{Reply, Trial};
use super::mailbox::{Delivery, Mailbox};
use super::networks::Networks;
use super::status::Status;
use super::{PipelineError, View};
use crate::camera::{CameraError, Stop};
use crate::clock::{Clock, FrameTime};
use crate::config::Config;
use crate::frame::Picture;
use crate::vocabulary::Vocabulary;

/// The analysis thread's side of a camera.
pub(super) struct Camera {
    pub name: String,
    pub delivery: Delivery,
    pub counts: Arc<CaptureCounts>,
    /// What the observer knows.
    pub status: Status,
    pub view: View,
    pub latest: Option<FrameTime>,
    pub analysed: u64,
    pub failed: u64,
    pub ended: bool,
    /// Who waits for the next frame's picture.
    pub wanted: Vec<Reply<Picture>>,
    /// Who waits for what these words score on the next frame that is judged.
    pub trials: Vec<(Arc<Vocabulary>, Reply<Trial>)>,
    pub capturing: Capturing,
    /// Frames that were replaced unread in slots given up.
    replaced: u64,
}

type Thread = JoinHandle<Result<(), CameraError>>;

/// A camera's thread and what it is told.
pub(super) struct Capturing {
    camera: String,
    /// Of the mailbox.
    pub slot: usize,
    pub rate: Arc<Rate>,
    stop: Stop,
    /// Until it is joined.
    thread: Option<Thread>,
}

impl Camera {
    /// Starts to capture.
    pub fn start(
        feed: Feed,
        config: &Config,
        networks: &Networks,
        mailbox: &Arc<Mailbox>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, PipelineError> {
        let counts = Arc::default();
        Ok(Self {
            name: feed.camera.name.clone(),
            delivery: feed.delivery,
            status: Status::default(),
            view: View::new(&feed.camera, config, networks),
            latest: None,
            analysed: 0,
            failed: 0,
            ended: false,
            wanted: Vec::new(),
            trials: Vec::new(),
            capturing: Capturing::start(feed, &counts, mailbox, clock, None)?,
            counts,
            replaced: 0,
        })
    }

    /// Captures from `feed` from now on, as soon as the source in use has been given back.
    pub fn reopen(
        mut self,
        feed: Feed,
        mailbox: &Arc<Mailbox>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, PipelineError> {
        let replaced = self.replaced(mailbox);
        self.capturing.leave(mailbox);
        let (delivery, predecessor) = (feed.delivery, self.capturing.thread.take());
        let capturing = Capturing::start(feed, &self.counts, mailbox, clock, predecessor)?;
        Ok(Self { delivery, capturing, replaced, ended: false, ..self })
    }

    /// Frames that were replaced unread.
    pub fn replaced(&self, mailbox: &Mailbox) -> u64 {
        self.replaced + mailbox.replaced(self.capturing.slot)
    }

    /// Answers whoever waits for what other words score, if a frame was judged.
    pub fn attempt(&mut self, networks: &mut Networks) {
        if self.trials.is_empty() || self.view.judged().is_empty() {
            return;
        }
        for (words, reply) in self.trials.drain(..) {
            if let Some(trial) = self.view.attempt(networks, &words) {
                _ = reply.try_send(Ok(trial)); // who asked may have gone
            }
        }
    }

    /// The time at which to close what is open: now for a live camera, the last frame's for a recording.
    pub fn at(&self, now: FrameTime) -> FrameTime {
        match self.delivery {
            Delivery::Latest => now,
            Delivery::Every | Delivery::Replay => self.latest.unwrap_or(now),
        }
    }
}

impl Capturing {
    /// Starts a thread that waits for `predecessor`, who may hold the device, and then captures.
    fn start(
        feed: Feed,
        counts: &Arc<CaptureCounts>,
        mailbox: &Arc<Mailbox>,
        clock: &Arc<dyn Clock>,
        predecessor: Option<Thread>,
    ) -> Result<Self, PipelineError> {
        let (camera, slot, stop) = (feed.camera.name.clone(), mailbox.add(), feed.stop.clone());
        let rate = Arc::new(Rate::new(feed.camera.analysis_fps));
        let run = {
            let (mailbox, counts, rate) = (Arc::clone(mailbox), Arc::clone(counts), Arc::clone(&rate));
            let (clock, stop) = (Arc::clone(clock), stop.clone());
            move || {
                if let Some(predecessor) = predecessor {
                    _ = predecessor.join(); // it said itself what went wrong
                }
                let (mailbox, rate, clock, stop) = (&*mailbox, &*rate, &*clock, &stop);
                Capture { index: slot, mailbox, counts, rate, clock, stop }.run(feed)
            }
        };
        let thread = thread::Builder::new().name(format!("camera {camera}")).spawn(run);
        let failed = |source: io::Error| PipelineError::Thread { camera: camera.clone(), source };
        let thread = thread.map_err(failed)?;
        Ok(Self { camera, slot, rate, stop, thread: Some(thread) })
    }

    /// Has the thread stop, without waiting for it.
    pub fn stop(&self) {
        self.stop.set();
    }

    /// As [`Capturing::stop`], and what it delivers goes nowhere.
    pub fn leave(&self, mailbox: &Mailbox) {
        self.stop();
        mailbox.remove(self.slot);
    }

    /// Waits until the thread has ended.
    pub fn join(&mut self) -> Result<(), PipelineError> {
        let failed = |source| PipelineError::Camera { camera: self.camera.clone(), source };
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(captured)) => captured.map_err(failed),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}
