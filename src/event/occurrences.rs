//! All that happens before one camera: every track's smoothed scores and phases, and the events they make.

use std::time::Duration;

use jiff::Timestamp;
use ulid::Ulid;

use super::lifecycle::{Held, Phase, Rule, Step};
use super::smoothing::Smoothed;
use super::zones::Zones;
use super::{ActionEvent, Change, Reason};
use crate::clock::FrameTime;
use crate::config::{self, Config};
use crate::track::Track;

/// Makes the identity of an occurrence from its begin.
type Identify = Box<dyn FnMut(Timestamp) -> Ulid + Send>;

/// Turns one camera's scores over time into occurrences.
///
/// Durations are decided by monotonic time. An occurrence takes its UTC begin from the frame it began with, and
/// its other times are counted from there by the monotonic clock, so that they are in order even if the wall
/// clock is set meanwhile.
///
/// Allocates only for events and for more people at a time than there have been yet.
pub struct Occurrences {
    camera: String,
    zones: Zones,
    actions: Vec<Watched>,
    smoothing: Duration,
    identify: Identify,
    people: Vec<Person>,
    /// Those gone, whose memory waits for the next.
    spare: Vec<Person>,
    /// The latest frame's monotonic time, or a later one; frames from before it count as being of it.
    now: Duration,
    /// Scratch: for each zone, whether the person at hand stands in it.
    inside: Vec<bool>,
}

/// An action and what its occurrences go by.
struct Watched {
    name: String,
    label: String,
    rule: Rule,
    /// Indices of the zones it is limited to; `None`: anywhere.
    zones: Option<Vec<usize>>,
}

/// What is remembered of a track.
#[derive(Default)]
struct Person {
    track: u64,
    smoothed: Smoothed,
    /// For each action.
    states: Vec<State>,
    /// Where they were in the latest frame, as fractions of it; not cut off at its edges.
    rect: [f32; 4],
    /// Monotonic time of the latest frame in which they were visible.
    last_seen: Duration,
    /// Whether they are among the tracks of the frame at hand.
    present: bool,
}

#[derive(Clone, Copy, Default)]
struct State {
    phase: Phase,
    id: Ulid,
}

impl Occurrences {
    /// Nobody before `camera` yet.
    pub fn new(camera: &config::Camera, config: &Config) -> Self {
        Self::with_ids(camera, config, |begin| {
            let milliseconds = u64::try_from(begin.as_millisecond()).unwrap_or(0);
            Ulid::from_parts(milliseconds, rand::random())
        })
    }

    /// As [`Occurrences::new`], with occurrences identified by `identify` from their begin; for tests.
    pub fn with_ids(
        camera: &config::Camera,
        config: &Config,
        identify: impl FnMut(Timestamp) -> Ulid + Send + 'static,
    ) -> Self {
        let zones = Zones::new(&camera.zones);
        Self {
            camera: camera.name.clone(),
            actions: Watched::all(config, &zones),
            zones,
            smoothing: config.scoring.smoothing.into(),
            identify: Box::new(identify),
            people: Vec::new(),
            spare: Vec::new(),
            now: Duration::ZERO,
            inside: Vec::new(),
        }
    }

