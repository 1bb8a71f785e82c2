//! The smoothed scores of one recording, kept so that it can be asked what another threshold would have begun.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::FrameTime;
use crate::config::{self, Config};
use crate::event::Occurrences;
use crate::event::lifecycle::{Phase, Rule, Step};
use crate::track::Track;

/// What everybody in one recording scored. A person costs 24 bytes a frame and 4 for each action.
pub struct Tape {
    /// Smooths, and knows who stands where; what it makes of its own thresholds is of no interest.
    occurrences: Occurrences,
    rules: Vec<Rule>,
    /// Of those who are gone.
    runs: Vec<Run>,
    present: Vec<Run>,
    /// The first and the latest frame's monotonic time.
    span: Option<(Duration, Duration)>,
    frames: u32,
}

/// A track from its first score until it is gone.
struct Run {
    track: u64,
    /// The monotonic time of each frame, and whether the person was seen in it.
    frames: Vec<(Duration, bool)>,
    /// For each frame a row with the smoothed score of each action; below every threshold outside of its zones.
    scores: Vec<f32>,
    /// For each action where its score is highest.
    peaks: Vec<Peak>,
}

/// A person's highest score for an action.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Smoothed probability.
    pub score: f32,
    /// Since the recording's first frame.
    pub at: Duration,
    pub track: u64,
}

impl Tape {
    /// Of a recording seen by `camera`, with the rules, zones and smoothing of `config`.
    pub fn new(camera: &config::Camera, config: &Config) -> Self {
        let rules = config.actions.iter().map(|action| Rule::new(action, &config.events)).collect();
        let occurrences = Occurrences::new(camera, config);
        Self { occurrences, rules, runs: Vec::new(), present: Vec::new(), span: None, frames: 0 }
    }

    /// Takes in a frame; see [`Occurrences::observe`].
    pub fn observe<'s, S>(&mut self, time: FrameTime, size: (f32, f32), tracks: &[Track], scores: S)
    where
        S: IntoIterator<Item = &'s [f32]>,
        S::IntoIter: Clone,
    {
        let (first, latest) = self.span.unwrap_or((time.monotonic, time.monotonic));
        let now = latest.max(time.monotonic);
        self.span = Some((first, now));
        self.frames += 1;
        let scores = scores.into_iter();
        let mut rows = scores.clone();
        self.occurrences.observe(time, size, tracks, scores, &mut Vec::new());
        let gone = |run: &mut Run| tracks.iter().all(|track| track.id != run.track);
        self.runs.extend(self.present.extract_if(.., gone));
        for track in tracks {
            let seen = track.visible && rows.next().is_some();
            let row = self.occurrences.standing(track.id);
            let row = row.map(|score| score.unwrap_or(f32::NEG_INFINITY));
            let index = self.present.iter().position(|run| run.track == track.id).unwrap_or_else(|| {
                self.present.push(Run::new(track.id, self.rules.len()));
                self.present.len() - 1
            });
            if let Some(run) = self.present.get_mut(index) {
                run.push(row, now, seen, now - first);
            }
        }
    }

    /// How long the recording was watched: from its first frame to the end of its last one.
    pub fn watched(&self) -> Duration {
        let Some((first, last)) = self.span else { return Duration::ZERO };
        let gaps = self.frames.saturating_sub(1).max(1);
        (last - first) + (last - first) / gaps
    }

    /// How many occurrences of the action with this index begin with `threshold`.
    pub fn begins(&self, action: usize, threshold: f32) -> usize {
        let Some(rule) = self.rules.get(action).map(|rule| rule.at(threshold)) else { return 0 };
        let reaches = |run: &&Run| run.peaks.get(action).is_some_and(|peak| peak.score >= threshold);
        self.everybody().filter(reaches).map(|run| run.begins(action, &rule)).sum()
    }

    /// Each person's highest score for the action with this index, where it counted at all.
    pub fn peaks(&self, action: usize) -> impl Iterator<Item = Peak> {
        let peaks = self.everybody().filter_map(move |run| run.peaks.get(action).copied());
        peaks.filter(|peak| peak.score.is_finite())
    }

    fn everybody(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().chain(&self.present)
    }
}

impl Run {
    fn new(track: u64, actions: usize) -> Self {
        let none = Peak { score: f32::NEG_INFINITY, at: Duration::ZERO, track };
        Self { track, frames: Vec::new(), scores: Vec::new(), peaks: vec![none; actions] }
    }

    fn push(&mut self, row: impl Iterator<Item = f32>, now: Duration, seen: bool, since_start: Duration) {
        let before = self.scores.len();
        self.scores.extend(row);
        let row = self.scores.get(before..).unwrap_or_default();
        if row.is_empty() {
            return; // not scored yet
        }
        self.frames.push((now, seen));
        for (peak, &score) in self.peaks.iter_mut().zip(row) {
            if score > peak.score {
                *peak = Peak { score, at: since_start, ..*peak };
            }
        }
    }

    fn begins(&self, action: usize, rule: &Rule) -> usize {
        let scores = self.scores.iter().skip(action).step_by(self.peaks.len().max(1));
        let mut phase = Phase::default();
        let begun = |(&(monotonic, seen), &score): (&(Duration, bool), &f32)| {
            let now = FrameTime { monotonic, utc: Timestamp::UNIX_EPOCH };
            matches!(phase.advance(rule, now, score, true, seen), Step::Begin(_))
        };
        self.frames.iter().zip(scores).map(begun).filter(|begun| *begun).count()
    }
}
