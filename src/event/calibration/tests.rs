//! The search against what it stands for: the whole event machine, run again with every threshold.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::search::{descending, value};
use super::*;
use crate::clock::FrameTime;
use crate::config::{Config, Span};
use crate::event::{Change, Occurrences};
use crate::frame::Rect;
use crate::track::Track;

const SIZE: (f32, f32) = (100.0, 100.0);

/// Time since the frame before, and for each of two tracks, if it is there, whether it is seen, whether it stands in
/// the zone, and its scores for both actions.
type Shot = (u16, [Option<(bool, bool, [f32; 2])>; 2]);

fn shots() -> impl Strategy<Value = Vec<Shot>> {
    let score = prop_oneof![0.0f32..=1.0, 0.4f32..0.6, Just(0.5), Just(0.9), Just(1.0)];
    let seen = (prop::bool::weighted(0.9), prop::bool::weighted(0.8), prop::array::uniform2(score));
    let tracks = prop::array::uniform2(prop::option::weighted(0.95, seen));
    prop::collection::vec((prop_oneof![50u16..400, 400u16..3000], tracks), 1..50)
}

fn config(smoothing: f64, minimum: f64, hysteresis: f32, cool_down: f64) -> Config {
    let mut config = crate::event::tests::config();
    config.actions.iter_mut().for_each(|action| action.minimum_duration = Span::from_secs_f64(minimum));
    config.scoring.smoothing = Span::from_secs_f64(smoothing);
    (config.events.hysteresis, config.events.cool_down) = (hysteresis, Span::from_secs_f64(cool_down));
    config
}

/// Hands every frame of `shots` on; a track that was away is another one when it comes back, as in the tracker.
fn play(shots: &[Shot], mut frame: impl FnMut(FrameTime, &[Track], &[&[f32]])) {
    let (mut milliseconds, mut ids, mut there) = (0, [1, 2], [false; 2]);
    for (step, seen) in shots {
        milliseconds += u64::from(*step);
        let (mut tracks, mut rows) = (Vec::new(), Vec::new());
        for (i, seen) in seen.iter().enumerate() {
            if std::mem::replace(&mut there[i], seen.is_some()) && seen.is_none() {
                ids[i] += 2;
            }
            if let Some((visible, inside, scores)) = seen {
                let rect = Rect::new(10.0, 10.0, 20.0, if *inside { 90.0 } else { 40.0 });
                tracks.push(Track { id: ids[i], rect, score: 0.9, since: Duration::ZERO, visible: *visible });
                rows.extend(visible.then_some(&scores[..]));
            }
        }
        let monotonic = Duration::from_secs(1000) + Duration::from_millis(milliseconds);
        frame(FrameTime { monotonic, utc: Timestamp::UNIX_EPOCH }, &tracks, &rows);
    }
}

fn taped(shots: &[Shot], config: &Config) -> Tape {
    let mut tape = Tape::new(&config.cameras[0], config);
    play(shots, |time, tracks, rows| tape.observe(time, SIZE, tracks, rows.iter().copied()));
    tape
}

/// Occurrences of an action that the event machine itself begins with this threshold.
fn replayed(shots: &[Shot], config: &Config, action: usize, threshold: f32) -> usize {
    let mut config = config.clone();
    config.actions[action].threshold = threshold;
    let mut occurrences = Occurrences::new(&config.cameras[0], &config);
    let mut events = Vec::new();
    play(shots, |time, tracks, rows| {
        occurrences.observe(time, SIZE, tracks, rows.iter().copied(), &mut events);
    });
    let name = &config.actions[action].name;
    events.iter().filter(|event| event.change == Change::Begin && event.action == *name).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 25, ..ProptestConfig::default() })]

    #[test]
    fn a_tape_begins_what_the_event_machine_begins(
        shots in shots(),
        smoothing in prop_oneof![Just(0.0), 0.1f64..2.0],
        minimum in prop_oneof![Just(0.0), 0.1f64..1.5],
        hysteresis in 0.0f32..0.3,
        cool_down in 0.0f64..3.0,
        allowed in 0usize..4,
        floor in prop_oneof![Just(1u16), 1000u16..9000],
    ) {
        let config = config(smoothing, minimum, hysteresis, cool_down);
        let tape = taped(&shots, &config);
        for action in 0..2 {
            let counts: Vec<_> = descending(floor)
                .map(|threshold| (threshold, replayed(&shots, &config, action, value(threshold))))
                .collect();
            for (threshold, count) in counts.iter().step_by(7) {
                prop_assert_eq!(tape.begins(action, value(*threshold)), *count, "{} at {}", action, threshold);
            }
            let naive = counts
                .iter()
                .filter(|(threshold, _)| counts.iter().all(|(higher, n)| higher < threshold || *n <= allowed))
                .min_by_key(|(threshold, _)| threshold);
            let found = lowest(floor, allowed, |threshold| tape.begins(action, threshold));
            prop_assert_eq!(found.map(|found| (found.threshold, found.begins)), naive.copied());
            prop_assert_eq!(found.is_some_and(|found| found.is_floor), found.is_some_and(|found| found.threshold == floor));
        }
    }
}

#[test]
fn a_lower_threshold_may_begin_less_and_is_not_taken_for_it() {
    // One person whose score swings: with 0.3 that is one occurrence, with 0.6 there are four.
    let swing: Vec<Shot> = (0..200)
        .map(|i| (200, [Some((true, true, [if i / 25 % 2 == 0 { 0.9 } else { 0.35 }, 0.0])), None]))
        .collect();
    let config = config(0.0, 0.5, 0.1, 0.0);
    let tape = taped(&swing, &config);
    assert_eq!((tape.begins(0, 0.3), tape.begins(0, 0.6), tape.begins(0, 0.95)), (1, 4, 0));
    let found = lowest(2000, 1, |threshold| tape.begins(0, threshold)).unwrap();
    assert_eq!((found.value(), found.begins, found.is_floor), (0.901, 0, false));
}

#[test]
fn what_never_scores_gets_the_floor_and_what_always_does_gets_nothing() {
    let still: Vec<Shot> = (0..100).map(|_| (200, [Some((true, false, [1.0, 1.0])), None])).collect();
    let config = config(1.0, 0.5, 0.1, 2.0);
    let tape = taped(&still, &config);
    assert_eq!(lowest(3000, 0, |threshold| tape.begins(0, threshold)), None, "certain of it all the time");
    let outside = lowest(3000, 0, |threshold| tape.begins(1, threshold)).unwrap();
    assert_eq!((outside.value(), outside.is_floor), (0.3, true), "nobody was in its zone");
    assert_eq!(tape.peaks(1).count(), 0);
    assert_eq!(tape.peaks(0).map(|peak| (peak.score, peak.track)).collect::<Vec<_>>(), [(1.0, 1)]);
    assert_eq!(tape.watched(), Duration::from_secs(20));
}
