use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::lab::map::{Action, Catalogue, Found, Truth, video_map};

fn actor(frame: i64, x: f64, score: f64) -> FoundActor {
    let region = Region::new([x, 0.0, x + 10.0, 20.0]).unwrap();
    FoundActor { video: Video(0), frame, label: Some(Label(0)), score, region }
}

fn short() -> Linking {
    Linking { min_length: 1, min_score: 0.0, ..Linking::default() }
}

fn spans(tubes: &[FoundAction]) -> Vec<(i64, i64)> {
    let ends = tubes.iter().map(|action| {
        let frames: Vec<i64> = action.tube.frames().map(|(frame, _)| frame).collect();
        (frames[0], frames[frames.len() - 1])
    });
    ends.collect()
}

#[test]
fn two_who_walk_are_two_tubes_and_what_is_missing_lies_between() {
    // One walks to the right, unseen in frames 8 to 10; one stands far away and is less sure.
    let mut found: Vec<_> =
        (1..=20).filter(|f| !(8..=10).contains(f)).map(|f| actor(f, f as f64, 0.8)).collect();
    found.extend((1..=20).map(|frame| actor(frame, 200.0, 0.4)));
    found.reverse();
    let tubes = link(&found, &Linking::default()).unwrap();
    assert_eq!(spans(&tubes), [(1, 20), (1, 20)]);
    assert!((tubes[0].score - 0.8).abs() < 1e-9 && (tubes[1].score - 0.4).abs() < 1e-9);
    for (frame, region) in tubes[0].tube.frames() {
        assert!((region.corners()[0] - frame as f64).abs() < 1e-9, "{frame}: {region:?}");
    }
}

#[test]
fn who_stays_away_for_too_long_comes_back_as_another() {
    let away = |frames: i64| -> Vec<_> {
        (1..=10).chain(11 + frames..=30).map(|frame| actor(frame, 0.0, 0.5)).collect()
    };
    // The next look is `patience` frames after the last.
    assert_eq!(spans(&link(&away(4), &short()).unwrap()), [(1, 30)]);
    let mut two = spans(&link(&away(5), &short()).unwrap());
    two.sort_unstable();
    assert_eq!(two, [(1, 10), (16, 30)]);
    // Where only every third frame is looked at, frames count three times.
    let every: Vec<_> = (0..10).map(|look| actor(1 + 3 * look, 0.0, 0.5)).collect();
    assert_eq!(spans(&link(&every, &Linking { step: 3, ..short() }).unwrap()), [(1, 28)]);
}

#[test]
fn short_and_doubtful_tubes_and_second_boxes_are_dropped() {
    let long: Vec<_> = (1..=15).map(|frame| actor(frame, 0.0, 0.5)).collect();
    assert_eq!(link(&long, &Linking::default()).unwrap().len(), 1);
    assert!(link(&long[1..], &Linking::default()).unwrap().is_empty());
    let doubtful: Vec<_> = (1..=15).map(|frame| actor(frame, 0.0, 0.009)).collect();
    assert!(link(&doubtful, &Linking::default()).unwrap().is_empty());
    // Half over the first, and worse.
    let twice: Vec<_> = long.iter().cloned().chain((1..=15).map(|frame| actor(frame, 4.0, 0.4))).collect();
    let tubes = link(&twice, &Linking::default()).unwrap();
    assert_eq!(tubes.len(), 1);
    assert!((tubes[0].score - 0.5).abs() < 1e-9);
    // One without a label is nobody's.
    let nobody: Vec<_> = long.iter().map(|actor| FoundActor { label: None, ..actor.clone() }).collect();
    assert!(link(&nobody, &Linking::default()).unwrap().is_empty());
}

#[test]
fn the_best_chain_chooses_first() {
    // Both could go on with either box of frame 2; the sure one takes the better, and the other what is left.
    let found = [actor(1, 0.0, 0.9), actor(1, 8.0, 0.3), actor(2, 3.0, 0.8), actor(2, 5.0, 0.2)];
    let loose = Linking { suppress: 1.0, suppress_tubes: 1.0, ..short() };
    let tubes = link(&found, &loose).unwrap();
    let ends: Vec<f64> = tubes.iter().map(|a| a.tube.frames().last().unwrap().1.corners()[0]).collect();
    assert_eq!((tubes.len(), ends), (2, vec![3.0, 5.0]));
}

