//! A world of features without pictures, on which training can be tried where there is no data set.
//!
//! An action is a rule: a person in some posture, with an object, in a scene, after something has happened. Label
//! embeddings are composed of the same four factors. What the world is like is described in src/lab/README.md.

mod actions;
mod footage;
mod random;
mod space;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use serde_json::json;

use super::dataset::{FORMAT, TEXTS, Texts};
use super::features::{path_of, write_whole};
use crate::clip::Embeddings;
use actions::{Action, FACTORS};
pub use actions::{FAMILY, MOST_FAMILIES};
use random::Random;
use space::Space;

/// How large a world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Elements of a feature.
    pub width: usize,
    /// Families of [`FAMILY`] actions; a quarter of them is unseen.
    pub families: usize,
    /// Of each action.
    pub videos: usize,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub seen: Vec<String>,
    pub unseen: Vec<String>,
    pub videos: usize,
}

/// What the world's features call their encoder.
const EMBEDDING: &str = "synthetic";
/// One in so many videos of a seen action is for testing.
const TESTED: usize = 5;

/// Writes a world into `folder`: a file for each video, `labels.safetensors`, `truth.json`, and the lists of a split.
pub fn write(folder: &Path, size: Size, seed: u64) -> anyhow::Result<Written> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut random = Random::new(seed);
    let families = actions::draw(size.families, &mut random);
    let unseen_families = (size.families / 4).max(1);
    let actions = families.concat();
    let space = Space::new(size.width, &mut random);
    let key = format!("synthetic {size:?} {seed}");
    let labels: Vec<String> = actions.iter().map(Action::name).collect();

    let mut rows = Embeddings::new(size.width);
    for action in &actions {
        anyhow::ensure!(rows.push(&space.label(action, &mut random)), "a label without direction");
    }
    let texts = Texts {
        labels: labels.clone(),
        embedding: EMBEDDING.into(),
        logit_scale: 100.0,
        sentences: labels.iter().map(|label| vec![label.replace('-', " ")]).collect(),
        rows,
        key: key.clone(),
    };
    texts.write(&folder.join(TEXTS))?;

    let (mut tubes, mut trained, mut tested) = (Vec::new(), Vec::new(), Vec::new());
    let first_unseen = actions.len() - unseen_families * FAMILY;
    for (index, (action, label)) in actions.iter().zip(&labels).enumerate() {
        for take in 0..size.videos {
            let name = format!("{label}/{take:02}");
            let footage = footage::film(&space, action, index, labels.len(), &mut random);
            let entries = [
                ("format", FORMAT.to_owned()),
                ("video", name.clone()),
                ("labels", serde_json::to_string(&labels)?),
                ("pack", EMBEDDING.to_owned()),
                ("embedding", EMBEDDING.to_owned()),
                ("key", key.clone()),
            ];
            let metadata: HashMap<_, _> = entries.map(|(key, value)| (key.to_owned(), value)).into();
            footage.clip.write(&path_of(folder, &name)?, metadata)?;
            tubes.extend(
                footage.tubes.iter().map(|boxes| json!({"video": name, "label": label, "boxes": boxes})),
            );
            if index < first_unseen && (take + 1) % TESTED != 0 { &mut trained } else { &mut tested }
                .push(name);
        }
    }
    let truth = json!({"labels": labels, "tubes": tubes});
    write_whole(&folder.join("truth.json"), truth.to_string().as_bytes())?;
    let (seen, unseen) = labels.split_at(first_unseen);
    for (file, lines) in [
        ("train_label.txt", seen),
        ("test_label.txt", unseen),
        ("train_video.txt", &trained[..]),
        ("test_video.txt", &tested[..]),
    ] {
        write_whole(&folder.join(file), (lines.join("\n") + "\n").as_bytes())?;
    }
    Ok(Written { seen: seen.to_vec(), unseen: unseen.to_vec(), videos: trained.len() + tested.len() })
}

/// What a factor may be, in words.
fn word(factor: usize, value: usize) -> &'static str {
    FACTORS.get(factor).and_then(|values| values.get(value)).copied().unwrap_or_default()
}
