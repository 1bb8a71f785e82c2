//! The words: actions to watch for, and what people do otherwise.

use serde::{Deserialize, Serialize};

use super::Span;

/// `[[action]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Action {
    /// Slug; part of topics.
    pub name: String,
    /// Ways to say it; their embeddings are averaged. The first is the label.
    pub phrases: Vec<String>,
    /// Smoothed probability at which an occurrence begins, 0..=1.
    pub threshold: f32,
    /// How long the score must hold before an occurrence is published.
    pub minimum_duration: Span,
    /// Only inside these zones, so never before a camera that has none of them; empty: anywhere.
    pub zones: Vec<String>,
    /// What this action alone must beat besides the rest of the vocabulary.
    pub against: Vec<String>,
}

impl Default for Action {
    fn default() -> Self {
        Self {
            name: String::new(),
            phrases: Vec::new(),
            threshold: 0.5,
            minimum_duration: Span::from_secs_f64(0.5),
            zones: Vec::new(),
            against: Vec::new(),
        }
    }
}

impl Action {
    /// The action in words: its first phrase.
    pub fn label(&self) -> &str {
        self.phrases.first().map_or(self.name.as_str(), String::as_str)
    }
}

/// `[vocabulary]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Vocabulary {
    /// Sentence around each phrase, with `{}` where it goes; absent: the pack's.
    pub template: Option<String>,
    /// What people do when they do none of the actions. Takes part in the softmax, is never published.
    pub background: Vec<String>,
}
