//! Collects problems while a configuration is read and validated, and finds the place of each.

use super::KeyPath;
use super::problem::{ConfigErrors, Place, Problem, Severity};
use super::source::Sources;

/// More errors than this are one error: not a configuration.
const ENOUGH: usize = 100;

#[derive(Debug)]
pub(super) struct Report {
    pub sources: Sources,
    problems: Vec<Problem>,
    /// Values that could not be read and stand at their defaults: what is wrong with those is not the
    /// operator's mistake.
    unread: Vec<KeyPath>,
}

impl Report {
    pub fn new(sources: Sources) -> Self {
        Self { sources, problems: Vec::new(), unread: Vec::new() }
    }

    /// The value at `path` is wrong. Says nothing if it could not be read in the first place.
    pub fn error(&mut self, path: &KeyPath, message: impl Into<String>) {
        self.push(Severity::Error, path, message.into());
    }

    /// The value at `path` is probably not what was meant.
    pub fn warning(&mut self, path: &KeyPath, message: impl Into<String>) {
        self.push(Severity::Warning, path, message.into());
    }

    /// The value at `path` could not be read; `lost` (it, or the list that it is in) stands at its default.
    pub fn unreadable(&mut self, path: &KeyPath, lost: KeyPath, message: String) {
        self.push(Severity::Error, path, message);
        self.unread.push(lost);
    }

    /// The key at `path` does not exist; perhaps `meant` was meant.
    pub fn unknown(&mut self, path: &KeyPath, place: Place, meant: Option<KeyPath>, message: String) {
        self.problems.push(Problem { severity: Severity::Error, place, path: path.clone(), message });
        self.unread.extend(meant);
    }

    /// Whether a value at or inside `path` could not be read.
    pub fn is_unread(&self, path: &KeyPath) -> bool {
        self.unread.iter().any(|unread| path.covers(unread) || unread.covers(path))
    }

    /// Whether there are so many errors that looking for more is of no use.
    pub fn is_enough(&self) -> bool {
        self.problems.len() >= ENOUGH
    }

    /// "line 12" or "environment variable X" for the value at `path`, to point at it from another's message.
    pub fn whereabouts(&self, path: &KeyPath) -> String {
        match self.sources.place(path) {
            Place::Position { line, .. } => format!("line {line}"),
            place => place.to_string(),
        }
    }

    /// The warnings if there is no error, else everything, in the order of the file.
    pub fn finish(mut self) -> Result<(Sources, Vec<Problem>), ConfigErrors> {
        self.problems.sort_by(|a, b| a.place.cmp(&b.place));
        if self.problems.iter().any(|p| p.severity == Severity::Error) {
            Err(ConfigErrors { problems: self.problems })
        } else {
            Ok((self.sources, self.problems))
        }
    }

    fn push(&mut self, severity: Severity, path: &KeyPath, message: String) {
        if !self.unread.iter().any(|unread| unread.covers(path)) {
            let place = self.sources.place(path);
            self.problems.push(Problem { severity, place, path: path.clone(), message });
        }
    }
}
