//! ByteTrack (Zhang et al. 2022) by real time: first the detections that are sure, then those that are not.
//!
//! Detections at or above the high threshold are matched with all tracks, those below it only with tracks that were
//! visible a frame ago: a person who is being hidden fades, and does not turn into somebody else. Pairs are taken in
//! the order of their overlap. The optimal assignment of SORT differs from that only where two people overlap each
//! other more than their own prediction, where overlap alone tells neither who is who.

use std::time::Duration;

use super::Track;
use super::motion::Motion;
use crate::config;
use crate::detect::Detection;

/// Follows the persons of one camera. Keeps its buffers: allocates only for more people than there have been yet.
#[derive(Debug)]
pub struct Tracker {
    settings: config::Tracker,
    /// Detections from here on may start a track.
    high: f32,
    now: Option<Duration>,
    next_id: u64,
    people: Vec<Person>,
    confirmed: Vec<Track>,
    detections: Vec<Detection>,
    pairs: Vec<Pair>,
    /// By detection: whether a track has it.
    taken: Vec<bool>,
}

#[derive(Debug)]
struct Person {
    track: Track,
    motion: Motion,
    hits: u32,
    last_seen: Duration,
    matched: bool,
}

#[derive(Debug, Clone, Copy)]
struct Pair {
    iou: f32,
    person: usize,
    detection: usize,
}

impl Tracker {
    /// Nobody yet. `high` is the score from which a detection may start a track, 0..=1.
    pub fn new(settings: &config::Tracker, high: f32) -> Self {
        Self {
            settings: settings.clone(),
            high,
            now: None,
            next_id: 1,
            people: Vec::new(),
            confirmed: Vec::new(),
            detections: Vec::new(),
            pairs: Vec::new(),
            taken: Vec::new(),
        }
    }

    /// Takes in the `persons` found in the frame captured at `time` (monotonic). A time before the latest one counts
    /// as the latest.
    pub fn update(&mut self, time: Duration, persons: &[Detection]) {
        let before = self.now.unwrap_or(time);
        let now = time.max(before);
        self.now = Some(now);
        let seconds = (now - before).as_secs_f32();

        self.forget(now);
        for person in &mut self.people {
            person.motion.predict(seconds);
            person.matched = false;
        }
        self.detections.clear();
        self.detections
            .extend(persons.iter().filter(|d| d.score >= self.settings.low_threshold.min(self.high)));
        // Best first, so that neither matches nor new ids depend on the order in which detections came.
        self.detections.sort_unstable_by(|a, b| {
            let position = |d: &Detection| [d.rect.x1, d.rect.y1, d.rect.x2, d.rect.y2].map(f32::to_bits);
            b.score.total_cmp(&a.score).then_with(|| position(a).cmp(&position(b)))
        });
        self.taken.clear();
        self.taken.resize(self.detections.len(), false);

        let confirm = self.settings.confirm;
        let high = self.high;
        self.associate(now, |p, d| p.hits >= confirm && d.score >= high);
        self.associate(now, |p, d| p.hits >= confirm && p.track.visible && d.score < high);
        self.associate(now, |p, d| p.hits < confirm && d.score >= high);
        self.people.retain(|p| p.matched || p.hits >= confirm);
        self.begin(now);

        for person in &mut self.people {
            person.track.visible = person.matched;
            if !person.matched {
                person.track.rect = person.motion.rect();
            }
        }
        self.confirmed.clear();
        self.confirmed.extend(self.people.iter().filter(|p| p.hits >= confirm).map(|p| p.track));
    }

    /// Everybody who counts: found in enough frames, and not lost for too long. Oldest first.
    pub fn tracks(&self) -> &[Track] {
        &self.confirmed
    }

    /// Matches people and detections that `may` go together, the best overlap first.
    fn associate(&mut self, now: Duration, may: impl Fn(&Person, &Detection) -> bool) {
        self.pairs.clear();
        for (index, person) in self.people.iter().enumerate().filter(|(_, p)| !p.matched) {
            let expected = person.motion.rect();
            for (detection, found) in self.detections.iter().enumerate() {
                let iou = expected.iou(&found.rect);
                // An overlap of nothing is no match, whatever the configuration says.
                let enough = iou > 0.0 && iou >= self.settings.match_iou;
                // `taken` is as long as `detections`.
                if enough && !self.taken[detection] && may(person, found) {
                    self.pairs.push(Pair { iou, person: index, detection });
                }
            }
        }
        self.pairs.sort_unstable_by(|a, b| {
            b.iou.total_cmp(&a.iou).then(a.person.cmp(&b.person)).then(a.detection.cmp(&b.detection))
        });
        for pair in &self.pairs {
            // Pairs were made of indices into these three.
            let (person, taken) = (&mut self.people[pair.person], &mut self.taken[pair.detection]);
            if person.matched || *taken {
                continue;
            }
            let found = &self.detections[pair.detection];
            *taken = true;
            person.matched = true;
            person.hits = person.hits.saturating_add(1);
            person.last_seen = now;
            person.motion.update(&found.rect);
            person.track.rect = found.rect;
            person.track.score = found.score;
        }
    }

    /// Starts a track for each sure detection that none has.
    fn begin(&mut self, now: Duration) {
        for (found, taken) in self.detections.iter().zip(&self.taken) {
            if *taken || found.score < self.high {
                continue;
            }
            let (rect, score) = (found.rect, found.score);
            self.people.push(Person {
                track: Track { id: self.next_id, rect, score, since: now, visible: true },
                motion: Motion::new(&rect),
                hits: 1,
                last_seen: now,
                matched: true,
            });
            self.next_id += 1;
        }
    }

