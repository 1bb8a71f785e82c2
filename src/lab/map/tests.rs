use proptest::prelude::*;

use super::precision::average_precision;
use super::*;

fn region(x: f64, y: f64, w: f64, h: f64) -> Region {
    Region::new([x, y, x + w, y + h]).unwrap()
}

fn names() -> Catalogue {
    Catalogue::numbered(1, ["sit", "run"].map(str::to_owned)).unwrap()
}

fn frame_scores(truth: &[Actor], found: &[FoundActor], iou: f64) -> Vec<LabelScore> {
    let truth = Truth { frames: truth.to_vec(), tubes: Vec::new() };
    let found = Found { frames: Some(found.to_vec()), tubes: None };
    frame_map(&names(), &[Label(0), Label(1)], &truth, &found, iou)
        .map_or_else(Vec::new, |report| report.labels)
}

prop_compose! {
    fn any_region()(x in 0..20i32, y in 0..20i32, w in 0..12i32, h in 0..12i32) -> Region {
        region(x.into(), y.into(), w.into(), h.into())
    }
}

prop_compose! {
    fn solid_region()(x in 0..20i32, y in 0..20i32, w in 1..12i32, h in 1..12i32) -> Region {
        region(x.into(), y.into(), w.into(), h.into())
    }
}

prop_compose! {
    fn any_tube()(first in 0..6i64, regions in proptest::collection::vec(solid_region(), 1..6)) -> Tube {
        let rows = (first..).zip(regions).map(|(frame, region)| {
            let [x1, y1, x2, y2] = region.corners();
            [frame as f64, x1, y1, x2, y2]
        });
        Tube::of_rows(rows).unwrap()
    }
}

prop_compose! {
    fn actors()(actors in proptest::collection::vec((0..2usize, 0..3i64, 0..2usize, solid_region()), 1..8))
        -> Vec<Actor>
    {
        let actor = |(video, frame, label, region)| Actor { video: Video(video), frame, label: Label(label), region };
        actors.into_iter().map(actor).collect()
    }
}

prop_compose! {
    /// With scores that all differ.
    fn found_actors()(
        found in proptest::collection::vec((0..3usize, 0..3i64, 0..2usize, any_region()), 0..20),
        seed in proptest::collection::vec(0..1000u32, 20),
    ) -> Vec<FoundActor> {
        let actor = |(index, (video, frame, label, region)): (usize, (usize, i64, usize, Region))| FoundActor {
            video: Video(video),
            frame,
            label: Some(Label(label)),
            score: f64::from(seed[index]) + index as f64 / 100.0,
            region,
        };
        found.into_iter().enumerate().map(actor).collect()
    }
}

