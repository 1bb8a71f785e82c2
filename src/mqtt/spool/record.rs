//! What a row means.

use ulid::Ulid;

use super::super::payload;
use crate::event::Change;

/// How a change is written down; the numbers never change their meaning.
pub(super) fn code(change: Change) -> i64 {
    match change {
        Change::Begin => 0,
        Change::Update => 1,
        Change::End => 2,
    }
}

/// The change that was written down as `code`.
pub(super) fn change(code: i64) -> Option<Change> {
    [Change::Begin, Change::Update, Change::End].into_iter().find(|change| self::code(*change) == code)
}

/// Whether `payload` is an event of the occurrence `id` that says `change`.
pub(super) fn is_sound(id: Ulid, change: Change, payload: &[u8]) -> bool {
    payload::identity(payload) == Some((id, change))
}
