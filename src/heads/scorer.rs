//! One face for all ways to score.

use super::explain::Explanation;
use super::interaction::{Interaction, Surroundings, Trace};
use super::memory::Reach;
use super::scores::Scores;
use super::softmax;
use super::unit::Recalled;
use crate::clip::Embeddings;
use crate::vocabulary::Vocabulary;

/// What the image tower saw in one frame, and what is remembered of those around it.
#[derive(Debug, Clone, Copy)]
pub struct Features<'a> {
    /// Persons to be scored.
    pub count: usize,
    /// A row for each person, or none where [`Scorer::wants`] did not ask for them.
    pub persons: &'a Embeddings,
    /// A row for each object that overlaps a person, where they were asked for.
    pub objects: &'a Embeddings,
    /// The whole frame. May be absent only if there is nobody to be scored.
    pub context: Option<&'a [f32]>,
    /// Frames around this one, as [`Scorer::project`] made them.
    pub memory: &'a [Recalled<'a>],
}

/// What the image tower is to look at besides the whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub persons: bool,
    /// At most so many objects that overlap a person, those with the highest scores.
    pub objects: usize,
}

/// How persons are scored.
pub enum Method {
    /// The mean of the person and the whole frame: what trained heads start from.
    Fusion,
    /// The whole frame alone, the paper's baseline.
    Baseline,
    /// Trained heads.
    Interaction(Box<Interaction>),
}

/// Scores persons against a vocabulary. Keeps its scratch: once grown, nothing here allocates, unless explanations are
/// asked for.
pub struct Scorer {
    method: Method,
    logit_scale: f32,
    feature: Vec<f32>,
    logits: Vec<f32>,
}

impl Scorer {
    /// `logit_scale` is the factor on a cosine before the softmax (CLIP's is 100, the paper's heads have 1/0.07):
    /// positive and finite, as the configuration, the pack's manifest and the heads' metadata see to.
    pub fn new(method: Method, logit_scale: f32) -> Self {
        Self { method, logit_scale, feature: Vec::new(), logits: Vec::new() }
    }

    /// What [`Features`] must hold.
    pub fn wants(&self) -> Wanted {
        match &self.method {
            Method::Fusion => Wanted { persons: true, objects: 0 },
            Method::Baseline => Wanted { persons: false, objects: 0 },
            Method::Interaction(heads) => {
                Wanted { persons: true, objects: heads.most_objects().unwrap_or(0) }
            }
        }
    }

    /// The memory that [`Features`] must come with, if any.
    pub fn reach(&self) -> Option<Reach> {
        match &self.method {
            Method::Interaction(heads) => heads.reach(),
            _ => None,
        }
    }

    /// Projects a frame's context for the memory, once for as long as it is remembered. Appends to `out`.
    pub fn project(&mut self, context: &[f32], out: &mut Vec<f32>) {
        if let Method::Interaction(heads) = &mut self.method {
            heads.project(context, out);
        }
    }

    /// Overwrites `out` with a row for each person and a column for each action. A person whose features are missing,
    /// or of whom the heads make no finite number, has probability 0 of everything.
    pub fn score(
        &mut self,
        features: &Features<'_>,
        vocabulary: &Vocabulary,
        out: &mut Scores,
        mut explanation: Option<&mut Explanation>,
    ) {
        out.reset(features.count, vocabulary.len());
        if let Some(explanation) = &mut explanation {
            explanation.clear();
        }
        let Some(context) = features.context else {
            return;
        };
        let Self { method, logit_scale, feature, logits } = self;
        match method {
            Method::Baseline => {
                for row in out.rows_mut() {
                    judge(context, vocabulary.directions().data(), *logit_scale, vocabulary, logits, row);
                }
            }
            Method::Fusion => {
                for (person, row) in features.persons.rows().zip(out.rows_mut()) {
                    feature.clear();
                    feature.extend(person.iter().zip(context).map(|(p, c)| p / 2.0 + c / 2.0));
                    judge(feature, vocabulary.directions().data(), *logit_scale, vocabulary, logits, row);
                }
            }
            Method::Interaction(heads) => {
                let around =
                    Surroundings { objects: features.objects.data(), context, memory: features.memory };
                let mut trace = explanation.is_some().then(Trace::default);
                heads.enhance(features.persons.data(), &around, trace.as_mut());
                let directions = vocabulary.directions().data();
                let all = |features: &[f32], prompted: Option<&[f32]>, logits: &mut _, out: &mut Scores| {
                    let mut prompted = prompted.map(|labels| labels.chunks_exact(directions.len().max(1)));
                    for (person, row) in features.chunks_exact(context.len().max(1)).zip(out.rows_mut()) {
                        let labels = prompted.as_mut().and_then(Iterator::next).unwrap_or(directions);
                        judge(person, labels, *logit_scale, vocabulary, logits, row);
                    }
                };
                let prompted = heads.prompt(vocabulary.labels()).is_some();
                all(heads.features(), prompted.then(|| heads.prompted()), logits, out);
                if let (Some(explanation), Some(trace)) = (explanation, trace) {
                    for (unit, features) in &trace.steps {
                        let mut scores = Scores::default();
                        scores.reset(out.len(), vocabulary.len());
                        all(features, None, logits, &mut scores);
                        explanation.step(*unit, scores);
                    }
                    if prompted {
                        explanation.steps.push(super::Step { after: "prompt", scores: out.clone() });
                    }
                    let persons = features.persons.len();
                    let split = |weights: &[f32]| match weights.len().checked_div(persons) {
                        None | Some(0) => Vec::new(),
                        Some(keys) => weights.chunks_exact(keys).map(<[f32]>::to_vec).collect(),
                    };
                    explanation.objects = split(&trace.objects);
                    explanation.slots = split(&trace.slots);
                }
            }
        }
    }
}

/// Writes one person's probabilities: the cosine of `feature` with each of `labels`, `[L, width]`, and their softmax.
fn judge(
    feature: &[f32],
    labels: &[f32],
    scale: f32,
    vocabulary: &Vocabulary,
    logits: &mut Vec<f32>,
    out: &mut [f32],
) {
    softmax::logits(feature, labels, scale, logits);
    softmax::probabilities(logits, vocabulary, out);
    if !out.iter().all(|p| p.is_finite()) {
        out.fill(0.0);
    }
}
