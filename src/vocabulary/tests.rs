use std::cell::RefCell;

use super::*;

const WIDTH: usize = 64;

/// A direction for each text: as good as orthogonal, and the same every time.
fn direction(text: &str) -> Vec<f32> {
    use sha2::{Digest, Sha256};
    let bytes = [0u8, 1].map(|part| Sha256::new().chain_update([part]).chain_update(text).finalize());
    bytes.iter().flatten().map(|byte| f32::from(*byte) - 127.5).collect()
}

fn embed(sentences: &[String]) -> Result<Embeddings, ClipError> {
    let mut rows = Embeddings::new(WIDTH);
    for sentence in sentences {
        assert!(rows.push_normalised(&direction(sentence)));
    }
    Ok(rows)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| text.to_string()).collect()
}

pub(super) fn action(name: &str, phrases: &[&str], against: &[&str]) -> Action {
    Action { name: name.into(), phrases: texts(phrases), against: texts(against), ..Action::default() }
}

pub(super) fn settings(background: &[&str]) -> config::Vocabulary {
    config::Vocabulary { template: None, background: texts(background) }
}

fn words<'a>(actions: &'a [Action], settings: &'a config::Vocabulary) -> Words<'a> {
    Words { actions, settings, template: "a person {}.", space: "test/space", pack: "test@1" }
}

pub(super) fn build(
    actions: &[Action],
    settings: &config::Vocabulary,
) -> Result<Vocabulary, VocabularyError> {
    Vocabulary::from_words(&words(actions, settings), None, embed)
}

fn id(actions: &[Action], settings: &config::Vocabulary) -> String {
    build(actions, settings).unwrap().id().to_owned()
}

#[test]
fn rows_are_means_of_unit_phrases_in_the_template() {
    let actions =
        [action("wave", &["waving", " greeting "], &[]), action("fall", &["falling"], &["sitting", "lying"])];
    let vocabulary = build(&actions, &settings(&["standing"])).unwrap();
    assert_eq!(vocabulary.names(), ["wave", "fall"]);

    let unit = |text: &str| embed(&texts(&[text])).unwrap().row(0).unwrap().to_vec();
    let sum = unit("a person waving.").into_iter().zip(unit("a person greeting.")).map(|(a, b)| a + b);
    let mut mean = Embeddings::new(WIDTH);
    assert!(mean.push_normalised(&sum.collect::<Vec<_>>()));
    assert!(dot(vocabulary.directions().row(0).unwrap(), mean.row(0).unwrap()) > 0.999_999);

    let is = |row: &[f32], text: &str| dot(row, &unit(text)) > 0.999_999;
    assert!(is(vocabulary.directions().row(1).unwrap(), "a person falling."));
    assert!(is(vocabulary.directions().row(vocabulary.background().start).unwrap(), "a person standing."));
    let against: Vec<_> = vocabulary.against(1).filter_map(|row| vocabulary.directions().row(row)).collect();
    assert!(against.len() == 2 && is(against[0], "a person sitting.") && is(against[1], "a person lying."));
    assert_eq!(vocabulary.against(0).count() + vocabulary.against(2).count(), 0);
    for row in vocabulary.directions().rows() {
        assert!((dot(row, row) - 1.0).abs() < 1e-5);
    }
}

#[test]
fn only_new_sentences_are_embedded() {
    let asked = RefCell::new(Vec::new());
    let counted = |sentences: &[String]| {
        asked.borrow_mut().push(sentences.to_vec());
        embed(sentences)
    };
    let mut actions =
        [action("wave", &["waving"], &["standing"]), action("fall", &["falling", "waving"], &[])];
    let settings = settings(&["standing"]);
    let first = Vocabulary::from_words(&words(&actions, &settings), None, counted).unwrap();
    assert_eq!(
        asked.take(),
        [texts(&["a person waving.", "a person standing.", "a person falling."])],
        "each once"
    );

    actions[1].phrases[0] = "stumbling".into();
    actions[0].threshold = 0.9;
    let second = Vocabulary::from_words(&words(&actions, &settings), Some(&first), counted).unwrap();
    assert_eq!(asked.take(), [texts(&["a person stumbling."])]);
    let fresh = build(&actions, &settings).unwrap();
    let close = |a: &Embeddings, b: &Embeddings| a.rows().zip(b.rows()).all(|(a, b)| dot(a, b) > 0.999_999);
    assert!(close(second.directions(), fresh.directions()));
    assert_eq!(second.id(), fresh.id());

    actions.swap(0, 1);
    Vocabulary::from_words(&words(&actions, &settings), Some(&second), counted).unwrap();
    assert!(asked.take().is_empty(), "nothing is new");

    let elsewhere = Words { pack: "other@1", ..words(&actions, &settings) };
    Vocabulary::from_words(&elsewhere, Some(&second), counted).unwrap();
    assert_eq!(asked.take()[0].len(), 3, "another pack's embeddings are of no use");
}

