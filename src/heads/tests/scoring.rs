use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::clip::Embeddings;
use crate::config::{self, Action};
use crate::vocabulary::{Vocabulary, Words};

/// Rows of actions, of background, and of what stands against each action.
#[derive(Debug, Clone)]
struct Rows {
    actions: Vec<Vec<f32>>,
    background: Vec<Vec<f32>>,
    against: Vec<Vec<Vec<f32>>>,
}

impl Rows {
    /// A vocabulary whose phrases are the names of their rows.
    fn vocabulary(&self) -> Vocabulary {
        let phrase = |row: &Vec<f32>| format!("{row:?}");
        let actions = self.actions.iter().enumerate().map(|(index, row)| Action {
            name: format!("action-{index}"),
            phrases: vec![phrase(row)],
            against: self.against.get(index).into_iter().flatten().map(phrase).collect(),
            ..Action::default()
        });
        let actions: Vec<_> = actions.collect();
        let settings =
            config::Vocabulary { template: None, background: self.background.iter().map(phrase).collect() };
        let words = Words { actions: &actions, settings: &settings, template: "{}", space: "s", pack: "p" };
        Vocabulary::from_words(&words, None, |phrases| {
            let mut rows = Embeddings::new(WIDTH);
            for phrase in phrases {
                let row: Vec<f32> = serde_json::from_str(phrase).unwrap();
                assert!(rows.push(&row));
            }
            Ok(rows)
        })
        .unwrap()
    }
}

const WIDTH: usize = 5;

/// Any direction.
fn direction() -> impl Strategy<Value = Vec<f32>> {
    vec(-1.0f32..1.0, WIDTH).prop_filter("has a direction", |v| v.iter().map(|x| x * x).sum::<f32>() > 0.01)
}

fn rows() -> impl Strategy<Value = Rows> {
    (1usize..6).prop_flat_map(|actions| {
        (vec(direction(), actions), vec(direction(), 0..4), vec(vec(direction(), 0..3), actions))
            .prop_map(|(actions, background, against)| Rows { actions, background, against })
    })
}

fn embeddings(rows: &[Vec<f32>]) -> Embeddings {
    let mut embeddings = Embeddings::new(WIDTH);
    assert!(rows.iter().all(|row| embeddings.push(row)));
    embeddings
}

fn score(method: Method, scale: f32, persons: &[Vec<f32>], context: &[f32], rows: &Rows) -> Vec<Vec<f32>> {
    let (persons, objects) = (embeddings(persons), Embeddings::default());
    let features = Features {
        count: persons.len(),
        persons: &persons,
        objects: &objects,
        context: Some(context),
        memory: &[],
    };
    let mut scores = Scores::default();
    Scorer::new(method, scale).score(&features, &rows.vocabulary(), &mut scores, None);
    assert_eq!(scores.len(), persons.len());
    scores.rows().map(<[f32]>::to_vec).collect()
}

fn unit(vector: &[f32]) -> Vec<f64> {
    let norm = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    vector.iter().map(|x| f64::from(*x) / norm).collect()
}

/// The formula as it stands, in f64 and without precautions.
fn naive(baseline: bool, scale: f32, person: &[f32], context: &[f32], rows: &Rows) -> Vec<f64> {
    let mean: Vec<f32> = if baseline {
        context.to_vec()
    } else {
        person.iter().zip(context).map(|(p, c)| (p + c) / 2.0).collect()
    };
    let feature = unit(&mean);
    let exp = |row: &Vec<f32>| {
        let cosine: f64 = unit(row).iter().zip(&feature).map(|(a, b)| a * b).sum();
        (f64::from(scale) * cosine).exp()
    };
    let shared: f64 = rows.actions.iter().chain(&rows.background).map(exp).sum();
    let own = |index: usize| rows.against[index].iter().map(exp).sum::<f64>();
    rows.actions.iter().enumerate().map(|(index, row)| exp(row) / (shared + own(index))).collect()
}

fn unit32(vector: &[f32]) -> Vec<f32> {
    unit(vector).into_iter().map(|x| x as f32).collect()
}

