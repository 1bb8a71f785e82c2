//! The paper authors' checkpoints as heads files, without Python.
//!
//! Their blocks are `P_block_1`, `O_block_1`, `H_block_1`, `M_block_1`, `P_block_2` ..; H is the context. Kernels of
//! 1×1×1 convolutions are matrices. The prompting is a `decoder` of cross-attention layers.

mod checkpoint;
mod torch;

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use super::fresh::{Tensors, serialise};
use super::interaction::Interaction;
use super::metadata::{Kind, Metadata, Pads};
use super::weights::{Tensor, WeightsError};

/// Why a checkpoint does not become heads.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{0}")]
    Checkpoint(String),
    #[error(
        "it holds no interaction units (P_block_1, O_block_1, H_block_1, M_block_1 ..): no heads of iCLIP"
    )]
    NoUnits,
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// What a checkpoint does not say of itself.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The encoder that its features came from.
    pub embedding: String,
    /// Memory slots before the frame; absent: half of them.
    pub before: Option<usize>,
    /// Slots in a second.
    pub rate: f32,
    /// The keys it was trained with.
    pub pads: Pads,
    pub tau: f32,
}

/// As the authors train (their code's capacities).
pub const AUTHORS_PADS: Pads = Pads { person: 25, object: 5, context: 25, memory: 10 };

/// The bytes of a heads file, from a checkpoint.
pub fn import(file: impl Read + Seek, setting: &Setting) -> Result<Vec<u8>, ImportError> {
    let found =
        checkpoint::tensors(file, |name| Place::of(name).is_some()).map_err(ImportError::Checkpoint)?;
    let mut blocks: Vec<(usize, Kind)> = Vec::new();
    let mut placed = BTreeMap::new();
    for (name, tensor) in found {
        let Some(place) = Place::of(&name) else { continue };
        if let Place::Unit { round, kind, .. } = place {
            blocks.push((round, kind));
        }
        placed.insert(place, tensor);
    }
    blocks.sort_unstable_by_key(|(round, kind)| (*round, *kind as usize));
    blocks.dedup();
    if blocks.is_empty() {
        return Err(ImportError::NoUnits);
    }
    let mut tensors = Tensors::new();
    let mut slots = 0;
    for (place, (shape, values)) in placed {
        let name = match &place {
            Place::Unit { round, kind, part } => {
                let index = blocks.iter().position(|block| *block == (*round, *kind)).unwrap_or_default();
                format!("unit.{index}.{part}")
            }
            Place::Prompt(name) => name.clone(),
        };
        // Dimensions of 1 are the convolutions' and the positions' own.
        let mut shape: Vec<usize> = shape.into_iter().filter(|size| *size != 1).collect();
        if shape.is_empty() {
            shape.push(1);
        }
        if name.contains(".position.") {
            slots = shape.first().copied().unwrap_or_default();
        }
        tensors.insert(name, Tensor::floats(&shape, &values));
    }
    let before = setting.before.unwrap_or(slots / 2).min(slots);
    let metadata = Metadata {
        units: blocks.into_iter().map(|(_, kind)| kind).collect(),
        before,
        after: slots - before,
        rate: setting.rate,
        pads: setting.pads,
        tau: setting.tau,
        ln_affine: false,
        relu: true,
        embedding: Some(setting.embedding.clone()),
    };
    let bytes = serialise(&tensors, &metadata)?;
    Interaction::read(&bytes)?;
    Ok(bytes)
}

/// Where a tensor of a checkpoint goes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Unit { round: usize, kind: Kind, part: String },
    Prompt(String),
}

impl Place {
    /// `None` for what is no part of the heads: the encoder, above all.
    fn of(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('.').collect();
        let at = |index: usize| parts.get(index).copied().unwrap_or_default();
        for (index, part) in parts.iter().enumerate() {
            if let Some((letter, round)) = part.split_once("_block_") {
                let kind = match letter {
                    "P" => Kind::Person,
                    "O" => Kind::Object,
                    "H" => Kind::Context,
                    "M" => Kind::Memory,
                    _ => continue,
                };
                let part = match (at(index + 1), at(index + 2)) {
                    ("temporal_position_k", "") => "position.key".to_owned(),
                    ("temporal_position_v", "") => "position.value".to_owned(),
                    (layer @ ("query" | "key" | "value" | "out"), tensor @ ("weight" | "bias")) => {
                        format!("{layer}.{tensor}")
                    }
                    _ => return None,
                };
                return Some(Self::Unit { round: round.parse().ok()?, kind, part });
            }
            if *part == "decoder" {
                let layer: usize = at(index + 1).parse().ok()?;
                let rest = parts.get(index + 2..)?.join(".");
                let (module, tensor) = rest.rsplit_once('.')?;
                let module = match module {
                    "cross_attn.q_proj" => "attention.query",
                    "cross_attn.k_proj" => "attention.key",
                    "cross_attn.v_proj" => "attention.value",
                    "cross_attn.proj" => "attention.out",
                    "norm1" => "norm1",
                    "norm3" => "norm2",
                    "mlp.0" => "mlp.up",
                    "mlp.3" => "mlp.down",
                    _ => return None,
                };
                return Some(Self::Prompt(format!("prompt.layer.{layer}.{module}.{tensor}")));
            }
        }
        // Beside the decoder; the module that holds them all has "prompt" in its name.
        let inside = parts.iter().any(|part| part.contains("prompt"));
        match &parts[..] {
            [.., "norm", tensor @ ("weight" | "bias")] if inside => {
                Some(Self::Prompt(format!("prompt.norm.{tensor}")))
            }
            [.., "alpha"] if inside => Some(Self::Prompt("prompt.alpha".into())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