    /// Takes in the frame of `time` and `size` (width, height; pixels): its confirmed `tracks`, and for each
    /// visible one of them, in order, a row of `scores` with a probability for each action in the order of the
    /// configuration. A visible track without a row keeps its scores, as one does that is not visible. Appends
    /// what began, changed or ended to `events`; their `captured` is the frame's monotonic time.
    pub fn observe<'s>(
        &mut self,
        time: FrameTime,
        size: (f32, f32),
        tracks: &[Track],
        scores: impl IntoIterator<Item = &'s [f32]>,
        events: &mut Vec<ActionEvent>,
    ) {
        self.now = self.now.max(time.monotonic);
        let time = FrameTime { monotonic: self.now, ..time };
        for person in &mut self.people {
            person.present = tracks.iter().any(|track| track.id == person.track);
        }
        self.stop(time, None, |person| !person.present, events);
        let mut scores = scores.into_iter();
        for track in tracks {
            let row = if track.visible { scores.next() } else { None };
            self.follow(time, size, track, row, events);
        }
    }

    /// A track's smoothed probabilities, one for each action; `None` if it has none yet.
    pub fn smoothed(&self, track: u64) -> Option<&[f32]> {
        let person = self.people.iter().find(|person| person.track == track)?;
        Some(person.smoothed.row()).filter(|row| !row.is_empty())
    }

    /// For each action the smoothed probability that it goes by; `None` outside its zones. Empty before the first one.
    pub(super) fn standing(&mut self, track: u64) -> impl Iterator<Item = Option<f32>> {
        let person = self.people.iter().find(|person| person.track == track);
        if let Some(person) = person {
            self.zones.locate(person.rect, &mut self.inside);
        }
        let scores = person.map_or(&[][..], |person| person.smoothed.row());
        let inside = &self.inside;
        self.actions.iter().zip(scores).map(move |(action, score)| action.counts(inside).then_some(*score))
    }

    /// Whether an occurrence of this track has begun and not ended.
    pub fn is_open(&self, track: u64) -> bool {
        let person = self.people.iter().find(|person| person.track == track);
        person.is_some_and(|person| person.states.iter().any(|state| state.phase.is_open()))
    }

    /// Ends at `time` all that is open, for `reason`, and forgets everybody. Appends the ends to `events`.
    pub fn close(&mut self, time: FrameTime, reason: Reason, events: &mut Vec<ActionEvent>) {
        self.now = self.now.max(time.monotonic);
        let time = FrameTime { monotonic: self.now, ..time };
        self.stop(time, Some(reason), |_| true, events);
    }

    /// Goes by other settings from now on. Actions are known by their names: what goes on of one that remains goes on,
    /// whatever became of its words, thresholds and zones. What is open of one that is gone ends at `time`; the ends are
    /// appended to `events`.
    pub fn reconfigure(
        &mut self,
        camera: &config::Camera,
        config: &Config,
        time: FrameTime,
        events: &mut Vec<ActionEvent>,
    ) {
        self.now = self.now.max(time.monotonic);
        let zones = Zones::new(&camera.zones);
        let actions = Watched::all(config, &zones);
        let before: Vec<_> = actions
            .iter()
            .map(|action| self.actions.iter().position(|before| before.name == action.name))
            .collect();
        let scene = Scene { camera: &self.camera, zones: &self.zones, actions: &self.actions };
        for person in &mut self.people {
            let gone = |index| !before.contains(&Some(index));
            scene.stop(person, self.now, Some(Reason::VocabularyChanged), gone, events);
            person.rearrange(&before);
        }
        (self.zones, self.actions) = (zones, actions);
        self.camera.clone_from(&camera.name);
        self.smoothing = config.scoring.smoothing.into();
    }

    fn follow(
        &mut self,
        time: FrameTime,
        size: (f32, f32),
        track: &Track,
        scores: Option<&[f32]>,
        events: &mut Vec<ActionEvent>,
    ) {
        let index = self.person(track.id);
        let Some(person) = self.people.get_mut(index) else { return };
        person.rect = track.rect.normalised(size.0, size.1);
        if track.visible {
            person.last_seen = time.monotonic;
        }
        if let Some(scores) = scores {
            person.smoothed.push(scores, time.monotonic, self.smoothing);
        }
        self.zones.locate(person.rect, &mut self.inside);
        let inside = &self.inside;
        let smoothed = person.smoothed.row();
        for ((action, state), &score) in self.actions.iter().zip(&mut person.states).zip(smoothed) {
            let counts = action.counts(inside);
            let step = state.phase.advance(&action.rule, time, score, counts, scores.is_some());
            if let Step::Begin(held) = step {
                state.id = (self.identify)(held.since.utc);
            }
            let about =
                About { camera: &self.camera, action, id: state.id, track: track.id, rect: person.rect };
            events.extend(about.event(step, time.monotonic, score, None, || self.zones.names(inside)));
        }
    }

    /// The index of a track's person, who is new if not known.
    fn person(&mut self, track: u64) -> usize {
        self.people.iter().position(|person| person.track == track).unwrap_or_else(|| {
            let mut person = self.spare.pop().unwrap_or_default();
            person.track = track;
            person.last_seen = self.now;
            person.smoothed.reset();
            person.states.clear();
            person.states.resize(self.actions.len(), State::default());
            self.people.push(person);
            self.people.len() - 1
        })
    }

    /// Ends what is open of the people that `gone` picks, and forgets them.
    fn stop(
        &mut self,
        time: FrameTime,
        reason: Option<Reason>,
        gone: impl Fn(&Person) -> bool,
        events: &mut Vec<ActionEvent>,
    ) {
        let scene = Scene { camera: &self.camera, zones: &self.zones, actions: &self.actions };
        for mut person in self.people.extract_if(.., |person| gone(person)) {
            scene.stop(&mut person, time.monotonic, reason, |_| true, events);
            self.spare.push(person);
        }
    }
}

