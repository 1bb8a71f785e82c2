//! A frozen text tower in a framework that differentiates with respect to what goes into it: the tokens' embeddings.
//!
//! It reads the ONNX file of a pack whose weights bear the names that `src/pack/architecture` gives them.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use candle_core::{Device, Result, Tensor};
use rten_onnx::onnx::{DataType, ModelProto, TensorProto};

use crate::lab::transformer::Lookup;
use crate::pack::derive::floats;

/// The tower, but for its table of tokens.
#[derive(Debug)]
pub struct Tower {
    weights: BTreeMap<String, Tensor>,
    blocks: usize,
    heads: usize,
    pub width: usize,
    /// Most tokens.
    pub context: usize,
    pub device: Device,
}

/// Embeddings of tokens, `[vocabulary, width]`.
pub struct Table {
    values: Vec<f32>,
    width: usize,
}

/// Keys a token must not look at.
const MASKED: f32 = -1e9;

/// By our names, those of the file's layers.
const BLOCK: [(&str, &str); 8] = [
    ("norm1", "layer_norm1"),
    ("attention.query", "self_attn.q_proj"),
    ("attention.key", "self_attn.k_proj"),
    ("attention.value", "self_attn.v_proj"),
    ("attention.out", "self_attn.out_proj"),
    ("norm2", "layer_norm2"),
    ("mlp.up", "mlp.fc1"),
    ("mlp.down", "mlp.fc2"),
];

/// Reads the bytes of an ONNX file.
pub fn read(bytes: &[u8], device: &Device) -> anyhow::Result<(Tower, Table)> {
    let model = ModelProto::parse_buf(bytes).map_err(|error| anyhow::anyhow!("no ONNX model: {error}"))?;
    let graph = model.graph.context("no ONNX model: it has no graph")?;
    let file = File { tensors: &graph.initializer, device };
    let [_, width] = file.shape("text_model.embeddings.token_embedding.weight")?;
    let [context, _] = file.shape("text_model.embeddings.position_embedding.weight")?;
    let blocks = (0..).take_while(|block| {
        file.find(&format!("text_model.encoder.layers.{block}.layer_norm1.weight")).is_some()
    });
    let blocks = blocks.count();
    let mut weights = BTreeMap::new();
    let position = file.matrix("text_model.embeddings.position_embedding.weight", false)?;
    weights.insert("position".to_owned(), position);
    weights.insert("projection.weight".to_owned(), file.matrix("text_projection.weight", true)?);
    let mut norms = vec![("norm".to_owned(), "text_model.final_layer_norm".to_owned())];
    for block in 0..blocks {
        for (own, theirs) in BLOCK {
            let own = format!("block.{block}.{own}");
            let theirs = format!("text_model.encoder.layers.{block}.{theirs}");
            if theirs.contains("layer_norm") {
                norms.push((own, theirs));
                continue;
            }
            weights.insert(format!("{own}.weight"), file.matrix(&format!("{theirs}.weight"), true)?);
            weights.insert(format!("{own}.bias"), file.vector(&format!("{theirs}.bias"))?);
        }
    }
    for (own, theirs) in norms {
        for part in ["weight", "bias"] {
            weights.insert(format!("{own}.{part}"), file.vector(&format!("{theirs}.{part}"))?);
        }
    }
    let split = file.find("heads_apart").and_then(|tensor| integers(tensor)?.get(2).copied());
    let heads = split.and_then(|heads| usize::try_from(heads).ok());
    let heads = heads.filter(|heads| *heads > 0 && width.is_multiple_of(*heads));
    let heads = heads.context("constant heads_apart does not say how many attention heads it has")?;
    let values = file.floats("text_model.embeddings.token_embedding.weight")?;
    let device = device.clone();
    Ok((Tower { weights, blocks, heads, width, context, device }, Table { values, width }))
}

impl Table {
    /// The embedding of a token.
    pub fn row(&self, token: u32) -> Option<&[f32]> {
        let start = token as usize * self.width;
        self.values.get(start..start + self.width)
    }
}

impl Tower {
    /// The embeddings of texts `[B, E]`, out of their tokens' embeddings `[B, T, width]`; each text ends at the token of
    /// `ends`, and what stands behind it does not matter.
    pub fn run(&self, tokens: &Tensor, ends: &[usize]) -> Result<Tensor> {
        let (texts, length, width) = tokens.dims3()?;
        let position = self.weights.weight("position")?.narrow(0, 0, length)?;
        let mask: Vec<f32> =
            (0..length * length).map(|at| if at % length > at / length { MASKED } else { 0.0 }).collect();
        let mask = Tensor::from_vec(mask, (1, 1, length, length), &self.device)?;
        let mut x = tokens.broadcast_add(&position)?;
        for block in 0..self.blocks {
            x = self
                .weights
                .block(&format!("block.{block}"), &x, self.heads, &mask, &mut |x| Ok(x.clone()))?;
        }
        let ends: Vec<u32> =
            ends.iter().enumerate().map(|(text, end)| (text * length + end) as u32).collect();
        let ends = Tensor::new(ends, &self.device)?;
        let pooled = x.reshape((texts * length, width))?.index_select(&ends, 0)?;
        self.weights.linear("projection", &self.weights.norm("norm", &pooled)?)
    }
}

/// The constants of a graph.
struct File<'a> {
    tensors: &'a [TensorProto],
    device: &'a Device,
}

impl File<'_> {
    fn find(&self, name: &str) -> Option<&TensorProto> {
        self.tensors.iter().find(|tensor| tensor.name.as_deref() == Some(name))
    }

    fn tensor(&self, name: &str) -> anyhow::Result<&TensorProto> {
        let tensor = self.find(name).with_context(|| format!("weight {name} is missing"))?;
        ensure!(tensor.data_type == Some(DataType::FLOAT), "weight {name} is not f32");
        Ok(tensor)
    }

    fn shape(&self, name: &str) -> anyhow::Result<[usize; 2]> {
        let dims: Vec<usize> =
            self.tensor(name)?.dims.iter().filter_map(|size| usize::try_from(*size).ok()).collect();
        let [rows, columns] = dims[..] else { anyhow::bail!("weight {name} is no matrix") };
        ensure!(rows > 0 && columns > 0, "weight {name} is empty");
        Ok([rows, columns])
    }

    fn floats(&self, name: &str) -> anyhow::Result<Vec<f32>> {
        floats(self.tensor(name)?).with_context(|| format!("weight {name} is not in the file"))
    }

    /// A matrix, turned from `[in, out]` to `[out, in]` if it is one of a linear layer.
    fn matrix(&self, name: &str, linear: bool) -> anyhow::Result<Tensor> {
        let tensor = Tensor::from_vec(self.floats(name)?, self.shape(name)?.to_vec(), self.device)?;
        Ok(if linear { tensor.t()?.contiguous()? } else { tensor })
    }

    fn vector(&self, name: &str) -> anyhow::Result<Tensor> {
        let values = self.floats(name)?;
        Ok(Tensor::new(values, self.device)?)
    }
}

fn integers(tensor: &TensorProto) -> Option<Vec<i64>> {
    (tensor.data_type == Some(DataType::INT64)).then(|| match &tensor.raw_data {
        Some(raw) => raw.borrow().as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
        None => tensor.int64_data.clone(),
    })
}
