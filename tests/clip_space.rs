//! Text beside pictures in CLIP's own space: embeddings that others made of a film and of names, scored as on the device.

mod common;

use std::io::Read;
use std::path::Path;

use common::shared;
use watchword::clip::Embeddings;
use watchword::config::{self, Action};
use watchword::heads::{Features, Method, Scorer, Scores};
use watchword::vocabulary::{Vocabulary, Words};

/// CLIP's own factor on a cosine.
const LOGIT_SCALE: f32 = 100.0;

/// The names of COCO's classes that are looked at here, by their places.
const PERSON: usize = 0;
const AIRPLANE: usize = 4;
const LAPTOP: usize = 63;
const PHONE: usize = 67;

/// Rows of NumPy's `.npy`: a header that says shape and type, then f16 or f32.
fn rows(npy: &[u8]) -> Embeddings {
    let length = usize::from(u16::from_le_bytes([npy[8], npy[9]]));
    let (header, data) = npy[10..].split_at(length);
    let header = std::str::from_utf8(header).unwrap();
    let shape = header.split_once('(').unwrap().1.split_once(')').unwrap().0;
    let width = shape.split(',').nth(1).unwrap().trim().parse().unwrap();
    let values: Vec<f32> = if header.contains("<f2") {
        data.as_chunks().0.iter().map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect()
    } else {
        assert!(header.contains("<f4"), "{header}");
        data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let mut rows = Embeddings::new(width);
    assert!(values.chunks(width).all(|row| rows.push(row)));
    rows
}

/// The frames of a film in which somebody holds a phone and laughs, one each two seconds.
fn film(folder: &Path) -> Embeddings {
    let file = std::fs::File::open(folder.join("charades_frames_vitb32.npz")).unwrap();
    let mut archive = zip::ZipArchive::new(file).unwrap();
    let mut npy = Vec::new();
    archive.by_name("features.npy").unwrap().read_to_end(&mut npy).unwrap();
    rows(&npy)
}

/// The probability of each of `names`, for each frame of the film alone.
fn scores(film: &Embeddings, names: &[String], text: &Embeddings) -> Vec<Vec<f32>> {
    let action =
        |name: &String| Action { name: name.clone(), phrases: vec![name.clone()], ..Action::default() };
    let actions: Vec<Action> = names.iter().map(action).collect();
    let settings = config::Vocabulary::default();
    let words = Words { actions: &actions, settings: &settings, template: "a {}", space: "clip", pack: "" };
    let vocabulary = Vocabulary::from_words(&words, None, |sentences| {
        assert_eq!(sentences.len(), text.len());
        Ok(text.clone())
    });
    let vocabulary = vocabulary.unwrap();
    let mut scorer = Scorer::new(Method::Baseline, LOGIT_SCALE);
    let (nobody, mut scores) = (Embeddings::new(film.width()), Scores::default());
    film.rows()
        .map(|context| {
            let features = Features {
                count: 1,
                persons: &nobody,
                objects: &nobody,
                context: Some(context),
                memory: &[],
            };
            scorer.score(&features, &vocabulary, &mut scores, None);
            scores.row(0).unwrap().to_vec()
        })
        .collect()
}

/// Places from the most probable to the least, by the sum over the film.
fn ranks(scores: &[Vec<f32>]) -> Vec<usize> {
    let sum = |place: &usize| scores.iter().map(|row| row[*place]).sum::<f32>();
    let mut order: Vec<usize> = (0..scores[0].len()).collect();
    order.sort_by(|a, b| sum(b).total_cmp(&sum(a)));
    let rank = |place| order.iter().position(|other| *other == place).unwrap();
    (0..order.len()).map(rank).collect()
}

#[test]
fn of_80_classes_the_person_and_the_phone_are_seen() {
    let Some(folder) = shared("clip_space") else { return };
    let text = rows(&std::fs::read(folder.join("coco_clip_a+cname.npy")).unwrap());
    let names: Vec<String> = (0..text.len()).map(|place| place.to_string()).collect();
    let scores = scores(&film(&folder), &names, &text);
    assert_eq!((scores.len(), scores[0].len()), (15, 80));
    // As NumPy computes them from the same files.
    for (frame, class, expected) in
        [(1, PHONE, 0.163340), (7, PERSON, 0.132962), (11, LAPTOP, 0.053501), (0, AIRPLANE, 0.005347)]
    {
        let found = scores[frame][class];
        assert!((found - expected).abs() < 1e-5, "frame {frame}, class {class}: {found}, not {expected}");
    }
    let ranks = ranks(&scores);
    assert!(ranks[PERSON] < 4 && ranks[PHONE] < 4, "person {}, phone {}", ranks[PERSON], ranks[PHONE]);
    assert!(ranks[AIRPLANE] > 20, "airplane {}", ranks[AIRPLANE]);
}

#[test]
fn of_1203_names_what_a_person_wears_is_nearer_than_what_flies() {
    let Some(folder) = shared("clip_space") else { return };
    let text = rows(&std::fs::read(folder.join("lvis_v1_clip_a+cname.npy")).unwrap());
    let list = std::fs::read(folder.join("lvis_v1_train_cat_info.json")).unwrap();
    let list: Vec<serde_json::Value> = serde_json::from_slice(&list).unwrap();
    let names: Vec<String> = list.iter().map(|each| each["name"].as_str().unwrap().to_owned()).collect();
    assert!(list.iter().zip(1..).all(|(each, id)| each["id"] == id), "names in the order of the rows");
    let ranks = ranks(&scores(&film(&folder), &names, &text));
    let rank = |name: &str| ranks[names.iter().position(|known| known == name).unwrap()];
    for near in ["sweatshirt", "webcam", "legging_(clothing)", "person"] {
        for far in ["airplane", "giraffe", "surfboard", "parachute"] {
            assert!(rank(near) < rank(far), "{near} {}, {far} {}", rank(near), rank(far));
        }
    }
}
