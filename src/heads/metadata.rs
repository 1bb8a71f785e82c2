//! What a heads file says of itself: its units, its keys, its memory.

use std::collections::HashMap;
use std::str::FromStr;

use super::weights::WeightsError;

/// What a unit attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The persons of the frame, as the units before left them, each one among them.
    Person,
    /// Objects that overlap a person.
    Object,
    /// The whole frame.
    Context,
    /// The whole of frames around this one.
    Memory,
}

impl Kind {
    /// As metadata spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Object => "object",
            Self::Context => "context",
            Self::Memory => "memory",
        }
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Person, Self::Object, Self::Context, Self::Memory]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or(())
    }
}

/// How many keys a unit of each kind was trained with: those that are missing were zero features and took part in the
/// softmax. 0 where they were masked, and nothing stands in for what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pads {
    pub person: usize,
    pub object: usize,
    pub context: usize,
    /// For each slot of the memory.
    pub memory: usize,
}

/// The metadata of a heads file (`design/heads.md`, "Weights file").
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// In the order in which they run.
    pub units: Vec<Kind>,
    /// Memory slots before the frame.
    pub before: usize,
    /// Memory slots after it.
    pub after: usize,
    /// Slots in a second.
    pub rate: f32,
    pub pads: Pads,
    /// Temperature of the softmax over the labels, eq. (5).
    pub tau: f32,
    /// The paper's units normalise with trained weight and bias; the authors' code without.
    pub ln_affine: bool,
    /// The authors' code rectifies what was attended before its projection; the paper does not.
    pub relu: bool,
    /// The space of the encoder that the features came from; absent if the file does not say.
    pub embedding: Option<String>,
}

/// The authors' temperature.
const TAU: f32 = 0.07;
/// More slots than any training would use; bounds what a file can make us allocate.
pub const MOST_SLOTS: usize = 240;
/// Layers of attention beyond reason.
const MOST_UNITS: usize = 64;
/// More pads than any training would use.
const MOST_PADS: usize = 10_000;

impl Metadata {
    /// Reads the string map of a safetensors header.
    pub fn parse(map: &HashMap<String, String>) -> Result<Self, WeightsError> {
        // Heads name no format of ours; the lab's other files do.
        if let Some(format) = map.get("format").filter(|format| format.starts_with("watchword ")) {
            return Err(WeightsError::Foreign(format.clone()));
        }
        let units = map
            .get("units")
            .ok_or_else(|| bad("units", "", "a list such as person,object,context,memory"))?;
        let units: Vec<Kind> = units
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(|name| name.parse().map_err(|()| bad("units", name, "person, object, context or memory")))
            .collect::<Result<_, _>>()?;
        if units.len() > MOST_UNITS {
            return Err(bad("units", &units.len().to_string(), "64 at most"));
        }
        let memory = units.contains(&Kind::Memory);
        let slots = |key| number(map, key, 0, "slots").and_then(|n: usize| within(key, n, MOST_SLOTS));
        let (before, after) = (slots("memory_before")?, slots("memory_after")?);
        if memory && !(1..=MOST_SLOTS).contains(&(before + after)) {
            return Err(bad("memory_before + memory_after", &(before + after).to_string(), "1 to 240 slots"));
        }
        let pads =
            |key| number(map, key, 0, "keys, 0 for masked").and_then(|n: usize| within(key, n, MOST_PADS));
        let positive = |key, default| {
            let value: f32 = number(map, key, default, "a positive number")?;
            let fits = value.is_finite() && value > 0.0;
            if fits { Ok(value) } else { Err(bad(key, &value.to_string(), "a positive number")) }
        };
        Ok(Self {
            units,
            before,
            after,
            rate: positive("memory_rate", 1.0)?,
            pads: Pads {
                person: pads("pad_person")?,
                object: pads("pad_object")?,
                context: pads("pad_context")?,
                memory: pads("pad_memory")?,
            },
            tau: positive("tau", TAU)?,
            ln_affine: flag(map, "ln_affine", false)?,
            relu: flag(map, "relu", true)?,
            embedding: map.get("embedding").filter(|space| !space.is_empty()).cloned(),
        })
    }

    /// The string map of a safetensors header.
    pub fn to_map(&self) -> HashMap<String, String> {
        let units: Vec<_> = self.units.iter().map(|kind| kind.name()).collect();
        let mut map: HashMap<String, String> = [
            ("units", units.join(",")),
            ("memory_before", self.before.to_string()),
            ("memory_after", self.after.to_string()),
            ("memory_rate", self.rate.to_string()),
            ("pad_person", self.pads.person.to_string()),
            ("pad_object", self.pads.object.to_string()),
            ("pad_context", self.pads.context.to_string()),
            ("pad_memory", self.pads.memory.to_string()),
            ("tau", self.tau.to_string()),
            ("ln_affine", self.ln_affine.to_string()),
            ("relu", self.relu.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        map.extend(self.embedding.clone().map(|space| ("embedding".to_owned(), space)));
        map
    }

    /// Slots of the memory, before and after together.
    pub fn slots(&self) -> usize {
        self.before + self.after
    }
}

fn bad(field: &str, found: &str, expected: &'static str) -> WeightsError {
    WeightsError::Metadata { field: field.to_owned(), found: found.to_owned(), expected }
}

fn number<T: FromStr>(
    map: &HashMap<String, String>,
    key: &str,
    default: T,
    expected: &'static str,
) -> Result<T, WeightsError> {
    match map.get(key) {
        None => Ok(default),
        Some(text) => text.trim().parse().map_err(|_| bad(key, text, expected)),
    }
}

fn within(key: &str, value: usize, most: usize) -> Result<usize, WeightsError> {
    if value <= most { Ok(value) } else { Err(bad(key, &value.to_string(), "fewer")) }
}

fn flag(map: &HashMap<String, String>, key: &str, default: bool) -> Result<bool, WeightsError> {
    match map.get(key).map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        None => Ok(default),
        Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(other) => Err(bad(key, other, "true or false")),
    }
}
