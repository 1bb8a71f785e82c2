//! A frame on its way to its scores: what was found in it, what the image tower saw, and in the end what each does.

use std::time::Duration;

use super::control::{Trial, TriedPerson};
use super::refresh::Refresh;
use crate::clip::Embeddings;
use crate::clock::FrameTime;
use crate::detect::Detection;
use crate::heads::{Explanation, Features, Memory, Recalled, Scorer, Scores, Wanted};
use crate::track::Track;
use crate::vocabulary::Vocabulary;

/// Everything about a frame but its pixels. Buffers are used again and again.
#[derive(Default)]
pub struct Judged {
    /// The frame's number in its source.
    pub sequence: u64,
    pub time: FrameTime,
    /// Width and height, pixels.
    pub size: (f32, f32),
    /// All confirmed tracks.
    pub tracks: Vec<Track>,
    /// All that was found besides persons.
    pub objects: Vec<Detection>,
    /// Indices of those of `objects` that the heads looked at.
    pub near: Vec<usize>,
    /// Why the scores are what they are, if that was asked for.
    pub explanation: Option<Explanation>,
    pub(super) captured: Duration,
    pub(super) person_features: Embeddings,
    pub(super) object_features: Embeddings,
    /// Empty if nothing was encoded.
    pub(super) context: Vec<f32>,
    pub(super) scores: Scores,
}

impl Judged {
    /// Each visible track with this frame's probabilities, one for each action.
    pub fn scored(&self) -> impl Iterator<Item = (&Track, &[f32])> + Clone {
        self.tracks.iter().filter(|track| track.visible).zip(self.scores.rows())
    }

    /// Scores everybody with what is remembered by now.
    pub(super) fn score(&mut self, scorer: &mut Scorer, vocabulary: &Vocabulary, memory: Option<&Memory>) {
        let recalled = memory.map(|memory| memory.recall(self.time.monotonic)).unwrap_or_default();
        let mut scores = std::mem::take(&mut self.scores);
        let mut explanation = self.explanation.take();
        scorer.score(&self.features(&recalled), vocabulary, &mut scores, explanation.as_mut());
        (self.scores, self.explanation) = (scores, explanation);
    }

    /// What `words` would have scored.
    pub(super) fn attempt(&self, scorer: &mut Scorer, words: &Vocabulary, memory: Option<&Memory>) -> Trial {
        let recalled = memory.map(|memory| memory.recall(self.time.monotonic)).unwrap_or_default();
        let mut scores = Scores::default();
        scorer.score(&self.features(&recalled), words, &mut scores, None);
        let (width, height) = self.size;
        let visible = self.tracks.iter().filter(|track| track.visible);
        let persons = visible.zip(scores.rows()).map(|(track, scores)| TriedPerson {
            track: track.id,
            rect: track.rect.normalised(width, height),
            scores: scores.to_vec(),
        });
        Trial { time: self.time.utc, persons: persons.collect() }
    }

    fn features<'a>(&'a self, memory: &'a [Recalled<'a>]) -> Features<'a> {
        Features {
            count: self.tracks.iter().filter(|track| track.visible).count(),
            persons: &self.person_features,
            objects: &self.object_features,
            context: (!self.context.is_empty()).then_some(&self.context[..]),
            memory,
        }
    }

    /// Takes over what is known of everything that was named for this frame. Who has not had a turn yet is left to a
    /// later frame: a person is not told of as visible, an object was not looked at.
    pub(super) fn take(&mut self, wants: Wanted, width: usize, known: &Refresh) {
        self.person_features.reset(width);
        self.object_features.reset(width);
        let mut embeddings = known.embeddings();
        let mut push = |rows: &mut Embeddings| {
            let row = embeddings.next().flatten();
            row.is_some_and(|(row, _)| rows.push(row))
        };
        if wants.persons {
            let visible = self.tracks.iter_mut().filter(|track| track.visible);
            visible.for_each(|track| track.visible = push(&mut self.person_features));
        }
        self.near.retain(|_| push(&mut self.object_features));
        if let Some((context, _)) = embeddings.next().flatten() {
            self.context.extend_from_slice(context);
        }
    }

    pub(super) fn clear(&mut self) {
        self.tracks.clear();
        self.objects.clear();
        self.near.clear();
        self.person_features.clear();
        self.object_features.clear();
        self.context.clear();
        self.scores.reset(0, 0);
    }
}
