//! Where the values of a configuration come from: the file's text and the environment. Knows positions, not
//! meanings.

use std::ops::Range;

use toml_edit::{Document, Item};

use super::Overlay;
use super::key_path::{KeyPath, Step};
use super::problem::Place;

/// A value set by the environment.
#[derive(Debug)]
pub(super) struct Variable {
    pub name: String,
    pub path: KeyPath,
    pub text: String,
}

/// The file, kept with the position of every value, and the environment's variables.
#[derive(Debug)]
pub(super) struct Sources {
    /// The file as errors call it.
    pub file: String,
    pub document: Document<String>,
    pub variables: Vec<Variable>,
    /// Over both.
    pub overlay: Option<Overlay>,
}

impl Sources {
    /// The variable that sets the value at `path` or something around it.
    pub fn variable(&self, path: &KeyPath) -> Option<&Variable> {
        self.variables.iter().find(|v| v.path.covers(path))
    }

    /// Where the value at `path` was written; for one that was not, where the innermost table that should
    /// have held it begins.
    pub fn place(&self, path: &KeyPath) -> Place {
        if self.is_overlaid(path) {
            return Place::Overlay;
        }
        if let Some(variable) = self.variable(path) {
            return Place::Variable(variable.name.clone());
        }
        let (found, span) = self.find(path);
        // A missing key of the root table has no place but the file.
        if found == 0 { Place::File(self.file.clone()) } else { self.position(span) }
    }

    /// As [`Sources::place`], but of the key and not of its value.
    pub fn place_of_key(&self, path: &KeyPath) -> Place {
        if self.is_overlaid(path) {
            return Place::Overlay;
        }
        let key = path.split_key().and_then(|(parent, key)| {
            let table = self.item(&parent)?.as_table_like()?;
            table.get_key_value(key)?.0.span()
        });
        key.map_or_else(|| self.place(path), |span| self.position(Some(span)))
    }

    /// Whether the value at `path` is the overlay's.
    pub fn is_overlaid(&self, path: &KeyPath) -> bool {
        self.overlay.as_ref().is_some_and(|overlay| overlay.covers(path))
    }

    /// Whether the file itself sets the value at `path`.
    pub fn in_file(&self, path: &KeyPath) -> bool {
        self.item(path).is_some()
    }

    /// A byte range of the file as a line and a column.
    pub fn position(&self, span: Option<Range<usize>>) -> Place {
        position(&self.file, self.document.raw(), span)
    }

    fn item(&self, path: &KeyPath) -> Option<&Item> {
        path.steps().iter().try_fold(self.document.as_item(), |item, step| match step {
            Step::Key(key) => item.get(key.as_str()),
            Step::Index(index) => item.get(*index),
        })
    }

    /// How many steps of `path` the file has, and where the last of them stands.
    fn find(&self, path: &KeyPath) -> (usize, Option<Range<usize>>) {
        let mut item = self.document.as_item();
        let mut span = None;
        for (found, step) in path.steps().iter().enumerate() {
            let (key, next) = match step {
                Step::Index(index) => (None, item.get(*index)),
                Step::Key(key) => match item.as_table_like().and_then(|t| t.get_key_value(key)) {
                    Some((key, value)) => (key.span(), Some(value)),
                    None => (None, None),
                },
            };
            let Some(next) = next else { return (found, span) };
            // A table made by a dotted key or by a longer header has no span of its own.
            span = next.span().or(key).or(span);
            item = next;
        }
        (path.steps().len(), span)
    }
}

/// A byte range of `text` as a line and a column of `file`.
pub(super) fn position(file: &str, text: &str, span: Option<Range<usize>>) -> Place {
    let Some(before) = span.and_then(|span| text.get(..span.start)) else {
        return Place::File(file.to_owned());
    };
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place::Position {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before.chars().count() - before.get(..line_start).unwrap_or_default().chars().count() + 1,
    }
}
