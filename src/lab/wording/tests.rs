use candle_core::Var;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::pack::architecture::{CLIP_VIT_B32, Clip, Precision, Recipe, Tower as Shape};
use crate::pack::{RandomPack, make_random};

const WIDTH: usize = 32;
const LABELS: [&str; 4] = ["wave", "climbing up the stairs", "shoot a ball", "skateboarding"];

/// A pack of small towers.
fn pack(precision: Precision, folder: &std::path::Path) -> Pack {
    let tower = Shape { width: WIDTH, layers: 2, heads: 4 };
    let clip = Clip {
        picture: 32,
        patch: 16,
        image: tower,
        text: tower,
        context: 24,
        embedding: 24,
        ..CLIP_VIT_B32
    };
    let out = folder.join(precision.name());
    make_random(&RandomPack { name: "small".into(), recipe: Recipe { clip, precision, seed: 3 } }, &out)
        .unwrap();
    Pack::open(&out).unwrap()
}

fn labels() -> Vec<String> {
    LABELS.map(str::to_owned).into()
}

fn vectors(count: usize, seed: u64) -> Var {
    let mut random = SmallRng::seed_from_u64(seed);
    let values = (0..count * WIDTH).map(|_| random.random_range(-0.05..0.05)).collect::<Vec<f32>>();
    Var::from_vec(values, (count, WIDTH), &Device::Cpu).unwrap()
}

#[test]
fn names_read_as_the_engine_reads_them_and_words_may_stand_around_them() {
    let folder = tempfile::tempdir().unwrap();
    let pack = pack(Precision::F32, folder.path());
    let wording = Wording::open(&pack, &labels(), &Device::Cpu).unwrap();
    let mut engine = TextTower::open(&pack, &*engine::engine(EngineKind::Cpu), Options::of(1)).unwrap();
    // The vectors are the embeddings of real words: all in one batch, of different lengths.
    let model = pack.model(Role::Text, "cpu").unwrap();
    let (_, table) = tower::read(&model.bytes.whole().unwrap(), &Device::Cpu).unwrap();
    let words = |phrase: &str| {
        let tokens = engine.tokens(phrase).unwrap();
        let rows: Vec<f32> = tokens[1..tokens.len() - 1]
            .iter()
            .flat_map(|token| table.row(*token).unwrap())
            .copied()
            .collect();
        let count = rows.len() / WIDTH;
        Tensor::from_vec(rows, (count, WIDTH), &Device::Cpu).unwrap()
    };
    let (before, after) = (words("a photo of"), words("by a person"));
    let found = wording.embed(&[0, 1, 2, 3], &before, &after).unwrap().to_vec2::<f32>().unwrap();
    let sentences = LABELS.map(|label| format!("a photo of {label} by a person"));
    let expected = engine.embed(&sentences).unwrap();
    for (found, expected) in found.iter().zip(expected.rows()) {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-4), "{found:?} {expected:?}");
    }
    let bare = engine.embed(&labels()).unwrap();
    assert!(bare.rows().zip(&found).all(|(a, b)| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-2)));

    let long = vectors(10, 1);
    let error = wording.embed(&[1], &long, &long).unwrap_err().to_string();
    assert!(error.contains("reads 24: fewer vectors"), "{error}");
}

/// Of a sum of the embeddings with weights of their own, by central differences.
#[test]
fn the_gradient_of_the_words_is_its_slope() {
    let folder = tempfile::tempdir().unwrap();
    let wording = Wording::open(&pack(Precision::F32, folder.path()), &labels(), &Device::Cpu).unwrap();
    let (before, after) = (vectors(3, 1), vectors(2, 2));
    let weights = Tensor::arange(0f32, 48.0, &Device::Cpu).unwrap().sin().unwrap().reshape((2, 24)).unwrap();
    let sum = |before: &Tensor, after: &Tensor| {
        (wording.embed(&[1, 3], before, after).unwrap() * &weights).unwrap().sum_all().unwrap()
    };
    let gradients = sum(&before, &after).backward().unwrap();
    let value = |before: &Tensor, after: &Tensor| f64::from(sum(before, after).to_scalar::<f32>().unwrap());
    for (at, words) in [&before, &after].into_iter().enumerate() {
        let gradient = gradients.get(words).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let values = words.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let length = crate::clip::norm(&gradient);
        for element in (0..values.len()).step_by(7) {
            const STEP: f32 = 2e-3;
            let moved = |by: f32| {
                let mut values = values.clone();
                values[element] += by;
                let moved = Tensor::from_vec(values, words.dims(), &Device::Cpu).unwrap();
                if at == 0 { value(&moved, &after) } else { value(&before, &moved) }
            };
            let slope = (moved(STEP) - moved(-STEP)) / (2.0 * f64::from(STEP));
            let off = (slope - f64::from(gradient[element])).abs();
            assert!(off < 0.01 * f64::from(length), "{element}: {slope} {}", gradient[element]);
        }
        assert!(length > 0.1, "there is a slope: {length}");
    }
}

#[test]
fn other_towers_are_refused_with_what_is_supported() {
    let folder = tempfile::tempdir().unwrap();
    let open = |pack: &Pack| format!("{:#}", Wording::open(pack, &labels(), &Device::Cpu).unwrap_err());
    let error = open(&pack(Precision::Int8, folder.path()));
    assert!(error.contains("make-random") && error.contains("is missing"), "{error}");
    let error = open(&Pack::open(std::path::Path::new("nano")).unwrap());
    assert!(error.contains("make-random"), "{error}");
}
