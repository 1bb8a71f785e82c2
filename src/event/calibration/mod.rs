//! Which threshold begins how many occurrences: scores kept from a recording, and a search over them.
//!
//! A false alarm is an occurrence that begins in footage where nothing happens, by the same rules that the daemon goes
//! by, only with another threshold. Knows scores, times and counts; not whose recording it is, nor what is done with
//! a threshold that was found.

mod rate;
mod search;
mod tape;
#[cfg(test)]
mod tests;

pub use rate::{at_most, highest_rate};
pub use search::{Found, THRESHOLDS, lowest};
pub use tape::{Peak, Tape};
