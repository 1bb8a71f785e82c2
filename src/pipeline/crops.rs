//! Which of the objects in a frame the image tower looks at.

use crate::detect::Detection;
use crate::track::Track;

/// Overwrites `near` with the indices of those `objects` that overlap a visible person of `tracks`: at most `most`, those
/// with the highest scores.
pub(super) fn near(most: usize, tracks: &[Track], objects: &[Detection], near: &mut Vec<usize>) {
    let overlap = |o: &Detection, t: &Track| t.visible && t.rect.intersection(&o.rect).area() > 0.0;
    let touches = |o: &Detection| tracks.iter().any(|track| overlap(o, track));
    near.clear();
    near.extend((objects.iter().enumerate()).filter(|(_, o)| touches(o)).map(|(index, _)| index));
    let score = |index: &usize| objects.get(*index).map_or(0.0, |object| object.score);
    near.sort_unstable_by(|a, b| score(b).total_cmp(&score(a)).then(a.cmp(b)));
    near.truncate(most);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::frame::Rect;

    #[test]
    fn visible_persons_and_the_best_objects_that_touch_them() {
        let track = |x: f32, visible| Track {
            id: 1,
            rect: Rect::new(x, 0.0, x + 10.0, 10.0),
            score: 0.9,
            since: Duration::ZERO,
            visible,
        };
        let object = |x: f32, score| Detection { class: 1, score, rect: Rect::new(x, 0.0, x + 10.0, 10.0) };
        let tracks = [track(0.0, true), track(100.0, false)];
        let objects =
            [object(5.0, 0.5), object(10.0, 0.9), object(95.0, 0.9), object(2.0, 0.8), object(-5.0, 0.6)];
        let near = |most| {
            let mut found = vec![7];
            near(most, &tracks, &objects, &mut found);
            found
        };
        assert_eq!(near(5), [3, 4, 0], "touching edges and hidden persons do not count");
        assert_eq!(near(2), [3, 4]);
        assert!(near(0).is_empty());
    }
}
