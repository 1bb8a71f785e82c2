//! How the scores of a row come about.

use std::collections::HashMap;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::heads::{Kind, Metadata};
use crate::lab::temporal::{About, Temporal};

/// What scores, and how.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Method {
    /// Nothing is trained.
    pub frozen: Option<Frozen>,
    /// What is trained: letters of person, object, context and memory in their order.
    pub units: Option<Units>,
    /// Whether prompting is trained.
    pub prompting: bool,
    /// What is trained instead: a transformer of so many blocks over the whole frames around one.
    pub temporal: Option<usize>,
    /// And so many learned words before a label's name and after it.
    pub vectors: Option<usize>,
    /// Every person is seen as the whole frame, as the baseline sees them.
    pub frame_alone: bool,
    /// Slots of the memory after the frame, instead of the recipe's.
    pub after: Option<usize>,
    /// A label is the mean of all its phrasings, not the first alone.
    pub phrases: bool,
    /// A label is its bare words.
    pub bare: bool,
    /// What is done at judging, with heads that the row may share with others.
    #[serde(flatten)]
    pub judging: Judging,
}

/// Scores of the encoder alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Frozen {
    /// The whole frame, the paper's baseline
    Baseline,
    /// The mean of the person and the whole frame
    Fusion,
}

/// What is made of the scores of persons one by one, or kept from what makes them.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Judging {
    /// Scores along a person's track are averaged.
    pub vote: Option<Vote>,
    /// The share of the frozen encoder (`fusion`) in a weighted geometric mean with the scores; 0 for none.
    pub fuse: f64,
    /// What people do otherwise takes part in the softmax.
    pub background: bool,
    /// The memory of frames to come is left empty.
    pub blind: bool,
}

/// Over what of a track scores are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Vote {
    /// All of it
    Track,
    /// Up to the frame that is judged
    Past,
}

impl Method {
    /// What heads of a file, or what is compared with them, were trained as. Units that repeat are named once, as the
    /// authors repeat them.
    pub fn of_heads(bytes: &[u8]) -> anyhow::Result<Self> {
        if Temporal::is(bytes) {
            let About { blocks, vectors, .. } = About::read(bytes)?;
            let vectors = vectors.map(|vectors| vectors.count);
            return Ok(Self { temporal: Some(blocks), vectors, ..Self::default() });
        }
        let file = SafeTensors::deserialize(bytes)?;
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let metadata = Metadata::parse(header.metadata().as_ref().unwrap_or(&HashMap::new()))?;
        let units = &metadata.units;
        let period = (1..units.len()).find(|period| {
            units.len() % period == 0 && units.iter().zip(units.iter().skip(*period)).all(|(a, b)| a == b)
        });
        let once = units.iter().take(period.unwrap_or(units.len())).copied().collect();
        Ok(Self {
            units: Some(Units(once)),
            prompting: file.names().iter().any(|name| name.starts_with("prompt.")),
            after: (units.contains(&Kind::Memory) && metadata.after == 0).then_some(0),
            ..Self::default()
        })
    }
}

/// Units by their first letters, `POCM`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Units(pub Vec<Kind>);

const LETTERS: [(char, Kind); 4] =
    [('P', Kind::Person), ('O', Kind::Object), ('C', Kind::Context), ('M', Kind::Memory)];

impl TryFrom<String> for Units {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let kind = |letter: char| LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, kind)| *kind);
        let kinds: Option<_> = text.chars().map(kind).collect();
        kinds.map(Self).ok_or_else(|| format!("{text:?} is not of the letters P, O, C and M"))
    }
}

impl From<Units> for String {
    fn from(units: Units) -> Self {
        let letter = |kind: &Kind| LETTERS.iter().find(|(_, known)| known == kind).map(|(letter, _)| *letter);
        units.0.iter().filter_map(letter).collect()
    }
}
