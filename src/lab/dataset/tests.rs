use std::collections::HashMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::clip::Embeddings;
use crate::detect::Detection;
use crate::frame::Rect;
use crate::heads::Reach;
use crate::lab::features::{Boxes, Clip, Person, Seen, path_of};

const LABELS: [&str; 3] = ["sit", "run", "jump"];

fn rows(values: &[f32]) -> Embeddings {
    let mut rows = Embeddings::new(2);
    assert!(values.chunks(2).all(|row| rows.push(row)));
    rows
}

/// Frames 1, 2, 3 and 7 of a video; in frame 2 two people annotated, two found and three objects, one of them far away.
fn write(folder: &Path, name: &str) {
    let mut clip = Clip::new(2, LABELS.len());
    let context = |frame: f32| rows(&[frame, 1.0]);
    clip.push(1, &Boxes::default(), &Seen { context: context(1.0), ..Seen::default() });
    let near = Rect::new(0.0, 0.0, 10.0, 10.0);
    let beside = Rect::new(20.0, 0.0, 30.0, 10.0);
    let boxes = Boxes { truth: vec![(near, vec![0, 2]), (beside, vec![1])], persons: None };
    let object = |rect, score| Detection { rect, score, class: 56 };
    let seen = Seen {
        persons: vec![Person { rect: near, score: 0.9 }, Person { rect: beside, score: 0.3 }],
        objects: vec![
            object(Rect::new(5.0, 5.0, 8.0, 8.0), 0.4),
            object(Rect::new(25.0, 5.0, 28.0, 8.0), 0.8),
            object(Rect::new(9.0, 5.0, 12.0, 8.0), 0.6),
        ],
        truth_features: rows(&[10.0, 0.0, 11.0, 0.0]),
        person_features: rows(&[20.0, 0.0, 21.0, 0.0]),
        object_features: rows(&[30.0, 0.0, 31.0, 0.0, 32.0, 0.0]),
        context: context(2.0),
    };
    clip.push(2, &boxes, &seen);
    for frame in [3, 7] {
        clip.push(frame, &Boxes::default(), &Seen { context: context(frame as f32), ..Seen::default() });
    }
    let labels = serde_json::to_string(&LABELS).unwrap();
    let entries =
        [("format", FORMAT), ("video", name), ("labels", &labels), ("embedding", "two"), ("key", "k")];
    let metadata = entries.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    clip.write(&path_of(folder, name).unwrap(), metadata).unwrap();
}

fn texts() -> Texts {
    Texts {
        labels: LABELS.map(str::to_owned).into(),
        embedding: "two".into(),
        logit_scale: 100.0,
        sentences: LABELS.map(|label| vec![label.to_owned(), format!("to {label}")]).into(),
        rows: rows(&[1.0, 0.0, 0.0, 1.0, 2.0, 0.0, 2.0, 0.0, 0.0, 3.0, 0.0, 1.0]),
        key: "k".into(),
    }
}

fn sampling(people: People) -> Sampling {
    let reach = Some(Reach { before: 2, after: 4, rate: 1.0 });
    Sampling { people, most_persons: 10, most_objects: 5, reach, fps: 1.0 }
}

#[test]
fn a_frame_is_put_together_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "sit/a");
    texts().write(&folder.path().join(TEXTS)).unwrap();
    let data = Dataset::open(folder.path(), None).unwrap();
    assert_eq!((data.videos.len(), data.width, &data.labels[..]), (1, 2, &LABELS.map(str::to_owned)[..]));
    let video = &data.videos[0];
    assert_eq!((video.name.as_str(), &video.frames[..]), ("sit/a", &[1, 2, 3, 7][..]));

    let truth = video.sample(1, &sampling(People::Truth)).unwrap();
    assert_eq!((truth.frame, &truth.labels), (2, &vec![vec![0, 2], vec![1]]));
    assert_eq!((truth.persons, truth.context), (vec![10.0, 0.0, 11.0, 0.0], vec![2.0, 1.0]));
    assert_eq!(truth.objects, [31.0, 0.0, 32.0, 0.0, 30.0, 0.0], "best first");
    assert_eq!(truth.slots, [1, 2], "frame 7 is one too far");
    assert_eq!(truth.memory, [1.0, 1.0, 3.0, 1.0]);

    let found = video.sample(1, &sampling(People::Found { min_score: 0.5 })).unwrap();
    assert_eq!((found.persons, found.scores), (vec![20.0, 0.0], vec![0.9]));
    assert_eq!(found.objects, [32.0, 0.0, 30.0, 0.0], "the other overlaps nobody who is there");
    let few = Sampling { most_persons: 1, most_objects: 1, reach: None, ..sampling(People::Truth) };
    let few = video.sample(1, &few).unwrap();
    assert_eq!((few.persons, few.objects, few.labels.len()), (vec![10.0, 0.0], vec![32.0, 0.0], 1));
    assert_eq!(few.slots, [0usize; 0]);
    assert_eq!(video.sample(3, &sampling(People::Truth)).unwrap().persons, [0f32; 0]);
}

#[test]
fn labels_come_back_as_they_were_and_average_as_in_a_vocabulary() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(TEXTS);
    let texts = texts();
    texts.write(&path).unwrap();
    assert_eq!(Texts::open(&path).unwrap(), texts);
    let means = texts.means([1, 2]).unwrap();
    assert_eq!(means.rows().collect::<Vec<_>>(), [[2.0, 0.0], [0.0, 2.0]]);
    let against = Texts { rows: rows(&[1.0, 0.0, -1.0, 0.0]), ..texts };
    assert!(against.means([0]).unwrap_err().to_string().contains("label sit"));
}

