//! The heads in a framework that differentiates: the same as `src/heads`, which runs them on a board.

use candle_core::{Device, Result, Tensor, Var};

use super::batch::{Batch, Keys};
use super::dropout::Dropout;
use crate::heads::{Kind, Metadata, Size, Start, fresh};
use crate::lab::transformer::{Lookup, Weights, floats, normalise, quick_gelu, softmax, unit_length};

/// Heads with their weights, by the names of a heads file.
pub struct Network {
    pub metadata: Metadata,
    pub weights: Weights,
    layers: usize,
}

impl Network {
    /// As training starts: what goes out of every unit and layer is zero.
    pub fn fresh(
        metadata: &Metadata,
        size: Size,
        deviation: f32,
        seed: u64,
        device: &Device,
    ) -> anyhow::Result<Self> {
        /// What `fresh` draws units with.
        const DRAWN: f32 = 0.05;
        let mut weights = Weights::new();
        for (name, tensor) in fresh(metadata, size, Start::Untrained, seed) {
            if is_dead(&name) {
                continue;
            }
            let scale =
                if name.starts_with("unit.") && !name.contains(".norm.") { deviation / DRAWN } else { 1.0 };
            let values: Vec<f32> = floats(&tensor.bytes).iter().map(|value| value * scale).collect();
            weights.insert(name, Var::from_vec(values, tensor.shape, device)?);
        }
        Ok(Self { metadata: metadata.clone(), weights, layers: size.layers })
    }

    /// The interaction feature of each person of the batch, `[P, D]`.
    pub fn interaction(&self, batch: &Batch, dropout: &mut Dropout) -> Result<Tensor> {
        let (frames, persons, width) = batch.persons.dims3()?;
        let mut x = batch.persons.clone();
        for (index, kind) in self.metadata.units.iter().enumerate() {
            let (keys, features) = match kind {
                Kind::Person => (&batch.person, &x),
                Kind::Object => (&batch.object, &batch.object.features),
                Kind::Context => (&batch.context, &batch.context.features),
                Kind::Memory => (&batch.memory, &batch.memory.features),
            };
            let found = self.unit(index, *kind, &x, keys, features)?;
            x = (&x + dropout.apply(&found)?.broadcast_mul(&keys.applies)?)?;
        }
        let context = batch.context.features.narrow(1, 0, 1)?;
        let mean = (x.broadcast_add(&context)? / 2.0)?;
        mean.reshape((frames * persons, width))?.index_select(&batch.there, 0)
    }

    /// What a unit adds to the queries `[B, N, D]`, eq. (1)-(2).
    fn unit(
        &self,
        index: usize,
        kind: Kind,
        query: &Tensor,
        keys: &Keys,
        features: &Tensor,
    ) -> Result<Tensor> {
        let name = |part: &str| format!("unit.{index}.{part}");
        let (frames, _, width) = query.dims3()?;
        let q = self.weights.linear(&name("query"), query)?;
        // A pad is a zero feature: its key and value are the biases.
        let part = |part: &str| {
            let rows = self.weights.linear(&name(part), features)?;
            let bias = self.weights.weight(&name(&format!("{part}.bias")))?;
            let (rows, pads) = if kind == Kind::Memory {
                let position = self.weights.weight(&name(&format!("position.{part}")))?;
                (rows.broadcast_add(position)?, position.broadcast_add(bias)?)
            } else {
                (rows, bias.reshape((1, width))?)
            };
            let pads = pads.unsqueeze(0)?;
            let pads = pads.broadcast_as((frames, pads.dim(1)?, width))?;
            Tensor::cat(&[&rows, &pads.contiguous()?], 1)
        };
        let (k, v) = (part("key")?, part("value")?);
        let logits = (q.matmul(&k.transpose(1, 2)?.contiguous()?)? / (width as f64).sqrt())?;
        let attended = softmax(&logits.broadcast_add(&keys.mask)?)?.matmul(&v)?;
        let mut attended = normalise(&attended)?;
        if self.metadata.ln_affine {
            attended = self.weights.affine(&name("norm"), &attended)?;
        }
        if self.metadata.relu {
            attended = attended.relu()?;
        }
        self.weights.linear(&name("out"), &attended)
    }

    /// The labels `[L, D]` as each of the persons `[P, D]` bends them, `[P, L, D]`, eq. (3)-(4); `None` without prompting.
    pub fn prompt(&self, text: &Tensor, visual: &Tensor, dropout: &mut Dropout) -> Result<Option<Tensor>> {
        let Some(alpha) = self.weights.find("prompt.alpha") else { return Ok(None) };
        let (labels, width) = text.dims2()?;
        let persons = visual.dim(0)?;
        let visual = self.weights.norm("prompt.norm", visual)?;
        let text = text.unsqueeze(0)?.broadcast_as((persons, labels, width))?.contiguous()?;
        let mut c = text.clone();
        for layer in 0..self.layers {
            let name = |part: &str| format!("prompt.layer.{layer}.{part}");
            let attention = self.weights.linear(&name("attention.value"), &visual)?;
            let attention = self.weights.linear(&name("attention.out"), &attention)?.unsqueeze(1)?;
            c = c.broadcast_add(&attention)?;
            let hidden = self.weights.norm(&name("norm2"), &c)?;
            let hidden = quick_gelu(&self.weights.linear(&name("mlp.up"), &hidden)?)?;
            c = (c + self.weights.linear(&name("mlp.down"), &dropout.apply(&hidden)?)?)?;
        }
        Ok(Some((text + c.broadcast_mul(alpha)?)?))
    }

    /// The logits of each person of the batch for each of the labels `text`, `[P, L]`.
    pub fn logits(&self, batch: &Batch, text: &Tensor, dropout: &mut Dropout) -> Result<Tensor> {
        let visual = self.interaction(batch, dropout)?;
        let feature = unit_length(&visual)?;
        let cosines = match self.prompt(text, &visual, dropout)? {
            Some(text) => unit_length(&text)?.broadcast_mul(&feature.unsqueeze(1)?)?.sum(2)?,
            None => feature.matmul(&unit_length(text)?.t()?)?,
        };
        cosines / f64::from(self.metadata.tau)
    }
}

/// With one visual key, the attention of prompting does not depend on these.
fn is_dead(name: &str) -> bool {
    name.starts_with("prompt.layer.")
        && [".norm1.", ".attention.query.", ".attention.key."].iter().any(|part| name.contains(part))
}
