use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::combine::JudgedPerson;
use super::*;
use crate::clip::Embeddings;
use crate::detect::Detection;
use crate::heads::{
    Features, Interaction, Kind, Memory, Metadata, Method, Pads, Scorer, Scores, Size, Start, fresh,
    serialise, similarity,
};
use crate::lab::dataset::{FORMAT, TEXTS};
use crate::lab::features::{Boxes, Clip, Person, Seen, path_of};
use crate::lab::map::Video as VideoId;
use crate::lab::tables::Vote;
use crate::lab::temporal::{About, Temporal};

const WIDTH: usize = 8;
const LABELS: [&str; 4] = ["sit", "run", "jump", "wave"];
const FRAMES: i64 = 20;

fn rows(count: usize, random: &mut SmallRng) -> Embeddings {
    let mut rows = Embeddings::new(WIDTH);
    while rows.len() < count {
        let row: Vec<f32> = (0..WIDTH).map(|_| random.random_range(-1.0..1.0)).collect();
        assert!(rows.push(&row));
    }
    rows
}

fn rect(x: f32) -> Rect {
    Rect::new(x, 0.0, x + 20.0, 40.0)
}

/// One who sits and one who runs, in every frame, found where they are; what they look like is their label's text and some
/// noise.
fn write(folder: &Path) -> Texts {
    let mut random = SmallRng::seed_from_u64(7);
    let texts = Texts {
        labels: LABELS.map(str::to_owned).into(),
        embedding: "space".into(),
        logit_scale: 20.0,
        sentences: LABELS.map(|label| vec![label.to_owned(), format!("to {label}")]).into(),
        rows: rows(2 * LABELS.len(), &mut random),
        key: "k".into(),
    };
    texts.write(&folder.join(TEXTS)).unwrap();
    for (name, actions) in [("one", [0, 1]), ("two", [2, 2])] {
        let mut clip = Clip::new(WIDTH, LABELS.len());
        for frame in 1..=FRAMES {
            let places = [rect(frame as f32), rect(300.0)];
            let truth = places.iter().zip(actions).map(|(rect, action)| (*rect, vec![action])).collect();
            let mut features = Embeddings::new(WIDTH);
            for action in actions {
                let noise = rows(1, &mut random);
                let text = texts.phrasing(action, 0).unwrap().iter().zip(noise.data());
                assert!(features.push(&text.map(|(x, noise)| x + 0.3 * noise).collect::<Vec<_>>()));
            }
            let seen = Seen {
                persons: vec![
                    Person { rect: places[0], score: 0.9 },
                    Person { rect: places[1], score: 0.8 },
                    Person { rect: rect(600.0), score: 0.2 },
                ],
                objects: vec![Detection { rect: places[0], score: 0.5, class: 56 }],
                truth_features: features.clone(),
                person_features: {
                    assert!(features.push(&[1.0; WIDTH]));
                    features
                },
                object_features: rows(1, &mut random),
                context: rows(1, &mut random),
            };
            clip.push(frame, &Boxes { truth, persons: None }, &seen);
        }
        let labels = serde_json::to_string(&LABELS).unwrap();
        let entries =
            [("format", FORMAT), ("video", name), ("labels", &labels), ("embedding", "space"), ("key", name)];
        let metadata = entries.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        clip.write(&path_of(folder, name).unwrap(), metadata).unwrap();
    }
    texts
}

struct World {
    dataset: Dataset,
    texts: Texts,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let texts = write(folder.path());
        Self { dataset: Dataset::open(folder.path(), None).unwrap(), texts, _folder: folder }
    }

    fn judge(&self, labels: &[usize], setting: &Setting<'_>) -> (Truth, Vec<FoundActor>) {
        let videos = showing(self.dataset.videos.iter(), labels);
        let mut names = Catalogue::default();
        let (truth, found) = judge(&self.dataset, &self.texts, &videos, labels, setting, &mut names).unwrap();
        (truth, found.frames.unwrap())
    }
}

