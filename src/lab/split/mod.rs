//! Which actions heads are trained on, and which they have never seen.
//!
//! Knows names alone. The papers' own divisions are here by name; others come from lists, or are drawn.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use super::annotation;

/// The actions of a data set, divided.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Split {
    /// As reports call it.
    pub name: String,
    /// Trained on, in the data set's order.
    pub seen: Vec<String>,
    /// Judged, in the data set's order. The same as `seen` where everything is trained on.
    pub unseen: Vec<String>,
}

/// How to divide, before the labels are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Division {
    /// All actions are trained on and judged.
    Supervised,
    /// One of [`NAMED`].
    Named(&'static str),
    /// So many per cent are trained on, drawn by seeds.
    Drawn { seen: usize },
    /// A list of unseen actions, or a folder with `train_label.txt` and `test_label.txt`.
    Listed(std::path::PathBuf),
}

/// The unseen actions of the papers, whose other actions are trained on.
const NAMED: [(&str, &[&str]); 2] = [
    ("jhmdb-75", &["catch", "clap", "pullup", "sit", "throw", "wave"]),
    (
        "ucf-75",
        &[
            "FloorGymnastics",
            "IceDancing",
            "SalsaSpin",
            "SkateBoarding",
            "SoccerJuggling",
            "VolleyballSpiking",
        ],
    ),
];

impl FromStr for Division {
    type Err = String;

    /// `all`, a name, shares such as `75/25`, or else a path.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::Supervised);
        }
        if let Some((name, _)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Named(name));
        }
        if let Some((seen, unseen)) = text.split_once('/')
            && let (Ok(seen), Ok(unseen)) = (seen.parse::<usize>(), unseen.parse::<usize>())
        {
            let whole = seen > 0 && unseen > 0 && seen.checked_add(unseen) == Some(100);
            return if whole {
                Ok(Self::Drawn { seen })
            } else {
                Err("shares are above 0 and 100 together".into())
            };
        }
        if Path::new(text).exists() {
            return Ok(Self::Listed(text.into()));
        }
        let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
        Err(format!(
            "neither all, {}, shares such as 75/25, nor a list of unseen labels that is there",
            names.join(", ")
        ))
    }
}

impl Division {
    /// The splits of `labels`: one, or as many as `draws` where they are drawn.
    pub fn splits(&self, labels: &[String], draws: u64) -> anyhow::Result<Vec<Split>> {
        match self {
            Self::Supervised => {
                let all = labels.to_vec();
                Ok(vec![Split { name: "all".into(), seen: all.clone(), unseen: all }])
            }
            Self::Named(name) => {
                let unseen =
                    NAMED.iter().find(|(known, _)| known == name).map_or(&[][..], |(_, unseen)| unseen);
                let unseen: Vec<String> = unseen.iter().map(|label| (*label).to_owned()).collect();
                Ok(vec![Split::new((*name).to_owned(), labels, &unseen)?])
            }
            Self::Drawn { seen } => (0..draws).map(|seed| Split::draw(labels, *seen, seed)).collect(),
            Self::Listed(path) => Ok(vec![Split::listed(path, labels)?]),
        }
    }
}

impl Split {
    /// The `unseen` and the rest of `labels`. Spelling counts, case and the signs between words do not: `brush_hair` is
    /// `BrushHair`.
    pub fn new(name: String, labels: &[String], unseen: &[String]) -> anyhow::Result<Self> {
        let mut apart = HashSet::new();
        for wanted in unseen {
            let known = labels.iter().position(|label| plain(label) == plain(wanted));
            let known = known.with_context(|| {
                let near =
                    labels.iter().max_by(|a, b| strsim::jaro(a, wanted).total_cmp(&strsim::jaro(b, wanted)));
                let near = near.map_or("", String::as_str);
                format!("split {name}: label {wanted} is not in the data set; the nearest is {near}")
            })?;
            ensure!(apart.insert(known), "split {name}: label {wanted} is there twice");
        }
        let part = |unseen: bool| -> Vec<String> {
            let labels = labels.iter().enumerate().filter(|(index, _)| apart.contains(index) == unseen);
            labels.map(|(_, label)| label.clone()).collect()
        };
        let split = Self { seen: part(false), unseen: part(true), name };
        ensure!(!split.unseen.is_empty(), "split {}: no label is unseen", split.name);
        ensure!(!split.seen.is_empty(), "split {}: no label is left to train on", split.name);
        Ok(split)
    }

    /// `seen` per cent of `labels`, rounded down as the papers do, and the rest. The same seed draws the same from the same
    /// labels, in whatever order and on every machine.
    pub fn draw(labels: &[String], seen: usize, seed: u64) -> anyhow::Result<Self> {
        let mut order: Vec<(Vec<u8>, &String)> =
            labels.iter().map(|label| (Sha256::digest(format!("{seed} {label}")).to_vec(), label)).collect();
        order.sort_unstable();
        let unseen: Vec<String> =
            order.iter().skip(labels.len() * seen / 100).map(|(_, label)| (*label).clone()).collect();
        Self::new(format!("{seen}/{} #{seed}", 100 - seen), labels, &unseen)
    }

    /// From a list of unseen labels, one a line, or from a folder as ST-CLIP publishes its splits, whose training labels
    /// must be the rest.
    pub fn listed(path: &Path, labels: &[String]) -> anyhow::Result<Self> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_dir() {
            return Self::new(name, labels, &annotation::names(path)?);
        }
        let split = Self::new(name, labels, &annotation::names(&path.join("test_label.txt"))?)?;
        let train = annotation::names(&path.join("train_label.txt"))?;
        let (train, seen): (HashSet<_>, HashSet<_>) =
            (train.iter().map(|l| plain(l)).collect(), split.seen.iter().map(|l| plain(l)).collect());
        ensure!(
            train == seen,
            "split {}: train_label.txt and test_label.txt are not together the labels of the data set",
            path.display()
        );
        Ok(split)
    }
}

/// A label without case and without what stands between words.
pub fn plain(label: &str) -> String {
    label.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
