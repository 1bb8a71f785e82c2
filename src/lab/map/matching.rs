//! Which detections found what is there.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::Hash;

/// Whether each detection is the first to find the truth of its place that it overlaps most, in order of falling
/// score; of equal scores the first comes first, and of equal overlaps.
///
/// `found` are (place, score, geometry), `truths` the geometries of each place.
pub fn hits<K: Hash + Eq, G>(
    truths: &HashMap<K, Vec<&G>>,
    found: &[(K, f64, &G)],
    overlap: impl Fn(&G, &G) -> f64,
    iou: f64,
) -> Vec<bool> {
    let mut order: Vec<&(K, f64, &G)> = found.iter().collect();
    // Scores are finite.
    order.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal));
    let mut taken: HashMap<&K, Vec<bool>> = HashMap::new();
    order
        .into_iter()
        .map(|(place, _, geometry)| {
            let Some(truths) = truths.get(place) else { return false };
            let Some((best, value)) = most(truths.iter().map(|truth| overlap(truth, geometry))) else {
                return false;
            };
            let taken = taken.entry(place).or_insert_with(|| vec![false; truths.len()]);
            let free = taken.get_mut(best).filter(|taken| !**taken && value >= iou);
            free.map(|taken| *taken = true).is_some()
        })
        .collect()
}

/// The index and value of the largest, the first of equals.
pub fn most(values: impl Iterator<Item = f64>) -> Option<(usize, f64)> {
    values.enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best })
}