impl Watched {
    /// The actions of `config` before a camera with these zones.
    fn all(config: &Config, zones: &Zones) -> Vec<Self> {
        let watched = |action: &config::Action| Self {
            name: action.name.clone(),
            label: action.label().to_owned(),
            rule: Rule::new(action, &config.events),
            // A zone that this camera does not have is nowhere in its picture.
            zones: (!action.zones.is_empty())
                .then(|| action.zones.iter().filter_map(|name| zones.index(name)).collect()),
        };
        config.actions.iter().map(watched).collect()
    }

    /// Whether it counts where `inside` says that somebody stands.
    fn counts(&self, inside: &[bool]) -> bool {
        let stands_in = |zone: &usize| inside.get(*zone).copied().unwrap_or_default();
        self.zones.as_ref().is_none_or(|zones| zones.iter().any(stands_in))
    }
}

impl Person {
    /// Puts what is remembered of each action where `before` says it stood; a new action starts from nothing.
    fn rearrange(&mut self, before: &[Option<usize>]) {
        let state = |index: &Option<usize>| index.and_then(|index| self.states.get(index).copied());
        self.states = before.iter().map(|index| state(index).unwrap_or_default()).collect();
        self.smoothed.rearrange(before);
    }
}

/// What all people of a camera have in common.
struct Scene<'a> {
    camera: &'a str,
    zones: &'a Zones,
    actions: &'a [Watched],
}

impl Scene<'_> {
    /// Ends what is open of one person, of those actions whose index `which` picks.
    fn stop(
        &self,
        person: &mut Person,
        now: Duration,
        reason: Option<Reason>,
        which: impl Fn(usize) -> bool,
        events: &mut Vec<ActionEvent>,
    ) {
        let states = self.actions.iter().zip(&mut person.states).zip(person.smoothed.row()).enumerate();
        for (_, ((action, state), &score)) in states.filter(|(index, _)| which(*index)) {
            let step = state.phase.stop(person.last_seen);
            let (camera, id, track) = (self.camera, state.id, person.track);
            let about = About { camera, action, id, track, rect: person.rect };
            let zones = || {
                let mut inside = Vec::new();
                self.zones.locate(person.rect, &mut inside);
                self.zones.names(&inside)
            };
            events.extend(about.event(step, now, score, reason, zones));
        }
    }
}

/// What an event is about.
struct About<'a> {
    camera: &'a str,
    action: &'a Watched,
    id: Ulid,
    track: u64,
    rect: [f32; 4],
}

impl About<'_> {
    fn event(
        &self,
        step: Step,
        now: Duration,
        score: f32,
        reason: Option<Reason>,
        zones: impl FnOnce() -> Vec<String>,
    ) -> Option<ActionEvent> {
        let (change, held, end) = match step {
            Step::Nothing => return None,
            Step::Begin(held) => (Change::Begin, held, None),
            Step::Update(held) => (Change::Update, held, None),
            Step::End { held, at } => (Change::End, held, Some(utc(&held, at))),
        };
        Some(ActionEvent {
            id: self.id,
            change,
            camera: self.camera.to_owned(),
            track: self.track,
            action: self.action.name.clone(),
            label: self.action.label.clone(),
            score,
            peak_score: held.peak,
            rect: self.rect.map(|edge| edge.clamp(0.0, 1.0)),
            zones: zones(),
            begin: held.since.utc,
            time: utc(&held, now),
            end,
            reason,
            provisional: false,
            captured: now,
        })
    }
}

/// A monotonic time in UTC as counted from the occurrence's begin.
fn utc(held: &Held, monotonic: Duration) -> Timestamp {
    let elapsed = monotonic.saturating_sub(held.since.monotonic);
    held.since.utc.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
}
