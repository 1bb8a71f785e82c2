//! When the detector is to look for people and objects, and when what it found last will do.
//!
//! It looks where somebody may have come: in a scene that has changed, and for as long as somebody is not sure to be there.
//! People who are known are followed without it for some frames. Knows brightness and times; has never heard of
//! embeddings or scores.

use std::time::Duration;

use super::look::Look;
use crate::config;
use crate::frame::{Picture, Rect};

/// Across and down: a cell is about what somebody far away takes.
const CELLS: usize = 16;
/// In an empty scene in which nothing changes, the detector looks at least so often: somebody may come unseen, grey on grey.
const REST: Duration = Duration::from_secs(2);

/// One camera's.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    settings: config::Refresh,
    /// Monotonic time at which the detector looked last.
    looked: Option<Duration>,
    /// What the scene looked like then.
    look: Look<CELLS>,
}

/// What is known of the people in the scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum People {
    Nobody,
    /// Followed, every one of them.
    Known,
    /// Somebody has been found once only, or was not found this once.
    Unsure,
}

impl Lookout {
    /// Goes by `settings`, and has seen nothing.
    pub fn new(settings: config::Refresh) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Goes by other settings from now on.
    pub fn reconfigure(&mut self, settings: config::Refresh) {
        self.settings = settings;
    }

    /// Has the detector look at the next frame: what it found last says nothing.
    pub fn clear(&mut self) {
        self.looked = None;
    }

    /// Whether there are frames at which it does not look.
    pub fn carries(&self) -> bool {
        !self.settings.exact
    }

    /// Whether the detector is to look at `picture`, of the monotonic time `now`. If so, that is what the scenes to come
    /// are compared with.
    pub fn is_due(&mut self, picture: &Picture, now: Duration, people: People) -> bool {
        if self.settings.exact {
            return true;
        }
        // A clock that went back says nothing of how long ago it was.
        let age = self.looked.and_then(|at| now.checked_sub(at));
        let due = match (age, people) {
            (None, _) | (_, People::Unsure) => true,
            (Some(age), People::Known) => age >= Duration::from(self.settings.detect),
            (Some(age), People::Nobody) => age >= REST,
        };
        if !due && people == People::Known {
            return false;
        }
        let whole = Rect::new(0.0, 0.0, picture.width as f32, picture.height as f32);
        let look = Look::of(picture, whole);
        let due = due || look.has_changed(&self.look);
        if due {
            (self.looked, self.look) = (Some(now), look);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PixelFormat;

    const FRAME: Duration = Duration::from_millis(200);

    fn settings() -> config::Refresh {
        config::Refresh { detect: config::Span::from_secs_f64(0.6), ..config::Refresh::default() }
    }

    fn grey() -> Picture {
        let mut picture = Picture::new(PixelFormat::Grey, 160, 160);
        picture.data.fill(90);
        picture
    }

    /// The frames of `count` at which it looks, the first being frame 1.
    fn looks(
        lookout: &mut Lookout,
        picture: &Picture,
        people: People,
        frames: std::ops::Range<u32>,
    ) -> Vec<u32> {
        frames.filter(|frame| lookout.is_due(picture, FRAME * *frame, people)).collect()
    }

    #[test]
    fn known_people_are_looked_for_now_and_then_and_unsure_ones_at_every_frame() {
        let mut lookout = Lookout::new(settings());
        assert_eq!(looks(&mut lookout, &grey(), People::Known, 1..9), [1, 4, 7]);
        assert_eq!(looks(&mut lookout, &grey(), People::Unsure, 9..12), [9, 10, 11]);
        assert_eq!(looks(&mut lookout, &grey(), People::Known, 12..16), [14]);
        lookout.clear();
        assert_eq!(looks(&mut lookout, &grey(), People::Known, 16..19), [16]);
    }

    #[test]
    fn an_empty_scene_is_looked_at_when_it_changes_and_every_two_seconds() {
        let mut lookout = Lookout::new(settings());
        let mut picture = grey();
        assert_eq!(looks(&mut lookout, &picture, People::Nobody, 1..22), [1, 11, 21]);
        // Somebody of a cell's size, a little brighter than the wall.
        picture.data[80 * 160 + 40..80 * 160 + 60].fill(100);
        assert_eq!(looks(&mut lookout, &picture, People::Nobody, 22..24), [0; 0], "noise");
        for row in 80..100 {
            picture.data[row * 160 + 40..row * 160 + 60].fill(100);
        }
        assert_eq!(
            looks(&mut lookout, &picture, People::Nobody, 24..30),
            [24],
            "and once, while it stays so"
        );
        assert_eq!(looks(&mut lookout, &grey(), People::Nobody, 30..33), [30]);
    }

    #[test]
    fn exact_looks_always_and_a_clock_that_went_back_once() {
        let mut lookout = Lookout::new(config::Refresh { exact: true, ..settings() });
        assert_eq!(looks(&mut lookout, &grey(), People::Known, 1..5), [1, 2, 3, 4]);
        lookout.reconfigure(settings());
        assert_eq!(looks(&mut lookout, &grey(), People::Known, 100..103), [100]);
        assert_eq!(looks(&mut lookout, &grey(), People::Known, 1..4), [1]);
    }
}
