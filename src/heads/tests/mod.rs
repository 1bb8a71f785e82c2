mod economies;
mod memory;
pub mod plain;
mod refusals;
mod scoring;

use super::*;

/// Heads of these units with random weights, as a file.
pub fn random(units: &[Kind], pads: Pads, size: Size, seed: u64) -> Vec<u8> {
    let metadata = Metadata {
        units: units.to_vec(),
        before: 4,
        after: 3,
        rate: 1.0,
        pads,
        tau: 0.07,
        ln_affine: false,
        relu: true,
        embedding: Some("here".into()),
    };
    serialise(&fresh(&metadata, size, Start::Random, seed), &metadata).unwrap()
}
