//! The fast form is the plain form.

use proptest::collection::vec;
use proptest::prelude::*;

use super::plain::{Plain, Rows};
use super::*;
use crate::clip::Embeddings;

const WIDTH: usize = 16;
const SIZE: Size = Size { width: WIDTH, layers: 2, hidden: 32 };

#[derive(Debug, Clone)]
struct Scene {
    units: Vec<Kind>,
    pads: Pads,
    layers: usize,
    seed: u64,
    persons: Rows,
    objects: Rows,
    context: Vec<f32>,
    memory: Vec<(usize, Vec<f32>)>,
    text: Rows,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Person), Just(Kind::Object), Just(Kind::Context), Just(Kind::Memory)]
}

fn row() -> impl Strategy<Value = Vec<f32>> {
    vec(-1.0f32..1.0, WIDTH)
}

/// Any order of units, masked or padded, with or without persons, objects, memory, prompting.
fn scene() -> impl Strategy<Value = Scene> {
    let pads = prop_oneof![
        Just(Pads::default()),
        (0usize..9, 0usize..7, 0usize..9, 0usize..4).prop_map(|(person, object, context, memory)| Pads {
            person,
            object,
            context,
            memory
        })
    ];
    let slots = proptest::sample::subsequence((0..7).collect::<Vec<usize>>(), 0..7);
    let heads = (vec(kind(), 0..7), pads, 0usize..3, any::<u64>());
    let seen = (vec(row(), 0..6), vec(row(), 0..4), row(), slots, vec(row(), 7), vec(row(), 1..5));
    (heads, seen).prop_map(
        |((units, pads, layers, seed), (persons, objects, context, slots, frames, text))| Scene {
            units,
            pads,
            layers,
            seed,
            persons,
            objects,
            context,
            memory: slots.into_iter().zip(frames).collect(),
            text,
        },
    )
}

/// What the fast form makes of a scene: features, prompted labels, by person.
fn fast(bytes: &[u8], scene: &Scene) -> (Vec<f32>, Vec<f32>) {
    let mut heads = Interaction::read(bytes).unwrap();
    let projected: Vec<Vec<f32>> = (scene.memory.iter())
        .map(|(_, frame)| {
            let mut out = Vec::new();
            heads.project(frame, &mut out);
            out
        })
        .collect();
    let frames = scene.memory.iter().zip(&projected);
    let memory: Vec<_> = frames.map(|((slot, _), projected)| Recalled { slot: *slot, projected }).collect();
    let (objects, context) = (scene.objects.concat(), &scene.context[..]);
    let around = Surroundings { objects: &objects, context, memory: &memory };
    let mut labels = Embeddings::new(WIDTH);
    assert!(scene.text.iter().all(|row| labels.push(row)));
    // Twice: buffers and labels of the first time must not show in the second.
    for _ in 0..2 {
        heads.enhance(&scene.persons.concat(), &around, None);
        heads.prompt(&labels);
    }
    let features = heads.features().to_vec();
    let prompted = match heads.prompt(&labels) {
        Some(prompted) => prompted.to_vec(),
        None => scene.text.concat().repeat(scene.persons.len()),
    };
    (features, prompted)
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |most, x| if x.is_nan() { f32::NAN } else { most.max(x) })
}

proptest! {
    #[test]
    fn all_economies_together_change_nothing(scene in scene()) {
        let size = Size { layers: scene.layers, ..SIZE };
        // Without units and layers a file says nothing, not even its width.
        prop_assume!(!scene.units.is_empty() || scene.layers > 0);
        let bytes = random(&scene.units, scene.pads, size, scene.seed);
        let plain = Plain::read(&bytes);
        let features = plain.interaction(&scene.persons, &scene.objects, &scene.context, &scene.memory);
        let prompted = plain.prompt(&scene.text, &features);
        let (fast_features, fast_prompted) = fast(&bytes, &scene);
        prop_assert!(largest_difference(&features.concat(), &fast_features) <= 1e-4);
        prop_assert!(largest_difference(&prompted.concat().concat(), &fast_prompted) <= 1e-4);
    }

    #[test]
    fn int8_weights_keep_the_probabilities(scene in scene(), seed: u64) {
        let units = [Kind::Person, Kind::Object, Kind::Context, Kind::Memory];
        // Rounding shows most in a narrow matrix; these are narrow already.
        let size = Size { width: WIDTH, layers: 2, hidden: 64 };
        let bytes = random(&units, scene.pads, size, seed);
        let (plain, int8) = (Plain::read(&bytes), quantise(&bytes).unwrap());
        prop_assert!(int8.len() < bytes.len() / 2);
        let features = plain.interaction(&scene.persons, &scene.objects, &scene.context, &scene.memory);
        let prompted = plain.prompt(&scene.text, &features);
        let (fast_features, fast_prompted) = fast(&int8, &scene);
        for (person, labels) in prompted.iter().enumerate() {
            let row = |data: &[f32], width| data[person * width..][..width].to_vec();
            let expected = plain.scores(&features[person], labels);
            let labels = row(&fast_prompted, labels.len() * WIDTH);
            let scores = similarity(&row(&fast_features, WIDTH), &labels, plain.tau.recip());
            prop_assert!(largest_difference(&expected, &scores) <= 5e-2, "{expected:?} {scores:?}");
        }
    }
}

#[test]
fn a_trace_ends_in_the_feature_and_weights_are_shares() {
    let units = [Kind::Person, Kind::Object, Kind::Memory, Kind::Object];
    let mut heads = Interaction::read(&random(&units, Pads::default(), SIZE, 7)).unwrap();
    let rows = |n: usize| (0..n * WIDTH).map(|i| (i % 7) as f32 / 7.0 - 0.4).collect::<Vec<_>>();
    let mut frames = vec![Vec::new(); 2];
    frames.iter_mut().zip([0.3, -0.2]).for_each(|(out, x)| heads.project(&[x; WIDTH], out));
    let memory: Vec<_> = frames.iter().zip([1, 5]).map(|(f, slot)| Recalled { slot, projected: f }).collect();
    let (persons, objects, context) = (rows(3), rows(2), rows(1));
    let mut trace = Trace::default();
    let around = Surroundings { objects: &objects, context: &context, memory: &memory };
    let features = heads.enhance(&persons, &around, Some(&mut trace)).to_vec();
    let kinds: Vec<_> = trace.steps.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [None, Some(Kind::Person), Some(Kind::Object), Some(Kind::Memory), Some(Kind::Object)]);
    assert!(largest_difference(&trace.steps[4].1, &features) < 1e-6);
    let fusion: Vec<f32> =
        persons.iter().zip(context.iter().cycle()).map(|(p, c)| p / 2.0 + c / 2.0).collect();
    assert_eq!(trace.steps[0].1, fusion);
    for person in trace.objects.chunks(2).chain(trace.slots.chunks(7)) {
        assert!((person.iter().sum::<f32>() - 1.0).abs() < 1e-5, "nothing is padded here: {person:?}");
    }
    let empty = |slot: &usize| trace.slots[*slot] == 0.0;
    assert!([0, 2, 3, 4, 6].iter().all(empty) && trace.slots[1] > 0.0 && trace.slots[5] > 0.0);
}
