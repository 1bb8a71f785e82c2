//! The words to watch for, as rows of the embedding space.
//!
//! Knows the configuration's actions and how a phrase is embedded; has never heard of pictures, tracks or scores. A
//! [`Vocabulary`] does not change: a new one is built, from the old one's embeddings where the words are the same, and
//! swapped in whole. A [`Shelf`] keeps the embeddings from one start to the next.

mod identity;
mod sentences;
mod shelf;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use shelf::Shelf;

use crate::clip::{ClipError, Embeddings, dot, norm};
use crate::config::{self, Action, Config};
use crate::pack::Pack;
use sentences::Sentences;

/// Why words do not make a vocabulary.
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    #[error("the vocabulary is empty: add an [[action]] with a name and phrases")]
    Empty,
    #[error("action {action}: it has no phrases; write what a person does in words")]
    NoPhrases { action: String },
    #[error("{place}: a phrase is blank; write it out or remove it")]
    Blank { place: String },
    #[error("vocabulary.template {template:?}: must hold {{}} once, where the phrase goes")]
    Template { template: String },
    #[error(
        "action {action}: its phrases mean such different things that their average means nothing; make them \
             actions of their own"
    )]
    Contradiction { action: String },
    #[error("the text tower gave {found} rows of {width} for {expected} phrases")]
    Rows { found: usize, width: usize, expected: usize },
    #[error(transparent)]
    Clip(#[from] ClipError),
}

/// What a vocabulary is made of: the words of a configuration and the pack that embeds them.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    pub actions: &'a [Action],
    pub settings: &'a config::Vocabulary,
    /// The pack's template, for settings without one.
    pub template: &'a str,
    /// The pack's space, part of [`Vocabulary::id`].
    pub space: &'a str,
    /// The pack's identity: embeddings are reused within one pack only.
    pub pack: &'a str,
}

/// The embedded words, one row a label: first the actions, then the background phrases, then for each action what it
/// alone must beat.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    id: String,
    pack: String,
    template: String,
    names: Vec<String>,
    background_phrases: Vec<String>,
    /// By action: rows of what stands against it.
    against: Vec<Range<usize>>,
    labels: Embeddings,
    directions: Embeddings,
    sentences: Sentences,
}

/// Phrases that average to a shorter vector have next to nothing in common.
const SHORTEST_MEAN: f32 = 0.01;

impl Vocabulary {
    /// The vocabulary of `config` in the space of `pack`; see [`Vocabulary::from_words`].
    pub fn build(
        config: &Config,
        pack: &Pack,
        previous: Option<&Self>,
        embed: impl FnMut(&[String]) -> Result<Embeddings, ClipError>,
    ) -> Result<Self, VocabularyError> {
        let manifest = pack.manifest();
        let words = Words {
            actions: &config.actions,
            settings: &config.vocabulary,
            template: manifest.text.as_ref().map_or("{}", |text| &text.template),
            space: &manifest.embedding.space,
            pack: &pack.identity(),
        };
        Self::from_words(&words, previous, embed)
    }

    /// The vocabulary of `words`. `embed` is called at most once, with the sentences that `previous` does not hold
    /// already, and gives a row for each.
    ///
    /// Every phrase is put into the template and embedded. An action's direction is that of the mean of its phrases'
    /// unit vectors (as CLIP ensembles prompts: Radford et al. 2021, section 3.1.4), its length the mean of theirs.
    pub fn from_words(
        words: &Words<'_>,
        previous: Option<&Self>,
        embed: impl FnMut(&[String]) -> Result<Embeddings, ClipError>,
    ) -> Result<Self, VocabularyError> {
        let template = check(words)?;
        let phrases = words.actions.iter().flat_map(|action| action.phrases.iter().chain(&action.against));
        let phrases = phrases.chain(&words.settings.background).map(|phrase| sentence(template, phrase));
        let known =
            previous.filter(|previous| previous.pack == words.pack).map(|previous| &previous.sentences);
        let sentences = Sentences::embed(phrases, known, embed)?;

        let width = sentences.width();
        let row = |phrase: &String| sentences.get(&sentence(template, phrase)).unwrap_or_default();
        let mut labels = Embeddings::new(width);
        for action in words.actions {
            if !push_mean(action.phrases.iter().map(row), &mut labels) {
                return Err(VocabularyError::Contradiction { action: action.name.clone() });
            }
        }
        let mut push = |phrases: &[String]| {
            let first = labels.len();
            for phrase in phrases {
                let pushed = labels.push(row(phrase));
                debug_assert!(pushed, "every phrase has its row");
            }
            first..labels.len()
        };
        push(&words.settings.background);
        let against = words.actions.iter().map(|action| push(&action.against)).collect();
        let mut directions = Embeddings::new(width);
        for row in labels.rows() {
            let pushed = directions.push_normalised(row);
            debug_assert!(pushed, "rows of embeddings have a direction");
        }
        Ok(Self {
            id: identity::id(words, template),
            pack: words.pack.to_owned(),
            template: template.to_owned(),
            names: words.actions.iter().map(|action| action.name.clone()).collect(),
            background_phrases: words.settings.background.clone(),
            against,
            labels,
            directions,
            sentences,
        })
    }

