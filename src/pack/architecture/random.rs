//! Random weights that are the same everywhere, and their quantisation.

use sha2::{Digest, Sha256};

/// SplitMix64 (Steele, Lea, Flood 2014): five lines, and the same numbers on every platform and in every release.
pub struct Random(u64);

impl Random {
    /// A stream of its own for each tensor, so that no tensor depends on which others were drawn before it.
    pub fn new(seed: u64, tensor: &str) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(tensor));
        Self(seed ^ u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Nearly normal, of deviation 1: the sum of four uniform numbers (Irwin–Hall), within ±3.47.
    fn normal(&mut self) -> f32 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|lane| (bits >> (16 * lane)) & 0xFFFF).sum();
        // Four uniform numbers in 0..=65535: mean 131070, deviation 65536 / √12 · √4.
        (sum as f32 - 131_070.0) / 37_837.23
    }

    /// `count` numbers of the given mean and deviation.
    pub fn values(&mut self, count: usize, mean: f32, deviation: f32) -> Vec<f32> {
        (0..count).map(|_| mean + deviation * self.normal()).collect()
    }
}

/// Rounds each column of a `[_, columns]` matrix to `-limit..=limit` of its own step: the integers and the steps.
pub fn quantise_columns(values: &[f32], columns: usize, limit: f32) -> (Vec<i8>, Vec<f32>) {
    let mut steps = vec![0.0_f32; columns];
    for row in values.chunks_exact(columns) {
        for (step, value) in steps.iter_mut().zip(row) {
            *step = step.max(value.abs());
        }
    }
    steps.iter_mut().for_each(|step| *step = (*step / limit).max(f32::MIN_POSITIVE));
    let rows = values.chunks_exact(columns);
    let integers =
        rows.flat_map(|row| row.iter().zip(&steps).map(|(value, step)| (value / step).round() as i8));
    (integers.collect(), steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_asked_for() {
        let values = Random::new(1, "x").values(100_000, 0.5, 2.0);
        let mean = values.iter().sum::<f32>() / 1e5;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 1e5;
        assert!((mean - 0.5).abs() < 0.03 && (variance - 4.0).abs() < 0.1, "{mean} {variance}");
    }

    #[test]
    fn streams_differ_by_seed_and_tensor_only() {
        let draw = |seed, tensor| Random::new(seed, tensor).values(4, 0.0, 1.0);
        assert_eq!(draw(1, "x"), draw(1, "x"));
        assert_ne!(draw(1, "x"), draw(2, "x"));
        assert_ne!(draw(1, "x"), draw(1, "y"));
    }

    #[test]
    fn each_column_fills_its_own_range() {
        let (integers, steps) = quantise_columns(&[1.0, -10.0, -0.5, 5.0], 2, 64.0);
        assert_eq!(integers, [64, -64, -32, 32]);
        assert_eq!(steps, [1.0 / 64.0, 10.0 / 64.0]);
    }
}
