//! What is trained: the interaction heads, or one of the methods that they are compared with.

use anyhow::Context;
use candle_core::{Device, Result, Tensor};

use super::Task;
use super::batch::Batch;
use super::dropout::Dropout;
use super::network::Network;
use super::recipe::{Approach, Recipe};
use crate::heads::{Reach, Size, serialise};
use crate::lab::dataset::Sample;
use crate::lab::temporal::{About, Temporal, Vectors};
use crate::lab::transformer::{Weights, tensors, unit_length};

/// A method with its weights.
pub enum Model {
    Heads(Network),
    Temporal(Temporal),
}

impl Model {
    /// As training starts.
    pub fn fresh(task: &Task<'_>, recipe: &Recipe, device: &Device) -> anyhow::Result<Self> {
        let (width, embedding) = (task.data.width, &task.data.embedding);
        Ok(match recipe.method {
            Approach::Iclip => {
                let size = Size { width, layers: recipe.layers, hidden: 4 * width };
                let metadata = recipe.metadata(embedding);
                Self::Heads(Network::fresh(&metadata, size, recipe.deviation, recipe.seed, device)?)
            }
            Approach::ActionClip | Approach::EfficientPrompting => {
                let Recipe { before, after, rate, blocks, tau, .. } = *recipe;
                let reach = Reach { before, after, rate };
                let vectors = match recipe.method {
                    Approach::EfficientPrompting => {
                        let wording = task.wording.context("learned prompts want a text tower: --pack")?;
                        Some(Vectors { count: recipe.vectors, width: wording.width() })
                    }
                    _ => None,
                };
                let embedding = embedding.clone();
                let about = About { reach, blocks, width, tau, embedding, vectors };
                Self::Temporal(Temporal::fresh(about, recipe.seed, device)?)
            }
        })
    }

    pub fn weights(&self) -> &Weights {
        match self {
            Self::Heads(network) => &network.weights,
            Self::Temporal(temporal) => &temporal.weights,
        }
    }

    /// A file of it.
    pub fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Heads(network) => Ok(serialise(&tensors(&network.weights)?, &network.metadata)?),
            Self::Temporal(temporal) => temporal.bytes(),
        }
    }

    /// The embeddings of `labels`, `[L, D]`: those of the data set, unless the model learns what to make of a name.
    pub fn text(&self, task: &Task<'_>, labels: &[usize], device: &Device) -> anyhow::Result<Tensor> {
        if let (Self::Temporal(temporal), Some(wording)) = (self, task.wording)
            && let Some([before, after]) = temporal.words()
        {
            return Ok(wording.embed(labels, before, after)?);
        }
        let rows = task.texts.means(labels.iter().copied())?;
        Ok(Tensor::from_slice(rows.data(), (rows.len(), rows.width()), device)?)
    }

    /// The logits of each person of the frames for each of the labels `text`, `[P, L]`.
    pub fn logits(&self, samples: &[Sample], text: &Tensor, dropout: &mut Dropout) -> Result<Tensor> {
        match self {
            Self::Heads(network) => {
                let batch = Batch::new(samples, text.dim(1)?, &network.metadata, text.device())?;
                network.logits(&batch, text, dropout)
            }
            Self::Temporal(temporal) => {
                let pooled = temporal.pool(samples, text.device(), &mut |x| dropout.apply(x))?;
                let cosines = unit_length(&pooled)?.matmul(&unit_length(text)?.t()?)?;
                // A frame's scores are those of each of its persons.
                let persons =
                    (0u32..).zip(samples).flat_map(|(frame, sample)| vec![frame; sample.boxes.len()]);
                let persons = Tensor::new(persons.collect::<Vec<_>>(), text.device())?;
                cosines.index_select(&persons, 0)? / f64::from(temporal.about.tau)
            }
        }
    }
}
