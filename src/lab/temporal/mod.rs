//! A transformer over the whole frames around one, as video methods have it that know no persons: ActionCLIP's head
//! "Transf" (Wang et al. 2021). Each frame's feature gets a learned position, pre-norm blocks let frames look at one
//! another, and the frame's feature is the mean of what comes out and what went in. What the blocks add starts at zero,
//! so that an untrained one is mean pooling.
//!
//! Knows cached features and its own file; has never heard of training, nor of how it is judged.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use anyhow::{Context, bail, ensure};
use candle_core::{Device, Result, Tensor, Var};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::heads::Reach;
use crate::lab::dataset::Sample;
use crate::lab::transformer::{Lookup, Weights, floats, tensors};

/// What the file's metadata call its format.
pub const FORMAT: &str = "watchword temporal 1";
/// Elements of an attention head, as everywhere in CLIP.
const HEAD: usize = 64;
/// Deviation of CLIP's first embeddings of tokens.
const TOKEN: f32 = 0.02;
const WORDS: [&str; 2] = ["words.before", "words.after"];
/// Takes a frame that is not there out of a softmax, and leaves its gradient a number.
const MASKED: f32 = -1e9;
/// Blocks and frames beyond reason: they bound what a file can make us allocate.
const MOST_BLOCKS: usize = 64;
const MOST_FRAMES: usize = 241;

/// What the file says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// The frames around the one that is judged.
    pub reach: Reach,
    pub blocks: usize,
    /// Of a feature.
    pub width: usize,
    /// Temperature of the softmax over the labels.
    pub tau: f32,
    /// The space of the encoder that the features came from.
    pub embedding: String,
    /// Learned words before a label's name and as many after it, if there are any.
    pub vectors: Option<Vectors>,
}

/// Learned words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vectors {
    pub count: usize,
    /// Of the text tower's tokens.
    pub width: usize,
}

/// The transformer with its weights.
#[derive(Debug)]
pub struct Temporal {
    pub about: About,
    pub weights: Weights,
}

impl About {
    fn frames(&self) -> usize {
        self.reach.before + 1 + self.reach.after
    }

    /// Attention heads: of [`HEAD`] elements or a little more, as many as divide the width.
    fn heads(&self) -> usize {
        (1..=(self.width / HEAD).max(1)).rev().find(|heads| self.width.is_multiple_of(*heads)).unwrap_or(1)
    }

    /// Names and shapes of all weights, and the deviation that they are drawn with; what normalises is 1.
    fn shapes(&self) -> Vec<(String, Vec<usize>, f32)> {
        let width = self.width;
        let drawn = (width as f32).sqrt().recip();
        let mut shapes = vec![("temporal.position".to_owned(), vec![self.frames(), width], 0.0)];
        if let Some(Vectors { count, width }) = self.vectors {
            shapes.extend(WORDS.map(|name| (name.to_owned(), vec![count, width], TOKEN)));
        }
        for block in 0..self.blocks {
            let mut put = |part: &str, shape: &[usize], deviation| {
                shapes.push((format!("temporal.block.{block}.{part}"), shape.to_vec(), deviation));
            };
            for (part, to, from, deviation) in [
                ("attention.query", width, width, drawn),
                ("attention.key", width, width, drawn),
                ("attention.value", width, width, drawn),
                ("attention.out", width, width, 0.0),
                ("mlp.up", 4 * width, width, drawn),
                ("mlp.down", width, 4 * width, 0.0),
            ] {
                put(&format!("{part}.weight"), &[to, from], deviation);
                // What is added to every key alike changes no softmax.
                if part != "attention.key" {
                    put(&format!("{part}.bias"), &[to], 0.0);
                }
            }
            for norm in ["norm1", "norm2"] {
                put(&format!("{norm}.weight"), &[width], 0.0);
                put(&format!("{norm}.bias"), &[width], 0.0);
            }
        }
        shapes
    }

    /// What a file that [`Temporal::bytes`] made says of itself.
    pub fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let empty = HashMap::new();
        let map = header.metadata().as_ref().unwrap_or(&empty);
        let text = |key: &str| map.get(key).with_context(|| format!("metadata {key} is missing"));
        fn number<T: std::str::FromStr>(key: &str, text: &str) -> anyhow::Result<T> {
            text.parse().ok().with_context(|| format!("metadata {key} is {text:?}: it must be a number"))
        }
        let positive = |key: &str| {
            let value: f32 = number(key, text(key)?)?;
            ensure!(value.is_finite() && value > 0.0, "metadata {key} is {value}: it must be positive");
            anyhow::Ok(value)
        };
        let count = |key: &str, most: usize| {
            let value: usize = number(key, text(key)?)?;
            ensure!(value <= most, "metadata {key} is {value}: {most} at most");
            anyhow::Ok(value)
        };
        ensure!(text("format")? == FORMAT, "its format is {:?}, not {FORMAT:?}", text("format")?);
        let file = SafeTensors::deserialize(bytes)?;
        let vectors = file.tensor(WORDS[0]).ok().map(|words| words.shape().to_vec());
        let vectors = vectors.map(|shape| match shape[..] {
            [count, width] if count > 0 && width > 0 => Ok(Vectors { count, width }),
            _ => bail!("tensor {} is {shape:?}: it must be a vector a row", WORDS[0]),
        });
        let position = file.tensor("temporal.position").context("tensor temporal.position")?;
        let about = Self {
            reach: Reach {
                before: count("memory_before", MOST_FRAMES - 1)?,
                after: count("memory_after", MOST_FRAMES - 1)?,
                rate: positive("memory_rate")?,
            },
            blocks: count("blocks", MOST_BLOCKS)?,
            width: position.shape().last().copied().unwrap_or_default(),
            tau: positive("tau")?,
            embedding: text("embedding")?.clone(),
            vectors: vectors.transpose()?,
        };
        ensure!(about.frames() <= MOST_FRAMES && about.width > 0, "it is for no or too many frames");
        Ok(about)
    }
}