#[test]
fn what_was_not_made_for_one_another_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let complain = |result: anyhow::Result<()>| format!("{:#}", result.unwrap_err());
    assert!(complain(Dataset::open(folder.path(), None).map(drop)).contains("no video is in it"));
    write(folder.path(), "a");
    let data = Dataset::open(folder.path(), None).unwrap();
    assert!(complain(data.texts().map(drop)).contains("lab features"));
    let path = folder.path().join(TEXTS);
    Texts { embedding: "three".into(), ..texts() }.write(&path).unwrap();
    assert!(complain(data.texts().map(drop)).contains("made with the encoder three"));
    Texts { labels: ["a", "b", "c"].map(str::to_owned).into(), ..texts() }.write(&path).unwrap();
    assert!(complain(data.texts().map(drop)).contains("not those of the videos"));
    std::fs::copy(&path, folder.path().join("b.safetensors")).unwrap();
    assert!(complain(Dataset::open(folder.path(), None).map(drop)).contains("its format is"));
    assert!(
        complain(Dataset::open(folder.path(), Some(&["c".to_owned()])).map(drop)).contains("c.safetensors")
    );
    assert_eq!(Dataset::open(folder.path(), Some(&["a".to_owned()])).unwrap().videos.len(), 1);
}

#[test]
fn a_file_cut_short_or_changed_is_refused_and_never_trusted() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a");
    let path = folder.path().join("a.safetensors");
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 4, 8, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = format!("{:#}", Video::open(&path).unwrap_err());
        assert!(error.contains("a.safetensors"), "cut to {length}: {error}");
    }
    // Every byte of the header in turn: never a panic, and what can still be opened can be read or says why not.
    let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize + 8;
    for at in 0..header {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 7);
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(video) = Video::open(&path) {
            for row in 0..video.frames.len() {
                let _ = video.sample(row, &sampling(People::Truth));
            }
        }
    }
    let mut bytes = whole.clone();
    let name = b"\"context\"";
    let place = whole.windows(name.len()).position(|part| part == name).unwrap();
    bytes[place + 1] = b'k';
    std::fs::write(&path, &bytes).unwrap();
    assert!(format!("{:#}", Video::open(&path).unwrap_err()).contains("tensor context is missing"));

    std::fs::write(&path, &whole).unwrap();
    let video = Video::open(&path).unwrap();
    std::fs::write(&path, &whole[..header]).unwrap();
    let error = format!("{:#}", video.sample(0, &sampling(People::Truth)).unwrap_err());
    assert!(error.contains("shorter since it was opened"), "{error}");
}

#[test]
fn features_that_are_not_finite_are_refused_where_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut clip = Clip::new(2, 0);
    let context = rows(&[1.0, 2.0]);
    clip.push(1, &Boxes::default(), &Seen { context, ..Seen::default() });
    let entries = [("format", FORMAT), ("video", "v"), ("labels", "[]"), ("embedding", "two"), ("key", "k")];
    let metadata: HashMap<_, _> = entries.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let path = folder.path().join("v.safetensors");
    clip.write(&path, metadata).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(4).rposition(|part| part == 2f32.to_le_bytes()).unwrap();
    bytes[place..place + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let error = Video::open(&path).unwrap().sample(0, &sampling(People::Truth)).unwrap_err();
    assert!(format!("{error:#}").contains("not finite"), "{error:#}");
}

proptest! {
    /// At the data set's own rate a slot is a frame number away, whatever is missing between.
    #[test]
    fn slots_are_frame_numbers(frames in proptest::collection::btree_set(1i64..80, 1..60), before in 1usize..30, after in 0usize..30) {
        let frames: Vec<i64> = frames.into_iter().collect();
        let reach = Reach { before, after, rate: 25.0 };
        for (row, judged) in frames.iter().enumerate() {
            let recalled = recall(&frames, row, &reach, 25.0);
            let expected: Vec<(usize, usize)> = frames
                .iter()
                .enumerate()
                .filter_map(|(row, frame)| {
                    let slots = frame - judged;
                    let slot = if slots < 0 { slots + before as i64 } else { before as i64 + slots - 1 };
                    let inside = slots != 0 && (0..(before + after) as i64).contains(&slot);
                    inside.then_some((slot as usize, row))
                })
                .collect();
            prop_assert_eq!(recalled, expected);
        }
    }

    /// A slower memory takes the frame nearest to the middle of each slot.
    #[test]
    fn slower_slots_take_the_nearest(frames in proptest::collection::btree_set(1i64..200, 1..100), row: prop::sample::Index) {
        let frames: Vec<i64> = frames.into_iter().collect();
        let row = row.index(frames.len());
        let reach = Reach { before: 6, after: 3, rate: 1.0 };
        let recalled = recall(&frames, row, &reach, 25.0);
        prop_assert!(recalled.is_sorted_by(|a, b| a.0 < b.0));
        for slot in 0..9usize {
            let middle = frames[row] + 25 * if slot < 6 { slot as i64 - 6 } else { slot as i64 - 5 };
            let nearest = frames.iter().map(|frame| (frame - middle).abs()).min().unwrap();
            match recalled.iter().find(|found| found.0 == slot) {
                Some((_, row)) => prop_assert_eq!((frames[*row] - middle).abs(), nearest),
                None => prop_assert!(nearest >= 12),
            }
        }
    }
}
