//! The softmax focal loss (Lin et al. 2017): what is right already counts little.

use candle_core::{D, Device, Result, Tensor};

/// The mean over the persons of `-(1 - p)^γ log p`, p the probability of what a person does; of one who does several
/// things, their mean. `labels` are columns of `logits`.
pub fn focal(logits: &Tensor, labels: &[Vec<usize>], gamma: f64) -> Result<Tensor> {
    let (persons, columns) = logits.dims2()?;
    let top = logits.max_keepdim(D::Minus1)?.detach();
    let shifted = logits.broadcast_sub(&top)?;
    let log = shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)?;
    let mut shares = vec![0f32; persons * columns];
    for (row, labels) in shares.chunks_exact_mut(columns).zip(labels) {
        for label in labels {
            if let Some(share) = row.get_mut(*label) {
                *share = 1.0 / labels.len() as f32;
            }
        }
    }
    let shares = Tensor::from_vec(shares, (persons, columns), &Device::Cpu)?.to_device(logits.device())?;
    let mut terms = (log.clone() * shares)?;
    if gamma > 0.0 {
        // Rounding must not make 1 - p negative.
        let missed = (1.0 - log.exp()?)?.maximum(1e-7)?;
        terms = (terms * missed.powf(gamma)?)?;
    }
    terms.sum_all()?.neg()? / persons as f64
}
