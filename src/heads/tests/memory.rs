//! The ring remembers what one that keeps everything would.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const REACH: Reach = Reach { before: 4, after: 3, rate: 2.0 };

/// Keeps every frame since the clock was last set back and looks through all of them.
#[derive(Default)]
struct Naive(Vec<Duration>);

impl Naive {
    fn insert(&mut self, time: Duration) {
        if self.0.iter().max().is_some_and(|newest| time + REACH.span(1.0) < *newest) {
            self.0.clear();
        }
        if self.0.iter().all(|known| known.abs_diff(time) >= REACH.spacing()) {
            self.0.push(time);
        }
    }

    /// Slot and time of what is remembered at `now`.
    fn recall(&self, now: Duration) -> Vec<(usize, Duration)> {
        let slots = (0..REACH.before + REACH.after).filter_map(|slot| {
            let error = |time: &&Duration| REACH.error(now, **time);
            let within = |time: &&Duration| REACH.slot(now, **time) == Some(slot);
            let mut near: Vec<_> = self.0.iter().filter(within).collect();
            near.sort_by(|a, b| error(a).total_cmp(&error(b)).then(b.cmp(a)));
            near.first().map(|time| (slot, **time))
        });
        slots.collect()
    }
}

fn insert(memory: &mut Memory, time: Duration) {
    // The projection is the time itself, so that a frame can be recognised.
    memory.insert(time, |out| out.push(time.as_millis() as f32));
}

fn recalled(memory: &Memory, now: Duration) -> Vec<(usize, Duration)> {
    let recalled = memory.recall(now);
    recalled.iter().map(|frame| (frame.slot, Duration::from_millis(frame.projected[0] as u64))).collect()
}

/// Steps between frames in milliseconds: regular, with gaps, out of order, with a clock that jumps.
fn steps() -> impl Strategy<Value = Vec<i64>> {
    vec(
        prop_oneof![6 => 90i64..=110, 2 => 1i64..900, 1 => 900i64..6000, 1 => -400i64..0, 1 => -9000i64..-600],
        1..80,
    )
}

proptest! {
    #[test]
    fn the_ring_is_the_naive_memory(steps in steps()) {
        let (mut memory, mut naive) = (Memory::new(REACH), Naive::default());
        let mut now = 20_000i64;
        for step in steps {
            now = (now + step).max(0);
            let time = Duration::from_millis(now as u64);
            insert(&mut memory, time);
            naive.insert(time);
            // The frame itself is judged, and the one whose future has just come in.
            let newest = naive.0.iter().max().copied().unwrap_or_default();
            for judged in [newest, newest.saturating_sub(REACH.span(REACH.after as f64))] {
                prop_assert_eq!(recalled(&memory, judged), naive.recall(judged));
            }
            prop_assert!(memory.len() <= 256);
        }
    }
}

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(10_000 + milliseconds)
}

#[test]
fn slots_go_by_time() {
    let mut memory = Memory::new(REACH);
    for time in [0, 500, 1000, 2500] {
        insert(&mut memory, at(time));
    }
    let seen = |now| {
        recalled(&memory, at(now)).into_iter().map(|(slot, time)| (slot, time - at(0))).collect::<Vec<_>>()
    };
    let ms = Duration::from_millis;
    assert_eq!(
        seen(2500),
        [(0, ms(500)), (1, ms(1000))],
        "a second and a half without frames stays empty; older is out of reach"
    );
    assert_eq!(seen(1500), [(1, ms(0)), (2, ms(500)), (3, ms(1000)), (5, ms(2500))], "the future counts on");
    assert_eq!(
        seen(1240),
        [(2, ms(0)), (3, ms(500)), (6, ms(2500))],
        "nearer than half a slot is the frame itself"
    );
}

#[test]
fn a_clock_set_back_forgets_and_a_late_frame_does_not() {
    let mut memory = Memory::new(REACH);
    for time in [0, 500, 1500, 1000] {
        insert(&mut memory, at(time));
    }
    assert_eq!(recalled(&memory, at(1500)).len(), 3);
    insert(&mut memory, Duration::from_secs(1));
    assert_eq!(memory.len(), 1);
}

#[test]
fn frames_faster_than_it_can_hold_are_thinned_evenly() {
    let mut memory = Memory::new(Reach { before: 60, after: 0, rate: 1.0 });
    for frame in 0..60 * 100 {
        insert(&mut memory, Duration::from_millis(frame * 10));
    }
    assert!((200..=256).contains(&memory.len()), "{}", memory.len());
    assert_eq!(memory.recall(Duration::from_millis(59_990)).len(), 60);
    assert!(!memory.wants(Duration::from_millis(60_000)) && memory.wants(Duration::from_millis(60_300)));
}
