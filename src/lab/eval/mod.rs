//! How good heads are: every person found in cached features is scored by the device's own code, and judged as the papers
//! judge.
//!
//! A detection's score is the person's times the probability of the action, out of the labels that count alone. Knows
//! cached features, heads, what they are compared with, and the measure; has never heard of training.

mod combine;
mod scene;
#[cfg(test)]
mod tests;
mod words;

use std::collections::HashSet;

use anyhow::{Context, ensure};

use super::dataset::{Dataset, Texts, Video};
use super::link::{Linking, link};
use super::map::{
    self, Action, Actor, Catalogue, Found, FoundActor, Label, Measure, Region, Report, Truth, frame_map,
    video_map,
};
use super::tables::{Frozen, Judging, Metric};
use super::wording::Wording;
use crate::frame::Rect;
use combine::{Judged, fuse, vote};
use scene::Judge;
pub use words::{Background, bare_words, first_phrasing};

/// What scores.
#[derive(Debug, Clone, Copy)]
pub enum Heads<'a> {
    Frozen(Frozen),
    /// The bytes of a heads file, or of a transformer over frames.
    Trained(&'a [u8]),
}

/// How persons are scored.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    pub heads: Heads<'a>,
    /// Every person is seen as the whole frame, as the baseline sees them.
    pub frame_alone: bool,
    pub judging: Judging,
    pub background: Option<Background>,
    /// Persons count with a score above this.
    pub min_score: f32,
    /// How boxes become tubes; the step between frames is the videos' own.
    pub linking: Linking,
    /// Frame numbers in a second, for the memory's slots.
    pub fps: f32,
    /// What reads learned words with the names of the data set's labels, for what has learned some.
    pub wording: Option<&'a Wording>,
}

/// The paper's least score of a person.
pub const MIN_SCORE: f32 = 0.2;

/// What people in `videos` do, and what was found: the labels by their places in the data set, videos as `names` has them.
/// Tubes are neither there nor found.
fn judge(
    dataset: &Dataset,
    texts: &Texts,
    videos: &[&Video],
    labels: &[usize],
    setting: &Setting<'_>,
    names: &mut Catalogue,
) -> anyhow::Result<(Truth, Found)> {
    let judging = &setting.judging;
    ensure!(!judging.background || setting.background.is_some(), "no background is given: --background");
    let background = setting.background.as_ref().filter(|_| judging.background);
    let mut judge = Judge::open(setting, setting.heads, dataset, texts)?;
    let learned = judge.learned_words().map(|learned| words::learned(texts, learned, setting.wording));
    let learned = learned.transpose()?;
    let vocabulary = words::vocabulary(learned.as_ref().unwrap_or(texts), labels, background)?;
    let fused =
        (judging.fuse > 0.0).then(|| Judge::open(setting, Heads::Frozen(Frozen::Fusion), dataset, texts));
    let mut fused = fused.transpose()?;
    // The frozen encoder knows nothing of learned words.
    let read = words::vocabulary(texts, labels, background)?;
    let (mut truth, mut found) = (Truth::default(), Vec::new());
    for video in videos {
        let place = || format!("video {}", video.name);
        let name = names.video(&video.name);
        for row in 0..video.frames.len() {
            let frame = video.frames.get(row).copied().unwrap_or_default();
            for (rect, actions) in video.truth(row).boxes.iter().zip(video.actions(row)) {
                let region = region(rect).with_context(place)?;
                let actions = actions.into_iter().filter(|action| labels.contains(action));
                truth.frames.extend(actions.map(|action| Actor {
                    video: name,
                    frame,
                    label: Label(action),
                    region,
                }));
            }
        }
        let mut frames = judge.video(video, &vocabulary).with_context(place)?;
        if let Some(frozen) = &mut fused {
            let other = frozen.video(video, &read).with_context(place)?;
            let both = frames.iter_mut().flat_map(|frame| &mut frame.persons);
            for (own, other) in both.zip(other.iter().flat_map(|frame| &frame.persons)) {
                fuse(&mut own.probabilities, &other.probabilities, judging.fuse as f32);
            }
        }
        if let Some(kind) = judging.vote {
            vote(&mut frames, kind, step(video));
        }
        for Judged { frame, persons } in frames {
            for person in persons {
                let scores = labels.iter().zip(&person.probabilities);
                found.extend(scores.map(|(label, probability)| FoundActor {
                    video: name,
                    frame,
                    label: Some(Label(*label)),
                    score: person.score * f64::from(*probability),
                    region: person.region,
                }));
            }
        }
    }
    Ok((truth, Found { frames: Some(found), tubes: None }))
}

