//! What transformers are made of, in a framework that differentiates.
//!
//! The framework is candle: of the two that are kept (burn is the other) it brings the fewer dependencies, and it leaves
//! the optimiser, whose rates differ from tensor to tensor here, to its user. Knows arithmetic alone.

use std::collections::BTreeMap;

use candle_core::{D, Error, Result, Tensor, Var};

use crate::heads::{self, Tensors};

/// Weights that learn, by name.
pub type Weights = BTreeMap<String, Var>;

/// What PyTorch adds to a variance.
const EPSILON: f64 = 1e-5;
/// CLIP's activation is `x · sigmoid(1.702 x)`.
const QUICK_GELU: f64 = 1.702;

/// Where weights are looked up by name.
pub trait Lookup {
    /// The tensor of this name, if there is one.
    fn find(&self, name: &str) -> Option<&Tensor>;

    fn weight(&self, name: &str) -> Result<&Tensor> {
        self.find(name).ok_or_else(|| Error::Msg(format!("tensor {name} is missing")))
    }

    /// `x · Wᵀ + b` over the last dimension; without `{name}.bias` there is none.
    fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let weight = self.weight(&format!("{name}.weight"))?;
        let mut shape = x.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = weight.dim(0)?;
        }
        let rows = x.elem_count() / weight.dim(1)?;
        let product = x.reshape((rows, weight.dim(1)?))?.matmul(&weight.t()?)?;
        let product = match self.find(&format!("{name}.bias")) {
            Some(bias) => product.broadcast_add(bias)?,
            None => product,
        };
        product.reshape(shape)
    }

    /// `x · w + b`, element by element over the last dimension: what follows a normalisation.
    fn affine(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let x = x.broadcast_mul(self.weight(&format!("{name}.weight"))?)?;
        x.broadcast_add(self.weight(&format!("{name}.bias"))?)
    }

    /// Layer normalisation.
    fn norm(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        self.affine(name, &normalise(x)?)
    }

    /// CLIP's pre-norm block on the tokens `[B, T, D]`: `x + attention(norm1(x))`, then `x + mlp(norm2(x))`. `mask` is
    /// added to the logits `[B, heads, T, T]`; `drop` sees what each half adds.
    fn block(
        &self,
        name: &str,
        x: &Tensor,
        heads: usize,
        mask: &Tensor,
        drop: &mut dyn FnMut(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let (batch, tokens, width) = x.dims3()?;
        let name = |part: &str| format!("{name}.{part}");
        let normed = self.norm(&name("norm1"), x)?;
        let part = |part: &str| {
            let rows = self.linear(&name(part), &normed)?.reshape((batch, tokens, heads, width / heads))?;
            rows.transpose(1, 2)?.contiguous()
        };
        let (q, k, v) = (part("attention.query")?, part("attention.key")?, part("attention.value")?);
        let logits = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? / ((width / heads) as f64).sqrt())?;
        let attended = softmax(&logits.broadcast_add(mask)?)?.matmul(&v)?;
        let attended = attended.transpose(1, 2)?.contiguous()?.reshape((batch, tokens, width))?;
        let x = (x + drop(&self.linear(&name("attention.out"), &attended)?)?)?;
        let hidden = self.linear(&name("mlp.up"), &self.norm(&name("norm2"), &x)?)?;
        &x + drop(&self.linear(&name("mlp.down"), &quick_gelu(&hidden)?)?)?
    }
}

impl Lookup for Weights {
    fn find(&self, name: &str) -> Option<&Tensor> {
        self.get(name).map(Var::as_tensor)
    }
}

impl Lookup for BTreeMap<String, Tensor> {
    fn find(&self, name: &str) -> Option<&Tensor> {
        self.get(name)
    }
}

/// Weights as a file holds them.
pub fn tensors(weights: &Weights) -> Result<Tensors> {
    let tensor = |var: &Var| -> Result<_> {
        let values = var.as_tensor().flatten_all()?.to_vec1::<f32>()?;
        Ok(heads::Tensor::floats(var.dims(), &values))
    };
    weights.iter().map(|(name, var)| Ok((name.clone(), tensor(var)?))).collect()
}

/// The numbers of an f32 tensor of a file, out of its bytes.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Over the last dimension.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    let top = x.max_keepdim(D::Minus1)?.detach();
    let exp = x.broadcast_sub(&top)?.exp()?;
    exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)
}

/// To zero mean and unit variance over the last dimension.
pub fn normalise(x: &Tensor) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    centred.broadcast_div(&(variance + EPSILON)?.sqrt()?)
}

/// To length 1 over the last dimension.
pub fn unit_length(x: &Tensor) -> Result<Tensor> {
    let length = (x.sqr()?.sum_keepdim(D::Minus1)? + 1e-12)?.sqrt()?;
    x.broadcast_div(&length)
}

/// CLIP's activation.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    (x * QUICK_GELU)?.silu()? / QUICK_GELU
}
