//! How fast a recording is played.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A factor on a recording's own time, or `"max"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// Above 0.
    Times(f64),
    /// As fast as it is analysed.
    Max,
}

impl Default for Speed {
    fn default() -> Self {
        Self::Times(1.0)
    }
}

impl Speed {
    /// Infinite for the fastest.
    pub fn factor(self) -> f64 {
        match self {
            Self::Times(factor) => factor,
            Self::Max => f64::INFINITY,
        }
    }
}

impl Serialize for Speed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Times(factor) => serializer.serialize_f64(*factor),
            Self::Max => serializer.serialize_str("max"),
        }
    }
}

impl<'de> Deserialize<'de> for Speed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Speed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a factor such as 2.0, or \"max\"")
            }

            fn visit_f64<E>(self, factor: f64) -> Result<Speed, E> {
                Ok(Speed::Times(factor))
            }

            fn visit_i64<E>(self, factor: i64) -> Result<Speed, E> {
                Ok(Speed::Times(factor as f64))
            }

            fn visit_u64<E>(self, factor: u64) -> Result<Speed, E> {
                Ok(Speed::Times(factor as f64))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Speed, E> {
                match text {
                    "max" => Ok(Speed::Max),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