proptest! {
    #[test]
    fn iou_is_symmetric_and_a_share(a in any_region(), b in any_region()) {
        prop_assert_eq!(a.iou(&b), b.iou(&a));
        prop_assert!((0.0..=1.0).contains(&a.iou(&b)));
        let solid = a.corners()[2] > a.corners()[0] && a.corners()[3] > a.corners()[1];
        prop_assert_eq!(a.iou(&a), if solid { 1.0 } else { 0.0 });
    }

    #[test]
    fn tube_iou_is_symmetric_and_a_share(a in any_tube(), b in any_tube()) {
        prop_assert!((a.iou(&b) - b.iou(&a)).abs() < 1e-12);
        prop_assert!((0.0..=1.0).contains(&a.iou(&b)));
        prop_assert!((a.iou(&a) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn perfect_detections_give_100(truth in actors(), iou in 0.05..1.0) {
        // Of two people in one place one would be found twice.
        let apart = |actor: &Actor, others: &[Actor]| !others.iter().any(|other| other == actor);
        let truth: Vec<Actor> =
            truth.iter().enumerate().filter(|(i, actor)| apart(actor, &truth[..*i])).map(|(_, actor)| actor.clone()).collect();
        let found: Vec<FoundActor> = truth.iter().map(|actor| FoundActor {
            video: actor.video, frame: actor.frame, label: Some(actor.label), score: 0.5, region: actor.region,
        }).collect();
        for label in frame_scores(&truth, &found, iou) {
            prop_assert!((label.ap - 100.0).abs() < 1e-9 && label.recall == 1.0, "{label:?}");
        }
    }

    #[test]
    fn the_order_of_the_file_does_not_matter_where_scores_differ(
        truth in actors(), found in found_actors(), turn in 0..20usize, iou in 0.1..0.9
    ) {
        let mut turned = found.clone();
        turned.reverse();
        turned.rotate_left(turn.min(found.len()));
        prop_assert_eq!(frame_scores(&truth, &found, iou), frame_scores(&truth, &turned, iou));
    }

    #[test]
    fn finding_less_never_finds_more(truth in actors(), found in found_actors(), drop in 0..20usize, iou in 0.1..0.9) {
        let mut less = found.clone();
        if drop < less.len() {
            less.remove(drop);
        }
        for (all, less) in frame_scores(&truth, &found, iou).iter().zip(frame_scores(&truth, &less, iou)) {
            prop_assert!(less.recall <= all.recall);
            prop_assert!(all.ap <= 100.0 * all.recall + 1e-9 && all.ap >= 0.0);
        }
    }

    #[test]
    fn asking_for_more_overlap_never_finds_more(truth in actors(), found in found_actors(), iou in 0.1..0.9) {
        for (lax, strict) in frame_scores(&truth, &found, iou / 2.0).iter().zip(frame_scores(&truth, &found, iou)) {
            prop_assert!(strict.recall <= lax.recall);
        }
    }

    #[test]
    fn a_false_alarm_costs_only_above_what_is_right(truth in actors(), found in found_actors(), iou in 0.1..0.9) {
        let nowhere = |score| FoundActor {
            video: Video(9), frame: 0, label: Some(Label(0)), score, region: region(0.0, 0.0, 1.0, 1.0),
        };
        let with = |score| frame_scores(&truth, &[found.clone(), vec![nowhere(score)]].concat(), iou);
        let without = frame_scores(&truth, &found, iou);
        for ((below, above), without) in with(-1.0).iter().zip(with(1e6)).zip(without) {
            prop_assert_eq!(below.ap, without.ap);
            prop_assert!(above.ap <= without.ap);
        }
    }

    #[test]
    fn a_person_found_exactly_is_given_its_action(truth in actors()) {
        let persons: Vec<FoundActor> = truth.iter().map(|actor| FoundActor {
            video: actor.video, frame: actor.frame, label: None, score: 0.5, region: actor.region,
        }).collect();
        let truth = Truth { frames: truth, tubes: Vec::new() };
        let found = oracle(&truth, Found { frames: Some(persons), tubes: None });
        for actor in &truth.frames {
            let given = found.frames.as_ref().unwrap().iter().filter(|found| {
                (found.video, found.frame, found.region, found.label)
                    == (actor.video, actor.frame, actor.region, Some(actor.label))
            });
            prop_assert!(given.count() >= 1, "{actor:?}");
        }
    }
}

#[test]
fn average_precision_of_a_ranking_by_hand() {
    // Precisions 1, 1/2, 2/3 at recalls 1/2, 1/2, 1.
    assert_eq!(average_precision(&[true, false, true], 2), 0.5 + 0.5 * (2.0 / 3.0));
    assert_eq!(average_precision(&[], 3), 0.0);
    assert_eq!(average_precision(&[false, false], 1), 0.0);
    // A miss before a hit at the same recall does not count against what comes later.
    assert_eq!(average_precision(&[false, true], 1), 0.5);
}

#[test]
fn a_second_detection_of_the_same_is_wrong_even_if_it_fits_another() {
    let actor = |x| Actor { video: Video(0), frame: 1, label: Label(0), region: region(x, 0.0, 10.0, 10.0) };
    let found = |x, score| FoundActor {
        video: Video(0),
        frame: 1,
        label: Some(Label(0)),
        score,
        region: region(x, 0.0, 10.0, 10.0),
    };
    // Both overlap the first most; the second overlaps the other by more than the threshold, too.
    let scores = frame_scores(&[actor(0.0), actor(4.0)], &[found(0.0, 0.9), found(1.0, 0.8)], 0.3);
    assert_eq!((scores[0].recall, scores[0].ap), (0.5, 50.0));
}

#[test]
fn of_equal_scores_the_first_in_the_file_comes_first() {
    let truth = Actor { video: Video(0), frame: 1, label: Label(0), region: region(0.0, 0.0, 10.0, 10.0) };
    let found = |frame| FoundActor {
        video: Video(0),
        frame,
        label: Some(Label(0)),
        score: 0.5,
        region: region(0.0, 0.0, 10.0, 10.0),
    };
    assert_eq!(frame_scores(std::slice::from_ref(&truth), &[found(1), found(2)], 0.5)[0].ap, 100.0);
    assert_eq!(frame_scores(&[truth], &[found(2), found(1)], 0.5)[0].ap, 50.0);
}

#[test]
fn boxes_that_are_none_are_refused_and_empty_ones_overlap_nothing() {
    assert!(matches!(Region::new([0.0, 0.0, f64::NAN, 1.0]), Err(RegionError::NotFinite(_))));
    assert!(matches!(Region::new([0.0, f64::INFINITY, 1.0, 1.0]), Err(RegionError::NotFinite(_))));
    assert!(matches!(Region::new([5.0, 0.0, 4.0, 1.0]), Err(RegionError::InsideOut(_))));
    let line = region(0.0, 0.0, 0.0, 9.0);
    assert_eq!((line.iou(&line), line.iou(&region(0.0, 0.0, 9.0, 9.0))), (0.0, 0.0));
    let everywhere = Region::new([-1e300, -1e300, 1e300, 1e300]).unwrap();
    assert_eq!(everywhere.iou(&everywhere), 0.0);
}

#[test]
fn tubes_have_every_frame_in_order() {
    let row = |frame: f64| [frame, 0.0, 0.0, 1.0, 1.0];
    assert_eq!(Tube::of_rows([]), Err(TubeError::Empty));
    assert_eq!(Tube::of_rows([3.0, 5.0].map(row)), Err(TubeError::Gap { at: 1, before: 3, found: 5 }));
    assert_eq!(Tube::of_rows([3.0, 3.0].map(row)), Err(TubeError::Gap { at: 1, before: 3, found: 3 }));
    assert!(matches!(Tube::of_rows([2.5].map(row)), Err(TubeError::Frame { at: 0, .. })));
    assert!(matches!(Tube::of_rows([f64::NAN].map(row)), Err(TubeError::Frame { .. })));
    assert!(matches!(Tube::of_rows([f64::MAX].map(row)), Err(TubeError::Frame { .. })));
}

#[test]
fn time_in_common_is_counted_in_steps() {
    let tube = |frames: std::ops::Range<i64>| {
        Tube::of_rows(frames.map(|frame| [frame as f64, 0.0, 0.0, 1.0, 1.0])).unwrap()
    };
    // Frames 1 to 5 and 3 to 7 share two steps of six.
    assert!((tube(1..6).iou(&tube(3..8)) - 2.0 / 6.0).abs() < 1e-12);
    assert_eq!(tube(1..4).iou(&tube(3..6)), 0.0, "one frame in common is no time");
    assert_eq!(tube(3..4).iou(&tube(3..4)), 1.0, "one frame alone");
    assert_eq!(tube(1..3).iou(&tube(3..5)), 0.0);
}
