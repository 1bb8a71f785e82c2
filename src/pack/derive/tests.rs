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
    engine(kind).load(&model, Options::of(1)).unwrap()
}

fn pixels(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919) % 1009) as f32 / 300.0 - 1.7).collect()
}

fn run(session: &mut dyn Session) -> Vec<Tensor> {
    run_on(session, 1, 64)
}

fn run_on(session: &mut dyn Session, batch: usize, side: usize) -> Vec<Tensor> {
    let shape = [batch, 3, side, side];
    let (data, mut outputs) = (pixels(shape.iter().product()), Vec::new());
    session.run(&[Input::F32 { shape: &shape, data: &data }], &mut outputs).unwrap();
    outputs
}

const POSITIONS: &str = "vision_model.embeddings.position_embedding.weight";

/// The numbers of a constant of a model, and the model with others instead.
fn constant(bytes: &[u8], name: &str) -> Vec<f32> {
    let graph = Graph::new(ModelProto::parse_buf(bytes).unwrap().graph.unwrap()).unwrap();
    floats(graph.constant(name).unwrap()).unwrap()
}

fn with_constant(bytes: &[u8], name: &str, values: &[f32]) -> Vec<u8> {
    let mut model = ModelProto::parse_buf(bytes).unwrap();
    let constants = &mut model.graph.as_mut().unwrap().initializer;
    let found = constants.iter_mut().find(|tensor| tensor.name.as_deref() == Some(name)).unwrap();
    *found.raw_data.as_ref().unwrap().borrow_mut() = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    model.write_buf().unwrap()
}

/// The tower of half the side is the one that is built for it, with the same weights: all but the positions are drawn by
/// name, and four of sixteen positions are by hand what bicubic interpolation makes of them.
#[test]
fn a_smaller_input_is_the_tower_built_for_it_with_interpolated_positions() {
    let large = tower(2, Precision::F32);
    let built = Recipe { clip: Clip { picture: 16, ..SMALL }, precision: Precision::F32, seed: 5 };
    let mut small = Vec::new();
    built.image_tower().write(&mut small).unwrap();
    let (width, table) = (SMALL.image.width, constant(&large, POSITIONS));
    // Half a cell from two middles: (-3, 19, 19, -3) / 32, at the edges the outermost stands for the one beyond.
    let weights = [[16.0, 19.0, -3.0, 0.0], [0.0, -3.0, 19.0, 16.0]].map(|row| row.map(|x: f32| x / 32.0));
    let mut expected = table[..width].to_vec();
    for (y, x) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        expected.extend((0..width).map(|channel| {
            let cell = |row: usize, column: usize| table[(1 + 4 * row + column) * width + channel];
            let across =
                |row: usize| (0..4).map(|column| weights[x][column] * cell(row, column)).sum::<f32>();
            (0..4).map(|row| weights[y][row] * across(row)).sum::<f32>()
        }));
    }
    let by_hand = run_on(&mut *session(EngineKind::Cpu, with_constant(&small, POSITIONS, &expected)), 3, 16);
    let derived = resized(&large, [32, 32], [16, 16]).unwrap();
    for kind in [EngineKind::Cpu, EngineKind::Tract] {
        if kind == EngineKind::Tract && !cfg!(feature = "tract") {
            continue;
        }
        let mut session = session(kind, derived.clone());
        assert_eq!(session.inputs()[0].shape, [None, Some(3), Some(16), Some(16)]);
        let given = run_on(&mut *session, 3, 16);
        assert_eq!(given.len(), 1);
        assert_eq!(given[0].shape, [3, 24]);
        for (a, b) in given[0].data.iter().zip(&by_hand[0].data) {
            assert!((a - b).abs() < 1e-4, "{kind:?}: {a} {b}");
        }
    }
}

#[test]
fn any_size_goes_and_the_published_one_changes_nothing() {
    let bytes = tower(2, Precision::Int8);
    let as_published = run_on(&mut *session(EngineKind::Cpu, bytes.clone()), 2, 32);
    let same = resized(&bytes, [32, 32], [32, 32]).unwrap();
    assert_eq!(run_on(&mut *session(EngineKind::Cpu, same), 2, 32), as_published);
    for side in [8, 24, 40, 64] {
        let derived = resized(&bytes, [32, 32], [side, side]).unwrap();
        assert_eq!(run_on(&mut *session(EngineKind::Cpu, derived), 2, side)[0].shape, [2, 24]);
    }
    let error = resized(&bytes, [32, 32], [28, 28]).unwrap_err();
    assert_eq!(error.to_string(), "it takes multiples of 8 px, which 28 is not");
}

#[test]
fn the_nano_packs_tower_reads_other_sizes() {
    let Ok(pack) = crate::pack::Pack::open("nano".as_ref()) else { return };
    let engine = engine(EngineKind::Cpu);
    let load = |side| {
        let pack = pack.clone().with_input(Some(side));
        let session = pack.load(crate::pack::Role::Image, &*engine, Options::of(2));
        session.map_err(|error| error.to_string())
    };
    assert_eq!(run_on(&mut *load(160).unwrap(), 2, 160)[0].shape, [2, 384]);
    let error = load(150).err().unwrap();
    assert!(error.contains("150 × 150 px") && error.contains("multiples of 32 px"), "{error}");
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    crate::clip::dot(a, b) / crate::clip::norm(a) / crate::clip::norm(b)
}

#[test]
fn both_engines_read_it_and_agree_and_int8_is_near() {
    let exact = with_regions(&tower(2, Precision::F32), [32, 32], [32, 32]).unwrap();
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
    let rounded = run(&mut *session(
        EngineKind::Cpu,
        with_regions(&tower(2, Precision::Int8), [32, 32], [32, 32]).unwrap(),
    ));
    for (a, b) in cpu.iter().zip(&rounded).flat_map(|(a, b)| a.data.chunks(24).zip(b.data.chunks(24))) {
        assert!(cosine(a, b) > 0.98, "{}", cosine(a, b));
    }
}

/// With one block a cell looks at nothing but itself, so that changing a patch changes its own cell and no other; with
/// two it looks at the others in the first.
#[test]
fn the_last_block_looks_at_nothing_else() {
    for (layers, others) in [(1, false), (2, true)] {
        let mut session = session(
            EngineKind::Cpu,
            with_regions(&tower(layers, Precision::F32), [32, 32], [32, 32]).unwrap(),
        );
        let before = run(&mut *session);
        let mut pixels = pixels(3 * 64 * 64);
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
    let model = pack.tower_with_regions("cpu").unwrap();
    let mut session = engine(EngineKind::Cpu).load(&model, Options::of(2)).unwrap();
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
    with_regions(&model.write_buf().unwrap(), [32, 32], [32, 32]).unwrap_err().to_string()
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
    assert!(
        with_regions(&tower(1, Precision::F32), [64, 64], [64, 64])
            .unwrap_err()
            .to_string()
            .contains("one row a token")
    );
    assert!(matches!(with_regions(&[1, 2, 3], [32, 32], [32, 32]), Err(DeriveError::Parse(_))));
    let mut text = Vec::new();
    Recipe { clip: SMALL, precision: Precision::F32, seed: 5 }.text_tower().write(&mut text).unwrap();
    assert!(with_regions(&text, [32, 32], [32, 32]).is_err());
}
