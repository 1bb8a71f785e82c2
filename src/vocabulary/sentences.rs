//! Embedded sentences by their text: what one vocabulary leaves to the next.

use std::collections::HashMap;

use super::VocabularyError;
use crate::clip::{ClipError, Embeddings};

/// The rows of distinct sentences.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sentences {
    index: HashMap<String, usize>,
    rows: Embeddings,
}

impl Sentences {
    /// The rows of `sentences`: out of `known`, or made by `embed`, which is called with all that are missing or,
    /// when none is, not at all.
    pub fn embed(
        sentences: impl Iterator<Item = String>,
        known: Option<&Self>,
        mut embed: impl FnMut(&[String]) -> Result<Embeddings, ClipError>,
    ) -> Result<Self, VocabularyError> {
        let mut index = HashMap::new();
        let mut order = Vec::new();
        for sentence in sentences {
            if !index.contains_key(&sentence) {
                index.insert(sentence.clone(), order.len());
                order.push(sentence);
            }
        }
        let known = |sentence: &String| known.and_then(|known| known.get(sentence));
        let missing: Vec<_> = order.iter().filter(|sentence| known(sentence).is_none()).cloned().collect();
        let new = if missing.is_empty() { Embeddings::default() } else { embed(&missing)? };
        let width = order.iter().find_map(known).map_or(new.width(), <[f32]>::len);
        let expected = missing.len();
        let unfit = || VocabularyError::Rows { found: new.len(), width: new.width(), expected };
        if new.len() != expected {
            return Err(unfit());
        }
        let mut new_rows = new.rows();
        let mut rows = Embeddings::new(width);
        for sentence in &order {
            let row = known(sentence).or_else(|| new_rows.next());
            if !row.is_some_and(|row| rows.push(row)) {
                return Err(unfit());
            }
        }
        Ok(Self { index, rows })
    }

    /// `texts` with their rows, each `width` long; `None` if they are not as many, or one has no direction.
    pub fn of<'r>(
        texts: Vec<String>,
        all: impl ExactSizeIterator<Item = &'r [f32]>,
        width: usize,
    ) -> Option<Self> {
        let mut rows = Embeddings::new(width);
        let fit = texts.len() == all.len() && all.into_iter().all(|row| rows.push(row));
        let index = texts.into_iter().enumerate().map(|(row, text)| (text, row)).collect();
        fit.then_some(Self { index, rows })
    }

    /// The sentences in the order of their rows.
    pub fn texts(&self) -> Vec<&str> {
        let mut texts: Vec<_> = self.index.iter().map(|(text, row)| (*row, text.as_str())).collect();
        texts.sort_unstable();
        texts.into_iter().map(|(_, text)| text).collect()
    }

    /// A row for each.
    pub fn rows(&self) -> &Embeddings {
        &self.rows
    }

    /// Elements of a row.
    pub fn width(&self) -> usize {
        self.rows.width()
    }

    /// The row of `sentence`.
    pub fn get(&self, sentence: &str) -> Option<&[f32]> {
        self.index.get(sentence).and_then(|row| self.rows.row(*row))
    }
}
