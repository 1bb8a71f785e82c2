//! From embeddings to probabilities: how much of what each person does is what the words say.
//!
//! Knows embeddings and the vocabulary; has never heard of pixels, tracks or events. What works without trained
//! weights is here: `fusion` and `baseline`. The trained interaction heads stand beside them and make the same
//! [`Scores`] of the same [`Features`].

mod fuse;
mod scores;
mod softmax;
#[cfg(test)]
mod tests;

pub use scores::Scores;

use crate::clip::Embeddings;
use crate::config::Heads;
use crate::vocabulary::Vocabulary;
use fuse::fuse;

/// What the image tower saw in one frame.
#[derive(Debug, Clone, Copy)]
pub struct Features<'a> {
    /// Persons to be scored.
    pub count: usize,
    /// A row for each person, or none where [`Scorer::wants`] did not ask for them.
    pub persons: &'a Embeddings,
    /// A row for each object that overlaps a person, where they were asked for.
    pub objects: &'a Embeddings,
    /// The whole frame, a unit vector. May be absent only if there is nobody to be scored.
    pub context: Option<&'a [f32]>,
}

/// What the image tower is to look at besides the whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub persons: bool,
    /// Objects that overlap a person.
    pub objects: bool,
}

/// Scores persons against a vocabulary. Keeps its scratch: once grown, nothing here allocates.
#[derive(Debug)]
pub struct Scorer {
    heads: Heads,
    logit_scale: f32,
    feature: Vec<f32>,
    background: Vec<f32>,
}

impl Scorer {
    /// `logit_scale` is the factor on a cosine before the softmax (CLIP's is 100): positive and finite, as the
    /// configuration and the pack's manifest see to.
    pub fn new(heads: Heads, logit_scale: f32) -> Self {
        Self { heads, logit_scale, feature: Vec::new(), background: Vec::new() }
    }

    /// What [`Features`] must hold.
    pub fn wants(&self) -> Wanted {
        Wanted { persons: self.heads == Heads::None, objects: false }
    }

    /// Overwrites `out` with a row for each person and a column for each action. A person whose features are missing
    /// has probability 0 of everything.
    pub fn score(&mut self, features: &Features<'_>, vocabulary: &Vocabulary, out: &mut Scores) {
        out.reset(features.count, vocabulary.len());
        let Some(context) = features.context else {
            return;
        };
        for (person, row) in out.rows_mut().enumerate() {
            match self.heads {
                Heads::Baseline => fuse(&[context], &mut self.feature),
                Heads::None => match features.persons.row(person) {
                    Some(person) => fuse(&[person, context], &mut self.feature),
                    None => continue,
                },
            }
            softmax::probabilities(&self.feature, vocabulary, self.logit_scale, &mut self.background, row);
        }
    }
}
