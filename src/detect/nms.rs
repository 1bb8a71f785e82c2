//! Non-maximum suppression: of boxes of one class that overlap, the best.

use super::Detection;

/// Leaves, best first, each detection that no better one of its class overlaps by more than `iou`. Ties are broken by
/// position, so that the result does not depend on the order of the candidates.
pub fn suppress(candidates: &mut Vec<Detection>, iou: f32) {
    candidates.sort_unstable_by(|a, b| {
        let position = |d: &Detection| [d.rect.x1, d.rect.y1, d.rect.x2, d.rect.y2].map(f32::to_bits);
        b.score.total_cmp(&a.score).then(a.class.cmp(&b.class)).then(position(a).cmp(&position(b)))
    });
    let mut kept = 0;
    for index in 0..candidates.len() {
        // kept <= index < len
        let candidate = candidates[index];
        let better = &candidates[..kept];
        if !better.iter().any(|b| b.class == candidate.class && b.rect.iou(&candidate.rect) > iou) {
            candidates[kept] = candidate;
            kept += 1;
        }
    }
    candidates.truncate(kept);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::Rect;

    fn detections() -> impl Strategy<Value = Vec<Detection>> {
        let one =
            (0u16..3, 0u8..20, 0u8..60, 0u8..60, 1u8..40, 1u8..40).prop_map(|(class, score, x, y, w, h)| {
                let (x, y) = (f32::from(x), f32::from(y));
                let rect = Rect::new(x, y, x + f32::from(w), y + f32::from(h));
                Detection { class, score: f32::from(score) / 20.0, rect }
            });
        prop::collection::vec(one, 0..40)
    }

    proptest! {
        #[test]
        fn what_is_kept_explains_what_is_not(all in detections(), iou in 0.0f32..0.9) {
            let mut kept = all.clone();
            suppress(&mut kept, iou);
            let beats = |a: &Detection, b: &Detection| a.class == b.class && a.rect.iou(&b.rect) > iou;
            for (i, a) in kept.iter().enumerate() {
                prop_assert!(all.contains(a));
                for b in &kept[i + 1..] {
                    prop_assert!(a.score >= b.score && !beats(a, b));
                }
            }
            for gone in all.iter().filter(|d| !kept.contains(d)) {
                prop_assert!(kept.iter().any(|k| k.score >= gone.score && beats(k, gone)));
            }
        }

        #[test]
        fn the_order_of_candidates_does_not_matter(mut all in detections(), seed in any::<u64>()) {
            let mut first = all.clone();
            suppress(&mut first, 0.5);
            let n = all.len().max(1);
            all.rotate_left(seed as usize % n);
            all.reverse();
            suppress(&mut all, 0.5);
            prop_assert_eq!(first, all);
        }
    }
}
