use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::frame::PixelFormat;

const STEP: Duration = Duration::from_millis(200);
const EVERYTHING: Rect = Rect::new(0.0, 0.0, 100.0, 100.0);

fn settings() -> config::Refresh {
    let seconds = config::Span::from_secs_f64;
    config::Refresh { age: seconds(2.0), scene: seconds(1.0), ..config::Refresh::default() }
}

fn grey() -> Picture {
    let mut picture = Picture::new(PixelFormat::Grey, 100, 100);
    picture.data.fill(90);
    picture
}

fn person(x: f32) -> Rect {
    Rect::new(x, 20.0, x + 20.0, 80.0)
}

/// A camera whose encoder gives for each crop its left edge and the time.
struct Scene {
    refresh: Refresh,
    picture: Picture,
    frame: u32,
}

impl Scene {
    fn new(settings: config::Refresh) -> Self {
        Self { refresh: Refresh::new(settings), picture: grey(), frame: 0 }
    }

    /// The next frame: what was encoded by its left edge, and what is known of everything.
    fn show(&mut self, parts: &[(Who, Rect)]) -> (Vec<f32>, Vec<Option<f32>>) {
        self.frame += 1;
        let now = STEP * self.frame;
        self.refresh.begin(now);
        parts.iter().for_each(|(who, rect)| self.refresh.add(*who, *rect, &self.picture, now));
        let due: Vec<_> = self.refresh.due().map(|rect| rect.x1).collect();
        let mut rows = Embeddings::new(2);
        due.iter().for_each(|x| assert!(rows.push(&[*x, self.frame as f32])));
        self.refresh.store(&rows, now);
        (due, self.refresh.embeddings().map(|known| known.map(|(row, _)| row[0])).collect())
    }
}

#[test]
fn what_stays_or_walks_is_kept_and_what_has_another_shape_or_looks_different_is_encoded() {
    let mut scene = Scene::new(settings());
    let (one, two) = ((Who::Person(1), person(10.0)), (Who::Person(2), person(60.0)));
    let context = (Who::Context, EVERYTHING);
    assert_eq!(scene.show(&[one, two, context]).0, [10.0, 60.0, 0.0], "nothing is known yet");
    let (due, known) = scene.show(&[two, one, context]);
    assert_eq!((due, known), (vec![], vec![Some(60.0), Some(10.0), Some(0.0)]), "in the order named");

    let (walked, fallen) =
        ((Who::Person(1), person(14.0)), (Who::Person(1), Rect::new(5.0, 60.0, 65.0, 80.0)));
    assert_eq!(scene.show(&[walked, two, context]).0, [0.0; 0]);
    assert_eq!(scene.show(&[fallen, two, context]).0, [5.0]);
    scene.picture.data.chunks_mut(100).skip(40).step_by(2).take(10).for_each(|row| row[60..80].fill(250));
    let (due, known) = scene.show(&[fallen, two, context]);
    assert_eq!(due, [60.0, 0.0], "it looks different, and the whole, which has changed, comes along");
    assert_eq!(known, [Some(5.0), Some(60.0), Some(0.0)]);
    let counts = scene.refresh.counts();
    assert_eq!((counts.encoded, counts.kept, counts.oldest), (6, 9, STEP));
}

/// The frames of `frames` at which each of `parts` is encoded.
fn encoded(scene: &mut Scene, parts: &[(Who, Rect)], frames: u32) -> Vec<(u32, Vec<f32>)> {
    let due = (0..frames).map(|_| (scene.show(parts).0, scene.frame));
    due.filter(|(due, _)| !due.is_empty()).map(|(due, frame)| (frame, due)).collect()
}

#[test]
fn what_ages_is_encoded_together_and_a_scene_in_which_nothing_changes_seldom() {
    let mut scene = Scene::new(settings());
    let (one, two) = ((Who::Person(1), person(10.0)), (Who::Person(2), person(60.0)));
    let context = (Who::Context, EVERYTHING);
    assert_eq!(encoded(&mut scene, &[one, context], 2), [(1, vec![10.0, 0.0])]);
    assert_eq!(
        encoded(&mut scene, &[one, two, context], 20),
        [(3, vec![60.0]), (11, vec![10.0, 60.0]), (21, vec![10.0, 60.0])],
        "after two seconds, the second somewhat earlier"
    );
    // Another lamp is on: one person sees nothing of it.
    scene.picture.data.chunks_mut(100).take(20).for_each(|row| row[..20].fill(120));
    assert_eq!(encoded(&mut scene, &[one, context], 6), [(23, vec![0.0])]);
}

