//! Draws that are the same on every machine.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

pub struct Random(SmallRng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// 0 to `count` - 1.
    pub fn below(&mut self, count: usize) -> usize {
        self.0.random_range(0..count.max(1) as u32) as usize
    }

    /// In -1..1.
    pub fn spread(&mut self) -> f32 {
        self.0.random_range(-1.0..1.0)
    }

    pub fn chance(&mut self, probability: f32) -> bool {
        self.0.random_range(0.0f32..1.0) < probability
    }

    /// A vector of about unit length in any direction.
    pub fn direction(&mut self, width: usize) -> Vec<f32> {
        // Sums of uniform draws are close enough to a normal distribution.
        let draws = |random: &mut Self| (0..4).map(|_| random.spread()).sum::<f32>();
        let scale = (0.75 / width as f32).sqrt();
        (0..width).map(|_| draws(self) * scale).collect()
    }
}
