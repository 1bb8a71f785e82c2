//! Which parts of a frame the image tower looks at.

use crate::detect::Detection;
use crate::frame::Rect;
use crate::heads::Wanted;
use crate::track::Track;

/// The boxes to encode, in the order in which their embeddings come back: persons, objects, and last the whole frame.
#[derive(Debug, Default)]
pub struct Crops {
    pub persons: Vec<Rect>,
    pub objects: Vec<Rect>,
    /// Index of each of `objects` among those it was chosen from.
    pub near: Vec<usize>,
}

impl Crops {
    /// Chooses the visible persons of `tracks`, and of `objects` those that overlap one of them; if they are too many
    /// those with the highest scores.
    pub fn choose(&mut self, wanted: Wanted, tracks: &[Track], objects: &[Detection]) {
        self.persons.clear();
        self.objects.clear();
        self.near.clear();
        if wanted.persons {
            self.persons.extend(tracks.iter().filter(|t| t.visible).map(|t| t.rect));
        }
        let touches = |o: &Detection| self.persons.iter().any(|p| p.intersection(&o.rect).area() > 0.0);
        self.near.extend((objects.iter().enumerate()).filter(|(_, o)| touches(o)).map(|(index, _)| index));
        let score = |index: &usize| objects.get(*index).map_or(0.0, |object| object.score);
        self.near.sort_unstable_by(|a, b| score(b).total_cmp(&score(a)).then(a.cmp(b)));
        self.near.truncate(wanted.objects);
        self.objects.extend(self.near.iter().filter_map(|index| objects.get(*index)).map(|o| o.rect));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
        let mut crops = Crops::default();
        crops.choose(Wanted { persons: true, objects: 5 }, &tracks, &objects);
        assert_eq!(crops.persons, [tracks[0].rect]);
        assert_eq!(crops.near, [3, 4, 0], "touching edges and hidden persons do not count");
        crops.choose(Wanted { persons: true, objects: 2 }, &tracks, &objects);
        assert_eq!(crops.objects, [objects[3].rect, objects[4].rect]);
        crops.choose(Wanted { persons: false, objects: 0 }, &tracks, &objects);
        assert!(crops.persons.is_empty() && crops.objects.is_empty());
    }
}
