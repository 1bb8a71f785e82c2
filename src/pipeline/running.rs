//! The analysis thread: takes frames as they arrive, and requests between them.

use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info};

use super::camera::{Camera, Capturing};
use super::control::{self, ControlError, Request, Requests, Retired, Update};
use super::mailbox::{Arrival, Delivery, Mailbox};
use super::report::{Report, Reporter};
use super::{Budget, Feed, Networks, Observer, Pipeline, PipelineError, Seen, Status};
use crate::camera::Stop;
use crate::clock::Clock;
use crate::config::Config;
use crate::event::Reason;
use crate::frame::Frame;
use crate::vocabulary::Vocabulary;

/// At least so often requests, reports and the stop are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A pipeline while it runs.
pub(super) struct Running<'a> {
    config: &'a mut Config,
    networks: &'a mut Networks,
    vocabulary: &'a mut Arc<Vocabulary>,
    clock: Arc<dyn Clock>,
    explain: bool,
    observer: &'a mut dyn Observer,
    cameras: Vec<Camera>,
    /// Of cameras that were given up.
    leaving: Vec<Capturing>,
    mailbox: Arc<Mailbox>,
    reporter: Reporter,
    /// The latest frame could not be analysed.
    failing: bool,
}

impl<'a> Running<'a> {
    /// Without cameras yet.
    pub fn new(pipeline: &'a mut Pipeline, observer: &'a mut dyn Observer) -> Self {
        let Pipeline { config, networks, vocabulary, clock, explain, .. } = pipeline;
        let reporter = Reporter::new(clock.monotonic(), config.stats.interval.into());
        let (clock, explain) = (Arc::clone(clock), *explain);
        let (cameras, leaving, mailbox) = (Vec::new(), Vec::new(), Arc::new(Mailbox::new(0)));
        let failing = false;
        Self {
            config,
            networks,
            vocabulary,
            clock,
            explain,
            observer,
            cameras,
            leaving,
            mailbox,
            reporter,
            failing,
        }
    }

    /// Adds a camera.
    pub fn start(&mut self, feed: Feed) -> Result<(), PipelineError> {
        let mut camera = Camera::start(feed, self.config, self.networks, &self.mailbox, &self.clock)?;
        if self.explain {
            camera.view.explain();
        }
        self.cameras.push(camera);
        Ok(())
    }

    /// Analyses until every source has ended or `stop` is set.
    pub fn run(&mut self, requests: &Requests, stop: &Stop) -> Result<(), PipelineError> {
        let mut frame = Frame::default();
        while !stop.is_set() && self.cameras.iter().any(|camera| !camera.ended) {
            while let Some(request) = requests.next() {
                self.meet(request);
            }
            let arrived = self.mailbox.take(&mut frame, LOOK);
            if stop.is_set() {
                break; // cameras that end because of it have not lost their sources
            }
            if let Some((slot, arrival)) = arrived
                && let Some(index) = self.cameras.iter().position(|camera| camera.capturing.slot == slot)
            {
                match arrival {
                    Arrival::Frame => self.analyse(index, &frame)?,
                    Arrival::Lost(reason) => self.lost(index, reason, false),
                    Arrival::Ended => self.lost(index, Reason::SourceEnded, true),
                }
            }
            self.tell_status();
            if self.reporter.is_due(self.clock.monotonic()) {
                self.report();
            }
            if !self.failing {
                self.observer.progress();
            }
        }
        Ok(())
    }

    /// Stops every camera and closes what is open.
    pub fn finish(mut self) -> (Result<(), PipelineError>, Report) {
        self.mailbox.close();
        let mut result = Ok(());
        self.cameras.iter().for_each(|camera| camera.capturing.stop());
        let capturing = self.cameras.iter_mut().map(|camera| &mut camera.capturing);
        for capturing in capturing.chain(&mut self.leaving) {
            result = result.and(capturing.join());
        }
        self.tell_status();
        let now = self.clock.now();
        for camera in &mut self.cameras {
            let at = camera.at(now);
            camera.view.close(at, Reason::Shutdown, self.networks, self.vocabulary);
            self.observer.closed(&camera.view);
        }
        (result, self.report())
    }

