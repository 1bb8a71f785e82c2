//! Dropout whose draws depend on seed and step alone, so that a run that was interrupted goes on as it would have.

use candle_core::{Result, Tensor};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// The draws of one step.
pub struct Dropout {
    rate: f32,
    random: SmallRng,
}

impl Dropout {
    pub fn of_step(rate: f32, seed: u64, step: usize) -> Self {
        Self { rate, random: SmallRng::seed_from_u64(super::mixed(seed, step as u64)) }
    }

    /// Leaves all as it is.
    pub fn none() -> Self {
        Self::of_step(0.0, 0, 0)
    }

    /// Leaves out a share of the elements, and scales up the others.
    pub fn apply(&mut self, x: &Tensor) -> Result<Tensor> {
        if self.rate <= 0.0 {
            return Ok(x.clone());
        }
        let kept = (1.0 - self.rate).recip();
        let draws = (0..x.elem_count())
            .map(|_| if self.random.random_range(0.0f32..1.0) < self.rate { 0.0 } else { kept })
            .collect::<Vec<f32>>();
        x * Tensor::from_vec(draws, x.shape(), x.device())?
    }
}
