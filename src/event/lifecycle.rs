//! One person and one action over time: when an occurrence begins, is worth an update, and ends.
//!
//! Knows scores and monotonic time; not who, where or what.
//!
//! ```text
//!            score ≥ threshold,                held for
//!            not cooling down              minimum_duration
//!   Quiet ──────────────────────► Rising ──────────────────► Open
//!     ▲  ◄──────────────────────                              │
//!     │        score < threshold                              │
//!     └───────────────────────────────────────────────────────┘
//!        score < threshold − hysteresis for `release`; cool-down
//! ```
//! Being outside the action's zones is like having no score.

use std::time::Duration;

use crate::clock::FrameTime;
use crate::config;

/// A score that moved so far since it was last published is worth an update before its time (the MQTT contract).
const MOVED: f32 = 0.1;

/// What one action's occurrences go by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    threshold: f32,
    hysteresis: f32,
    minimum_duration: Duration,
    release: Duration,
    cool_down: Duration,
    update_interval: Duration,
}

impl Rule {
    pub fn new(action: &config::Action, events: &config::Events) -> Self {
        Self {
            threshold: action.threshold,
            hysteresis: events.hysteresis,
            minimum_duration: action.minimum_duration.into(),
            release: events.release.into(),
            cool_down: events.cool_down.into(),
            update_interval: events.update_interval.into(),
        }
    }

    /// The same with another threshold.
    pub fn at(self, threshold: f32) -> Self {
        Self { threshold, ..self }
    }
}

/// What is known of an occurrence while it lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Held {
    /// When the score reached the threshold: its begin, and what its other times are counted from.
    pub since: FrameTime,
    /// Its highest score so far.
    pub peak: f32,
}

/// Where one person's doing of one action stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Phase {
    /// Not happening.
    #[default]
    Quiet,
    /// Not happening, and must not begin again before this monotonic time.
    Cooling { until: Duration },
    /// Above the threshold, not yet for long enough.
    Rising(Held),
    /// Published.
    Open {
        held: Held,
        /// Monotonic time and score of the latest event.
        published: (Duration, f32),
        /// Monotonic time at which the score fell too low to go on, and stayed.
        falling: Option<Duration>,
    },
}

/// What a frame changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    Nothing,
    Begin(Held),
    Update(Held),
    /// It was over at the monotonic time `at`, earlier than now by the release time.
    End {
        held: Held,
        at: Duration,
    },
}

impl Phase {
    /// Whether it has begun and not ended.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Goes on to the frame at `now`. `score` is smoothed; `inside` says whether the person is where the action
    /// counts; `seen`, whether they are visible in this frame, so that `score` is of now. A person only carried
    /// on by their motion begins nothing and is no news, but may end.
    pub fn advance(&mut self, rule: &Rule, now: FrameTime, score: f32, inside: bool, seen: bool) -> Step {
        let elapsed_since = |time: Duration| now.monotonic.saturating_sub(time);
        let above = inside && score >= rule.threshold;
        if let Self::Cooling { until } = *self
            && now.monotonic >= until
        {
            *self = Self::Quiet;
        }
        if let Self::Quiet = self
            && above
            && seen
        {
            *self = Self::Rising(Held { since: now, peak: score });
        }
        match self {
            Self::Quiet | Self::Cooling { .. } => Step::Nothing,
            Self::Rising(_) if !above => {
                *self = Self::Quiet;
                Step::Nothing
            }
            Self::Rising(held) => {
                held.peak = held.peak.max(score);
                let held = *held;
                if !seen || elapsed_since(held.since.monotonic) < rule.minimum_duration {
                    return Step::Nothing;
                }
                *self = Self::Open { held, published: (now.monotonic, score), falling: None };
                Step::Begin(held)
            }
            Self::Open { held, falling, .. } if !inside || score < rule.threshold - rule.hysteresis => {
                let (held, at) = (*held, *falling.get_or_insert(now.monotonic));
                if elapsed_since(at) < rule.release {
                    return Step::Nothing;
                }
                *self = Self::Cooling { until: now.monotonic.saturating_add(rule.cool_down) };
                Step::End { held, at }
            }
            Self::Open { held, published, falling } => {
                *falling = None;
                held.peak = held.peak.max(score);
                let moved = (score - published.1).abs() >= MOVED;
                if !seen || !(moved || elapsed_since(published.0) >= rule.update_interval) {
                    return Step::Nothing;
                }
                *published = (now.monotonic, score);
                Step::Update(*held)
            }
        }
    }

    /// Stops, because the person is gone or nobody looks any more. An open occurrence ends at the monotonic time
    /// `last_seen`, or when its score fell, if that was earlier.
    pub fn stop(&mut self, last_seen: Duration) -> Step {
        match std::mem::take(self) {
            Self::Open { held, falling, .. } => {
                Step::End { held, at: falling.map_or(last_seen, |falling| falling.min(last_seen)) }
            }
            Self::Quiet | Self::Cooling { .. } | Self::Rising(_) => Step::Nothing,
        }
    }
}
