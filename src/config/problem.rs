//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;

use super::KeyPath;

/// Whether a configuration with a problem can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    /// It can, but probably not as meant.
    Warning,
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Somewhere in, or missing from, a file.
    File(String),
    /// In a file, at a line and a column that count from 1.
    Position { file: String, line: usize, column: usize },
    /// In an environment variable.
    Variable(String),
    /// In the vocabulary that was set over MQTT.
    Overlay,
}

/// One thing wrong, and its remedy.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub severity: Severity,
    pub place: Place,
    /// The value in question; empty for the file as a whole.
    pub path: KeyPath,
    /// What is wrong and what to do.
    pub message: String,
}

/// Everything that is wrong with a configuration that cannot be used, its warnings included, in the order of
/// the file. Displayed one to a line.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", lines(.problems))]
pub struct ConfigErrors {
    pub problems: Vec<Problem>,
}

impl ConfigErrors {
    /// How many of the problems are errors.
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|p| p.severity == Severity::Error).count()
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => f.write_str(file),
            Self::Position { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Overlay => f.write_str("vocabulary set over MQTT"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.path.steps().is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}
