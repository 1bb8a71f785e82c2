//! The lowest threshold that keeps to a number of occurrences.

use std::ops::Range;

/// Thresholds are looked for among these ten-thousandths, in steps of 10 up to 0.999, then one by one: an encoder that
/// is sure of itself gives scores that differ only there.
pub const THRESHOLDS: Range<u16> = 1..10_001;
const COARSE: u16 = 10;
const FINE_FROM: u16 = 9990;

/// A threshold and what it begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Ten-thousandths.
    pub threshold: u16,
    pub begins: usize,
    /// Whether it was the lowest one allowed and not the number of occurrences that ended the search.
    pub is_floor: bool,
}

/// The lowest threshold, `floor` or above, with which, and with every higher one, `begins` says `allowed` or fewer;
/// `None` if even the highest has more.
///
/// Every higher one, because fewer may begin with a lower threshold: what would be several occurrences becomes one
/// that never ends. So the search goes down from the top, and stops at the first that has too many.
pub fn lowest(floor: u16, allowed: usize, mut begins: impl FnMut(f32) -> usize) -> Option<Found> {
    let mut found = None;
    for threshold in descending(floor) {
        let begins = begins(value(threshold));
        if begins > allowed {
            return found;
        }
        found = Some(Found { threshold, begins, is_floor: false });
    }
    found.map(|found| Found { is_floor: true, ..found })
}

/// A threshold as the events' rules take it.
pub(super) fn value(threshold: u16) -> f32 {
    (f64::from(threshold) / f64::from(THRESHOLDS.end - 1)) as f32
}

pub(super) fn descending(floor: u16) -> impl Iterator<Item = u16> {
    let candidates = THRESHOLDS.rev().take_while(move |threshold| *threshold >= floor);
    candidates.filter(move |&t| t >= FINE_FROM || t % COARSE == 0 || t == floor)
}

impl Found {
    /// As it is written into a configuration.
    pub fn value(&self) -> f64 {
        f64::from(self.threshold) / f64::from(THRESHOLDS.end - 1)
    }
}