    /// Tells the observer of every camera's status that has changed.
    fn tell_status(&mut self) {
        for camera in &mut self.cameras {
            let status = camera.counts.condition.status();
            if std::mem::replace(&mut camera.status, status) != status {
                self.observer.status(&camera.name, status);
            }
        }
    }

    fn report(&mut self) -> Report {
        let now = self.clock.now();
        let report = self.reporter.report(&self.cameras, &self.mailbox, now);
        self.reporter.reported(now.monotonic);
        self.observer.report(&report);
        report
    }

    fn analyse(&mut self, index: usize, frame: &Frame) -> Result<(), PipelineError> {
        let budget = self.budget(index);
        let Some(camera) = self.cameras.get_mut(index) else { return Ok(()) };
        camera.view.allow(budget);
        let started = self.clock.monotonic();
        // A recording's frames were not captured now; their latency counts from when we took them up.
        let captured = match camera.delivery {
            Delivery::Latest => frame.time.monotonic,
            Delivery::Every | Delivery::Replay => started,
        };
        camera.latest = Some(frame.time);
        for reply in camera.wanted.drain(..) {
            _ = reply.try_send(Ok(frame.picture.clone())); // who asked may have gone
        }
        match camera.view.analyse(frame, captured, self.networks, self.vocabulary) {
            Ok(()) => {
                self.failing = false;
                camera.analysed += 1;
                camera.attempt(self.networks);
                let (camera, view) = (camera.name.as_str(), &camera.view);
                let (networks, vocabulary) = (&*self.networks, &**self.vocabulary);
                self.observer.analysed(&Seen { camera, frame, view, networks, vocabulary });
                self.reporter.analysed(view.times(), self.clock.monotonic().saturating_sub(captured));
            }
            Err(source) if camera.delivery == Delivery::Every => {
                let (camera, frame) = (camera.name.clone(), frame.sequence);
                return Err(PipelineError::Analysis { camera, frame, source: Box::new(source) });
            }
            Err(source) => {
                self.failing = true;
                camera.failed += 1;
                if camera.failed.is_power_of_two() {
                    error!(camera = camera.name, %source, failed = camera.failed, "frame not analysed");
                }
            }
        }
        Ok(())
    }

    /// What the next frame may cost, so that none comes late: anything for a recording, which waits for us, and where nobody
    /// says how many frames there are to be.
    fn budget(&self, index: usize) -> Budget {
        if self.cameras.get(index).is_none_or(|camera| camera.delivery == Delivery::Every) {
            return Budget::Unlimited;
        }
        if let Some(time) = self.config.refresh.budget {
            return Budget::Tower(time.into());
        }
        let online = self.cameras.iter().filter(|camera| camera.status == Status::Online);
        let rate = |camera: &Camera| self.config.camera(&camera.name)?.analysis_fps;
        let rates = online.map(rate).sum::<Option<f64>>();
        let interval = rates.and_then(|rates| Duration::try_from_secs_f64(0.9 / rates).ok()); // some is lost between frames
        interval.map_or(Budget::Unlimited, Budget::Frame)
    }

    fn lost(&mut self, index: usize, reason: Reason, ended: bool) {
        let Some(camera) = self.cameras.get_mut(index) else { return };
        camera.ended |= ended;
        let at = camera.at(self.clock.now());
        camera.view.close(at, reason, self.networks, self.vocabulary);
        self.observer.closed(&camera.view);
        info!(camera = camera.name, analysed = camera.analysed, "camera delivers no more");
    }

