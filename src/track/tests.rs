//! The tracker on detections made up; `tests/tracking.rs` has it on videos.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::frame::PixelFormat;

const HIGH: f32 = 0.4;

fn tracker() -> Tracker {
    let max_lost = config::Span::from_secs_f64(2.0);
    Tracker::new(&config::Tracker { low_threshold: 0.2, match_iou: 0.2, confirm: 2, max_lost }, HIGH)
}

/// A person of 30 × 80 pixels with its centre at `x`, `y`.
fn person(x: f32, y: f32, score: f32) -> Detection {
    Detection { class: 0, score, rect: Rect::new(x - 15.0, y - 40.0, x + 15.0, y + 40.0) }
}

fn seconds(t: f32) -> Duration {
    Duration::from_secs_f32(t)
}

fn ids(tracker: &Tracker) -> Vec<u64> {
    tracker.tracks().iter().map(|t| t.id).collect()
}

#[test]
fn follows_confirms_and_gives_up() {
    let mut tracker = tracker();
    tracker.update(seconds(5.0), &[person(100.0, 100.0, 0.9)]);
    assert_eq!(tracker.tracks(), []);
    tracker.update(seconds(5.1), &[person(102.0, 100.0, 0.8)]);
    let [track] = *tracker.tracks() else { panic!("{:?}", tracker.tracks()) };
    assert_eq!((track.id, track.score, track.since, track.visible), (1, 0.8, seconds(5.0), true));
    assert!(track.rect.iou(&person(102.0, 100.0, 1.0).rect) > 0.8);

    tracker.update(seconds(7.1), &[]);
    assert!(!tracker.tracks()[0].visible);
    assert!(tracker.ended().is_empty());
    tracker.update(seconds(7.2), &[]);
    assert_eq!((tracker.tracks(), tracker.ended()), (&[][..], &[1][..]));
    tracker.update(seconds(7.3), &[]);
    assert!(tracker.ended().is_empty());

    for i in 0..3 {
        tracker.update(seconds(8.0 + 0.1 * i as f32), &[person(100.0, 100.0, 0.9)]);
    }
    assert_eq!(ids(&tracker), [2]);
}

#[test]
fn a_flicker_is_nobody() {
    let mut tracker = tracker();
    for i in 0..20 {
        let detections = [person(100.0, 100.0, 0.9)];
        tracker.update(seconds(0.1 * i as f32), &detections[..i % 2]);
        assert_eq!(tracker.tracks(), []);
    }
}

#[test]
fn unsure_detections_continue_a_track_and_start_none() {
    let mut tracker = tracker();
    for i in 0..50 {
        let score = if i < 2 { 0.5 } else { 0.25 };
        let stranger = person(400.0, 300.0, 0.39);
        tracker.update(seconds(0.1 * i as f32), &[stranger, person(100.0 + i as f32, 100.0, score)]);
    }
    assert_eq!(ids(&tracker), [1]);
    assert!(tracker.tracks()[0].visible);
    tracker.update(seconds(5.0), &[person(150.0, 100.0, 0.19)]);
    assert!(!tracker.tracks()[0].visible, "below the low threshold");
}

#[test]
fn a_sure_detection_is_preferred() {
    let mut tracker = tracker();
    for i in 0..10 {
        tracker.update(seconds(0.1 * i as f32), &[person(100.0, 100.0, 0.9)]);
    }
    tracker.update(seconds(1.0), &[person(100.0, 100.0, 0.3), person(105.0, 100.0, 0.8)]);
    assert_eq!(tracker.tracks()[0].score, 0.8);
}

#[test]
fn a_second_box_of_a_person_is_nobody() {
    let mut tracker = tracker();
    for i in 0..10 {
        let torso = Detection { class: 0, score: 0.5, rect: Rect::new(85.0, 60.0, 115.0, 110.0) };
        let neighbour = person(120.0, 100.0, 0.6);
        tracker.update(seconds(0.1 * i as f32), &[torso, person(100.0, 100.0, 0.9), neighbour]);
    }
    assert_eq!(ids(&tracker), [1, 2]);
    assert_eq!(tracker.tracks()[1].score, 0.6);
}

#[test]
fn after_a_long_gap_everybody_is_a_stranger() {
    let mut tracker = tracker();
    let frame = |i: usize| seconds(0.1 * i as f32);
    for i in 0..5 {
        tracker.update(frame(i), &[person(100.0, 100.0, 0.9)]);
    }
    tracker.update(seconds(3600.0), &[person(100.0, 100.0, 0.9)]);
    assert_eq!((tracker.tracks(), tracker.ended()), (&[][..], &[1][..]));
    tracker.update(seconds(3600.1), &[person(100.0, 100.0, 0.9)]);
    assert_eq!(ids(&tracker), [2]);
}