    /// 8 hexadecimal digits that say which words, in which space, scores come from: the same for the same words in
    /// any order of actions, of an action's phrases and of the background; another if any of them, the template or
    /// the space differs. Thresholds, zones and durations have no part in it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Identity of the pack that embedded it.
    pub fn pack(&self) -> &str {
        &self.pack
    }

    /// Number of actions; never 0.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Names of the actions, in the configuration's order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The sentence around each phrase, with `{}` where it goes.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// The labels as the text tower gives them, [in order](Self): what prompting works on.
    pub fn labels(&self) -> &Embeddings {
        &self.labels
    }

    /// The labels at unit length.
    pub fn directions(&self) -> &Embeddings {
        &self.directions
    }

    /// Rows of the background phrases.
    pub fn background(&self) -> Range<usize> {
        self.len()..self.len() + self.background_phrases.len()
    }

    /// Rows of what action `index` alone must beat.
    pub fn against(&self, index: usize) -> Range<usize> {
        self.against.get(index).cloned().unwrap_or_default()
    }

    /// Every two of the actions and background phrases with the cosine of their rows, most alike first.
    pub fn pairs(&self) -> Vec<(&str, &str, f32)> {
        let names = self.names.iter().chain(&self.background_phrases).map(String::as_str);
        let rows: Vec<_> = names.zip(self.directions.rows()).collect();
        let mut pairs: Vec<_> = rows
            .iter()
            .enumerate()
            .flat_map(|(i, (name, row))| rows[..i].iter().map(move |(other, b)| (*other, *name, dot(row, b))))
            .collect();
        pairs.sort_by(|a, b| b.2.total_cmp(&a.2));
        pairs
    }
}

/// The template to use, once nothing is missing or blank.
fn check<'a>(words: &Words<'a>) -> Result<&'a str, VocabularyError> {
    let template = words.settings.template.as_deref().unwrap_or(words.template);
    if template.matches("{}").count() != 1 {
        return Err(VocabularyError::Template { template: template.into() });
    }
    if words.actions.is_empty() {
        return Err(VocabularyError::Empty);
    }
    let blank = |phrases: &[String]| phrases.iter().any(|phrase| phrase.trim().is_empty());
    for action in words.actions {
        if action.phrases.is_empty() {
            return Err(VocabularyError::NoPhrases { action: action.name.clone() });
        }
        if blank(&action.phrases) || blank(&action.against) {
            return Err(VocabularyError::Blank { place: format!("action {}", action.name) });
        }
    }
    if blank(&words.settings.background) {
        return Err(VocabularyError::Blank { place: "vocabulary.background".into() });
    }
    Ok(template)
}

/// A phrase as the text tower reads it.
pub fn sentence(template: &str, phrase: &str) -> String {
    template.replacen("{}", phrase.trim(), 1)
}

/// Appends the mean direction of `phrases` at their mean length; `false` if there is hardly any. One phrase stays as it
/// is.
pub fn push_mean<'r>(
    phrases: impl ExactSizeIterator<Item = &'r [f32]> + Clone,
    out: &mut Embeddings,
) -> bool {
    let count = phrases.len() as f32;
    let length = phrases.clone().map(norm).sum::<f32>() / count;
    let mut mean = vec![0.0; out.width()];
    for row in phrases {
        let scale = (norm(row) * count).recip();
        mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x * scale);
    }
    let shared = norm(&mean);
    mean.iter_mut().for_each(|x| *x *= length / shared);
    shared >= SHORTEST_MEAN && out.push(&mean)
}