    fn meet(&mut self, request: Request) {
        match request {
            Request::Update(update, reply) => {
                let retired = self.update(*update);
                _ = reply.try_send(retired); // who asked may have gone
            }
            Request::Picture { camera, reply } => match self.camera(&camera) {
                Some(camera) => control::wait(&mut camera.wanted, reply),
                None => _ = reply.try_send(Err(ControlError::NoCamera(camera))),
            },
            Request::Try { words, reply, .. } if words.pack() != self.vocabulary.pack() => {
                _ = reply.try_send(Err(ControlError::OtherModels));
            }
            Request::Report { reply } => {
                _ = reply.try_send(self.reporter.report(&self.cameras, &self.mailbox, self.clock.now()));
            }
            Request::Try { camera, words, reply } => match self.camera(&camera) {
                Some(camera) => control::wait(&mut camera.trials, (words, reply)),
                None => _ = reply.try_send(Err(ControlError::NoCamera(camera))),
            },
        }
    }

    fn camera(&mut self, name: &str) -> Option<&mut Camera> {
        self.cameras.iter_mut().find(|camera| camera.name == name)
    }

    fn update(&mut self, update: Update) -> Retired {
        let Update { config, vocabulary, networks, scorer, feeds } = update;
        let now = self.clock.now();
        let gone = |camera: &mut Camera| config.camera(&camera.name).is_none();
        for mut camera in self.cameras.extract_if(.., gone) {
            camera.view.close(camera.at(now), Reason::Reconfigured, self.networks, self.vocabulary);
            self.observer.closed(&camera.view);
            info!(camera = camera.name, analysed = camera.analysed, "camera removed");
            camera.capturing.leave(&self.mailbox);
            self.leaving.push(camera.capturing);
        }
        let (before, after) = (&self.config.scoring, &config.scoring);
        let ahead = (before.look_ahead, before.provisional) != (after.look_ahead, after.provisional);
        let anew = networks.is_some() || scorer.is_some() || ahead;
        let other_models = vocabulary.pack() != self.vocabulary.pack();
        for camera in &mut self.cameras {
            let at = camera.at(now);
            for (_, reply) in camera.trials.extract_if(.., |_| other_models) {
                _ = reply.try_send(Err(ControlError::OtherModels));
            }
            if feeds.iter().any(|feed| feed.camera.name == camera.name) {
                camera.view.close(at, Reason::SourceEnded, self.networks, self.vocabulary);
                self.observer.closed(&camera.view);
            } else if anew {
                camera.view.settle(at, Reason::Reconfigured, self.networks, self.vocabulary);
                self.observer.closed(&camera.view);
            }
        }

        let retired = (
            networks.map(|networks| std::mem::replace(self.networks, networks)),
            scorer.map(|scorer| std::mem::replace(&mut self.networks.scorer, scorer)),
            std::mem::replace(self.vocabulary, vocabulary),
        );
        *self.config = config;
        self.networks.reconfigure(self.config);
        self.reporter.set_interval(self.config.stats.interval.into(), now.monotonic);
        for camera in &mut self.cameras {
            let Some(settings) = self.config.camera(&camera.name) else { continue };
            camera.view.reconfigure(settings, self.config, camera.at(now));
            self.observer.closed(&camera.view);
            if anew {
                camera.view.renew(settings, self.config, self.networks);
            }
            camera.capturing.rate.set(settings.analysis_fps);
        }
        self.observer.reconfigured(self.config, self.vocabulary);
        for feed in feeds {
            if let Err(error) = self.open(feed) {
                error!(%error, "this camera is not watched until the daemon is started again");
            }
        }
        Box::new(retired)
    }

    /// Adds a camera, or opens it anew.
    fn open(&mut self, feed: Feed) -> Result<(), PipelineError> {
        match self.cameras.iter().position(|camera| camera.name == feed.camera.name) {
            Some(index) => {
                let camera = self.cameras.remove(index).reopen(feed, &self.mailbox, &self.clock)?;
                self.cameras.insert(index, camera);
                Ok(())
            }
            None => self.start(feed),
        }
    }
}
