//! One interaction unit, iCLIP eq. (1)–(2): persons attend to something and take in what they find.
//!
//! What makes it cheap: `n` equal pads are one key with `ln n` added to its logit; a memory key is the projection that
//! was made when the frame was new, plus the position of the slot that it is in now; one key alone needs no query.

use super::matrix::{Linear, Scratch};
use super::metadata::{Kind, Metadata};
use super::norm::{normalise, normalise_affine};
use super::weights::{Weights, WeightsError};
use crate::clip::dot;

/// A frame in the memory, as a memory unit sees it.
#[derive(Debug, Clone, Copy)]
pub struct Recalled<'a> {
    /// `0..before + after`; see [`Memory`](super::Memory).
    pub slot: usize,
    /// What [`Interaction::project`](super::Interaction::project) made of its context.
    pub projected: &'a [f32],
}

/// What a unit looks at.
#[derive(Debug, Clone, Copy)]
pub enum Keys<'a> {
    /// Features, `[K, width]`.
    Rows(&'a [f32]),
    /// Frames in the memory, projected for this unit, which is the `nth` with a memory.
    Memory { recalled: &'a [Recalled<'a>], nth: usize },
}

/// Told the softmax weight of each key that is no pad: person, key (a slot, for a memory), weight.
pub type Watch<'a> = &'a mut dyn FnMut(usize, usize, f32);

/// A unit's weights.
pub struct Unit {
    kind: Kind,
    width: usize,
    query: Linear,
    key: Linear,
    value: Linear,
    /// Weight and bias; the authors' units have none.
    norm: Option<(Vec<f32>, Vec<f32>)>,
    relu: bool,
    /// Absent in the paper's form.
    out: Option<Linear>,
    position: Option<Position>,
    /// Keys it was trained with; 0: masked.
    capacity: usize,
}

/// What a memory unit adds to the key and value of a slot, `[slots, width]` each.
struct Position {
    key: Vec<f32>,
    value: Vec<f32>,
}

/// Buffers of a unit; they grow once.
#[derive(Debug, Default)]
pub struct Work {
    /// The persons as they were before a person unit.
    pub persons: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    attended: Vec<f32>,
    out: Vec<f32>,
    logits: Vec<f32>,
    /// For a memory: softmax weight of a slot's frame and pads together.
    slots: Vec<f32>,
    pub scratch: Scratch,
}

impl Unit {
    /// Reads unit `index` of `metadata.units`.
    pub fn read(
        weights: &Weights<'_>,
        metadata: &Metadata,
        index: usize,
        width: usize,
    ) -> Result<Self, WeightsError> {
        let kind = metadata.units.get(index).copied().unwrap_or(Kind::Person);
        let name = |part: &str| format!("unit.{index}.{part}");
        let linear = |part: &str| {
            let matrix = weights.matrix(&name(&format!("{part}.weight")), Some(width), width)?;
            let bias = weights.optional_vector(&name(&format!("{part}.bias")), width)?;
            Ok::<_, WeightsError>(Linear::new(&matrix, bias))
        };
        let position = (kind == Kind::Memory).then(|| {
            let table = |part: &str| weights.table(&name(part), metadata.slots(), width);
            Ok::<_, WeightsError>(Position { key: table("position.key")?, value: table("position.value")? })
        });
        let norm = metadata.ln_affine.then(|| {
            let vector = |part: &str| weights.vector(&name(part), width);
            Ok::<_, WeightsError>((vector("norm.weight")?, vector("norm.bias")?))
        });
        Ok(Self {
            kind,
            width,
            query: linear("query")?,
            key: linear("key")?,
            value: linear("value")?,
            norm: norm.transpose()?,
            relu: metadata.relu,
            out: weights.has(&name("out.weight")).then(|| linear("out")).transpose()?,
            position: position.transpose()?,
            capacity: match kind {
                Kind::Person => metadata.pads.person,
                Kind::Object => metadata.pads.object,
                Kind::Context => metadata.pads.context,
                Kind::Memory => metadata.pads.memory,
            },
        })
    }

    /// What it attends to.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether there is anything to attend to. A padded memory always has its pads; objects that are not there leave
    /// their unit out.
    pub fn applies(&self, keys: Keys<'_>) -> bool {
        match keys {
            Keys::Rows(rows) => !rows.is_empty(),
            Keys::Memory { recalled, .. } => self.capacity > 0 || !recalled.is_empty(),
        }
    }

    /// Projects a frame's context once for as long as it is remembered: appends its key and its value, without biases
    /// and positions, to `out`.
    pub fn project(&self, context: &[f32], work: &mut Work, out: &mut Vec<f32>) {
        self.key.apply_unbiased(context, &mut work.scratch, &mut work.keys);
        self.value.apply_unbiased(context, &mut work.scratch, &mut work.values);
        out.extend_from_slice(&work.keys);
        out.extend_from_slice(&work.values);
    }