#[test]
fn the_id_knows_words_and_no_order() {
    let actions = [action("wave", &["waving", "greeting"], &["a", "b"]), action("fall", &["falling"], &[])];
    let plain = settings(&["standing", "walking"]);
    let reference = id(&actions, &plain);
    assert!(reference.len() == 8 && reference.bytes().all(|byte| byte.is_ascii_hexdigit()), "{reference}");

    let mut same = [actions[1].clone(), action("wave", &["greeting", "waving "], &["b", "a"])];
    same[0].threshold = 0.9;
    same[0].zones = texts(&["door"]);
    assert_eq!(id(&same, &settings(&["walking", "standing"])), reference);

    let mut ids = vec![reference];
    let mut differs = |actions: &[Action], settings: &config::Vocabulary| ids.push(id(actions, settings));
    differs(&actions[..1], &plain);
    differs(&[actions[0].clone(), action("drop", &["falling"], &[])], &plain);
    differs(&[actions[0].clone(), action("fall", &["falling"], &["a"])], &plain);
    differs(&[actions[0].clone(), action("fall", &["falling", "falling"], &[])], &plain);
    differs(&[action("wave", &["waving"], &["greeting", "a", "b"]), actions[1].clone()], &plain);
    differs(&actions, &settings(&["standing"]));
    differs(&actions, &settings(&["standing", "walking", "walking"]));
    differs(&actions, &config::Vocabulary { template: Some("{}".into()), ..plain.clone() });
    let elsewhere = Words { space: "other/space", ..words(&actions, &plain) };
    ids.push(Vocabulary::from_words(&elsewhere, None, embed).unwrap().id().to_owned());
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "{ids:?}");
}

#[test]
fn the_id_stays_from_release_to_release() {
    // Receivers keep it beside their events: whoever changes it must mean to.
    assert_eq!(id(&[action("wave", &["waving"], &[])], &settings(&["standing"])), "90ad598d");
}

#[test]
fn pairs_are_sorted_by_likeness() {
    let actions = [action("a", &["x", "y"], &[]), action("b", &["z"], &[]), action("c", &["x"], &[])];
    let vocabulary = build(&actions, &settings(&["z"])).unwrap();
    let pairs = vocabulary.pairs();
    assert_eq!(pairs.len(), 6);
    assert_eq!((pairs[0].0, pairs[0].1), ("b", "z"), "an action that is also background");
    assert!((pairs[0].2 - 1.0).abs() < 1e-5);
    assert_eq!((pairs[1].0, pairs[1].1), ("a", "c"));
    assert!(pairs.is_sorted_by(|a, b| a.2 >= b.2));
}

#[test]
fn words_that_make_no_vocabulary() {
    let plain = settings(&[]);
    let refused = |actions: &[Action], settings: &config::Vocabulary, part: &str| {
        let message = build(actions, settings).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    };
    let wave = [action("wave", &["waving"], &[])];
    refused(&[], &settings(&["standing"]), "the vocabulary is empty");
    refused(&[action("wave", &[], &[])], &plain, "action wave: it has no phrases");
    refused(&[action("wave", &["waving", " "], &[])], &plain, "action wave: a phrase is blank");
    refused(&[action("wave", &["waving"], &[""])], &plain, "action wave: a phrase is blank");
    refused(&wave, &settings(&["\t"]), "vocabulary.background: a phrase is blank");
    for template in ["a person", "{} and {}"] {
        let settings = config::Vocabulary { template: Some(template.into()), ..plain.clone() };
        refused(&wave, &settings, "must hold {} once");
    }
}

#[test]
fn embeddings_that_make_no_vocabulary() {
    let wave = [action("wave", &["waving", "not waving"], &[])];
    let plain = settings(&[]);
    let build = |rows: &[&[f32]]| {
        Vocabulary::from_words(&words(&wave, &plain), None, |_| {
            let mut embeddings = Embeddings::new(2);
            assert!(rows.iter().all(|row| embeddings.push_normalised(row)));
            Ok(embeddings)
        })
        .map(drop)
        .map_err(|error| error.to_string())
    };
    assert_eq!(build(&[&[1.0, 0.0], &[0.0, 1.0]]), Ok(()));
    assert!(
        build(&[&[1.0, 0.5], &[-1.0, -0.5]])
            .unwrap_err()
            .contains("action wave: its phrases mean such different")
    );
    assert!(build(&[&[1.0, 0.0]]).unwrap_err().contains("1 rows of 2 for 2 phrases"));
    let failed = Vocabulary::from_words(&words(&wave, &plain), None, |_| {
        Err(ClipError::Degenerate { model: "m".into(), row: 0 })
    });
    assert!(matches!(failed, Err(VocabularyError::Clip(_))));
}
