//! One frame through all rooms: detector, tracker, crops, image tower, scores, events.
//!
//! [`Networks`] are shared by all cameras; a [`View`] is what is remembered of one camera. Nothing here waits,
//! reads a clock to date anything, or allocates once its buffers have grown.

use std::time::Duration;

use super::crops::Crops;
use super::meter::{Stage, StageTimes};
use crate::clip::{ClipError, Embeddings, ImageTower};
use crate::clock::FrameTime;
use crate::config::{self, Config};
use crate::detect::{DetectError, Detection, Detector};
use crate::event::{ActionEvent, Occurrences, Reason};
use crate::frame::{Frame, Rect};
use crate::heads::{Features, Scorer, Scores};
use crate::track::{Track, Tracker};
use crate::vocabulary::Vocabulary;

/// Why a frame could not be analysed.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    #[error(transparent)]
    Detect(#[from] DetectError),
    #[error(transparent)]
    Clip(#[from] ClipError),
}

/// The loaded networks and the scoring between them, for every camera.
pub struct Networks {
    detector: Detector,
    tower: ImageTower,
    scorer: Scorer,
    crop: config::Crop,
    detections: Vec<Detection>,
    crops: Crops,
    persons: Embeddings,
    objects: Embeddings,
    context: Embeddings,
}

impl Networks {
    /// Brings together what `pack` loaded.
    pub fn new(detector: Detector, tower: ImageTower, scorer: Scorer, crop: config::Crop) -> Self {
        let width = tower.width();
        Self {
            detector,
            tower,
            scorer,
            crop,
            detections: Vec::new(),
            crops: Crops::default(),
            persons: Embeddings::new(width),
            objects: Embeddings::new(width),
            context: Embeddings::new(width),
        }
    }

    /// The detector's name for a class.
    pub fn class_name(&self, class: u16) -> &'static str {
        self.detector.class_name(class)
    }

    fn encode(&mut self, frame: &Frame, times: &mut StageTimes) -> Result<(), ClipError> {
        let picture = &frame.picture;
        let whole = Rect::new(0.0, 0.0, picture.width as f32, picture.height as f32);
        times.measure(Stage::Crop, || {
            self.tower.clear();
            for rect in self.crops.persons.iter().chain(&self.crops.objects) {
                self.tower.push(picture, *rect, self.crop);
            }
            self.tower.push(picture, whole, self.crop);
        });
        times.measure(Stage::Encode, || {
            self.tower.encode(&mut [
                (self.crops.persons.len(), &mut self.persons),
                (self.crops.objects.len(), &mut self.objects),
                (1, &mut self.context),
            ])
        })
    }
}

/// What is remembered of one camera from frame to frame, and what was found in the latest.
pub struct View {
    tracker: Tracker,
    occurrences: Occurrences,
    persons: Vec<Detection>,
    objects: Vec<Detection>,
    scores: Scores,
    events: Vec<ActionEvent>,
    times: StageTimes,
    zones: Vec<config::Zone>,
}

impl View {
    /// A camera of which nothing has been seen.
    pub fn new(camera: &config::Camera, config: &Config) -> Self {
        Self {
            tracker: Tracker::new(&config.tracker, config.detector.person_threshold),
            occurrences: Occurrences::new(camera, config),
            persons: Vec::new(),
            objects: Vec::new(),
            scores: Scores::default(),
            events: Vec::new(),
            times: StageTimes::default(),
            zones: camera.zones.clone(),
        }
    }

    /// Takes the next frame through `networks`; what it shows can be read from `self` afterwards. `captured` is
    /// the monotonic time from which the events' latency counts.
    pub fn analyse(
        &mut self,
        frame: &Frame,
        captured: Duration,
        networks: &mut Networks,
        vocabulary: &Vocabulary,
    ) -> Result<(), AnalysisError> {
        self.find(frame, networks)?;
        self.follow(frame, captured, networks, vocabulary)
    }

    /// The first half: who and what is in the frame.
    pub fn find(&mut self, frame: &Frame, networks: &mut Networks) -> Result<(), AnalysisError> {
        self.times = StageTimes::default();
        self.times.measure(Stage::Convert, || networks.detector.prepare(&frame.picture));
        self.times.measure(Stage::Detect, || networks.detector.detect(&mut networks.detections))?;
        let person = networks.detector.person();
        self.persons.clear();
        self.persons.extend(networks.detections.iter().filter(|d| d.class == person));
        self.objects.clear();
        self.objects.extend(networks.detections.iter().filter(|d| d.class != person));
        Ok(())
    }

    /// Puts `persons` in place of those found, to measure with a known number of people.
    pub fn pretend(&mut self, persons: &[Detection]) {
        self.persons.clear();
        self.persons.extend_from_slice(persons);
    }

    /// The second half: what each of them does.
    pub fn follow(
        &mut self,
        frame: &Frame,
        captured: Duration,
        networks: &mut Networks,
        vocabulary: &Vocabulary,
    ) -> Result<(), AnalysisError> {
        self.events.clear();
        let times = &mut self.times;
        times.measure(Stage::Track, || self.tracker.update(frame.time.monotonic, &self.persons));
        let tracks = self.tracker.tracks();
        let visible = tracks.iter().filter(|t| t.visible).count();
        if visible > 0 {
            networks.crops.choose(networks.scorer.wants(), tracks, &self.objects);
            networks.encode(frame, times)?;
        }
        times.measure(Stage::Heads, || {
            let features = Features {
                count: visible,
                persons: &networks.persons,
                objects: &networks.objects,
                context: networks.context.row(0),
            };
            networks.scorer.score(&features, vocabulary, &mut self.scores);
        });
        times.measure(Stage::Publish, || {
            let size = (frame.picture.width as f32, frame.picture.height as f32);
            self.occurrences.observe(frame.time, size, tracks, self.scores.rows(), &mut self.events);
            for event in &mut self.events {
                event.captured = captured;
            }
        });
        Ok(())
    }

    /// Ends everything that is open, at `time`; the ends are in [`View::events`].
    pub fn close(&mut self, time: FrameTime, reason: Reason) {
        self.events.clear();
        self.occurrences.close(time, reason, &mut self.events);
    }

    /// The confirmed tracks, visible or carried on by their motion.
    pub fn tracks(&self) -> &[Track] {
        self.tracker.tracks()
    }

    /// Each visible track with this frame's probabilities, one for each action.
    pub fn scored(&self) -> impl Iterator<Item = (&Track, &[f32])> + Clone {
        self.tracks().iter().filter(|t| t.visible).zip(self.scores.rows())
    }

    /// A track's probabilities smoothed over time.
    pub fn smoothed(&self, track: u64) -> Option<&[f32]> {
        self.occurrences.smoothed(track)
    }

    /// Whether an occurrence of this track has begun and not ended.
    pub fn is_open(&self, track: u64) -> bool {
        self.occurrences.is_open(track)
    }

    /// The camera's zones.
    pub fn zones(&self) -> &[config::Zone] {
        &self.zones
    }

    /// What was found besides persons.
    pub fn objects(&self) -> &[Detection] {
        &self.objects
    }

    /// What began, changed or ended with the latest frame or with [`View::close`].
    pub fn events(&self) -> &[ActionEvent] {
        &self.events
    }

    /// Where the latest frame's time went.
    pub fn times(&self) -> &StageTimes {
        &self.times
    }
}
