//! The mean over labels, and what it is the mean of.

use std::collections::HashMap;
use std::hash::Hash;

use super::matching::hits;
use super::precision::average_precision;
use super::{Catalogue, Found, Label, Region, Truth, Tube};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    Frame,
    Video,
}

/// How well one label is found.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LabelScore {
    pub label: String,
    /// Boxes or tubes that are there.
    pub positives: usize,
    /// Boxes or tubes that were found, rightly or wrongly.
    pub detections: usize,
    /// Of the positives, 0 to 1.
    pub recall: f64,
    /// Average precision, 0 to 100.
    pub ap: f64,
}

/// How well each label is found at one IoU.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Report {
    pub measure: Measure,
    pub iou: f64,
    /// Mean over the labels that are there to be found, 0 to 100.
    pub map: f64,
    pub labels: Vec<LabelScore>,
}

/// Over boxes in frames, for `labels`; those with nothing to find are left out. `None` if that leaves none, or if
/// there are no detections in frames.
pub fn frame_map(
    names: &Catalogue,
    labels: &[Label],
    truth: &Truth,
    found: &Found,
    iou: f64,
) -> Option<Report> {
    let mut there: ByLabel<_, Region> = ByLabel::new();
    for actor in &truth.frames {
        there.truth(actor.label, (actor.video, actor.frame), &actor.region);
    }
    for actor in found.frames.as_ref()? {
        if let Some(label) = actor.label {
            there.found(label, (actor.video, actor.frame), actor.score, &actor.region);
        }
    }
    report(Measure::Frame, names, labels, &there, Region::iou, iou)
}

/// Over tubes in videos.
pub fn video_map(
    names: &Catalogue,
    labels: &[Label],
    truth: &Truth,
    found: &Found,
    iou: f64,
) -> Option<Report> {
    let mut there: ByLabel<_, Tube> = ByLabel::new();
    for action in &truth.tubes {
        there.truth(action.label, action.video, &action.tube);
    }
    for action in found.tubes.as_ref()? {
        there.found(action.label, action.video, action.score, &action.tube);
    }
    report(Measure::Video, names, labels, &there, Tube::iou, iou)
}

/// A label's truths by their place, and what was found of it.
type Case<'a, K, G> = (HashMap<K, Vec<&'a G>>, Vec<(K, f64, &'a G)>);

struct ByLabel<'a, K, G>(HashMap<Label, Case<'a, K, G>>);

impl<'a, K: Hash + Eq, G> ByLabel<'a, K, G> {
    fn new() -> Self {
        Self(HashMap::new())
    }

    fn case(&mut self, label: Label) -> &mut Case<'a, K, G> {
        self.0.entry(label).or_insert_with(|| (HashMap::new(), Vec::new()))
    }

    fn truth(&mut self, label: Label, place: K, geometry: &'a G) {
        self.case(label).0.entry(place).or_default().push(geometry);
    }

    fn found(&mut self, label: Label, place: K, score: f64, geometry: &'a G) {
        self.case(label).1.push((place, score, geometry));
    }
}

fn report<K: Hash + Eq, G>(
    measure: Measure,
    names: &Catalogue,
    labels: &[Label],
    cases: &ByLabel<'_, K, G>,
    overlap: fn(&G, &G) -> f64,
    iou: f64,
) -> Option<Report> {
    let scores = labels.iter().filter_map(|label| {
        let (truths, found) = cases.0.get(label)?;
        let positives = truths.values().map(Vec::len).sum();
        let hits = hits(truths, found, overlap, iou);
        let right = hits.iter().filter(|hit| **hit).count();
        (positives > 0).then(|| LabelScore {
            label: names.name(*label).to_owned(),
            positives,
            detections: found.len(),
            recall: right as f64 / positives as f64,
            ap: 100.0 * average_precision(&hits, positives),
        })
    });
    let labels: Vec<LabelScore> = scores.collect();
    let sum: f64 = labels.iter().map(|label| label.ap).sum();
    let map = sum / labels.len() as f64;
    (!labels.is_empty()).then_some(Report { measure, iou, map, labels })
}