#[test]
fn a_clock_that_stands_or_goes_back_breaks_nothing() {
    let mut tracker = tracker();
    for t in [10.0, 10.0, 10.0, 9.0, 9.1, 9.2, 0.0, 0.1, 0.1] {
        tracker.update(seconds(t), &[person(100.0, 100.0, 0.9)]);
        assert!(
            tracker.tracks().iter().all(|t| t.id == 1 && t.rect.iou(&person(100.0, 100.0, 1.0).rect) > 0.9)
        );
    }
    assert_eq!(ids(&tracker), [1]);
}

#[test]
fn boxes_that_are_none_are_left_out() {
    let mut tracker = tracker();
    let rect = |x1, y1, x2, y2| Detection { class: 0, score: 0.9, rect: Rect::new(x1, y1, x2, y2) };
    for i in 0..5 {
        let odd =
            [rect(f32::NAN, 0.0, 9.0, 9.0), rect(0.0, 0.0, f32::INFINITY, 9.0), rect(9.0, 9.0, 9.0, 50.0)];
        tracker.update(seconds(i as f32), &odd);
        assert_eq!(tracker.tracks(), []);
    }
}

/// Times of frames at 5 to 30 a second, up to a third of a period early or late, some missing.
fn times() -> impl Strategy<Value = Vec<f32>> {
    (5.0f32..30.0, prop::collection::vec((-0.3f32..0.3, 0u8..5), 60)).prop_map(|(fps, frames)| {
        let mut dropped = 0;
        let kept = frames.iter().enumerate().filter(|&(i, &(_, luck))| {
            // One frame in five, at most two in a row, none while the track is new.
            let drop = i > 4 && luck == 0 && dropped < 2;
            dropped = if drop { dropped + 1 } else { 0 };
            !drop
        });
        kept.map(|(i, (jitter, _))| (1.0 + i as f32 + jitter) / fps).collect()
    })
}

proptest! {
    #[test]
    fn the_order_of_detections_does_not_matter(
        frames in prop::collection::vec(
            prop::collection::vec((0u8..6, 0u8..4, 0u8..10), 0..8).prop_map(|all| {
                all.into_iter().map(|(x, y, s)| person(f32::from(x) * 20.0, f32::from(y) * 30.0, f32::from(s) / 10.0)).collect::<Vec<_>>()
            }).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
            1..20,
        ),
    ) {
        let (mut one, mut other) = (tracker(), tracker());
        for (i, (ordered, shuffled)) in frames.iter().enumerate() {
            one.update(seconds(0.1 * i as f32), ordered);
            other.update(seconds(0.1 * i as f32), shuffled);
            prop_assert_eq!(one.tracks(), other.tracks());
            prop_assert_eq!(one.ended(), other.ended());
        }
    }

    /// Up to a run (1.2 heights a second), in any direction, detected with an error of 3 pixels.
    #[test]
    fn a_person_in_straight_motion_is_one(
        times in times(),
        speed in 0.0f32..100.0, angle in 0.0f32..6.3,
        noise in prop::collection::vec((-3.0f32..3.0, -3.0f32..3.0), 60),
    ) {
        let mut tracker = tracker();
        for (i, (t, noise)) in times.iter().zip(noise).enumerate() {
            let (x, y) = (500.0 + angle.cos() * speed * t, 500.0 + angle.sin() * speed * t);
            tracker.update(seconds(*t), &[person(x + noise.0, y + noise.1, 0.6)]);
            if i >= 1 {
                let [track] = *tracker.tracks() else { panic!("frame {i}: {:?}", tracker.tracks()) };
                prop_assert_eq!((track.id, track.visible), (1, true));
                prop_assert!(track.rect.iou(&person(x, y, 1.0).rect) > 0.6, "frame {}: {:?}", i, track.rect);
            }
        }
    }
}

proptest! {
    // Of ten thousand such meetings one ends with the wrong id, which says nothing of a change: always the same ones.
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// They come from two sides and pass each other, once in a while one hides the other.
    #[test]
    fn two_who_cross_keep_their_ids(
        times in times(),
        speed in 30.0f32..70.0, other in 30.0f32..70.0,
        y in -20.0f32..20.0, hidden in any::<bool>(),
        noise in prop::collection::vec((-2.0f32..2.0, -2.0f32..2.0), 60),
    ) {
        let mut tracker = tracker();
        // They meet in the middle of the time.
        let meet = times[times.len() / 2];
        let mut met = false;
        for (t, noise) in times.iter().zip(noise) {
            let a = person(500.0 + speed * (t - meet) + noise.0, 500.0, 0.6);
            let b = person(500.0 - other * (t - meet) + noise.1, 500.0 + y, 0.7);
            let overlap = a.rect.iou(&b.rect);
            let both = [b, a];
            met |= overlap > 0.0;
            tracker.update(seconds(*t), &both[..if hidden && overlap > 0.6 { 1 } else { 2 }]);
        }
        // Who starts too near has nothing to be told apart by.
        prop_assume!(speed.min(other) * meet > 40.0 && met);
        let end = times[times.len() - 1] - meet;
        prop_assume!((speed + other) * end > 60.0);
        prop_assert_eq!(ids(&tracker), [1, 2]);
        // The better score came first and got the first id.
        let (b, a) = (&tracker.tracks()[0], &tracker.tracks()[1]);
        prop_assert!(a.rect.centre().0 > b.rect.centre().0, "{:?} {:?}", a, b);
    }
}