proptest! {
    #[test]
    fn scores_are_the_formula(
        rows in rows(), persons in vec(direction(), 0..4), context in direction(), scale in 0.1f32..120.0,
        baseline: bool,
    ) {
        let method = if baseline { Method::Baseline } else { Method::Fusion };
        let context = unit32(&context);
        // Near-opposites cancel: there the mean's direction is rounding.
        let opposed = |p: &Vec<f32>| p.iter().zip(&context).all(|(a, b)| (a + b).abs() < 0.05);
        prop_assume!(baseline || !persons.iter().any(opposed));
        let scores = score(method, scale, &persons, &context, &rows);
        for (person, scores) in persons.iter().zip(&scores) {
            for (p, expected) in scores.iter().zip(naive(baseline, scale, person, &context, &rows)) {
                prop_assert!((f64::from(*p) - expected).abs() < 3e-4, "{p} is not {expected}");
            }
            prop_assert!(scores.iter().sum::<f32>() <= 1.0 + 1e-5);
        }
    }

    #[test]
    fn the_order_of_actions_means_nothing(rows in rows(), person in direction(), context in direction()) {
        let mut turned = rows.clone();
        turned.actions.rotate_left(1);
        turned.against.rotate_left(1);
        let context = unit32(&context);
        let mut scores = score(Method::Fusion, 30.0, std::slice::from_ref(&person), &context, &rows).remove(0);
        let other = score(Method::Fusion, 30.0, &[person], &context, &turned).remove(0);
        scores.rotate_left(1);
        for (a, b) in scores.iter().zip(&other) {
            prop_assert!((a - b).abs() < 1e-5);
        }
    }

    #[test]
    fn background_takes_from_all_and_against_from_one(
        rows in rows(), person in direction(), context in direction(), extra in direction(),
    ) {
        let context = unit32(&context);
        let score = |rows: &Rows| score(Method::Fusion, 5.0, std::slice::from_ref(&person), &context, rows).remove(0);
        let before = score(&rows);

        let mut more = rows.clone();
        more.background.push(extra.clone());
        for (before, after) in before.iter().zip(score(&more)) {
            prop_assert!(after < *before);
        }
        let mut more = rows.clone();
        more.against[0].push(extra);
        let after = score(&more);
        prop_assert!(after[0] < before[0]);
        prop_assert_eq!(&after[1..], &before[1..]);
    }

    #[test]
    fn whatever_is_finite_gives_probabilities(
        rows in rows(), person in direction(), scale in 1e-3f32..1e6,
        context in vec(prop_oneof![-1.0f32..1.0, any::<f32>().prop_filter("finite", |x| x.is_finite())], WIDTH),
        baseline: bool,
    ) {
        let method = if baseline { Method::Baseline } else { Method::Fusion };
        for p in score(method, scale, &[person], &context, &rows).remove(0) {
            prop_assert!((0.0..=1.0 + 1e-5).contains(&p), "{p}");
        }
    }
}

fn axis(index: usize) -> Vec<f32> {
    (0..WIDTH).map(|i| if i == index { 1.0 } else { 0.0 }).collect()
}

fn only(action: Vec<f32>) -> Rows {
    Rows { actions: vec![action], background: vec![], against: vec![vec![]] }
}

#[test]
fn without_an_alternative_it_is_certain() {
    assert_eq!(score(Method::Fusion, 100.0, &[axis(1)], &axis(2), &only(axis(0))), [[1.0]]);
}

#[test]
fn fusion_and_baseline_look_at_what_they_say() {
    let rows = Rows { actions: vec![axis(0), axis(1)], background: vec![], against: vec![vec![]; 2] };
    let fused = score(Method::Fusion, 10.0, &[axis(0), axis(1), axis(2)], &axis(1), &rows);
    assert!((fused[0][0] - fused[0][1]).abs() < 1e-6, "one says this, the other that: {fused:?}");
    assert!(fused[1][1] > 0.99 && fused[2][1] > 0.99);
    let baseline = score(Method::Baseline, 10.0, &[axis(0), axis(0)], &axis(1), &rows);
    assert!(baseline.iter().all(|row| row[1] > 0.99), "{baseline:?}");
    assert_eq!(Scorer::new(Method::Fusion, 1.0).wants(), Wanted { persons: true, objects: 0 });
    assert_eq!(Scorer::new(Method::Baseline, 1.0).wants(), Wanted { persons: false, objects: 0 });
}

#[test]
fn evidence_that_cancels_out_favours_nothing() {
    let opposite = axis(0).iter().map(|x| -x).collect::<Vec<_>>();
    let rows = Rows {
        actions: vec![axis(0), axis(1)],
        background: vec![axis(2), axis(3)],
        against: vec![vec![]; 2],
    };
    assert_eq!(score(Method::Fusion, 100.0, &[opposite], &axis(0), &rows), [[0.25, 0.25]]);
}

#[test]
fn what_is_far_better_than_an_action_leaves_it_nothing() {
    let rows = Rows { against: vec![vec![axis(0)]], ..only(axis(0).iter().map(|x| -x).collect()) };
    assert_eq!(score(Method::Baseline, 1000.0, &[axis(0)], &axis(0), &rows), [[0.0]], "e^2000 is no number");
}

#[test]
fn who_has_no_features_does_nothing() {
    let vocabulary = only(axis(0)).vocabulary();
    let (persons, objects) = (embeddings(&[axis(0)]), Embeddings::default());
    let mut scorer = Scorer::new(Method::Fusion, 10.0);
    let mut scores = Scores::default();
    let context = axis(0);
    let mut features =
        Features { count: 2, persons: &persons, objects: &objects, context: Some(&context), memory: &[] };
    scorer.score(&features, &vocabulary, &mut scores, None);
    assert_eq!(scores.rows().collect::<Vec<_>>(), [[1.0], [0.0]]);
    features.context = None;
    scorer.score(&features, &vocabulary, &mut scores, None);
    assert_eq!(scores.rows().collect::<Vec<_>>(), [[0.0], [0.0]]);
    features.count = 0;
    scorer.score(&features, &vocabulary, &mut scores, None);
    assert!(scores.is_empty());
}
