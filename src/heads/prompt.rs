//! Interaction-aware prompting, iCLIP eq. (3)–(4): what a person does bends the words that it is compared with.
//!
//! Each person is one visual key, so all attention weights are 1: the query and key weights are dead, and the attention
//! branch is one vector per person and layer, the same for all labels. What that leaves is the feed-forward part, on
//! persons × labels rows, and of its first layer the half that depends on the labels alone is computed when they change.

use rten_simd::SimdUnaryOp;
use rten_vecmath::Swish;

use super::matrix::{Linear, Scratch};
use super::norm::{centre, inverse_deviation, normalise_affine};
use super::weights::{Weights, WeightsError};
use crate::clip::{Embeddings, dot};

/// Rows that go through the feed-forward part at a time: enough to use the few enough to stay in the cache.
const ROWS: usize = 128;
/// CLIP's activation is `x · sigmoid(1.702 x)`.
const QUICK_GELU: Swish = Swish { alpha: 1.702 };

/// The weights, and what follows from the labels at hand.
pub struct Prompt {
    width: usize,
    norm: (Vec<f32>, Vec<f32>),
    layers: Vec<Layer>,
    alpha: Vec<f32>,
    labels: Labels,
    work: Work,
}

struct Layer {
    /// `out ∘ value`: one product per person.
    attention: Linear,
    /// Weight of the second normalisation; its bias is in `shift`.
    scale: Vec<f32>,
    up: Linear,
    /// What a row that normalises to zeros is after `up`.
    shift: Vec<f32>,
    down: Linear,
}

/// Of each label: all that does not depend on the person.
#[derive(Default)]
struct Labels {
    raw: Embeddings,
    centred: Vec<f32>,
    squares: Vec<f32>,
    /// After the first layer's `up`, `[L, hidden]`.
    up: Vec<f32>,
}

#[derive(Default)]
struct Work {
    visual: Vec<f32>,
    /// By layer, `[N, width]`.
    attention: Vec<Vec<f32>>,
    centred: Vec<f32>,
    squares: Vec<f32>,
    /// After the first layer's `up`, `[N, hidden]`.
    up: Vec<f32>,
    normalised: Vec<f32>,
    hidden: Vec<f32>,
    down: Vec<f32>,
    scratch: Scratch,
}

impl Prompt {
    /// Reads the prompting of a file; `None` if it has none.
    pub fn read(weights: &Weights<'_>, width: usize) -> Result<Option<Self>, WeightsError> {
        let mut layers = Vec::new();
        while weights.has(&format!("prompt.layer.{}.mlp.up.weight", layers.len())) {
            layers.push(Layer::read(weights, layers.len(), width)?);
        }
        if layers.is_empty() && !weights.has("prompt.alpha") {
            return Ok(None);
        }
        let norm = (weights.vector("prompt.norm.weight", width)?, weights.vector("prompt.norm.bias", width)?);
        let alpha = weights.vector("prompt.alpha", width)?;
        Ok(Some(Self { width, norm, layers, alpha, labels: Labels::default(), work: Work::default() }))
    }

    /// Computes what follows from `labels` alone, unless they are those of the last call.
    pub fn prepare(&mut self, labels: &Embeddings) {
        if self.labels.raw == *labels {
            return;
        }
        self.labels.raw.clone_from(labels);
        let Some(first) = self.layers.first() else { return };
        centre_rows(labels.data(), self.width, &mut self.labels.centred, &mut self.labels.squares);
        weigh(&self.labels.centred, &first.scale, &mut self.work.normalised);
        first.up.apply_unbiased(&self.work.normalised, &mut self.work.scratch, &mut self.labels.up);
    }

    /// Overwrites `out` with the labels as each person bends them, `[N, L, width]`, for the `visual` features
    /// `[N, width]` and the labels of [`Prompt::prepare`].
    pub fn apply(&mut self, visual: &[f32], out: &mut Vec<f32>) {
        let Self { width, norm, layers, alpha, labels, work } = self;
        let (width, count) = (*width, labels.raw.len());
        out.resize(visual.len() * count, 0.0);
        work.visual.clear();
        work.visual.extend_from_slice(visual);
        normalise_affine(&mut work.visual, &norm.0, &norm.1);
        work.attention.resize_with(layers.len(), Vec::new);
        for (layer, attention) in layers.iter().zip(&mut work.attention) {
            layer.attention.apply(&work.visual, &mut work.scratch, attention);
        }
        if let (Some(first), Some(attention)) = (layers.first(), work.attention.first()) {
            centre_rows(attention, width, &mut work.centred, &mut work.squares);
            weigh(&work.centred, &first.scale, &mut work.normalised);
            first.up.apply_unbiased(&work.normalised, &mut work.scratch, &mut work.up);
        }
        let persons_at_a_time = (ROWS / count.max(1)).max(1);
        for (chunk, out) in out.chunks_mut((persons_at_a_time * count * width).max(1)).enumerate() {
            let persons = chunk * persons_at_a_time..chunk * persons_at_a_time + out.len() / (count * width);
            labels.raw.data().iter().cycle().zip(out.iter_mut()).for_each(|(label, row)| *row = *label);
            bend(layers, labels, width, persons, work, out);
            // C̃ = C + α ∘ Ĉ
            for (row, label) in out.chunks_exact_mut(width).zip(labels.raw.rows().cycle()) {
                for ((x, alpha), label) in row.iter_mut().zip(alpha.iter()).zip(label) {
                    *x = label + alpha * *x;
                }
            }
        }
    }
}

