//! Average precision of a ranking.

/// The area below the precision–recall curve, 0 to 1, where precision at a recall is the best at that recall or above.
/// `hits` are in order of falling score; `positives` is what there was to find, and above 0.
pub fn average_precision(hits: &[bool], positives: usize) -> f64 {
    let mut found = 0usize;
    // Recall and precision after each detection; both end with a recall of 1 at a precision of 0.
    let mut curve: Vec<(f64, f64)> = Vec::with_capacity(hits.len() + 1);
    for (rank, hit) in hits.iter().enumerate() {
        found += usize::from(*hit);
        curve.push((found as f64 / positives as f64, found as f64 / (rank + 1) as f64));
    }
    curve.push((1.0, 0.0));
    let mut best = 0.0;
    for (_, precision) in curve.iter_mut().rev() {
        best = f64::max(best, *precision);
        *precision = best;
    }
    let mut before = 0.0;
    let mut area = 0.0;
    for (recall, precision) in curve {
        area += (recall - before) * precision;
        before = recall;
    }
    area
}
