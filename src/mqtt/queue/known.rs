//! What the queue remembers of occurrences that have not ended.

use std::collections::HashMap;

use ulid::Ulid;

use crate::event::Change;

/// Occurrences that have begun and whose end has not left the queue.
///
/// So that a restart can close what was open, the latest event of an open occurrence stays on disk even when it has
/// left the queue, until a later one is there. It is offered once more after a restart, as the contract allows.
#[derive(Default)]
pub(super) struct Known(HashMap<Ulid, Occurrence>);

enum Occurrence {
    Open {
        /// The row of its latest event on disk.
        latest: Option<i64>,
        /// The same, once that event has left the queue.
        kept: Option<i64>,
    },
    /// Its beginning was dropped while it was open: the rest of it is dropped as it comes.
    Forsaken,
}

impl Known {
    /// Follows an event that comes into the queue.
    pub fn begin(&mut self, id: Ulid, change: Change) {
        if change != Change::End {
            self.0.entry(id).or_insert(Occurrence::Open { latest: None, kept: None });
        }
    }

    /// An event is on disk, in `row`. Returns a row that is now needless.
    pub fn stored(&mut self, id: Ulid, row: i64) -> Option<i64> {
        let Some(Occurrence::Open { latest, kept }) = self.0.get_mut(&id) else { return None };
        *latest = Some(row);
        kept.take()
    }

    /// An event leaves the queue. Returns rows that are now needless.
    pub fn leave(&mut self, id: Ulid, change: Change, row: Option<i64>) -> impl Iterator<Item = i64> + use<> {
        let mut others = None;
        let mut needless = row;
        if change == Change::End {
            others = self.forget(id);
        } else if let Some(Occurrence::Open { latest, kept }) = self.0.get_mut(&id)
            && row.is_some()
            && *latest == row
        {
            *kept = row;
            needless = None;
        }
        needless.into_iter().chain(others)
    }

    /// The occurrence is over, or was never told. Returns a row that is now needless.
    pub fn forget(&mut self, id: Ulid) -> Option<i64> {
        match self.0.remove(&id)? {
            Occurrence::Open { kept, .. } => kept,
            Occurrence::Forsaken => None,
        }
    }

    /// Nobody shall hear of the rest.
    pub fn forsake(&mut self, id: Ulid) {
        self.0.insert(id, Occurrence::Forsaken);
    }

    pub fn is_forsaken(&self, id: Ulid) -> bool {
        matches!(self.0.get(&id), Some(Occurrence::Forsaken))
    }

    /// The rows of events that have left the queue.
    pub fn kept(&self) -> impl Iterator<Item = i64> {
        self.0.values().filter_map(|occurrence| match occurrence {
            Occurrence::Open { kept, .. } => *kept,
            Occurrence::Forsaken => None,
        })
    }

    /// Rows that `is_gone` picks are no longer on disk.
    pub fn unstored(&mut self, is_gone: impl Fn(Option<i64>) -> bool) {
        for occurrence in self.0.values_mut() {
            if let Occurrence::Open { latest, kept } = occurrence {
                *latest = latest.filter(|row| !is_gone(Some(*row)));
                *kept = kept.filter(|row| !is_gone(Some(*row)));
            }
        }
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
