//! What a run leaves for those who ask later how heads came to be.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::recipe::Recipe;
use crate::lab::dataset::{Dataset, Texts};

/// What was measured on the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub phase: super::Phase,
    /// Steps done.
    pub step: usize,
    /// The mean loss since the entry before.
    pub loss: f64,
    pub learning_rate: f64,
    /// Per cent, on the labels held out.
    pub map: Option<f64>,
}

/// A finished run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    pub recipe: Recipe,
    pub data: Data,
    /// Of this program, and of the framework.
    pub watchword: String,
    pub candle: String,
    pub device: String,
    pub seconds: f64,
    /// Steps that the weights have seen.
    pub steps: usize,
    /// The best mAP on the labels held out, per cent.
    pub best_map: Option<f64>,
    pub history: Vec<Entry>,
    /// SHA-256 of the heads file's tensors.
    pub heads: String,
}

/// What was trained on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Data {
    pub videos: usize,
    pub frames: usize,
    pub labels: Vec<String>,
    /// Of those: left out while the best number of steps was looked for.
    pub held_out: Vec<String>,
    pub embedding: String,
    /// Over names and keys of the videos, and what the labels are read as.
    pub hash: String,
}

/// Identifies a data set and some of its labels.
pub fn hash(data: &Dataset, texts: &Texts, labels: &[usize]) -> String {
    let mut hash = Sha256::new();
    let mut text = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    for video in &data.videos {
        text(&video.name);
        text(&video.key);
    }
    text(&texts.key);
    labels.iter().filter_map(|label| data.labels.get(*label)).for_each(|label| text(label));
    hex::encode(hash.finalize())
}

/// The framework's version, as this program was built with it.
pub fn candle() -> String {
    let lock = include_str!("../../../Cargo.lock");
    let version =
        lock.split("name = \"candle-core\"\nversion = \"").nth(1).and_then(|rest| rest.split('"').next());
    version.unwrap_or("unknown").to_owned()
}
