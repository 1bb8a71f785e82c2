//! The trained heads: interaction units in their order, then prompting.

use super::memory::Reach;
use super::metadata::{Kind, Metadata};
use super::prompt::Prompt;
use super::unit::{Keys, Recalled, Unit, Work};
use super::weights::{Weights, WeightsError};
use crate::clip::Embeddings;

/// Loaded heads. Once their buffers have grown, nothing here allocates.
pub struct Interaction {
    metadata: Metadata,
    width: usize,
    units: Vec<Unit>,
    prompt: Option<Prompt>,
    work: Work,
    features: Vec<f32>,
    prompted: Vec<f32>,
}

/// What a frame's persons interact with. All features are raw encoder outputs, rows of one width.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    pub objects: &'a [f32],
    pub context: &'a [f32],
    pub memory: &'a [Recalled<'a>],
}

/// What each unit made of the persons, and what they looked at.
#[derive(Debug, Default)]
pub struct Trace {
    /// The interaction features before any unit and after each, `[N, width]`.
    pub steps: Vec<(Option<Kind>, Vec<f32>)>,
    /// Softmax weights of the objects, `[N, objects]`, mean over the object units.
    pub objects: Vec<f32>,
    /// Softmax weights of the frames in the slots of the memory, `[N, slots]`, mean over the memory units.
    pub slots: Vec<f32>,
}

impl Interaction {
    /// Reads a heads file.
    pub fn read(bytes: &[u8]) -> Result<Self, WeightsError> {
        let weights = Weights::parse(bytes)?;
        let metadata = weights.metadata().clone();
        let width = weights.width()?;
        let units = (0..metadata.units.len())
            .map(|index| Unit::read(&weights, &metadata, index, width))
            .collect::<Result<_, _>>()?;
        let prompt = Prompt::read(&weights, width)?;
        weights.finish()?;
        Ok(Self {
            metadata,
            width,
            units,
            prompt,
            work: Work::default(),
            features: Vec::new(),
            prompted: Vec::new(),
        })
    }

    /// Refuses an encoder whose embeddings are not those that the heads were trained on.
    pub fn check(&self, space: &str, width: usize) -> Result<(), WeightsError> {
        if self.width != width {
            return Err(WeightsError::Width { found: self.width, expected: width });
        }
        match &self.metadata.embedding {
            Some(found) if found != space => {
                Err(WeightsError::Space { found: found.clone(), expected: space.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// What the file says of itself.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Elements of an embedding.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The memory it was trained with; `None` without a memory unit.
    pub fn reach(&self) -> Option<Reach> {
        let Metadata { before, after, rate, .. } = self.metadata;
        self.metadata.units.contains(&Kind::Memory).then_some(Reach { before, after, rate })
    }

    /// How many objects at most the object units look at; `None` without one.
    pub fn most_objects(&self) -> Option<usize> {
        /// As the authors take where nothing is padded.
        const USUAL: usize = 5;
        let padded = self.metadata.pads.object;
        self.metadata.units.contains(&Kind::Object).then_some(if padded > 0 { padded } else { USUAL })
    }

    /// Projects the context of a frame for every memory unit, as [`Recalled`] holds it. Appends to `out`.
    pub fn project(&mut self, context: &[f32], out: &mut Vec<f32>) {
        for unit in self.units.iter().filter(|unit| unit.kind() == Kind::Memory) {
            unit.project(context, &mut self.work, out);
        }
    }

    /// Projects each row of `contexts`, `[F, width]`; see [`Interaction::project`].
    pub fn project_all(&mut self, contexts: &[f32]) -> Vec<Vec<f32>> {
        let rows = contexts.chunks_exact(self.width().max(1));
        rows.map(|context| {
            let mut projected = Vec::new();
            self.project(context, &mut projected);
            projected
        })
        .collect()
    }

    /// The interaction feature of each of `persons`, `[N, width]`: the mean of the person, enhanced, and the context.
    pub fn enhance(
        &mut self,
        persons: &[f32],
        around: &Surroundings<'_>,
        mut trace: Option<&mut Trace>,
    ) -> &[f32] {
        let (width, context) = (self.width, around.context);
        let (count, objects, slots) =
            (persons.len() / width, around.objects.len() / width, self.metadata.slots());
        let mut enhanced = std::mem::take(&mut self.features);
        enhanced.clear();
        enhanced.extend_from_slice(persons);
        if let Some(trace) = &mut trace {
            trace.begin(count, objects, slots);
            trace.steps.push((None, mean_with(&enhanced, context)));
        }
        let share =
            |kind| 1.0 / self.metadata.units.iter().filter(|unit| **unit == kind).count().max(1) as f32;
        let mut memories = 0;
        let mut own = Vec::new();
        for unit in &self.units {
            let keys = match unit.kind() {
                Kind::Person => {
                    own = std::mem::take(&mut self.work.persons);
                    own.clear();
                    own.extend_from_slice(&enhanced);
                    Keys::Rows(&own)
                }
                Kind::Object => Keys::Rows(around.objects),
                Kind::Context => Keys::Rows(context),
                Kind::Memory => {
                    memories += 1;
                    Keys::Memory { recalled: around.memory, nth: memories - 1 }
                }
            };
            if unit.applies(keys) {
                let share = share(unit.kind());
                let (weights, columns) = match (&mut trace, unit.kind()) {
                    (Some(trace), Kind::Object) => (Some(&mut trace.objects), objects),
                    (Some(trace), Kind::Memory) => (Some(&mut trace.slots), slots),
                    _ => (None, 0),
                };
                let mut watch = weights.map(|weights| {
                    move |person: usize, key: usize, weight: f32| {
                        if let Some(sum) = weights.get_mut(person * columns + key) {
                            *sum += weight * share;
                        }
                    }
                });
                let watch = watch.as_mut().map(|watch| watch as &mut dyn FnMut(usize, usize, f32));
                unit.apply(keys, &mut enhanced, &mut self.work, watch);
            }
            if unit.kind() == Kind::Person {
                self.work.persons = std::mem::take(&mut own);
            }
            if let Some(trace) = &mut trace {
                trace.steps.push((Some(unit.kind()), mean_with(&enhanced, context)));
            }
        }
        for row in enhanced.chunks_exact_mut(width) {
            row.iter_mut().zip(context).for_each(|(x, c)| *x = *x / 2.0 + c / 2.0);
        }
        self.features = enhanced;
        &self.features
    }

    /// The labels as each of the persons that were [enhanced](Self::enhance) last bends them, `[N, L, width]`; `None`
    /// without trained prompting.
    pub fn prompt(&mut self, labels: &Embeddings) -> Option<&[f32]> {
        let prompt = self.prompt.as_mut()?;
        prompt.prepare(labels);
        prompt.apply(&self.features, &mut self.prompted);
        Some(&self.prompted)
    }

    /// The features of the last [`Interaction::enhance`].
    pub fn features(&self) -> &[f32] {
        &self.features
    }

    /// The labels of the last [`Interaction::prompt`].
    pub fn prompted(&self) -> &[f32] {
        &self.prompted
    }
}

impl Trace {
    fn begin(&mut self, persons: usize, objects: usize, slots: usize) {
        self.steps.clear();
        for (weights, keys) in [(&mut self.objects, objects), (&mut self.slots, slots)] {
            weights.clear();
            weights.resize(persons * keys, 0.0);
        }
    }
}

/// Each of `rows` averaged with `context`.
fn mean_with(rows: &[f32], context: &[f32]) -> Vec<f32> {
    rows.iter().zip(context.iter().cycle()).map(|(x, c)| x / 2.0 + c / 2.0).collect()
}
