//! A data set as `lab features` leaves it: what training and evaluation read.
//!
//! Knows the files and how a frame is put together from them; has never heard of pictures, networks or training. Features
//! are read frame by frame: a data set may be larger than memory.

mod file;
mod sample;
#[cfg(test)]
mod tests;
mod texts;
mod video;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

pub use sample::{People, Sample, Sampling, recall};
pub use texts::{FILE as TEXTS, Texts};
pub use video::{FORMAT, Features, Parts, Video};

/// A folder of features.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub folder: PathBuf,
    /// What people may do, in the order of the annotation.
    pub labels: Vec<String>,
    /// The encoder's space.
    pub embedding: String,
    /// Elements of a feature.
    pub width: usize,
    /// By name.
    pub videos: Vec<Video>,
}

impl Dataset {
    /// Opens every video of the folder, or those of `names` alone. Refuses files that were not made for one another.
    pub fn open(folder: &Path, names: Option<&[String]>) -> anyhow::Result<Self> {
        let place = || format!("folder of features {}", folder.display());
        let mut paths = Vec::new();
        match names {
            Some(names) => {
                for name in names {
                    paths.push(crate::lab::features::path_of(folder, name)?);
                }
            }
            None => {
                for entry in std::fs::read_dir(folder).with_context(place)? {
                    let path = entry.with_context(place)?.path();
                    let features = path.extension().is_some_and(|ending| ending == "safetensors");
                    if features && path.file_name().is_some_and(|name| name != TEXTS) {
                        paths.push(path);
                    }
                }
            }
        }
        let mut videos = paths.iter().map(|path| Video::open(path)).collect::<anyhow::Result<Vec<_>>>()?;
        videos.sort_by(|a, b| a.name.cmp(&b.name));
        let Some(first) = videos.first() else { bail!("{}: no video is in it", place()) };
        for video in &videos {
            let same = video.labels == first.labels
                && video.embedding == first.embedding
                && video.width == first.width;
            ensure!(
                same,
                "{}: {} and {} were made with other labels or another encoder",
                place(),
                first.name,
                video.name
            );
        }
        Ok(Self {
            folder: folder.to_owned(),
            labels: first.labels.clone(),
            embedding: first.embedding.clone(),
            width: first.width,
            videos,
        })
    }

    /// The text embeddings of its labels.
    pub fn texts(&self) -> anyhow::Result<Texts> {
        let path = self.folder.join(TEXTS);
        let texts = Texts::open(&path)?;
        let place = || path.display();
        ensure!(texts.labels == self.labels, "{}: its labels are not those of the videos", place());
        ensure!(
            texts.embedding == self.embedding && texts.rows.width() == self.width,
            "{}: made with the encoder {}, the videos with {}",
            place(),
            texts.embedding,
            self.embedding
        );
        Ok(texts)
    }

    /// The label of this name.
    pub fn label(&self, name: &str) -> anyhow::Result<usize> {
        let found = self.labels.iter().position(|label| label == name);
        found.with_context(|| format!("label {name:?} is none of the data set's: {}", self.labels.join(", ")))
    }
}
