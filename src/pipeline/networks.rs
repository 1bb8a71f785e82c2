//! The loaded networks and the scoring between them, for every camera.

use std::sync::Arc;
use std::time::Duration;

use super::cost::Cost;
use super::meter::{Stage, StageTimes};
use crate::clip::{ClipError, Embeddings, Sight};
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::detect::{Crowd, Detection, Detector};
use crate::frame::{Frame, Rect};
use crate::heads::{Reach, Scorer};

/// Detector, image encoder and scorer. One thread owns them; cameras take turns.
pub struct Networks {
    pub(super) detector: Detector,
    sight: Sight,
    pub(super) scorer: Scorer,
    crop: config::Crop,
    pub(super) enlarge: f32,
    pub(super) detections: Vec<Detection>,
    /// What was encoded last.
    pub(super) fresh: Embeddings,
    /// Of crops in the image tower.
    cost: Cost,
    /// What stages are timed by.
    pub(super) clock: Arc<dyn Clock>,
}

impl Networks {
    /// Brings together what `pack` loaded.
    pub fn new(
        detector: Detector,
        sight: impl Into<Sight>,
        scorer: Scorer,
        scoring: &config::Scoring,
    ) -> Self {
        let sight = sight.into();
        let fresh = Embeddings::new(sight.width());
        let config::Scoring { crop, enlarge, .. } = *scoring;
        let (detections, cost, clock) = (Vec::new(), Cost::default(), Arc::new(SystemClock));
        Self { detector, sight, scorer, crop, enlarge, detections, fresh, cost, clock }
    }

    /// Has the stages timed, and therefore the image tower's cost learned, by another clock than the kernel's.
    #[must_use]
    pub fn timed_by(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Goes by other thresholds and other crops from now on.
    pub fn reconfigure(&mut self, config: &config::Config) {
        self.detector.reconfigure(&config.detector, config.tracker.low_threshold);
        self.crop = config.scoring.crop;
        self.enlarge = config.scoring.enlarge;
    }

    /// Finds `crowd` from now on, whoever is there; see [`Detector::pretend`].
    pub fn pretend(&mut self, crowd: Crowd) {
        self.detector.pretend(crowd);
    }

    /// The detector's names of all classes.
    pub fn class_names(&self) -> &'static [&'static str] {
        self.detector.class_names()
    }

    /// The memory that the scorer wants kept of each camera.
    pub fn reach(&self) -> Option<Reach> {
        self.scorer.reach()
    }

    /// How many crops the image tower encodes in `time`, as far as that is known.
    pub(super) fn crops_in(&self, time: Duration) -> Option<usize> {
        self.cost.crops_in(time)
    }

    /// Encodes the parts `rects` of `frame`, in pixels, into a row each of `fresh`.
    pub(super) fn encode(
        &mut self,
        frame: &Frame,
        rects: impl ExactSizeIterator<Item = Rect>,
        times: &mut StageTimes,
    ) -> Result<(), ClipError> {
        let count = rects.len();
        times.measure(&*self.clock, Stage::Crop, || self.sight.prepare(&frame.picture, self.crop, rects));
        let before = times.of(Stage::Encode);
        times.measure(&*self.clock, Stage::Encode, || self.sight.encode(&mut [(count, &mut self.fresh)]))?;
        self.cost.observe(count, times.of(Stage::Encode) - before);
        Ok(())
    }
}