#[test]
fn objects_are_known_by_where_they_are_and_each_is_one() {
    let mut scene = Scene::new(settings());
    let object = |class, x: f32| (Who::Object(class), Rect::new(x, 0.0, x + 10.0, 10.0));
    assert_eq!(scene.show(&[object(3, 1.0), object(3, 2.0)]).0, [1.0, 2.0], "both are there");
    let (due, known) = scene.show(&[object(3, 2.0), object(3, 1.0), object(4, 1.0)]);
    assert_eq!(due, [1.0], "another class is another object");
    assert_eq!(known, [Some(2.0), Some(1.0), Some(1.0)]);
    assert_eq!(scene.show(&[object(3, 40.0)]).0, [40.0]);
}

#[test]
fn what_is_long_gone_or_of_another_encoder_is_forgotten() {
    let mut scene = Scene::new(config::Refresh { age: config::Span::from_secs_f64(60.0), ..settings() });
    let one = (Who::Person(1), person(10.0));
    assert_eq!(scene.show(&[one]).0, [10.0]);
    (0..20).for_each(|_| _ = scene.show(&[]));
    assert_eq!(scene.show(&[one]).0, [0.0; 0], "four seconds behind a pillar");
    (0..30).for_each(|_| _ = scene.show(&[]));
    assert_eq!(scene.show(&[one]).0, [10.0], "six");
    scene.refresh.clear();
    assert_eq!(scene.show(&[one]).0, [10.0]);
    scene.frame = 0;
    assert_eq!(scene.show(&[one]).0, [10.0], "a clock that went back says nothing of age");
}

#[test]
fn exact_encodes_everything_whatever_is_allowed() {
    let mut scene = Scene::new(config::Refresh { exact: true, ..settings() });
    scene.refresh.allow(Some(1));
    for _ in 0..3 {
        let parts =
            [(Who::Person(1), person(10.0)), (Who::Person(2), person(60.0)), (Who::Context, EVERYTHING)];
        assert_eq!(scene.show(&parts).0.len(), 3);
    }
}

#[test]
fn without_the_whole_picture_nobody_can_be_judged_so_it_comes_first() {
    let mut scene = Scene::new(settings());
    scene.refresh.allow(Some(0));
    let parts = [(Who::Person(1), person(10.0)), (Who::Context, EVERYTHING)];
    assert_eq!(scene.show(&parts), (vec![0.0], vec![None, Some(0.0)]), "one is always allowed");
    assert_eq!(scene.show(&parts), (vec![10.0], vec![Some(10.0), Some(0.0)]));
}

#[test]
fn newcomers_come_first_and_without_end_starve_nobody() {
    let mut scene = Scene::new(config::Refresh { age: config::Span::default(), ..settings() });
    scene.refresh.allow(Some(1));
    let one = (Who::Person(1), person(10.0));
    assert_eq!(scene.show(&[one]).0, [10.0]);
    let turns = (0..200).filter(|frame| {
        // Each is somebody else.
        let stranger = (Who::Person(2 + frame), person(60.0));
        let (due, _) = scene.show(&[one, stranger]);
        if *frame == 0 {
            assert_eq!(due, [60.0]);
        }
        due == [10.0]
    });
    assert_eq!(turns.count(), 4, "once in ten seconds of forty");
}

proptest! {
    /// However many there are, however they move, and whatever a frame may cost: nobody waits longer than it takes to
    /// encode everybody else once.
    #[test]
    fn nobody_starves(people in 1..40u64, allowed in 1..8usize, restless in any::<bool>(), seed in any::<u64>()) {
        let mut scene = Scene::new(config::Refresh { age: config::Span::default(), scene: config::Span::default(), ..settings() });
        scene.refresh.allow(Some(allowed));
        let mut waited: HashMap<usize, usize> = HashMap::new();
        let most = (people as usize + 1).div_ceil(allowed);
        for frame in 0..200u64 {
            let parts: Vec<_> = (0..people)
                .map(|id| {
                    let shake = if restless { (id * 31 + frame * seed % 17) % 30 } else { 0 };
                    (Who::Person(id), person(id as f32 + shake as f32))
                })
                .chain([(Who::Context, EVERYTHING)])
                .collect();
            scene.show(&parts);
            prop_assert!(scene.refresh.due.len() <= allowed);
            let encoded: Vec<_> = scene.refresh.due.iter().map(|due| due.part).collect();
            for part in 0..parts.len() {
                let waited = waited.entry(part).or_default();
                *waited = if encoded.contains(&part) { 0 } else { *waited + 1 };
                prop_assert!(*waited < most, "part {} waits for {} frames", part, waited);
            }
        }
        prop_assert!(scene.refresh.counts().oldest <= STEP * most as u32);
    }
}
