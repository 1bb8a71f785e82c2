//! One frame through all rooms: detector, tracker, crops, image tower, scores, events.
//!
//! [`Networks`] are shared by all cameras; a [`View`] is what is remembered of one camera. Nothing here waits,
//! reads a clock to date anything, or allocates once its buffers have grown.

use std::collections::VecDeque;
use std::time::Duration;

use super::control::Trial;
use super::crops;
use super::judged::Judged;
use super::lookout::{Lookout, People};
use super::meter::{Stage, StageTimes};
use super::networks::Networks;
use super::refresh::{Counts, Refresh, Who};
use crate::clip::ClipError;
use crate::clock::FrameTime;
use crate::config::{self, Config};
use crate::detect::{DetectError, Detection};
use crate::event::{ActionEvent, Occurrences, Reason};
use crate::frame::{Frame, Rect};
use crate::heads::{Explanation, Memory, Reach, Wanted};
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

/// Frames that wait for their future at most; with more, the oldest is judged without the rest of it.
const MOST_WAITING: usize = 512;

/// What a frame may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Budget {
    #[default]
    Unlimited,
    /// In the image tower.
    Tower(Duration),
    /// All in all.
    Frame(Duration),
}

/// What is remembered of one camera from frame to frame, and what was found in the latest.
pub struct View {
    tracker: Tracker,
    occurrences: Occurrences,
    /// Told at once of what has to wait for its future.
    provisional: Option<Occurrences>,
    memory: Option<Memory>,
    lookout: Lookout,
    /// Whether the detector looked at the latest frame.
    looked: bool,
    searched: u64,
    refresh: Refresh,
    budget: Budget,
    /// What the latest frame took once it was known who is in it, without the image tower.
    rest: Duration,
    /// How long a frame waits for what comes after it.
    look_ahead: Duration,
    explain: bool,
    waiting: VecDeque<Judged>,
    judged: Vec<Judged>,
    spare: Vec<Judged>,
    /// Persons that the detector found when it looked last.
    persons: Vec<Detection>,
    objects: Vec<Detection>,
    events: Vec<ActionEvent>,
    times: StageTimes,
    zones: Vec<config::Zone>,
}

impl View {
    /// A camera of which nothing has been seen.
    pub fn new(camera: &config::Camera, config: &Config, networks: &Networks) -> Self {
        let mut view = Self {
            tracker: Tracker::new(&config.tracker, config.detector.person_threshold),
            occurrences: Occurrences::new(camera, config),
            provisional: None,
            memory: None,
            lookout: Lookout::new(config.refresh),
            looked: false,
            searched: 0,
            refresh: Refresh::new(refreshing(config)),
            budget: Budget::default(),
            rest: Duration::ZERO,
            look_ahead: Duration::ZERO,
            explain: false,
            waiting: VecDeque::new(),
            judged: Vec::new(),
            spare: Vec::new(),
            persons: Vec::new(),
            objects: Vec::new(),
            events: Vec::new(),
            times: StageTimes::default(),
            zones: camera.zones.clone(),
        };
        view.renew(camera, config, networks);
        view
    }

    /// After [`View::settle`]: remembers anew, as far back and ahead as `networks` and `config` want it.
    pub fn renew(&mut self, camera: &config::Camera, config: &Config, networks: &Networks) {
        let reach = networks.reach().map(|reach| {
            let wanted = Duration::from(config.scoring.look_ahead).as_secs_f64() * f64::from(reach.rate);
            Reach { after: reach.after.min(wanted.round() as usize), ..reach }
        });
        self.look_ahead = reach.map_or(Duration::ZERO, |reach| reach.span(reach.after as f64));
        self.memory = reach.map(Memory::new);
        self.lookout.clear();
        self.refresh.clear();
        let provisional = config.scoring.provisional && self.look_ahead > Duration::ZERO;
        self.provisional = provisional.then(|| Occurrences::new(camera, config));
    }

    /// Goes by other settings from now on: everybody is followed on, and what goes on of actions that remain goes on.
    /// Afterwards [`View::events`] are the ends of what does not.
    pub fn reconfigure(&mut self, camera: &config::Camera, config: &Config, time: FrameTime) {
        self.begin();
        self.tracker.reconfigure(&config.tracker, config.detector.person_threshold);
        if let Some(provisional) = &mut self.provisional {
            provisional.reconfigure(camera, config, time, &mut self.events);
        }
        self.events.iter_mut().for_each(|event| event.provisional = true);
        self.occurrences.reconfigure(camera, config, time, &mut self.events);
        self.zones.clone_from(&camera.zones);
        self.lookout.reconfigure(config.refresh);
        self.refresh.reconfigure(refreshing(config));
    }

