//! The labels to choose from, as the vocabulary that the device's own scorer reads.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use candle_core::Tensor;

use crate::clip::Embeddings;
use crate::config::{self, Action};
use crate::lab::dataset::Texts;
use crate::lab::features::words;
use crate::lab::wording::Wording;
use crate::vocabulary::{Vocabulary, Words};

/// What people do otherwise, and what the text tower makes of it, a row for each phrase.
#[derive(Debug, Clone, PartialEq)]
pub struct Background {
    pub phrases: Vec<String>,
    pub rows: Embeddings,
}

/// Of `labels`, by their places in `texts`: of each the mean of its phrasings.
pub fn vocabulary(
    texts: &Texts,
    labels: &[usize],
    background: Option<&Background>,
) -> anyhow::Result<Vocabulary> {
    let mut rows: HashMap<&str, &[f32]> = HashMap::new();
    let mut actions = Vec::new();
    for label in labels {
        let name = texts.labels.get(*label).context("a label without text")?;
        let sentences = texts.sentences.get(*label).context("a label without sentences")?;
        for (index, sentence) in sentences.iter().enumerate() {
            rows.extend(texts.phrasing(*label, index).map(|row| (sentence.trim(), row)));
        }
        actions.push(Action { name: name.clone(), phrases: sentences.clone(), ..Action::default() });
    }
    let mut settings = config::Vocabulary::default();
    if let Some(background) = background {
        ensure!(
            background.rows.width() == texts.rows.width(),
            "the background is embedded {} wide, the labels {}: give the pack that made the features",
            background.rows.width(),
            texts.rows.width()
        );
        rows.extend(background.phrases.iter().map(|phrase| phrase.trim()).zip(background.rows.rows()));
        settings.background.clone_from(&background.phrases);
    }
    let words =
        Words { actions: &actions, settings: &settings, template: "{}", space: &texts.embedding, pack: "" };
    let embed = |sentences: &[String]| {
        let mut found = Embeddings::new(texts.rows.width());
        // A row that is missing is a row too few, which is refused.
        let known = sentences.iter().filter_map(|sentence| rows.get(sentence.as_str()));
        let _ = known.map(|row| found.push(row)).filter(|pushed| !pushed).count();
        Ok(found)
    };
    Ok(Vocabulary::from_words(&words, None, embed)?)
}

/// Every label read with learned words around its name, by `wording`.
pub fn learned(
    texts: &Texts,
    [before, after]: [&Tensor; 2],
    wording: Option<&Wording>,
) -> anyhow::Result<Texts> {
    let wording = wording.context("it has learned words, which its text tower must read: --pack")?;
    let width = before.dim(1)?;
    ensure!(
        wording.width() == width,
        "its words are {width} wide, the text tower's {}: --pack is the one that it was trained with",
        wording.width()
    );
    let all: Vec<usize> = (0..texts.labels.len()).collect();
    let mut rows = Embeddings::new(texts.rows.width());
    for (row, label) in wording.embed(&all, before, after)?.to_vec2::<f32>()?.iter().zip(&texts.labels) {
        ensure!(row.len() == texts.rows.width() && rows.push(row), "label {label} has no meaning with them");
    }
    let sentences = texts.labels.iter().map(|label| vec![label.clone()]).collect();
    Ok(Texts { sentences, rows, key: String::new(), ..texts.clone() })
}

/// The first phrasing of each label alone, as the papers read them.
pub fn first_phrasing(texts: &Texts) -> Texts {
    one_phrasing(texts, 0)
}

/// The phrasing that is each label's bare words, if there is one.
pub fn bare_words(texts: &Texts) -> Option<Texts> {
    let is_bare = |index: &usize| {
        let mut labels = texts.labels.iter().zip(&texts.sentences);
        labels.all(|(label, of)| of.get(*index).is_some_and(|sentence| *sentence == words(label)))
    };
    (0..texts.phrasings()).find(is_bare).map(|index| one_phrasing(texts, index))
}

fn one_phrasing(texts: &Texts, index: usize) -> Texts {
    let mut rows = Embeddings::new(texts.rows.width());
    for label in 0..texts.labels.len() {
        let pushed = texts.phrasing(label, index).is_some_and(|row| rows.push(row));
        debug_assert!(pushed, "every label has a phrasing, and embeddings are no zeros");
    }
    let sentences = texts.sentences.iter().map(|of| of.get(index).cloned().into_iter().collect());
    // What is trained on it is another thing than what is trained on all of them.
    let key = match (texts.phrasings(), index) {
        (1, _) => texts.key.clone(),
        (_, 0) => format!("{} first", texts.key),
        _ => format!("{} {index}", texts.key),
    };
    Texts { sentences: sentences.collect(), rows, key, ..texts.clone() }
}