    /// Adds to each of `persons`, `[N, width]`, what it finds among `keys`.
    pub fn apply(&self, keys: Keys<'_>, persons: &mut [f32], work: &mut Work, watch: Option<Watch<'_>>) {
        work.attended.clear();
        work.attended.resize(persons.len(), 0.0);
        match keys {
            Keys::Rows(rows) => self.attend_to_rows(rows, persons, work, watch),
            Keys::Memory { recalled, nth } => self.attend_to_memory(recalled, nth, persons, work, watch),
        }
        match &self.norm {
            Some((weight, bias)) => normalise_affine(&mut work.attended, weight, bias),
            None => normalise(&mut work.attended, self.width),
        }
        if self.relu {
            work.attended.iter_mut().for_each(|x| *x = x.max(0.0));
        }
        let found = match &self.out {
            Some(out) => {
                out.apply(&work.attended, &mut work.scratch, &mut work.out);
                &work.out
            }
            None => &work.attended,
        };
        persons.iter_mut().zip(found).for_each(|(person, found)| *person += found);
    }

    fn attend_to_rows(&self, rows: &[f32], persons: &[f32], work: &mut Work, mut watch: Option<Watch<'_>>) {
        let width = self.width;
        let count = rows.len() / width;
        let pads = self.capacity.saturating_sub(count);
        let Work { queries, keys, values, attended, logits, scratch, .. } = work;
        self.value.apply(rows, scratch, values);
        if count == 1 && pads == 0 {
            for (person, attended) in attended.chunks_exact_mut(width).enumerate() {
                attended.copy_from_slice(values);
                if let Some(watch) = &mut watch {
                    watch(person, 0, 1.0);
                }
            }
            return;
        }
        self.query.apply(persons, scratch, queries);
        self.key.apply(rows, scratch, keys);
        for (person, (query, attended)) in
            queries.chunks_exact(width).zip(attended.chunks_exact_mut(width)).enumerate()
        {
            logits.clear();
            logits.extend(keys.chunks_exact(width).map(|key| dot(query, key)));
            if pads > 0 {
                logits.push(dot(query, self.key.bias()));
            }
            scale(logits, width);
            if pads > 0
                && let Some(pad) = logits.last_mut()
            {
                *pad += (pads as f32).ln();
            }
            softmax(logits);
            for (weight, value) in logits.iter().zip(values.chunks_exact(width).chain([self.value.bias()])) {
                add(attended, *weight, value);
            }
            if let Some(watch) = &mut watch {
                logits.iter().take(count).enumerate().for_each(|(key, weight)| watch(person, key, *weight));
            }
        }
    }

    /// The keys are, for each slot, its frame if there is one and as many pads as are missing. With `b` the bias and
    /// `p` the slot's position, `q·(K + b + p)` is `q·K` on top of what a pad of that slot has.
    fn attend_to_memory(
        &self,
        recalled: &[Recalled<'_>],
        nth: usize,
        persons: &[f32],
        work: &mut Work,
        mut watch: Option<Watch<'_>>,
    ) {
        let width = self.width;
        let Some(position) = &self.position else { return };
        let slots = position.key.len() / width;
        let Work { queries, attended, logits, slots: together, scratch, .. } = work;
        self.query.apply(persons, scratch, queries);
        for (person, (query, attended)) in
            queries.chunks_exact(width).zip(attended.chunks_exact_mut(width)).enumerate()
        {
            // Logits of a pad of each slot, then of each frame.
            let bias = dot(query, self.key.bias());
            logits.clear();
            logits.extend(position.key.chunks_exact(width).map(|key| bias + dot(query, key)));
            for frame in recalled {
                let pad = logits.get(frame.slot).copied().unwrap_or(f32::NEG_INFINITY);
                logits.push(pad + dot(query, part(frame, 2 * nth, width)));
            }
            scale(logits, width);
            for (slot, pad) in logits.iter_mut().take(slots).enumerate() {
                let filled = recalled.iter().filter(|frame| frame.slot == slot).count();
                *pad += (self.capacity.saturating_sub(filled) as f32).ln();
            }
            softmax(logits);
            let (pads, frames) = logits.split_at(slots);
            together.clear();
            together.extend_from_slice(pads);
            for (frame, weight) in recalled.iter().zip(frames) {
                add(attended, *weight, part(frame, 2 * nth + 1, width));
                if let Some(slot) = together.get_mut(frame.slot) {
                    *slot += weight;
                }
                if let Some(watch) = &mut watch {
                    watch(person, frame.slot, *weight);
                }
            }
            for (weight, value) in together.iter().zip(position.value.chunks_exact(width)) {
                add(attended, *weight, value);
            }
            add(attended, 1.0, self.value.bias());
        }
    }
}

/// The `index`th projection of a frame.
fn part<'a>(frame: &Recalled<'a>, index: usize, width: usize) -> &'a [f32] {
    frame.projected.get(index * width..(index + 1) * width).unwrap_or_default()
}

fn scale(logits: &mut [f32], width: usize) {
    let scale = (width as f32).sqrt().recip();
    logits.iter_mut().for_each(|logit| *logit *= scale);
}

/// In place; a logit of -∞ gets nothing.
pub fn softmax(logits: &mut [f32]) {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    logits.iter_mut().for_each(|logit| *logit = (*logit - top).exp());
    let sum: f32 = logits.iter().sum();
    logits.iter_mut().for_each(|weight| *weight /= sum);
}

/// `sum += weight · vector`
fn add(sum: &mut [f32], weight: f32, vector: &[f32]) {
    sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += weight * x);
}
