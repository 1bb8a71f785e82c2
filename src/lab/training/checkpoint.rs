//! A run that can go on where it was: weights, running means, the best weights so far, and what was measured.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, ensure};
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::optimiser::Moments;
use super::recipe::Recipe;
use super::record::Entry;
use crate::heads;
use crate::lab::features::write_whole;
use crate::lab::transformer::{Weights, floats, tensors};

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// For the number of steps that is the best for labels held out.
    Search,
    /// On all labels, for that number of steps.
    Refit,
}

/// How far training has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub recipe: Recipe,
    /// What it is trained on, hashed.
    pub data: String,
    pub phase: Phase,
    /// Steps done in this phase.
    pub step: usize,
    /// The step after which the labels held out were told apart best, and their mAP.
    pub best: Option<(usize, f64)>,
    pub history: Vec<Entry>,
    /// Spent so far.
    pub seconds: f64,
}

/// Everything, to be written.
pub struct Checkpoint {
    pub state: State,
    pub moments: Moments,
    /// The best weights of the search.
    pub best: heads::Tensors,
}

const KEY: &str = "training";

impl Checkpoint {
    pub fn write(&self, weights: &Weights, path: &Path) -> anyhow::Result<()> {
        let own = tensors(weights)?.into_iter();
        let mut tensors: heads::Tensors =
            own.map(|(name, tensor)| (format!("weight.{name}"), tensor)).collect();
        for (kind, moments) in [("first", &self.moments.first), ("second", &self.moments.second)] {
            for (name, moment) in moments {
                let values = moment.flatten_all()?.to_vec1::<f32>()?;
                tensors.insert(format!("{kind}.{name}"), heads::Tensor::floats(moment.dims(), &values));
            }
        }
        for (name, tensor) in &self.best {
            let heads::Tensor { dtype, shape, bytes } = tensor;
            let copy = heads::Tensor { dtype: *dtype, shape: shape.clone(), bytes: bytes.clone() };
            tensors.insert(format!("best.{name}"), copy);
        }
        let about = HashMap::from([(KEY.to_owned(), serde_json::to_string(&self.state)?)]);
        write_whole(path, &safetensors::serialize(&tensors, Some(about))?)
    }

    /// Reads what fits `own`, the weights that it sets.
    pub fn read(path: &Path, own: &Weights, device: &Device) -> anyhow::Result<Self> {
        let read = || {
            let bytes = std::fs::read(path)?;
            let (_, header) = SafeTensors::read_metadata(&bytes)?;
            let about = header.metadata().as_ref().and_then(|map| map.get(KEY)).context("no checkpoint")?;
            let state: State = serde_json::from_str(about).context("made by another version")?;
            let file = SafeTensors::deserialize(&bytes)?;
            let mut parts: BTreeMap<&str, BTreeMap<String, heads::Tensor<'static>>> = BTreeMap::new();
            for (name, view) in file.iter() {
                let (part, name) = name.split_once('.').context("a tensor without a part")?;
                let weight = own.get(name).with_context(|| format!("tensor {name} is unknown"))?;
                ensure!(weight.dims() == view.shape(), "tensor {name} is {:?}", view.shape());
                let bytes = view.data().to_vec().into();
                let tensor = heads::Tensor { dtype: view.dtype(), shape: view.shape().to_vec(), bytes };
                parts.entry(part).or_default().insert(name.to_owned(), tensor);
            }
            let mut part = |name: &str| parts.remove(name).unwrap_or_default();
            let weights = part("weight");
            ensure!(weights.len() == own.len(), "weights are missing");
            set(own, &weights, device)?;
            let mut moments = |name: &str| -> anyhow::Result<BTreeMap<String, Tensor>> {
                part(name).into_iter().map(|(name, tensor)| Ok((name, loaded(&tensor, device)?))).collect()
            };
            let moments = Moments { first: moments("first")?, second: moments("second")? };
            Ok(Self { state, moments, best: part("best") })
        };
        read().with_context(|| format!("checkpoint {}", path.display()))
    }
}

/// Sets `own` weights to those of a file.
pub fn set(own: &Weights, weights: &heads::Tensors, device: &Device) -> anyhow::Result<()> {
    for (name, tensor) in weights {
        if let Some(weight) = own.get(name) {
            weight.set(&loaded(tensor, device)?)?;
        }
    }
    Ok(())
}

fn loaded(tensor: &heads::Tensor<'_>, device: &Device) -> anyhow::Result<Tensor> {
    Ok(Tensor::from_vec(floats(&tensor.bytes), tensor.shape.clone(), device)?)
}