    /// Drops those who have not been seen for too long.
    fn forget(&mut self, now: Duration) {
        let longest = Duration::from(self.settings.max_lost);
        self.people.retain(|person| now.saturating_sub(person.last_seen) <= longest);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::Rect;

    fn tracker() -> Tracker {
        Tracker::new(&config::Tracker::default(), 0.4)
    }

    fn person(x: f32, y: f32, score: f32) -> Detection {
        Detection { class: 0, score, rect: Rect::new(x, y, x + 40.0, y + 100.0) }
    }

    fn ids(tracker: &Tracker) -> Vec<u64> {
        tracker.tracks().iter().filter(|t| t.visible).map(|t| t.id).collect()
    }

    fn at(seconds: f32) -> Duration {
        Duration::from_secs_f32(100.0 + seconds)
    }

    #[test]
    fn one_detection_is_not_yet_a_person() {
        let mut tracker = tracker();
        tracker.update(at(0.0), &[person(0.0, 0.0, 0.9)]);
        assert!(tracker.tracks().is_empty());
        tracker.update(at(0.1), &[person(1.0, 0.0, 0.9)]);
        assert_eq!(ids(&tracker), [1]);
        assert_eq!(tracker.tracks()[0].since, at(0.0));
    }

    #[test]
    fn a_faint_detection_continues_a_track_and_starts_none() {
        let mut tracker = tracker();
        for step in 0..20 {
            let score = if step < 3 { 0.9 } else { 0.25 };
            tracker
                .update(at(step as f32 * 0.1), &[person(step as f32, 0.0, score), person(300.0, 0.0, 0.25)]);
        }
        assert_eq!(ids(&tracker), [1]);
    }

    #[test]
    fn somebody_hidden_for_a_second_keeps_the_id_and_for_longer_does_not() {
        for (gap, kept) in [(1.0, true), (2.5, false)] {
            let mut tracker = tracker();
            let walk = |t: f32| [person(60.0 * t, 0.0, 0.9)];
            let mut t = 0.0;
            while t < 2.0 {
                tracker.update(at(t), &walk(t));
                t += 0.1;
            }
            let hidden = t + gap;
            while t < hidden {
                tracker.update(at(t), &[]);
                assert!(ids(&tracker).is_empty());
                t += 0.1;
            }
            for _ in 0..3 {
                tracker.update(at(t), &walk(t));
                t += 0.1;
            }
            assert_eq!(ids(&tracker) == [1], kept, "after {gap} s");
        }
    }

    #[test]
    fn two_who_cross_keep_their_ids() {
        let mut tracker = tracker();
        for step in 0..60 {
            let x = step as f32 * 8.0;
            tracker.update(at(step as f32 * 0.1), &[person(x, 0.0, 0.9), person(480.0 - x, 14.0, 0.8)]);
        }
        let right = tracker.tracks().iter().find(|t| t.id == 1).unwrap();
        let left = tracker.tracks().iter().find(|t| t.id == 2).unwrap();
        assert_eq!(tracker.tracks().len(), 2);
        assert!(right.rect.x1 > 400.0 && left.rect.x1 < 50.0, "{right:?} {left:?}");
    }

    #[test]
    fn a_clock_that_goes_back_or_leaps_breaks_nothing() {
        let mut tracker = tracker();
        for seconds in [5.0, 5.1, 3.0, 5.2, 5.2, 5.3] {
            tracker.update(at(seconds), &[person(0.0, 0.0, 0.9)]);
        }
        assert_eq!(ids(&tracker), [1]);
        for seconds in [1e6, 1e6 + 0.1] {
            tracker.update(at(seconds), &[person(0.0, 0.0, 0.9)]);
        }
        assert_eq!(ids(&tracker), [2], "after a leap it is somebody else");
    }

    proptest! {
        #[test]
        fn one_walker_keeps_one_id(
            fps in 5.0f32..30.0, speed in 0.0f32..100.0, seed in prop::collection::vec((-2.0f32..2.0, 0u8..10), 60),
        ) {
            let mut tracker = tracker();
            for (step, (jitter, luck)) in seed.into_iter().enumerate() {
                // One frame in ten is not analysed; the first two are, or there is no track yet.
                if luck == 0 && step > 1 {
                    continue;
                }
                let t = step as f32 / fps;
                tracker.update(at(t), &[person(speed * t + jitter, 50.0 + jitter / 2.0, 0.8)]);
                prop_assert!(step == 0 || ids(&tracker) == [1], "step {}: {:?}", step, tracker.tracks());
            }
        }

        #[test]
        fn the_order_of_detections_does_not_matter(
            places in prop::collection::vec((0u16..600, 0u16..400, 20u8..100), 0..12), turn in 0usize..12,
        ) {
            let mut tracks = Vec::new();
            for turn in [0, turn] {
                let mut tracker = tracker();
                for step in 0u8..4 {
                    let mut found: Vec<_> = places.iter()
                        .map(|&(x, y, s)| person(f32::from(x) + f32::from(step), f32::from(y), f32::from(s) / 100.0))
                        .collect();
                    let n = found.len().max(1);
                    found.rotate_left(turn % n);
                    tracker.update(at(f32::from(step) * 0.1), &found);
                }
                tracks.push(tracker.tracks().to_vec());
            }
            prop_assert_eq!(&tracks[0], &tracks[1]);
        }
    }
}
