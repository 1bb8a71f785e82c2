//! Whether an action goes on in front of a camera: the value of every `state` topic.
//!
//! A state is a level, not an edge: what counts is that the broker ends up with the present value. So nothing is
//! queued, memory is bounded by the number of pairs, and after a reconnect every value is told again.

use ulid::Ulid;

use crate::event::{ActionEvent, Change};

/// All levels. A box has tens of them and events are rare, so they are simply searched.
#[derive(Default)]
pub(super) struct Levels(Vec<Level>);

/// One camera and action.
pub(super) struct Level {
    pub camera: String,
    pub action: String,
    /// Occurrences that go on.
    open: Vec<Ulid>,
    /// What the present connection was told.
    told: Option<bool>,
    /// There is no such pair any more: once it is off, the broker is to forget its topic.
    retired: bool,
}

impl Level {
    /// The topic's payload; empty takes away what stood there.
    pub fn payload(&self) -> &'static str {
        match (self.is_on(), self.retired) {
            (true, _) => "ON",
            (false, false) => "OFF",
            (false, true) => "",
        }
    }

    /// Whether the action goes on.
    pub fn is_on(&self) -> bool {
        !self.open.is_empty()
    }

    fn is_untold(&self) -> bool {
        self.told != Some(self.is_on())
    }
}

impl Levels {
    /// Makes the pair known, off; does nothing if it is known.
    pub fn announce(&mut self, camera: &str, action: &str) {
        let level = self.level(camera, action);
        if std::mem::take(&mut level.retired) {
            level.told = None;
        }
    }

    /// Takes a known pair away, once it is off.
    pub fn retire(&mut self, camera: &str, action: &str) {
        let level = self.level(camera, action);
        (level.retired, level.told) = (true, None);
    }

    /// Follows the occurrence that `event` is about. What is provisional switches nothing.
    pub fn follow(&mut self, event: &ActionEvent) {
        if event.provisional {
            return;
        }
        let level = self.level(&event.camera, &event.action);
        match event.change {
            Change::Begin | Change::Update if !level.open.contains(&event.id) => level.open.push(event.id),
            Change::Begin | Change::Update => {}
            Change::End => level.open.retain(|id| *id != event.id),
        }
    }

    /// The next level of which the present connection has an older value or none; it counts as told then.
    pub fn tell_next(&mut self) -> Option<&Level> {
        self.0.retain(|level| !(level.retired && level.told == Some(false)));
        let level = self.0.iter_mut().find(|level| level.is_untold())?;
        level.told = Some(level.is_on());
        Some(level)
    }

    /// Whether the present connection was told everything.
    pub fn is_told(&self) -> bool {
        !self.0.iter().any(Level::is_untold)
    }

    /// There is a new connection, which was told nothing.
    pub fn rewind(&mut self) {
        for level in &mut self.0 {
            level.told = None;
        }
    }

    fn level(&mut self, camera: &str, action: &str) -> &mut Level {
        let known = self.0.iter().position(|l| l.camera == camera && l.action == action);
        let index = known.unwrap_or_else(|| {
            let (camera, action) = (camera.to_owned(), action.to_owned());
            self.0.push(Level { camera, action, open: Vec::new(), told: None, retired: false });
            self.0.len() - 1
        });
        &mut self.0[index] // found or just pushed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;

    fn event(id: u128, change: Change) -> ActionEvent {
        ActionEvent {
            id: Ulid::from(id),
            change,
            camera: "gate".into(),
            track: 1,
            action: "falling".into(),
            label: "falling down".into(),
            score: 0.9,
            peak_score: 0.9,
            rect: [0.0; 4],
            zones: Vec::new(),
            begin: Timestamp::UNIX_EPOCH,
            time: Timestamp::UNIX_EPOCH,
            end: None,
            reason: None,
            provisional: false,
            captured: Duration::ZERO,
        }
    }

    fn told(levels: &mut Levels) -> Vec<bool> {
        std::iter::from_fn(|| levels.tell_next().map(Level::is_on)).collect()
    }

    #[test]
    fn on_from_the_first_begin_to_the_last_end() {
        let mut levels = Levels::default();
        levels.announce("gate", "falling");
        levels.announce("gate", "falling");
        assert_eq!(told(&mut levels), [false]);
        let steps = [
            (event(1, Change::Begin), vec![true]),
            (event(2, Change::Begin), vec![]),
            (event(1, Change::Update), vec![]),
            (event(1, Change::End), vec![]),
            (event(1, Change::End), vec![]),
            (event(2, Change::End), vec![false]),
            (event(3, Change::Update), vec![true]), // its begin was before our time
        ];
        for (event, expected) in steps {
            levels.follow(&event);
            assert_eq!(told(&mut levels), expected, "{event:?}");
        }
    }

    #[test]
    fn a_pair_that_is_gone_is_taken_away_once_it_is_off() {
        let mut levels = Levels::default();
        let payloads = |levels: &mut Levels| {
            std::iter::from_fn(|| levels.tell_next().map(Level::payload)).collect::<Vec<_>>()
        };
        levels.follow(&event(1, Change::Begin));
        levels.announce("gate", "running");
        assert_eq!(payloads(&mut levels), ["ON", "OFF"]);
        levels.retire("gate", "falling");
        assert_eq!(payloads(&mut levels), ["ON"], "it goes on, whatever the configuration says");
        levels.follow(&event(1, Change::End));
        levels.retire("gate", "running");
        levels.announce("gate", "running");
        assert_eq!(payloads(&mut levels), ["", "OFF"], "the other one is back");
        levels.rewind();
        assert_eq!(payloads(&mut levels), ["OFF"], "what is gone is not told again");
    }

    #[test]
    fn a_new_connection_is_told_the_present_and_nothing_of_the_past() {
        let mut levels = Levels::default();
        levels.announce("gate", "falling");
        levels.announce("gate", "running");
        assert_eq!(told(&mut levels), [false, false]);
        levels.follow(&event(1, Change::Begin));
        levels.follow(&event(1, Change::End));
        assert!(levels.is_told(), "back where it was");
        levels.follow(&event(2, Change::Begin));
        levels.rewind();
        assert!(!levels.is_told());
        assert_eq!(told(&mut levels), [true, false]);
    }
}