    /// Lets go of what only the networks in use, or the way they look ahead, can continue: waiting frames are judged
    /// with what there is, and what was told ahead ends for `reason`. [`View::renew`] goes on from there.
    pub fn settle(
        &mut self,
        time: FrameTime,
        reason: Reason,
        networks: &mut Networks,
        vocabulary: &Vocabulary,
    ) {
        self.begin();
        self.judge(self.waiting.len(), networks, vocabulary);
        let decided = self.events.len();
        if let Some(provisional) = &mut self.provisional {
            provisional.close(time, reason, &mut self.events);
        }
        self.events.iter_mut().skip(decided).for_each(|event| event.provisional = true);
    }

    /// Has frames cost no more than `budget` from now on, as far as it is a matter of how many crops are looked at.
    pub fn allow(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// Has every frame explained from now on; see [`Judged::explanation`].
    pub fn explain(&mut self) {
        self.explain = true;
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

    /// The first half: who and what is in the frame, unless that is as good as known.
    fn find(&mut self, frame: &Frame, networks: &mut Networks) -> Result<(), AnalysisError> {
        self.rest =
            [Stage::Crop, Stage::Heads, Stage::Publish].map(|stage| self.times.of(stage)).iter().sum();
        self.times = StageTimes::default();
        let people = match self.tracker.tracks() {
            _ if self.tracker.is_unsure() => People::Unsure,
            [] => People::Nobody,
            _ => People::Known,
        };
        let Networks { detector, detections, clock, .. } = networks;
        let (clock, times) = (&**clock, &mut self.times);
        self.looked = times.measure(clock, Stage::Convert, || {
            self.lookout.is_due(&frame.picture, frame.time.monotonic, people)
        });
        if !self.looked {
            return Ok(());
        }
        times.measure(clock, Stage::Convert, || detector.prepare(&frame.picture));
        let found = times.measure(clock, Stage::Detect, || detector.detect(detections));
        found.inspect_err(|_| self.lookout.clear())?;
        self.searched += 1;
        let person = networks.detector.person();
        self.persons.clear();
        self.persons.extend(networks.detections.iter().filter(|d| d.class == person));
        self.objects.clear();
        self.objects.extend(networks.detections.iter().filter(|d| d.class != person));
        Ok(())
    }

    /// The second half: what each of them does.
    fn follow(
        &mut self,
        frame: &Frame,
        captured: Duration,
        networks: &mut Networks,
        vocabulary: &Vocabulary,
    ) -> Result<(), AnalysisError> {
        self.begin();
        let times = &mut self.times;
        let now = frame.time.monotonic;
        times.measure(&*networks.clock, Stage::Track, || match self.looked {
            true => {
                self.tracker.update(now, &self.persons);
                if self.lookout.carries() {
                    self.tracker.remember(&frame.picture);
                }
            }
            false => self.tracker.carry(now, &frame.picture),
        });

        let mut current = self.spare.pop().unwrap_or_default();
        current.clear();
        current.sequence = frame.sequence;
        current.time = frame.time;
        current.captured = captured;
        current.size = (frame.picture.width as f32, frame.picture.height as f32);
        current.tracks.extend_from_slice(self.tracker.tracks());
        current.objects.extend_from_slice(&self.objects);
        current.explanation = self.explain.then(Explanation::default);
        let remember = self.memory.as_ref().is_some_and(|memory| memory.wants(now));
        if current.tracks.iter().any(|track| track.visible) || remember {
            let refresh = &mut self.refresh;
            let time = match self.budget {
                Budget::Unlimited => None,
                Budget::Tower(time) => Some(time),
                Budget::Frame(time) => Some(time.saturating_sub(times.total() + self.rest)),
            };
            // Of a tower that was never measured, one crop says what it costs.
            refresh.allow(time.map(|time| networks.crops_in(time).unwrap_or(1)));
            let (wants, enlarge) = (networks.scorer.wants(), networks.enlarge);
            times.measure(&*networks.clock, Stage::Crop, || {
                name(refresh, frame, wants, enlarge, &mut current)
            });
            if let Err(error) = networks.encode(frame, refresh.due(), times) {
                self.spare.push(current);
                return Err(error.into());
            }
            refresh.store(&networks.fresh, now);
            current.take(wants, networks.fresh.width(), refresh);
        }
        times.measure(&*networks.clock, Stage::Heads, || {
            if let Some(memory) = self.memory.as_mut().filter(|_| !current.context.is_empty()) {
                memory.insert(now, |out| networks.scorer.project(&current.context, out));
            }
            if let Some(occurrences) = &mut self.provisional {
                current.score(&mut networks.scorer, vocabulary, self.memory.as_ref());
                observe(occurrences, &current, &mut self.events);
                self.events.iter_mut().for_each(|event| event.provisional = true);
            }
        });
        self.waiting.push_back(current);
        let (look_ahead, too_many) = (self.look_ahead, self.waiting.len().saturating_sub(MOST_WAITING));
        let due = self.waiting.iter().take_while(|frame| frame.time.monotonic + look_ahead <= now).count();
        self.judge(due.max(too_many), networks, vocabulary);
        Ok(())
    }

    /// Judges what still waits with what there is, and ends everything that is open, at `time`.
    pub fn close(
        &mut self,
        time: FrameTime,
        reason: Reason,
        networks: &mut Networks,
        vocabulary: &Vocabulary,
    ) {
        self.settle(time, reason, networks, vocabulary);
        self.occurrences.close(time, reason, &mut self.events);
    }

    fn begin(&mut self) {
        self.events.clear();
        self.spare.append(&mut self.judged);
    }

    /// Scores the `count` frames that have waited longest.
    fn judge(&mut self, count: usize, networks: &mut Networks, vocabulary: &Vocabulary) {
        for mut frame in self.waiting.drain(..count.min(self.waiting.len())) {
            self.times.measure(&*networks.clock, Stage::Heads, || {
                frame.score(&mut networks.scorer, vocabulary, self.memory.as_ref());
            });
            self.times.measure(&*networks.clock, Stage::Publish, || {
                observe(&mut self.occurrences, &frame, &mut self.events)
            });
            self.judged.push(frame);
        }
    }

    /// The confirmed tracks, visible or only expected.
    pub fn tracks(&self) -> &[Track] {
        self.tracker.tracks()
    }

    /// The tracks that are visible in the latest frame.
    pub fn visible(&self) -> impl Iterator<Item = &Track> + Clone {
        self.tracks().iter().filter(|track| track.visible)
    }

    /// The frames that got their scores with the latest frame or with [`View::close`], oldest first: the latest frame
    /// itself, unless scores wait for what comes after it.
    pub fn judged(&self) -> &[Judged] {
        &self.judged
    }

    /// What `words` score on the latest frame that was judged. Changes nothing.
    pub fn attempt(&self, networks: &mut Networks, words: &Vocabulary) -> Option<Trial> {
        let frame = self.judged.last()?;
        Some(frame.attempt(&mut networks.scorer, words, self.memory.as_ref()))
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

    /// What began, changed or ended with the latest frame or with [`View::close`].
    pub fn events(&self) -> &[ActionEvent] {
        &self.events
    }

    /// Frames that the detector looked at.
    pub fn searched(&self) -> u64 {
        self.searched
    }

    /// What was encoded and what was kept.
    pub fn crops(&self) -> Counts {
        self.refresh.counts()
    }

    /// Where the latest frame's time went.
    pub fn times(&self) -> &StageTimes {
        &self.times
    }
}

/// What is encoded anew; all of it where that costs no more than a part.
fn refreshing(config: &Config) -> config::Refresh {
    let exact = config.refresh.exact || config.scoring.regions == config::Regions::OnePass;
    config::Refresh { exact, ..config.refresh }
}

/// Names to `refresh` what the scorer wants to see of a frame: persons, the objects that touch them, the whole.
/// Persons with what is around them, as `Rect::enlarged` takes `enlarge`.
fn name(refresh: &mut Refresh, frame: &Frame, wants: Wanted, enlarge: f32, current: &mut Judged) {
    let (picture, now) = (&frame.picture, frame.time.monotonic);
    let (width, height) = (picture.width as f32, picture.height as f32);
    crops::near(wants.objects, &current.tracks, &current.objects, &mut current.near);
    refresh.begin(now);
    for track in current.tracks.iter().filter(|track| wants.persons && track.visible) {
        let rect = track.rect.enlarged(enlarge).clamped(width, height);
        refresh.add(Who::Person(track.id), rect, picture, now);
    }
    for object in current.near.iter().filter_map(|index| current.objects.get(*index)) {
        refresh.add(Who::Object(object.class), object.rect, picture, now);
    }
    let whole = Rect::new(0.0, 0.0, width, height);
    refresh.add(Who::Context, whole, picture, now);
}

/// Takes a scored frame into account; appends what it changes.
fn observe(occurrences: &mut Occurrences, frame: &Judged, events: &mut Vec<ActionEvent>) {
    let first = events.len();
    occurrences.observe(frame.time, frame.size, &frame.tracks, frame.scores.rows(), events);
    events.iter_mut().skip(first).for_each(|event| event.captured = frame.captured);
}
