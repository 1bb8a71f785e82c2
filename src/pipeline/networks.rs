//! The loaded networks and the scoring between them, for every camera.

use super::crops::Crops;
use super::judged::Judged;
use super::meter::{Stage, StageTimes};
use crate::clip::{ClipError, Embeddings, ImageTower};
use crate::config;
use crate::detect::{Detection, Detector};
use crate::frame::{Frame, Rect};
use crate::heads::{Reach, Scorer};

/// Detector, image tower and scorer. One thread owns them; cameras take turns.
pub struct Networks {
    pub(super) detector: Detector,
    tower: ImageTower,
    pub(super) scorer: Scorer,
    crop: config::Crop,
    enlarge: f32,
    pub(super) detections: Vec<Detection>,
    pub(super) crops: Crops,
    context: Embeddings,
}

impl Networks {
    /// Brings together what `pack` loaded.
    pub fn new(detector: Detector, tower: ImageTower, scorer: Scorer, scoring: &config::Scoring) -> Self {
        let context = Embeddings::new(tower.width());
        let (detections, crops) = Default::default();
        let config::Scoring { crop, enlarge, .. } = *scoring;
        Self { detector, tower, scorer, crop, enlarge, detections, crops, context }
    }

    /// Goes by other thresholds and other crops from now on.
    pub fn reconfigure(&mut self, config: &config::Config) {
        self.detector.reconfigure(&config.detector, config.tracker.low_threshold);
        self.crop = config.scoring.crop;
        self.enlarge = config.scoring.enlarge;
    }

    /// The detector's names of all classes.
    pub fn class_names(&self) -> &'static [&'static str] {
        self.detector.class_names()
    }

    /// The memory that the scorer wants kept of each camera.
    pub fn reach(&self) -> Option<Reach> {
        self.scorer.reach()
    }

    /// Encodes the chosen crops and the whole frame into `out`.
    pub(super) fn encode(
        &mut self,
        frame: &Frame,
        times: &mut StageTimes,
        out: &mut Judged,
    ) -> Result<(), ClipError> {
        let picture = &frame.picture;
        let (width, height) = (picture.width as f32, picture.height as f32);
        let whole = Rect::new(0.0, 0.0, width, height);
        times.measure(Stage::Crop, || {
            self.tower.clear();
            for rect in &self.crops.persons {
                self.tower.push(picture, rect.enlarged(self.enlarge).clamped(width, height), self.crop);
            }
            for rect in &self.crops.objects {
                self.tower.push(picture, *rect, self.crop);
            }
            self.tower.push(picture, whole, self.crop);
        });
        times.measure(Stage::Encode, || {
            self.tower.encode(&mut [
                (self.crops.persons.len(), &mut out.person_features),
                (self.crops.objects.len(), &mut out.object_features),
                (1, &mut self.context),
            ])
        })?;
        out.context.clear();
        out.context.extend_from_slice(self.context.row(0).unwrap_or_default());
        Ok(())
    }
}
