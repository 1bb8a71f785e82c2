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
}

impl Crops {
    /// Chooses the visible persons of `tracks` and those of `objects` that overlap one of them.
    pub fn choose(&mut self, wanted: Wanted, tracks: &[Track], objects: &[Detection]) {
        self.persons.clear();
        self.objects.clear();
        if wanted.persons {
            self.persons.extend(tracks.iter().filter(|t| t.visible).map(|t| t.rect));
        }
        if wanted.objects {
            let touches = |o: &&Detection| self.persons.iter().any(|p| p.intersection(&o.rect).area() > 0.0);
            self.objects.extend(objects.iter().filter(touches).map(|o| o.rect));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn visible_persons_and_the_objects_that_touch_them() {
        let track = |x: f32, visible| Track {
            id: 1,
            rect: Rect::new(x, 0.0, x + 10.0, 10.0),
            score: 0.9,
            since: Duration::ZERO,
            visible,
        };
        let object = |x: f32| Detection { class: 1, score: 0.9, rect: Rect::new(x, 0.0, x + 10.0, 10.0) };
        let tracks = [track(0.0, true), track(100.0, false)];
        let objects = [object(5.0), object(10.0), object(95.0)];
        let mut crops = Crops::default();
        crops.choose(Wanted { persons: true, objects: true }, &tracks, &objects);
        assert_eq!(crops.persons, [tracks[0].rect]);
        assert_eq!(crops.objects, [objects[0].rect], "touching edges and hidden persons do not count");
        crops.choose(Wanted { persons: false, objects: false }, &tracks, &objects);
        assert!(crops.persons.is_empty() && crops.objects.is_empty());
    }
}
