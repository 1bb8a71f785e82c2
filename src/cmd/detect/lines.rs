//! Lines of `tracks.jsonl`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::frame::Rect;
use crate::heads::{Explanation, Reach};
use crate::pipeline::Judged;

/// What every line speaks of by name.
pub struct Names<'a> {
    pub actions: &'a [String],
    pub classes: &'a [&'static str],
    /// Of the heads' memory.
    pub reach: Option<Reach>,
}

/// One analysed frame.
#[derive(Serialize)]
pub struct Line<'a> {
    frame: u64,
    /// Seconds since the recording's first frame.
    time: f64,
    tracks: Vec<TrackLine<'a>>,
    objects: Vec<ObjectLine>,
}

#[derive(Serialize)]
struct TrackLine<'a> {
    track: u64,
    #[serde(rename = "box")]
    rect: [f32; 4],
    person_score: f32,
    /// This frame's probabilities, before smoothing.
    scores: BTreeMap<&'a str, f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Why<'a>>,
}

/// Why a person's scores are what they are.
#[derive(Serialize)]
struct Why<'a> {
    /// The scores after each step of the heads, in order.
    steps: Vec<StepLine<'a>>,
    /// How strongly each object was attended to: softmax weights, mean over the object units.
    objects: Vec<Attended>,
    /// The same of the remembered frames, those not attended to at all left out.
    memory: Vec<Recollection>,
}

#[derive(Serialize)]
struct StepLine<'a> {
    /// `fusion`, a unit's kind, or `prompt`.
    after: &'static str,
    scores: BTreeMap<&'a str, f32>,
}

#[derive(Serialize)]
struct Attended {
    /// Index into the line's `objects`.
    object: usize,
    attention: f32,
}

#[derive(Serialize)]
struct Recollection {
    /// When, from this frame.
    seconds: f64,
    attention: f32,
}

#[derive(Serialize)]
struct ObjectLine {
    class: &'static str,
    #[serde(rename = "box")]
    rect: [f32; 4],
    score: f32,
}

impl<'a> Line<'a> {
    /// The line of `frame` in a recording that begins at `start`.
    pub fn new(frame: &'a Judged, names: &Names<'a>, start: Duration) -> Self {
        let by_action = |scores: &[f32]| -> BTreeMap<&'a str, f32> {
            names.actions.iter().map(String::as_str).zip(scores.iter().copied()).collect()
        };
        let why = |person: usize| -> Option<Why<'a>> {
            let explanation = frame.explanation.as_ref()?;
            let step = |step: &crate::heads::Step| StepLine {
                after: step.after,
                scores: by_action(step.scores.row(person).unwrap_or_default()),
            };
            Some(Why {
                steps: explanation.steps().iter().map(step).collect(),
                objects: attended(explanation, person, &frame.near),
                memory: remembered(explanation, person, names.reach),
            })
        };
        Self {
            frame: frame.sequence,
            time: frame.time.monotonic.saturating_sub(start).as_secs_f64(),
            tracks: (frame.scored().enumerate())
                .map(|(person, (track, scores))| TrackLine {
                    track: track.id,
                    rect: pixels(track.rect),
                    person_score: track.score,
                    scores: by_action(scores),
                    explain: why(person),
                })
                .collect(),
            objects: (frame.objects.iter())
                .map(|object| ObjectLine {
                    class: names.classes.get(usize::from(object.class)).copied().unwrap_or("?"),
                    rect: pixels(object.rect),
                    score: object.score,
                })
                .collect(),
        }
    }
}

fn attended(explanation: &Explanation, person: usize, near: &[usize]) -> Vec<Attended> {
    let weights = explanation.objects.get(person).map_or(&[][..], Vec::as_slice);
    near.iter().zip(weights).map(|(&object, &attention)| Attended { object, attention }).collect()
}

fn remembered(explanation: &Explanation, person: usize, reach: Option<Reach>) -> Vec<Recollection> {
    let Some(reach) = reach else { return Vec::new() };
    let weights = explanation.slots.get(person).map_or(&[][..], Vec::as_slice);
    let slots = weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0);
    slots.map(|(slot, &attention)| Recollection { seconds: reach.seconds(slot), attention }).collect()
}

/// To a tenth of a pixel.
fn pixels(rect: Rect) -> [f32; 4] {
    [rect.x1, rect.y1, rect.x2, rect.y2].map(|x| (x * 10.0).round() / 10.0)
}
