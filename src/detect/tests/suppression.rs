//! Non-maximum suppression against its definition.

use proptest::prelude::*;

use super::super::nms::{Room, suppress};
use crate::detect::Detection;
use crate::frame::Rect;

const ALL: Room = Room { person_class: 0, persons: usize::MAX, objects: usize::MAX };

fn detections() -> impl Strategy<Value = Vec<Detection>> {
    let one = (0u16..3, 0u8..20, 0.0f32..50.0, 0.0f32..50.0, 5.0f32..40.0, 5.0f32..40.0);
    let one = one.prop_map(|(class, score, x, y, w, h)| {
        // Few scores, so that some are equal.
        Detection { class, score: f32::from(score) / 20.0, rect: Rect::new(x, y, x + w, y + h) }
    });
    prop::collection::vec(one, 0..40)
}

/// The definition: while any are left, take the best and strike out those of its class that overlap it.
fn naive(mut left: Vec<Detection>, iou: f32) -> Vec<Detection> {
    let mut kept = Vec::new();
    while let Some(best) = left.iter().copied().min_by(Detection::best_first) {
        kept.push(best);
        let mut taken = false;
        left.retain(|d| {
            let this = !taken && *d == best;
            taken |= this;
            !this && (d.class != best.class || d.rect.iou(&best.rect) <= iou)
        });
    }
    kept
}

proptest! {
    #[test]
    fn agrees_with_its_definition(found in detections(), iou in 0.0f32..1.0) {
        let mut kept = Vec::new();
        suppress(&mut found.clone(), iou, ALL, &mut kept);
        prop_assert_eq!(kept, naive(found, iou));
    }

    #[test]
    fn takes_no_heed_of_the_order(found in detections().prop_flat_map(|f| (Just(f.clone()), Just(f).prop_shuffle()))) {
        let (mut one, mut other) = found;
        let (mut kept_one, mut kept_other) = (Vec::new(), Vec::new());
        suppress(&mut one, 0.5, ALL, &mut kept_one);
        suppress(&mut other, 0.5, ALL, &mut kept_other);
        prop_assert_eq!(kept_one, kept_other);
    }
}
