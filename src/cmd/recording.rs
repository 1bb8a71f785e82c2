//! A recording through the daemon's own pipeline: what `demo`, `detect` and `calibrate` share.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use super::assemble::Loaded;
use crate::camera::{self, CameraError, Source, SourceInfo, Stop};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::frame::Frame;
use crate::pipeline::{Delivery, Feed, Gate, Networks, Observer, Pipeline, PipelineError, Report, Requests};
use crate::vocabulary::Vocabulary;

/// Frames a second to say of a recording that does not know its own.
const ASSUMED_FPS: f64 = 25.0;

/// An opened recording, to be analysed as if a camera saw it: once, and no frame left out for want of time.
pub struct Recording {
    camera: config::Camera,
    source: Box<dyn Source>,
    info: SourceInfo,
}

impl Recording {
    /// Opens the one at `path` with the settings of `camera`.
    pub fn open(
        path: &Path,
        camera: &config::Camera,
        clock: &Arc<dyn Clock>,
        stop: &Stop,
    ) -> anyhow::Result<Self> {
        let source = path.to_str().context("the source's path is not UTF-8")?.to_owned();
        let camera = config::Camera { source, repeat: false, ..camera.clone() };
        let source = camera::open(&camera, Arc::clone(clock), stop.clone())?;
        Ok(Self::new(source, camera))
    }

    /// One that is open already.
    pub fn new(source: Box<dyn Source>, camera: config::Camera) -> Self {
        let info = source.info().clone();
        Self { camera, source, info }
    }

    /// Without what comes after so many seconds.
    pub fn first(mut self, seconds: f64) -> Self {
        let count = (seconds * self.info.fps.unwrap_or(ASSUMED_FPS)).ceil() as u64;
        self.info.frames = Some(self.info.frames.unwrap_or(u64::MAX).min(count));
        Self { source: Box::new(Beginning { source: self.source, count }), ..self }
    }

    /// How many frames it has, if it says so.
    pub fn frames(&self) -> Option<u64> {
        self.info.frames
    }

    /// Frames analysed for each second of it.
    pub fn analysis_fps(&self) -> f64 {
        match (self.camera.analysis_fps, self.info.fps) {
            (Some(wanted), Some(native)) => wanted.min(native),
            (Some(fps), None) | (None, Some(fps)) => fps,
            (None, None) => ASSUMED_FPS,
        }
    }
}

/// The first `count` frames of a source.
struct Beginning {
    source: Box<dyn Source>,
    count: u64,
}

impl Source for Beginning {
    fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        Ok(self.source.read(frame)? && frame.sequence < self.count)
    }

    fn info(&self) -> &SourceInfo {
        self.source.info()
    }

    fn corrupted(&self) -> u64 {
        self.source.corrupted()
    }
}

/// Words and networks of a configuration, loaded once, to take recordings through one after another.
pub struct Screening {
    pub loaded: Loaded,
    pipeline: Pipeline,
    stop: Stop,
}

impl Screening {
    /// Loads what `config` names.
    pub fn load(config: &Config, clock: Arc<dyn Clock>, stop: Stop) -> anyhow::Result<Self> {
        let loaded = Loaded::open(config)?;
        let (networks, vocabulary) = loaded.load(config)?;
        let pipeline = Pipeline {
            config: config.clone(),
            vocabulary: Arc::new(vocabulary),
            networks,
            feeds: Vec::new(),
            clock,
            explain: false,
            requests: Requests::default(),
        };
        Ok(Self { loaded, pipeline, stop })
    }

    /// Whether frames come with the reasons for their scores.
    pub fn explain(&mut self, explain: bool) {
        self.pipeline.explain = explain;
    }

    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.pipeline.vocabulary
    }

    pub fn networks(&self) -> &Networks {
        &self.pipeline.networks
    }

    /// Shows `observer` the recording to its end, or until the stop is set.
    ///
    /// # Errors
    /// The recording cannot be read or a network failed; the stop is set then.
    pub fn show(
        &mut self,
        recording: Recording,
        observer: &mut dyn Observer,
    ) -> Result<Report, PipelineError> {
        let Recording { camera, source, .. } = recording;
        let mut source = Some(source);
        self.pipeline.feeds = vec![Feed {
            camera,
            open: Box::new(move || source.take().ok_or(CameraError::Stopped)),
            delivery: Delivery::Every,
            gate: Gate::default(),
            stop: self.stop.child(),
        }];
        self.pipeline.run(observer, &self.stop)
    }
}