/// Takes `rows`, a label for each of `persons` and labels, through all layers.
fn bend(
    layers: &[Layer],
    labels: &Labels,
    width: usize,
    persons: std::ops::Range<usize>,
    work: &mut Work,
    rows: &mut [f32],
) {
    let count = labels.raw.len();
    let Work { attention, centred, squares, up, normalised, hidden, down, scratch, .. } = work;
    for (index, (layer, attention)) in layers.iter().zip(attention.iter()).enumerate() {
        let of_person =
            |person: usize| attention.get(person * width..(person + 1) * width).unwrap_or_default();
        for (person, rows) in persons.clone().zip(rows.chunks_exact_mut(count * width)) {
            let attention = of_person(person);
            for row in rows.chunks_exact_mut(width) {
                row.iter_mut().zip(attention).for_each(|(x, a)| *x += a);
            }
        }
        let size = layer.up.outputs();
        if index == 0 {
            // LN(c + a) is (c̃ + ã) / σ before weight and bias, with c̃ and ã centred: `up` of both is known.
            hidden.resize(persons.len() * count * size, 0.0);
            let mut rows = hidden.chunks_exact_mut(size);
            for person in persons.clone() {
                let centred = centred.get(person * width..(person + 1) * width).unwrap_or_default();
                let up = up.get(person * size..(person + 1) * size).unwrap_or_default();
                let square = squares.get(person).copied().unwrap_or_default();
                let of_labels = labels.centred.chunks_exact(width).zip(&labels.squares);
                for (((label, label_square), label_up), row) in
                    of_labels.zip(labels.up.chunks_exact(size)).zip(&mut rows)
                {
                    let square = label_square + 2.0 * dot(label, centred) + square;
                    let scale = inverse_deviation(square, width);
                    let columns = row.iter_mut().zip(label_up).zip(up).zip(&layer.shift);
                    columns.for_each(|(((x, label), person), shift)| *x = (label + person) * scale + shift);
                }
            }
        } else {
            centre_rows(rows, width, normalised, down);
            for row in normalised.chunks_exact_mut(width) {
                row.iter_mut().zip(&layer.scale).for_each(|(x, scale)| *x *= scale);
            }
            layer.up.apply_unbiased(normalised, scratch, hidden);
            for (row, square) in hidden.chunks_exact_mut(size).zip(down.iter()) {
                let scale = inverse_deviation(*square, width);
                row.iter_mut().zip(&layer.shift).for_each(|(x, shift)| *x = *x * scale + shift);
            }
        }
        QUICK_GELU.map_mut(hidden);
        layer.down.apply(hidden, scratch, down);
        rows.iter_mut().zip(down.iter()).for_each(|(x, down)| *x += down);
    }
}

impl Layer {
    fn read(weights: &Weights<'_>, index: usize, width: usize) -> Result<Self, WeightsError> {
        let name = |part: &str| format!("prompt.layer.{index}.{part}");
        for dead in ["norm1.weight", "norm1.bias", "attention.query.weight", "attention.query.bias"] {
            weights.ignore(&name(dead));
        }
        for dead in ["attention.key.weight", "attention.key.bias"] {
            weights.ignore(&name(dead));
        }
        let square = |part: &str| weights.matrix(&name(part), Some(width), width);
        let (value, out) = (square("attention.value.weight")?, square("attention.out.weight")?);
        let mut bias = weights.optional_vector(&name("attention.out.bias"), width)?;
        if let Some(value_bias) = weights.optional_vector(&name("attention.value.bias"), width)? {
            let mut sum = bias.unwrap_or_else(|| vec![0.0; width]);
            let out = out.to_f32();
            sum.iter_mut().zip(out.chunks_exact(width)).for_each(|(sum, row)| *sum += dot(row, &value_bias));
            bias = Some(sum);
        }
        let up = weights.matrix(&name("mlp.up.weight"), None, width)?;
        let hidden = up.rows;
        let norm_bias = weights.vector(&name("norm2.bias"), width)?;
        let mut shift =
            weights.optional_vector(&name("mlp.up.bias"), hidden)?.unwrap_or_else(|| vec![0.0; hidden]);
        let floats = up.to_f32();
        shift.iter_mut().zip(floats.chunks_exact(width)).for_each(|(sum, row)| *sum += dot(row, &norm_bias));
        let down = weights.matrix(&name("mlp.down.weight"), Some(width), hidden)?;
        let down_bias = weights.optional_vector(&name("mlp.down.bias"), width)?;
        Ok(Self {
            attention: Linear::chained(&value, &out, bias),
            scale: weights.vector(&name("norm2.weight"), width)?,
            up: Linear::new(&up, None),
            shift,
            down: Linear::new(&down, down_bias),
        })
    }
}

/// Overwrites `centred` with `rows` less the mean of each, and `squares` with the sum of squares of each.
fn centre_rows(rows: &[f32], width: usize, centred: &mut Vec<f32>, squares: &mut Vec<f32>) {
    centred.clear();
    centred.extend_from_slice(rows);
    squares.clear();
    squares.extend(centred.chunks_exact_mut(width.max(1)).map(centre));
}

/// Overwrites `out` with `rows`, each times `weight`.
fn weigh(rows: &[f32], weight: &[f32], out: &mut Vec<f32>) {
    out.clear();
    out.extend(rows.iter().zip(weight.iter().cycle()).map(|(x, weight)| x * weight));
}