prop_compose! {
    /// Persons who jump about in few places, with scores that all differ.
    fn crowd()(
        boxes in proptest::collection::vec((0..2usize, 0..2usize, 1..12i64, 0..8i32, 0..1000u32), 0..60),
    ) -> Vec<FoundActor> {
        let one = |(index, (video, label, frame, place, score)): (usize, (usize, usize, i64, i32, u32))| FoundActor {
            video: Video(video),
            label: Some(Label(label)),
            ..actor(frame, f64::from(place) * 4.0, f64::from(score) / 1000.0 + index as f64 * 1e-6)
        };
        boxes.into_iter().enumerate().map(one).collect()
    }
}

fn sightings(crowd: &[FoundActor]) -> Vec<Sighting> {
    let of = |actor: &FoundActor| Sighting { frame: actor.frame, region: actor.region, score: actor.score };
    crowd.iter().map(of).collect()
}

proptest! {
    #[test]
    fn everybody_is_in_one_chain_that_moves_on_by_small_steps(crowd in crowd(), patience in 1..6i64) {
        let sightings = sightings(&crowd);
        let chains = chains(&sightings, 0.2, patience);
        let members: Vec<usize> = chains.iter().flatten().copied().collect();
        prop_assert_eq!(members.len(), sightings.len());
        prop_assert_eq!(members.iter().collect::<HashSet<_>>().len(), sightings.len());
        for chain in &chains {
            for pair in chain.windows(2) {
                let (a, b) = (&sightings[pair[0]], &sightings[pair[1]]);
                prop_assert!(a.frame < b.frame && b.frame - a.frame <= patience);
                prop_assert!(a.region.iou(&b.region) >= 0.2);
            }
        }
    }

    #[test]
    fn a_tube_is_made_of_boxes_that_were_found(crowd in crowd()) {
        for action in link(&crowd, &short()).unwrap() {
            let own = crowd.iter().filter(|a| a.video == action.video && a.label == Some(action.label));
            let own: Vec<_> = own.collect();
            let frames: Vec<_> = action.tube.frames().collect();
            for (frame, region) in [frames[0], frames[frames.len() - 1]] {
                prop_assert!(own.iter().any(|a| a.frame == frame && a.region == *region));
            }
            let scores = own.iter().map(|a| a.score);
            prop_assert!(action.score <= scores.clone().fold(0.0, f64::max) + 1e-12);
            prop_assert!(action.score >= scores.fold(f64::INFINITY, f64::min) - 1e-12);
        }
    }

    #[test]
    fn the_order_of_the_list_does_not_matter(crowd in crowd(), seed in any::<u64>()) {
        let mut shuffled = crowd.clone();
        let length = shuffled.len().max(1) as u64;
        for i in 0..shuffled.len() {
            shuffled.swap(i, (seed.wrapping_mul(i as u64 + 1) % length) as usize);
        }
        prop_assert_eq!(link(&crowd, &short()).unwrap(), link(&shuffled, &short()).unwrap());
    }

    #[test]
    fn tubes_of_the_best_overlap_little(crowd in crowd()) {
        let tubes = link(&crowd, &short()).unwrap();
        for (i, a) in tubes.iter().enumerate() {
            for b in tubes[..i].iter().filter(|b| (b.video, b.label) == (a.video, a.label)) {
                prop_assert!(a.score <= b.score);
                prop_assert!(a.tube.iou(&b.tube) <= 0.3);
            }
        }
    }

    #[test]
    fn persons_who_keep_their_distance_are_found_whole(
        people in proptest::collection::vec((1..10i64, 15..40i64, -1..2i32), 1..5),
    ) {
        // Rows 100 apart; each walks along its own.
        let mut found = Vec::new();
        let mut tubes = Vec::new();
        for (row, (first, length, speed)) in people.iter().enumerate() {
            let rows: Vec<[f64; 5]> = (0..*length).map(|i| {
                let x = 500.0 + f64::from(*speed * i as i32);
                let y = 100.0 * row as f64;
                [(first + i) as f64, x, y, x + 10.0, y + 20.0]
            }).collect();
            found.extend(rows.iter().map(|[frame, x1, y1, x2, y2]| FoundActor {
                region: Region::new([*x1, *y1, *x2, *y2]).unwrap(),
                ..actor(*frame as i64, 0.0, 0.5 + row as f64 / 10.0)
            }));
            tubes.push(Action { video: Video(0), label: Label(0), tube: Tube::of_rows(rows).unwrap() });
        }
        let linked = link(&found, &Linking::default()).unwrap();
        prop_assert_eq!(linked.len(), people.len());
        let names = Catalogue::numbered(1, ["walk".to_owned()]).unwrap();
        let found = Found { frames: None, tubes: Some(linked) };
        let report = video_map(&names, &[Label(0)], &Truth::of_tubes(tubes), &found, 0.99).unwrap();
        prop_assert_eq!(report.map, 100.0);
    }
}
