//! Derived towers against plain arithmetic, and towers that cannot be derived from.

use super::*;
use crate::config::EngineKind;
use crate::engine::{Input, Model, ModelBytes, Options, Session, Tensor, engine};
use crate::pack::architecture::{Clip, Precision, Recipe, Tower};

const SMALL: Clip = Clip {
    picture: 32,
    patch: 8,
    image: Tower { width: 64, layers: 2, heads: 2 },
    text: Tower { width: 64, layers: 1, heads: 2 },
    context: 16,
    vocabulary: 10,
    embedding: 24,
};
const CELLS: usize = 64;

fn tower(layers: usize, precision: Precision) -> Vec<u8> {
    let clip = Clip { image: Tower { layers, ..SMALL.image }, ..SMALL };
    let mut bytes = Vec::new();
    Recipe { clip, precision, seed: 5 }.image_tower().write(&mut bytes).unwrap();
    bytes
}

fn session(kind: EngineKind, bytes: Vec<u8>) -> Box<dyn Session> {
    let model = Model { name: "derived".into(), bytes: ModelBytes::Made(bytes) };
    engine(kind).load(&model, Options { threads: 1 }).unwrap()
}

fn pixels() -> Vec<f32> {
    (0..3 * 64 * 64).map(|i| ((i * 7919) % 1009) as f32 / 300.0 - 1.7).collect()
}

fn run(session: &mut dyn Session) -> Vec<Tensor> {
    let mut outputs = Vec::new();
    session.run(&[Input::F32 { shape: &[1, 3, 64, 64], data: &pixels() }], &mut outputs).unwrap();
    outputs
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    crate::clip::dot(a, b) / crate::clip::norm(a) / crate::clip::norm(b)
}

#[test]
fn both_engines_read_it_and_agree_and_int8_is_near() {
    let exact = derive(&tower(2, Precision::F32), [32, 32]).unwrap();
    let mut loaded = session(EngineKind::Cpu, exact.clone());
    let names: Vec<_> = loaded.outputs().iter().map(|port| port.name.clone()).collect();
    assert_eq!(names, ["image_embeds", REGIONS]);
    let cpu = run(&mut *loaded);
    assert_eq!((&cpu[0].shape[..], &cpu[1].shape[..]), (&[1, 24][..], &[CELLS, 24][..]));
    if cfg!(feature = "tract") {
        let tract = run(&mut *session(EngineKind::Tract, exact));
        for (a, b) in cpu.iter().zip(&tract) {
            assert!(a.data.iter().zip(&b.data).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }
    let rounded = run(&mut *session(EngineKind::Cpu, derive(&tower(2, Precision::Int8), [32, 32]).unwrap()));
    for (a, b) in cpu.iter().zip(&rounded).flat_map(|(a, b)| a.data.chunks(24).zip(b.data.chunks(24))) {
        assert!(cosine(a, b) > 0.98, "{}", cosine(a, b));
    }
}

/// With one block a cell looks at nothing but itself, so that changing a patch changes its own cell and no other; with
/// two it looks at the others in the first.
#[test]
fn the_last_block_looks_at_nothing_else() {
    for (layers, others) in [(1, false), (2, true)] {
        let mut session = session(EngineKind::Cpu, derive(&tower(layers, Precision::F32), [32, 32]).unwrap());
        let before = run(&mut *session);
        let mut pixels = pixels();
        pixels[64 * 12 + 20] += 2.0; // row 1, column 2 of the patches
        let mut after = Vec::new();
        session.run(&[Input::F32 { shape: &[1, 3, 64, 64], data: &pixels }], &mut after).unwrap();
        let changed: Vec<_> = (before[1].data.chunks(24).zip(after[1].data.chunks(24)).enumerate())
            .filter(|(_, (a, b))| a.iter().zip(*b).any(|(a, b)| (a - b).abs() > 1e-6))
            .map(|(cell, _)| cell)
            .collect();
        assert!(changed.contains(&(8 + 2)), "{changed:?}");
        assert_eq!(changed.len() > 1, others, "{layers} layers: {changed:?}");
        assert_ne!(before[0].data, after[0].data, "the whole picture sees it in any case");
    }
}

#[test]
fn the_nano_packs_maps_are_pooled_by_cell() {
    let Ok(pack) = crate::pack::Pack::open("nano".as_ref()) else { return };
    let model = pack.dense_tower("cpu").unwrap();
    let mut session = engine(EngineKind::Cpu).load(&model, Options { threads: 2 }).unwrap();
    let data: Vec<f32> = (0..3 * 448 * 448).map(|i| ((i % 448) as f32 / 224.0) - 1.0).collect();
    let mut outputs = Vec::new();
    session.run(&[Input::F32 { shape: &[1, 3, 448, 448], data: &data }], &mut outputs).unwrap();
    assert_eq!(
        outputs.iter().map(|tensor| &tensor.shape[..]).collect::<Vec<_>>(),
        [&[1, 384][..], &[196, 384]]
    );
    assert!(outputs[1].data.iter().all(|x| x.is_finite()));
}

fn edited(edit: impl Fn(&mut NodeProto)) -> String {
    let mut model = ModelProto::parse_buf(&tower(1, Precision::F32)).unwrap();
    model.graph.as_mut().unwrap().node.iter_mut().for_each(edit);
    derive(&model.write_buf().unwrap(), [32, 32]).unwrap_err().to_string()
}

#[test]
fn what_is_not_recognised_is_said() {
    let rename = |from: &'static str, to: &'static str| {
        edited(move |node| {
            if is(node, from) {
                node.op_type = Some(to.into());
            }
        })
    };
    assert!(rename("Softmax", "Hardmax").contains("no softmax over tokens"));
    assert!(rename("Gather", "GatherElements").contains("no class token"));
    assert!(rename("Conv", "ConvTranspose").contains("position embedding"));
    assert!(derive(&tower(1, Precision::F32), [64, 64]).unwrap_err().to_string().contains("one row a token"));
    assert!(matches!(derive(&[1, 2, 3], [32, 32]), Err(DenseError::Parse(_))));
    let mut text = Vec::new();
    Recipe { clip: SMALL, precision: Precision::F32, seed: 5 }.text_tower().write(&mut text).unwrap();
    assert!(derive(&text, [32, 32]).is_err());
}