impl Temporal {
    /// Mean pooling, to be trained; the same `seed` gives the same weights on every machine.
    pub fn fresh(about: About, seed: u64, device: &Device) -> Result<Self> {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut weights = Weights::new();
        for (name, shape, deviation) in about.shapes() {
            let mean = f32::from(u8::from(name.contains(".norm") && name.ends_with(".weight")));
            // A uniform distribution of this deviation will do.
            let reach = deviation * 3f32.sqrt();
            let count = shape.iter().product();
            let values: Vec<f32> =
                (0..count).map(|_| mean + random.random_range(-1.0..=1.0) * reach).collect();
            weights.insert(name, Var::from_vec(values, shape, device)?);
        }
        Ok(Self { about, weights })
    }

    /// Whether a file says that it is one.
    pub fn is(bytes: &[u8]) -> bool {
        let header = SafeTensors::read_metadata(bytes).ok().map(|(_, header)| header);
        let format = header.as_ref().and_then(|header| header.metadata().as_ref()?.get("format"));
        format.is_some_and(|format| format == FORMAT)
    }

    /// Reads a file that [`Temporal::bytes`] made.
    pub fn read(bytes: &[u8], device: &Device) -> anyhow::Result<Self> {
        let about = About::read(bytes)?;
        let file = SafeTensors::deserialize(bytes)?;
        let shapes = about.shapes();
        if let Some(name) =
            file.names().into_iter().find(|name| shapes.iter().all(|(known, ..)| known != name))
        {
            bail!("tensor {name} is of no use here");
        }
        let mut weights = Weights::new();
        for (name, shape, _) in shapes {
            let view = file.tensor(&name).with_context(|| format!("tensor {name}"))?;
            let fits = view.shape() == shape && view.dtype() == Dtype::F32;
            ensure!(fits, "tensor {name} is {:?} {:?}, it must be F32 {shape:?}", view.dtype(), view.shape());
            let values = floats(view.data());
            ensure!(
                values.iter().all(|value| value.is_finite()),
                "tensor {name} holds a number that is not finite"
            );
            weights.insert(name, Var::from_vec(values, shape, device)?);
        }
        Ok(Self { about, weights })
    }

    /// A file of it.
    pub fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        let About { reach, blocks, tau, embedding, .. } = &self.about;
        let entries = [
            ("format", FORMAT.to_owned()),
            ("memory_before", reach.before.to_string()),
            ("memory_after", reach.after.to_string()),
            ("memory_rate", reach.rate.to_string()),
            ("blocks", blocks.to_string()),
            ("tau", tau.to_string()),
            ("embedding", embedding.clone()),
        ];
        let map = entries.map(|(key, value)| (key.to_owned(), value)).into();
        Ok(safetensors::serialize(&tensors(&self.weights)?, Some(map))?)
    }

    /// The learned words before and after a label's name, `[count, width]`, if there are any.
    pub fn words(&self) -> Option<[&Tensor; 2]> {
        let [before, after] = WORDS.map(|name| self.weights.find(name));
        Some([before?, after?])
    }

    /// A feature for each of the frames, `[B, D]`, out of their own contexts and their memories'; `drop` sees what each
    /// half of a block adds.
    pub fn pool(
        &self,
        samples: &[Sample],
        device: &Device,
        drop: &mut dyn FnMut(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let About { reach, blocks, width, .. } = self.about;
        let frames = self.about.frames();
        let mut rows = vec![0f32; samples.len() * frames * width];
        let mut there = vec![0f32; samples.len() * frames];
        let windows = rows.chunks_exact_mut(frames * width).zip(there.chunks_exact_mut(frames));
        for (sample, (rows, there)) in samples.iter().zip(windows) {
            // The memory's slots leave out the frame itself.
            let around = sample.slots.iter().map(|slot| slot + usize::from(*slot >= reach.before));
            let around = around.zip(sample.memory.chunks_exact(width));
            for (place, row) in around.chain([(reach.before, &sample.context[..])]) {
                if let Some(to) = rows.get_mut(place * width..(place + 1) * width) {
                    to.copy_from_slice(row);
                }
                if let Some(there) = there.get_mut(place) {
                    *there = 1.0;
                }
            }
        }
        let mask = there.iter().map(|there| (1.0 - there) * MASKED).collect();
        let mask = Tensor::from_vec(mask, (samples.len(), 1, 1, frames), device)?;
        let rows = Tensor::from_vec(rows, (samples.len(), frames, width), device)?;
        let there = Tensor::from_vec(there, (samples.len(), frames, 1), device)?;
        let mut x = rows.broadcast_add(self.weights.weight("temporal.position")?)?;
        for block in 0..blocks {
            x = self.weights.block(
                &format!("temporal.block.{block}"),
                &x,
                self.about.heads(),
                &mask,
                drop,
            )?;
        }
        let sum = (x + rows)?.broadcast_mul(&there)?.sum(1)?;
        sum.broadcast_div(&(there.sum(1)? * 2.0)?)
    }
}
