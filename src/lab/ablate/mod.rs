//! The rows of the papers' tables, trained: which recipe a method is, and heads that are trained once.
//!
//! Knows methods, recipes and training; has never heard of how heads are judged.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::tables::Method;
use super::training::{Approach, Outcome, Recipe, Task, Watch, hash, train};
use crate::camera::Stop;

/// How often the authors go through the units.
pub const ROUNDS: usize = 2;

/// How `method` is trained, in what it says nothing of as `base`; `None` where nothing is trained.
pub fn recipe(method: &Method, base: &Recipe, rounds: usize, seed: u64) -> Option<Recipe> {
    if let Some(blocks) = method.temporal {
        let approach =
            if method.vectors.is_some() { Approach::EfficientPrompting } else { Approach::ActionClip };
        let vectors = method.vectors.unwrap_or(base.vectors);
        return Some(Recipe { method: approach, blocks, vectors, seed, ..base.clone() });
    }
    let units = &method.units.as_ref()?.0;
    Some(Recipe {
        method: Approach::Iclip,
        units: units.repeat(rounds),
        layers: if method.prompting { base.layers.max(1) } else { 0 },
        after: method.after.unwrap_or(base.after),
        frame_alone: method.frame_alone,
        seed,
        ..base.clone()
    })
}

/// Heads of a recipe.
#[derive(Debug)]
pub enum Heads {
    /// Their bytes, and whether they were there already.
    Ready {
        bytes: Vec<u8>,
        before: bool,
    },
    Stopped,
}

/// The heads of `recipe`, in a folder below `runs` that is named after the recipe and the data: trained unless they are
/// there, from a checkpoint on if there is one. `out` of the task is not asked.
pub fn heads(
    task: &Task<'_>,
    recipe: &Recipe,
    runs: &Path,
    stop: &Stop,
    watch: Watch<'_>,
) -> anyhow::Result<Heads> {
    let folder = folder(task, recipe, runs)?;
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("heads {}", path.display()));
    // The record is written behind the heads.
    if folder.join("record.json").exists() {
        return Ok(Heads::Ready { bytes: read(&folder.join("heads.safetensors"))?, before: true });
    }
    let task = Task { out: &folder, ..*task };
    match train(&task, recipe, true, stop, watch)? {
        Outcome::Finished { heads, .. } => Ok(Heads::Ready { bytes: read(&heads)?, before: false }),
        Outcome::Stopped { .. } => Ok(Heads::Stopped),
    }
}

fn folder(task: &Task<'_>, recipe: &Recipe, runs: &Path) -> anyhow::Result<PathBuf> {
    let labels =
        task.labels.iter().map(|label| task.data.label(label)).collect::<anyhow::Result<Vec<_>>>()?;
    let text = format!("{} {}", serde_json::to_string(recipe)?, hash(task.data, task.texts, &labels));
    let name = hex::encode(Sha256::digest(text));
    Ok(runs.join(name.get(..16).unwrap_or(&name)))
}