/// Annotated tubes, under the names of the data set's labels and videos.
#[derive(Debug, Clone)]
pub struct Tubes {
    names: Catalogue,
    actions: Vec<Action>,
}

impl Tubes {
    /// Of the annotation that the features were made from.
    pub fn new(dataset: &Dataset, names: Catalogue, truth: Truth) -> anyhow::Result<Self> {
        let labels = names.classes().iter().map(|class| &class.name);
        ensure!(
            labels.eq(&dataset.labels),
            "its labels are not those of the features: give the annotation that `lab features` was given"
        );
        ensure!(
            !truth.tubes.is_empty(),
            "it does not say who is who from frame to frame: there are no tubes"
        );
        Ok(Self { names, actions: truth.tubes })
    }
}

/// A report for each of `metrics`; none where nothing that counts is there to be found.
pub fn reports(
    dataset: &Dataset,
    texts: &Texts,
    tubes: Option<&Tubes>,
    videos: &[&Video],
    labels: &[usize],
    setting: &Setting<'_>,
    metrics: &[Metric],
) -> anyhow::Result<Vec<Option<Report>>> {
    let mut names = match tubes {
        Some(tubes) => tubes.names.clone(),
        None => Catalogue::numbered(1, dataset.labels.iter().cloned()).map_err(anyhow::Error::msg)?,
    };
    let (mut truth, mut found) = judge(dataset, texts, videos, labels, setting, &mut names)?;
    if metrics.iter().any(|metric| metric.measure == Measure::Video) {
        let tubes = tubes.context("tubes in videos are judged against annotated ones: --truth")?;
        let judged: HashSet<map::Video> =
            videos.iter().filter_map(|video| names.known_video(&video.name)).collect();
        truth.tubes = tubes.actions.iter().filter(|action| judged.contains(&action.video)).cloned().collect();
        let step = videos.iter().map(|video| step(video)).min().unwrap_or(1);
        let linked = link(found.frames.as_deref().unwrap_or_default(), &Linking { step, ..setting.linking });
        found.tubes = Some(linked?);
    }
    let counted: Vec<Label> = labels.iter().map(|label| Label(*label)).collect();
    let report = |metric: &Metric| match metric.measure {
        Measure::Frame => frame_map(&names, &counted, &truth, &found, metric.iou),
        Measure::Video => video_map(&names, &counted, &truth, &found, metric.iou),
    };
    Ok(metrics.iter().map(report).collect())
}

/// Frames from one look to the next.
fn step(video: &Video) -> i64 {
    let steps = video.frames.iter().zip(video.frames.iter().skip(1)).map(|(a, b)| b - a);
    steps.min().unwrap_or(1).max(1)
}

/// Videos in which somebody does one of `labels`.
pub fn showing<'a>(videos: impl Iterator<Item = &'a Video>, labels: &[usize]) -> Vec<&'a Video> {
    let shows = |video: &&Video| {
        let mut actions = (0..video.frames.len()).flat_map(|row| video.actions(row)).flatten();
        actions.any(|action| labels.contains(&action))
    };
    videos.filter(shows).collect()
}

fn region(rect: &Rect) -> anyhow::Result<Region> {
    Ok(Region::new([rect.x1, rect.y1, rect.x2, rect.y2].map(f64::from))?)
}
