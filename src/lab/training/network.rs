//! The heads in a framework that differentiates: the same as `src/heads`, which runs them on a board.
//!
//! The framework is candle: of the two that are kept (burn is the other) it brings the fewer dependencies, and it leaves
//! the optimiser, whose rates differ from tensor to tensor here, to its user.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor, Var};

use super::batch::{Batch, Keys};
use super::dropout::Dropout;
use crate::heads::{Kind, Metadata, Size, Start, Tensors, fresh};

/// What PyTorch adds to a variance.
const EPSILON: f64 = 1e-5;
/// CLIP's activation is `x · sigmoid(1.702 x)`.
const QUICK_GELU: f64 = 1.702;

/// Heads with their weights, by the names of a heads file.
pub struct Network {
    pub metadata: Metadata,
    pub weights: BTreeMap<String, Var>,
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
        let mut weights = BTreeMap::new();
        for (name, tensor) in fresh(metadata, size, Start::Untrained, seed) {
            if is_dead(&name) {
                continue;
            }
            let scale =
                if name.starts_with("unit.") && !name.contains(".norm.") { deviation / DRAWN } else { 1.0 };
            let values: Vec<f32> =
                tensor.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes) * scale).collect();
            weights.insert(name, Var::from_vec(values, tensor.shape, device)?);
        }
        Ok(Self { metadata: metadata.clone(), weights, layers: size.layers })
    }

    /// The weights as a heads file holds them.
    pub fn tensors(&self) -> Result<Tensors> {
        let tensor = |var: &Var| -> Result<_> {
            let values = var.as_tensor().flatten_all()?.to_vec1::<f32>()?;
            Ok(crate::heads::Tensor::floats(var.dims(), &values))
        };
        self.weights.iter().map(|(name, var)| Ok((name.clone(), tensor(var)?))).collect()
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
        let q = self.linear(&name("query"), query)?;
        // A pad is a zero feature: its key and value are the biases.
        let part = |part: &str| {
            let rows = self.linear(&name(part), features)?;
            let bias = self.weight(&name(&format!("{part}.bias")))?;
            let (rows, pads) = if kind == Kind::Memory {
                let position = self.weight(&name(&format!("position.{part}")))?;
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
            attended = self.affine(&name("norm"), &attended)?;
        }
        if self.metadata.relu {
            attended = attended.relu()?;
        }
        self.linear(&name("out"), &attended)
    }

    /// The labels `[L, D]` as each of the persons `[P, D]` bends them, `[P, L, D]`, eq. (3)-(4); `None` without prompting.
    pub fn prompt(&self, text: &Tensor, visual: &Tensor, dropout: &mut Dropout) -> Result<Option<Tensor>> {
        let Some(alpha) = self.weights.get("prompt.alpha") else { return Ok(None) };
        let (labels, width) = text.dims2()?;
        let persons = visual.dim(0)?;
        let visual = self.affine("prompt.norm", &normalise(visual)?)?;
        let text = text.unsqueeze(0)?.broadcast_as((persons, labels, width))?.contiguous()?;
        let mut c = text.clone();
        for layer in 0..self.layers {
            let name = |part: &str| format!("prompt.layer.{layer}.{part}");
            let attention = self.linear(&name("attention.value"), &visual)?;
            let attention = self.linear(&name("attention.out"), &attention)?.unsqueeze(1)?;
            c = c.broadcast_add(&attention)?;
            let hidden = self.affine(&name("norm2"), &normalise(&c)?)?;
            let hidden = (self.linear(&name("mlp.up"), &hidden)? * QUICK_GELU)?;
            let hidden = (hidden.silu()? / QUICK_GELU)?;
            c = (c + self.linear(&name("mlp.down"), &dropout.apply(&hidden)?)?)?;
        }
        Ok(Some((text + c.broadcast_mul(alpha.as_tensor())?)?))
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

    fn weight(&self, name: &str) -> Result<&Tensor> {
        let weight = self.weights.get(name).map(Var::as_tensor);
        weight.ok_or_else(|| candle_core::Error::Msg(format!("tensor {name} is missing")))
    }

    fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let weight = self.weight(&format!("{name}.weight"))?;
        let mut shape = x.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = weight.dim(0)?;
        }
        let rows = x.elem_count() / weight.dim(1)?;
        let product = x.reshape((rows, weight.dim(1)?))?.matmul(&weight.t()?)?;
        let product = match self.weights.get(&format!("{name}.bias")) {
            Some(bias) => product.broadcast_add(bias.as_tensor())?,
            None => product,
        };
        product.reshape(shape)
    }

    fn affine(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let x = x.broadcast_mul(self.weight(&format!("{name}.weight"))?)?;
        x.broadcast_add(self.weight(&format!("{name}.bias"))?)
    }
}

/// With one visual key, the attention of prompting does not depend on these.
fn is_dead(name: &str) -> bool {
    name.starts_with("prompt.layer.")
        && [".norm1.", ".attention.query.", ".attention.key."].iter().any(|part| name.contains(part))
}

/// Over the last dimension.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    let top = x.max_keepdim(candle_core::D::Minus1)?.detach();
    let exp = x.broadcast_sub(&top)?.exp()?;
    exp.broadcast_div(&exp.sum_keepdim(candle_core::D::Minus1)?)
}

/// To zero mean and unit variance over the last dimension.
pub fn normalise(x: &Tensor) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(candle_core::D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(candle_core::D::Minus1)?;
    centred.broadcast_div(&(variance + EPSILON)?.sqrt()?)
}

/// To length 1 over the last dimension.
pub fn unit_length(x: &Tensor) -> Result<Tensor> {
    let length = (x.sqr()?.sum_keepdim(candle_core::D::Minus1)? + 1e-12)?.sqrt()?;
    x.broadcast_div(&length)
}
