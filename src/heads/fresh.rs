//! Heads files that are made here: untrained ones, and int8 ones out of f32 ones.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use safetensors::tensor::{Dtype, SafeTensors};

use super::matrix::{Matrix, Values};
use super::metadata::{Kind, Metadata};
use super::weights::{Tensor, Weights, WeightsError, floats};

/// Tensors by name, as a file holds them.
pub type Tensors = BTreeMap<String, Tensor<'static>>;

/// The size of heads to be made.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Of an embedding.
    pub width: usize,
    /// Of prompting; 0 for none.
    pub layers: usize,
    /// Of prompting's feed-forward part; CLIP's is four times the width.
    pub hidden: usize,
}

/// How the weights of new heads are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// As training starts: what goes out of every unit and layer is zero, so that the heads give what `fusion` gives.
    Untrained,
    /// All of them at random, as wide as the reference draws them: for tests and benchmarks.
    Random,
}

/// New heads; the same `seed` gives the same weights on every machine.
pub fn fresh(metadata: &Metadata, size: Size, start: Start, seed: u64) -> Tensors {
    let Size { width, layers, hidden } = size;
    let mut tensors = Tensors::new();
    let mut random = SmallRng::seed_from_u64(seed);
    let mut put = |name: String, shape: &[usize], mean: f32, deviation: f32| {
        // A uniform distribution of this deviation will do.
        let reach = deviation * 3f32.sqrt();
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| mean + random.random_range(-1.0..=1.0) * reach).collect();
        tensors.insert(name, Tensor::floats(shape, &values));
    };
    let untrained = start == Start::Untrained;
    let last = if untrained { 0.0 } else { 1.0 };
    for (index, kind) in metadata.units.iter().enumerate() {
        for part in ["query", "key", "value", "out"] {
            let spread = if part == "out" { 0.05 * last } else { 0.05 };
            put(format!("unit.{index}.{part}.weight"), &[width, width], 0.0, spread);
            put(format!("unit.{index}.{part}.bias"), &[width], 0.0, if untrained { 0.0 } else { 0.05 });
        }
        if metadata.ln_affine {
            put(format!("unit.{index}.norm.weight"), &[width], 1.0, 0.02 * last);
            put(format!("unit.{index}.norm.bias"), &[width], 0.0, 0.02 * last);
        }
        if *kind == Kind::Memory {
            for part in ["key", "value"] {
                let shape = [metadata.slots(), width];
                put(format!("unit.{index}.position.{part}"), &shape, 0.0, 0.05 * last);
            }
        }
    }
    if layers > 0 {
        put("prompt.alpha".into(), &[width], 0.1, 0.0);
        put("prompt.norm.weight".into(), &[width], 1.0, 0.02 * last);
        put("prompt.norm.bias".into(), &[width], 0.0, 0.02 * last);
    }
    for layer in 0..layers {
        let mut put = |part: &str, shape: &[usize], mean: f32, deviation: f32| {
            put(format!("prompt.layer.{layer}.{part}"), shape, mean, deviation);
        };
        for norm in ["norm1", "norm2"] {
            put(&format!("{norm}.weight"), &[width], 1.0, 0.02 * last);
            put(&format!("{norm}.bias"), &[width], 0.0, 0.02 * last);
        }
        for part in ["query", "key", "value"] {
            put(&format!("attention.{part}.weight"), &[width, width], 0.0, 0.03);
        }
        put("attention.out.weight", &[width, width], 0.0, 0.03 * last);
        put("attention.out.bias", &[width], 0.0, 0.02 * last);
        put("mlp.up.weight", &[hidden, width], 0.0, 0.03);
        put("mlp.up.bias", &[hidden], 0.0, 0.02 * last);
        put("mlp.down.weight", &[width, hidden], 0.0, 0.03 * last);
        put("mlp.down.bias", &[width], 0.0, 0.02 * last);
    }
    tensors
}

/// The bytes of a heads file.
pub fn serialise(tensors: &Tensors, metadata: &Metadata) -> Result<Vec<u8>, WeightsError> {
    safetensors::serialize(tensors, Some(metadata.to_map()))
        .map_err(|error| WeightsError::Format(error.to_string()))
}

/// The same heads with matrices in int8, a scale for each row: a quarter of the size.
pub fn quantise(bytes: &[u8]) -> Result<Vec<u8>, WeightsError> {
    let metadata = Weights::parse(bytes)?.metadata().clone();
    let file = SafeTensors::deserialize(bytes).map_err(|error| WeightsError::Format(error.to_string()))?;
    let mut tensors = Tensors::new();
    for (name, tensor) in file.iter() {
        let shape = tensor.shape().to_vec();
        if let ([rows, columns], true) =
            (&shape[..], name.ends_with(".weight") && tensor.dtype() != Dtype::I8)
        {
            let values = Values::Float(floats(name, &tensor)?);
            let matrix = Matrix { rows: *rows, columns: *columns, values }.quantised();
            if let Values::Int8 { data, scales } = matrix.values {
                let data: Vec<u8> = data.iter().map(|x| x.cast_unsigned()).collect();
                tensors.insert(format!("{name}.scale"), Tensor::floats(&[*rows], &scales));
                tensors.insert(name.to_owned(), Tensor { dtype: Dtype::I8, shape, bytes: data.into() });
            }
        } else {
            let bytes = tensor.data().to_vec().into();
            tensors.insert(name.to_owned(), Tensor { dtype: tensor.dtype(), shape, bytes });
        }
    }
    serialise(&tensors, &metadata)
}
