//! `labels.safetensors`: what the text tower makes of every label of a data set, kept beside its videos.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, ensure};

use super::file::Source;
use crate::clip::Embeddings;
use crate::heads::{Tensor, Tensors};
use crate::lab::features::write_whole;
use crate::vocabulary::push_mean;

/// The name of the file in a folder of features.
pub const FILE: &str = "labels.safetensors";
const FORMAT: &str = "watchword labels 1";

/// The text embeddings of labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Texts {
    /// In the order of the data set.
    pub labels: Vec<String>,
    /// The encoder's space.
    pub embedding: String,
    /// Factor on a cosine before the softmax.
    pub logit_scale: f32,
    /// What was read of each label, as many sentences for each.
    pub sentences: Vec<Vec<String>>,
    /// A row for each sentence, label by label: raw outputs of the text tower.
    pub rows: Embeddings,
    /// What the file depends on, hashed.
    pub key: String,
}

impl Texts {
    /// Reads the file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let remedy = "`watchword lab features` writes it where the pack has a text tower";
        Source::open(path)
            .and_then(Self::read)
            .with_context(|| format!("text embeddings {} ({remedy})", path.display()))
    }

    fn read(mut source: Source) -> anyhow::Result<Self> {
        source.expect_format(FORMAT)?;
        let labels = source.labels()?;
        let sentences: Vec<Vec<String>> =
            serde_json::from_str(source.about("sentences")?).context("its sentences are no JSON list")?;
        let shape = source.shape("text")?.to_vec();
        let (phrasings, width) = match shape[..] {
            [count, phrasings, width] if count == labels.len() && width > 0 => (phrasings, width),
            _ => anyhow::bail!("tensor text is {shape:?}, it must be [{}, phrasings, width]", labels.len()),
        };
        let same = sentences.len() == labels.len() && sentences.iter().all(|of| of.len() == phrasings);
        ensure!(same && phrasings > 0, "it does not have {phrasings} sentences for each label");
        let mut rows = Embeddings::new(width);
        for row in source.floats("text", &shape)?.chunks_exact(width) {
            ensure!(rows.push(row), "a row of text is zero");
        }
        let logit_scale: f32 =
            source.about("logit_scale")?.parse().context("its logit_scale is no number")?;
        ensure!(logit_scale.is_finite() && logit_scale > 0.0, "its logit_scale is {logit_scale}");
        let (embedding, key) = (source.about("embedding")?.to_owned(), source.about("key")?.to_owned());
        Ok(Self { labels, embedding, logit_scale, sentences, rows, key })
    }

    /// Writes the file, whole or not at all.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let shape = [self.labels.len(), self.phrasings(), self.rows.width()];
        let tensors = Tensors::from([("text".to_owned(), Tensor::floats(&shape, self.rows.data()))]);
        let entries = [
            ("format", FORMAT.to_owned()),
            ("labels", serde_json::to_string(&self.labels)?),
            ("sentences", serde_json::to_string(&self.sentences)?),
            ("embedding", self.embedding.clone()),
            ("logit_scale", self.logit_scale.to_string()),
            ("key", self.key.clone()),
        ];
        let metadata: HashMap<_, _> = entries.map(|(name, value)| (name.to_owned(), value)).into();
        write_whole(path, &safetensors::serialize(&tensors, Some(metadata))?)
    }

    /// Sentences of each label.
    pub fn phrasings(&self) -> usize {
        self.sentences.first().map_or(0, Vec::len)
    }

    /// What the text tower made of one sentence of a label.
    pub fn phrasing(&self, label: usize, phrasing: usize) -> Option<&[f32]> {
        self.rows.row(label * self.phrasings() + phrasing)
    }

    /// A row for each of `labels`: the mean direction of its sentences at their mean length, as a vocabulary has it. The
    /// error names a label whose sentences cancel out.
    pub fn means(&self, labels: impl IntoIterator<Item = usize>) -> anyhow::Result<Embeddings> {
        let mut means = Embeddings::new(self.rows.width());
        for label in labels {
            let rows: Vec<&[f32]> =
                (0..self.phrasings()).filter_map(|index| self.phrasing(label, index)).collect();
            let name = || self.labels.get(label).cloned().unwrap_or_default();
            ensure!(
                !rows.is_empty() && push_mean(rows.into_iter(), &mut means),
                "label {}: its sentences have no meaning in common",
                name()
            );
        }
        Ok(means)
    }
}