#[test]
fn between_two_looks_everybody_is_carried_on() {
    let (mut tracker, dark) = (tracker(), Picture::new(PixelFormat::Grey, 600, 200));
    for i in 0..10 {
        tracker.update(seconds(0.2 * i as f32), &[person(100.0 + 4.0 * i as f32, 100.0, 0.9)]);
    }
    tracker.update(seconds(2.0), &[person(140.0, 100.0, 0.9), person(400.0, 100.0, 0.9)]);
    assert!(tracker.is_unsure());
    tracker.carry(seconds(2.2), &dark);
    tracker.carry(seconds(2.4), &dark);
    let [track] = *tracker.tracks() else { panic!("{:?}", tracker.tracks()) };
    assert!(track.visible && track.rect.iou(&person(148.0, 100.0, 1.0).rect) > 0.9, "{track:?}");
    tracker.update(seconds(2.6), &[person(152.0, 100.0, 0.9), person(400.0, 100.0, 0.9)]);
    assert_eq!(ids(&tracker), [1, 2], "who was not looked for was not lost");
    assert!(!tracker.is_unsure());

    tracker.update(seconds(2.8), &[person(400.0, 100.0, 0.9)]);
    assert!(tracker.is_unsure(), "the first may only have been missed");
    tracker.carry(seconds(3.0), &dark);
    tracker.update(seconds(3.2), &[person(400.0, 100.0, 0.9)]);
    assert!(!tracker.is_unsure(), "but not twice");
    assert_eq!(tracker.tracks().iter().map(|t| t.visible).collect::<Vec<_>>(), [false, true]);
    tracker.carry(seconds(4.7), &dark);
    assert_eq!((ids(&tracker), tracker.ended()), (vec![2], &[1][..]), "the lost one for two seconds");
    tracker.carry(seconds(5.3), &dark);
    assert!(ids(&tracker).is_empty(), "nobody is carried on for longer");
}

/// A wall, and a person of 30 × 80 pixels in stripes, centre at `x`.
fn stripes(x: f32) -> Picture {
    let mut picture = Picture::new(PixelFormat::Grey, 600, 200);
    for (place, byte) in picture.data.iter_mut().enumerate() {
        let (column, row) = ((place % 600) as f32 - x, (place / 600) as f32 - 100.0);
        let inside = column.abs() < 15.0 && row.abs() < 40.0;
        *byte = if inside { 60 + 40 * ((column + 15.0) / 6.0) as u8 } else { 90 };
    }
    picture
}

#[test]
fn who_turns_round_between_two_looks_is_seen_to() {
    // To the right at a width a second, and from second 2 on to the left.
    let at = |t: f32| if t <= 2.0 { 100.0 + 30.0 * t } else { 160.0 - 30.0 * (t - 2.0) };
    let mut tracker = tracker();
    for t in (0..=10).map(|i| 0.2 * i as f32) {
        tracker.update(seconds(t), &[person(at(t), 100.0, 0.9)]);
        tracker.remember(&stripes(at(t)));
    }
    for t in [2.2, 2.4, 2.6, 2.8] {
        tracker.carry(seconds(t), &stripes(at(t)));
        let overlap = tracker.tracks()[0].rect.iou(&person(at(t), 100.0, 0.9).rect);
        assert!(overlap > 0.6, "{t} s: {overlap}");
    }
    tracker.carry(seconds(3.0), &stripes(-100.0));
    assert!(tracker.tracks()[0].visible, "until the detector looks");

    let found = |tracker: &Tracker| tracker.tracks()[0].visible;
    tracker.update(seconds(3.2), &[]);
    tracker.remember(&stripes(130.0));
    assert!(found(&tracker), "missed by the detector, though still there");
    tracker.update(seconds(3.4), &[]);
    tracker.remember(&stripes(130.0));
    assert!(!found(&tracker), "once may be by chance");
}

#[test]
fn who_walks_out_of_the_picture_between_two_looks_is_gone() {
    let mut tracker = tracker();
    let at = |t: f32| 100.0 - 60.0 * t;
    for t in (0..=7).map(|i| 0.2 * i as f32) {
        tracker.update(seconds(t), &[person(at(t), 100.0, 0.9)]);
        tracker.remember(&stripes(at(t)));
    }
    let visible = [1.6, 1.8].map(|t| {
        tracker.carry(seconds(t), &stripes(at(t)));
        tracker.tracks()[0].visible
    });
    assert_eq!(visible, [true, false]);
    assert!(!tracker.is_unsure());
}