fn setting(heads: Heads<'_>) -> Setting<'_> {
    Setting {
        heads,
        frame_alone: false,
        judging: Judging::default(),
        background: None,
        min_score: MIN_SCORE,
        fps: 1.0,
        linking: Linking::default(),
        wording: None,
    }
}

/// Random heads with all units, a memory on both sides, and prompting.
fn heads(units: &[Kind]) -> Vec<u8> {
    let metadata = Metadata {
        units: units.to_vec(),
        before: 3,
        after: 2,
        rate: 1.0,
        pads: Pads { person: 4, object: 2, context: 1, memory: 2 },
        tau: 0.1,
        ln_affine: false,
        relu: true,
        embedding: Some("space".into()),
    };
    let size = Size { width: WIDTH, layers: 2, hidden: 16 };
    serialise(&fresh(&metadata, size, Start::Random, 3), &metadata).unwrap()
}

const ALL: [Kind; 4] = [Kind::Person, Kind::Object, Kind::Context, Kind::Memory];

fn scores_of(found: &[FoundActor], frame: i64, person: usize, labels: usize) -> Vec<f64> {
    let here: Vec<f64> =
        found.iter().filter(|a| a.video == VideoId(0) && a.frame == frame).map(|actor| actor.score).collect();
    here[person * labels..(person + 1) * labels].to_vec()
}

#[test]
fn a_score_is_the_persons_times_a_softmax_over_the_labels_that_count() {
    let world = World::new();
    let (truth, found) = world.judge(&[0, 3], &setting(Heads::Frozen(Frozen::Baseline)));
    // In one of the videos somebody sits; the one who runs there is not counted, and the third is not sure enough.
    assert_eq!((truth.frames.len(), found.len()), (FRAMES as usize, FRAMES as usize * 2 * 2));
    let texts = world.texts.means([0, 3]).unwrap();
    let mut context = Vec::new();
    world.dataset.videos[0].features().unwrap().context(4, &mut context).unwrap();
    let expected = similarity(&context, texts.data(), 20.0);
    for (person, score) in [(0, 0.9), (1, 0.8)] {
        for (found, expected) in scores_of(&found, 5, person, 2).iter().zip(&expected) {
            assert!((found - score * f64::from(*expected)).abs() < 1e-6);
        }
    }
}

#[test]
fn heads_score_as_they_do_on_the_device() {
    let world = World::new();
    let bytes = heads(&ALL);
    let labels = [0, 1, 2];
    let (_, found) = world.judge(&labels, &setting(Heads::Trained(&bytes)));
    // The device's way: a ring of frames, each judged when the frames after it are in.
    let mut scorer = Scorer::new(Method::Interaction(Box::new(Interaction::read(&bytes).unwrap())), 10.0);
    let mut memory = Memory::new(scorer.reach().unwrap());
    let vocabulary = words::vocabulary(&world.texts, &labels, None).unwrap();
    let video = &world.dataset.videos[0];
    let mut features = video.features().unwrap();
    let time = |row: usize| Duration::from_secs(row as u64);
    for ahead in 0..video.frames.len() + 2 {
        if ahead < video.frames.len() {
            let mut context = Vec::new();
            features.context(ahead, &mut context).unwrap();
            memory.insert(time(ahead), |out| scorer.project(&context, out));
        }
        let Some(row) = ahead.checked_sub(2) else { continue };
        let sampling = crate::lab::dataset::Sampling {
            people: crate::lab::dataset::People::Found { min_score: MIN_SCORE },
            most_persons: 9,
            most_objects: 9,
            reach: None,
            fps: 1.0,
        };
        let sample = video.sample(row, &sampling).unwrap();
        let embeddings = |data: &[f32]| {
            let mut rows = Embeddings::new(WIDTH);
            assert!(data.chunks(WIDTH).all(|row| rows.push(row)));
            rows
        };
        let mut scores = Scores::default();
        let features = Features {
            count: 2,
            persons: &embeddings(&sample.persons),
            objects: &embeddings(&sample.objects),
            context: Some(&sample.context),
            memory: &memory.recall(time(row)),
        };
        scorer.score(&features, &vocabulary, &mut scores, None);
        for (person, row) in scores.rows().enumerate() {
            let found = scores_of(&found, sample.frame, person, labels.len());
            for (found, probability) in found.iter().zip(row) {
                let expected = f64::from(sample.scores[person]) * f64::from(*probability);
                assert!((found - expected).abs() < 1e-6, "frame {}: {found}, not {expected}", sample.frame);
            }
        }
    }
}

#[test]
fn blind_to_the_future_is_as_if_it_had_not_come() {
    let world = World::new();
    let bytes = heads(&ALL);
    let seeing = setting(Heads::Trained(&bytes));
    let judging = Judging { blind: true, ..Judging::default() };
    let (_, seen) = world.judge(&[0, 1], &seeing);
    let (_, blind) = world.judge(&[0, 1], &Setting { judging, ..setting(Heads::Trained(&bytes)) });
    let of = |found: &[FoundActor], frame: i64| scores_of(found, frame, 0, 2);
    assert_eq!(of(&seen, FRAMES), of(&blind, FRAMES), "nothing comes after the last frame");
    assert_ne!(of(&seen, FRAMES - 1), of(&blind, FRAMES - 1));
}

#[test]
fn shown_the_frame_alone_everybody_in_it_does_the_same() {
    let world = World::new();
    let bytes = heads(&[]);
    let (_, found) = world.judge(&[0, 1], &Setting { frame_alone: true, ..setting(Heads::Trained(&bytes)) });
    let share = |person, score: f64| -> Vec<f64> {
        scores_of(&found, 3, person, 2).iter().map(|found| found / score).collect()
    };
    let near = share(0, f64::from(0.9f32))
        .iter()
        .zip(share(1, f64::from(0.8f32)))
        .all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(near);
    let (_, found) = world.judge(&[0, 1], &setting(Heads::Trained(&bytes)));
    assert!((scores_of(&found, 3, 0, 2)[0] / 0.9 - scores_of(&found, 3, 1, 2)[0] / 0.8).abs() > 1e-3);
}

/// As it starts it is the mean of the frames around, those of the past alone if it is blind.
#[test]
fn a_transformer_over_frames_gives_everybody_the_frames_scores() {
    let world = World::new();
    let reach = crate::heads::Reach { before: 2, after: 1, rate: 1.0 };
    let about = About { reach, blocks: 1, width: WIDTH, tau: 0.1, embedding: "space".into(), vectors: None };
    let fresh = |about: &About| {
        Temporal::fresh(about.clone(), 1, &candle_core::Device::Cpu).unwrap().bytes().unwrap()
    };
    let bytes = fresh(&about);
    let method = crate::lab::tables::Method::of_heads(&bytes).unwrap();
    assert_eq!((method.temporal, method.vectors, method.units), (Some(1), None, None));
    let texts = world.texts.means([0, 1]).unwrap();
    for (blind, rows) in [(false, 2..6), (true, 2..5)] {
        let judging = Judging { blind, ..Judging::default() };
        let (_, found) = world.judge(&[0, 1], &Setting { judging, ..setting(Heads::Trained(&bytes)) });
        let mut contexts = Vec::new();
        let mut features = world.dataset.videos[0].features().unwrap();
        rows.for_each(|row| features.context(row, &mut contexts).unwrap());
        let mean: Vec<f32> =
            (0..WIDTH).map(|column| contexts.iter().skip(column).step_by(WIDTH).sum()).collect();
        let expected = similarity(&mean, texts.data(), 10.0);
        for (person, score) in [(0, 0.9), (1, 0.8)] {
            for (found, expected) in scores_of(&found, 5, person, 2).iter().zip(&expected) {
                assert!((found - score * f64::from(*expected)).abs() < 1e-5, "{blind} {found} {expected}");
            }
        }
    }
    let other = fresh(&About { embedding: "another space".into(), ..about });
    let videos: Vec<_> = world.dataset.videos.iter().collect();
    let setting = setting(Heads::Trained(&other));
    let error = judge(&world.dataset, &world.texts, &videos, &[0], &setting, &mut Catalogue::default());
    assert!(error.unwrap_err().to_string().contains("features of another space"));
}

#[test]
fn bare_words_are_found_among_phrasings() {
    let world = World::new();
    let bare = bare_words(&world.texts).unwrap();
    assert_eq!((bare.phrasings(), &bare.rows), (1, &first_phrasing(&world.texts).rows));
    let turned = |of: &Vec<String>| of.iter().rev().cloned().collect();
    let sentences = world.texts.sentences.iter().map(turned).collect();
    let second = bare_words(&Texts { sentences, ..world.texts.clone() }).unwrap();
    assert_eq!(second.phrasing(2, 0), world.texts.phrasing(2, 1));
    assert_ne!(second.key, bare.key);
    let sentences = world.texts.sentences.iter().map(|of| vec![of[1].clone(); 2]).collect();
    assert!(bare_words(&Texts { sentences, ..world.texts.clone() }).is_none());
}

#[test]
fn what_looks_like_its_label_is_found_in_frames_and_in_tubes() {
    let world = World::new();
    let setting = setting(Heads::Frozen(Frozen::Fusion));
    let labels = [0, 1];
    let videos = showing(world.dataset.videos.iter(), &labels);
    assert_eq!(videos.len(), 1);
    let metrics = ["frame@0.5", "video@0.5"].map(|metric| metric.parse().unwrap());
    let texts = first_phrasing(&world.texts);
    let judge =
        |tubes: Option<&Tubes>| reports(&world.dataset, &texts, tubes, &videos, &labels, &setting, &metrics);
    assert!(judge(None).unwrap_err().to_string().contains("--truth"));
    let mut names = Catalogue::numbered(1, LABELS.map(str::to_owned)).unwrap();
    let video = names.video("one");
    let tube = |label, x: fn(f64) -> f64| Action {
        video,
        label: Label(label),
        tube: map::Tube::of_rows((1..=FRAMES).map(|frame| {
            let (frame, x) = (frame as f64, x(frame as f64));
            [frame, x, 0.0, x + 20.0, 40.0]
        }))
        .unwrap(),
    };
    let truth = Truth::of_tubes(vec![tube(0, |frame| frame), tube(1, |_| 300.0)]);
    let tubes = Tubes::new(&world.dataset, names.clone(), truth.clone()).unwrap();
    let found = judge(Some(&tubes)).unwrap();
    let maps: Vec<f64> = found.iter().map(|report| report.as_ref().unwrap().map).collect();
    // Tubes average over frames what is doubtful in one.
    assert!(maps[0] > 90.0 && maps[1] == 100.0, "{maps:?}");
    let other = Catalogue::numbered(1, ["sit".to_owned()]).unwrap();
    assert!(
        Tubes::new(&world.dataset, other, truth)
            .unwrap_err()
            .to_string()
            .contains("not those of the features")
    );
}

#[test]
fn a_background_takes_its_share_of_every_label() {
    let world = World::new();
    let (_, plain) = world.judge(&[0, 1], &setting(Heads::Frozen(Frozen::Fusion)));
    let background =
        Background { phrases: vec!["a person".into()], rows: rows(1, &mut SmallRng::seed_from_u64(1)) };
    let judging = Judging { background: true, ..Judging::default() };
    let with = Setting { background: Some(background), judging, ..setting(Heads::Frozen(Frozen::Fusion)) };
    let (_, found) = world.judge(&[0, 1], &with);
    for person in [0, 1] {
        let (before, after) = (scores_of(&plain, 9, person, 2), scores_of(&found, 9, person, 2));
        assert!(after.iter().zip(&before).all(|(after, before)| after < before));
        assert!((after[0] / after[1] - before[0] / before[1]).abs() < 1e-3 * (before[0] / before[1]));
    }
    let mut names = Catalogue::default();
    let error = judge(
        &world.dataset,
        &world.texts,
        &[],
        &[0],
        &Setting { background: None, ..with.clone() },
        &mut names,
    );
    assert!(error.unwrap_err().to_string().contains("--background"));
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
    logits.iter().map(|logit| logit.exp() / sum).collect()
}

fn judged(frame: i64, persons: &[(f64, [f32; 2])]) -> Judged {
    let person = |(x, probabilities): &(f64, [f32; 2])| JudgedPerson {
        region: Region::new([*x, 0.0, x + 10.0, 20.0]).unwrap(),
        score: 0.5,
        probabilities: probabilities.to_vec(),
    };
    Judged { frame, persons: persons.iter().map(person).collect() }
}

#[test]
fn a_vote_is_held_along_each_track() {
    let frames = || {
        vec![
            judged(1, &[(0.0, [1.0, 0.0]), (100.0, [0.0, 0.5])]),
            judged(2, &[(101.0, [0.0, 1.0]), (1.0, [0.4, 0.6])]),
            judged(9, &[(1.0, [0.0, 1.0])]),
        ]
    };
    let of = |frames: &[Judged]| -> Vec<Vec<f32>> {
        frames.iter().flat_map(|frame| &frame.persons).map(|person| person.probabilities.clone()).collect()
    };
    let mut whole = frames();
    vote(&mut whole, Vote::Track, 1);
    assert_eq!(of(&whole), [[0.7, 0.3], [0.0, 0.75], [0.0, 0.75], [0.7, 0.3], [0.0, 1.0]]);
    let mut past = frames();
    vote(&mut past, Vote::Past, 1);
    assert_eq!(of(&past), [[1.0, 0.0], [0.0, 0.5], [0.0, 0.75], [0.7, 0.3], [0.0, 1.0]]);
    // Where only every seventh frame is looked at, frame 9 is the next look.
    let mut slow = frames();
    vote(&mut slow, Vote::Track, 7);
    assert_ne!(of(&slow)[4], [0.0, 1.0]);
}

proptest! {
    #[test]
    fn fusing_is_averaging_logits(
        a in proptest::collection::vec(-4.0..4.0f32, 1..6),
        noise in proptest::collection::vec(-4.0..4.0f32, 6),
        share in 0.05..0.95f32,
    ) {
        let b: Vec<f32> = a.iter().zip(&noise).map(|(a, noise)| a + noise).collect();
        let mut own = softmax(&a);
        fuse(&mut own, &softmax(&b), share);
        let mean: Vec<f32> = a.iter().zip(&b).map(|(a, b)| (1.0 - share) * a + share * b).collect();
        for (own, expected) in own.iter().zip(softmax(&mean)) {
            prop_assert!((own - expected).abs() < 1e-3, "{own} {expected}");
        }
        // With one label more that nobody asks for, as background is.
        let (mut less, other) = (softmax(&a)[1..].to_vec(), softmax(&b)[1..].to_vec());
        fuse(&mut less, &other, share);
        for (less, expected) in less.iter().zip(&softmax(&mean)[1..]) {
            prop_assert!((less - expected).abs() < 1e-3, "{less} {expected}");
        }
    }

    #[test]
    fn the_ends_of_a_fusion_are_what_was_fused(
        a in proptest::collection::vec(0.01..1.0f32, 3), b in proptest::collection::vec(0.01..1.0f32, 3),
    ) {
        let (a, b) = (softmax(&a), softmax(&b));
        for (share, expected) in [(0.0, &a), (1.0, &b)] {
            let mut own = a.clone();
            fuse(&mut own, &b, share);
            // The share of "none of these" is what rounding leaves of 1; to the power of 0 it would be 1.
            prop_assert!(own.iter().zip(expected).all(|(own, expected)| (own - expected).abs() < 1e-5));
        }
    }

    #[test]
    fn a_vote_moves_probability_and_makes_none(
        crowd in proptest::collection::vec((1..9i64, 0..4i32, 0.0..1.0f32), 0..30), past in any::<bool>(),
    ) {
        let mut frames: Vec<Judged> = (1..9).map(|frame| judged(frame, &[])).collect();
        for (frame, place, p) in crowd {
            let one = judged(frame, &[(f64::from(place) * 6.0, [p, 1.0 - p])]);
            frames[frame as usize - 1].persons.extend(one.persons);
        }
        let before = frames.clone();
        vote(&mut frames, if past { Vote::Past } else { Vote::Track }, 1);
        for (after, before) in frames.iter().zip(&before) {
            for (after, before) in after.persons.iter().zip(&before.persons) {
                prop_assert_eq!(after.region, before.region);
                prop_assert!((after.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
        let sum = |frames: &[Judged]| -> f32 {
            frames.iter().flat_map(|f| &f.persons).map(|person| person.probabilities[0]).sum()
        };
        prop_assert!(past || (sum(&frames) - sum(&before)).abs() < 1e-3);
    }
}
