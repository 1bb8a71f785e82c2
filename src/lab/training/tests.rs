use std::sync::OnceLock;

use super::*;
use crate::clip::Embeddings;
use crate::heads::{
    Interaction, Metadata, Pads, Recalled, Size, Start, Surroundings, fresh as new_heads, serialise,
    similarity,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::lab::dataset::{FORMAT, Sample};
use crate::lab::features::{Boxes, Seen};
use crate::lab::synthetic;
use crate::lab::temporal::Temporal;
use crate::pack::architecture::{self, CLIP_VIT_B32, Clip, Precision, Tower};
use crate::pack::{Pack, RandomPack, make_random};
use batch::Batch;
use network::Network;

const WIDTH: usize = 16;

/// A small world, its data set and its text embeddings.
fn world() -> &'static (tempfile::TempDir, Dataset, Texts) {
    static WORLD: OnceLock<(tempfile::TempDir, Dataset, Texts)> = OnceLock::new();
    WORLD.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let size = synthetic::Size { width: WIDTH, families: 2, videos: 2 };
        synthetic::write(folder.path(), size, 5).unwrap();
        let data = Dataset::open(folder.path(), None).unwrap();
        let texts = data.texts().unwrap();
        (folder, data, texts)
    })
}

fn recipe() -> Recipe {
    Recipe {
        units: vec![Kind::Person, Kind::Object, Kind::Context, Kind::Memory],
        before: 6,
        after: 2,
        iterations: 12,
        warm_up: 3,
        frames: 4,
        hold_out: 0.0,
        optimiser: Optimiser::AdamW,
        learning_rate: 1e-3,
        ..Recipe::default()
    }
}

fn run(out: &Path, recipe: &Recipe, resume: bool, stop_at: Option<usize>) -> Outcome {
    let (_, data, texts) = world();
    let task = Task { data, texts, wording: None, labels: &data.labels, out };
    let stop = Stop::new();
    let own = stop.clone();
    train(&task, recipe, resume, &stop, &mut |state, _| {
        if stop_at == Some(state.step) {
            own.set();
        }
    })
    .unwrap()
}

fn finished(outcome: Outcome) -> (PathBuf, Box<Record>) {
    match outcome {
        Outcome::Finished { heads, record } => (heads, record),
        Outcome::Stopped { checkpoint } => panic!("stopped: {}", checkpoint.display()),
    }
}

/// What the device makes of a sample: probabilities of each of `text`, person by person.
fn on_device(heads: &mut Interaction, sample: &Sample, text: &Embeddings) -> Vec<f32> {
    let width = heads.width();
    let projected = heads.project_all(&sample.memory);
    let memory: Vec<_> =
        sample.slots.iter().zip(&projected).map(|(&slot, projected)| Recalled { slot, projected }).collect();
    let around = Surroundings { objects: &sample.objects, context: &sample.context, memory: &memory };
    let features = heads.enhance(&sample.persons, &around, None).to_vec();
    let labels = match heads.prompt(text) {
        Some(prompted) => prompted.to_vec(),
        None => text.data().repeat(features.len() / width),
    };
    let scale = heads.metadata().tau.recip();
    let of_person = labels.chunks_exact(text.data().len());
    features.chunks_exact(width).zip(of_person).flat_map(|(x, labels)| similarity(x, labels, scale)).collect()
}

/// The same in the framework, all samples in one batch.
fn in_framework(network: &Network, samples: &[Sample], text: &Embeddings) -> Vec<f32> {
    let batch = Batch::new(samples, text.width(), &network.metadata, &Device::Cpu).unwrap();
    let text = Tensor::from_slice(text.data(), (text.len(), text.width()), &Device::Cpu).unwrap();
    let logits = network.logits(&batch, &text, &mut Dropout::none()).unwrap();
    crate::lab::transformer::softmax(&logits).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Random weights of every kind in both, on frames with and without objects and memory: one and the same function.
#[test]
fn the_framework_and_the_device_agree() {
    let (_, data, texts) = world();
    let text = texts.means(0..data.labels.len()).unwrap();
    for (pads, relu, ln_affine, layers) in [
        (crate::heads::AUTHORS_PADS, true, false, 2),
        (Pads::default(), false, true, 0),
        (Pads { person: 1, object: 2, context: 1, memory: 1 }, true, true, 1),
    ] {
        let recipe =
            Recipe { pads, relu, ln_affine, layers, ..Recipe { before: 6, after: 2, ..Recipe::default() } };
        let metadata: Metadata = recipe.metadata("synthetic");
        let size = Size { width: WIDTH, layers, hidden: 4 * WIDTH };
        let bytes = serialise(&new_heads(&metadata, size, Start::Random, 3), &metadata).unwrap();
        let network = Network::fresh(&metadata, size, 0.01, 0, &Device::Cpu).unwrap();
        checkpoint::set(&network.weights, &new_heads(&metadata, size, Start::Random, 3), &Device::Cpu)
            .unwrap();
        let mut heads = Interaction::read(&bytes).unwrap();
        let sampling = sampling(&recipe);
        let video = &data.videos[3];
        // The first frame of the action, and later ones; one as if nothing were around it.
        let mut samples: Vec<Sample> = [6, 7, 9, 15].map(|row| video.sample(row, &sampling).unwrap()).into();
        samples.push(data.videos[7].sample(12, &sampling).unwrap());
        let bare = samples.last_mut().unwrap();
        for rows in [&mut bare.objects, &mut bare.memory] {
            rows.clear();
        }
        bare.slots.clear();
        let expected: Vec<f32> =
            samples.iter().flat_map(|sample| on_device(&mut heads, sample, &text)).collect();
        let found = in_framework(&network, &samples, &text);
        assert_eq!(found.len(), expected.len());
        assert!(found.len() >= 5 * data.labels.len());
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() <= 1e-4, "{pads:?}: {a} and {b}");
        }
    }
}

/// Trained, written, read by the device: its scores are those of training.
#[test]
fn trained_heads_score_the_same_on_the_device() {
    let folder = tempfile::tempdir().unwrap();
    let (_, data, texts) = world();
    let recipe = recipe();
    let (path, record) = finished(run(folder.path(), &recipe, false, None));
    let bytes = std::fs::read(&path).unwrap();
    let mut heads = Interaction::read(&bytes).unwrap();
    heads.check("synthetic", WIDTH).unwrap();
    assert_eq!((record.steps, record.data.labels.len(), record.best_map), (12, 10, None));

    let metadata = recipe.metadata("synthetic");
    let size = Size { width: WIDTH, layers: recipe.layers, hidden: 4 * WIDTH };
    let network = Network::fresh(&metadata, size, 0.01, 0, &Device::Cpu).unwrap();
    let untrained = tensors(&network.weights).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for (name, weight) in &network.weights {
        let view = file.tensor(name).unwrap();
        let values: Vec<f32> =
            view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        weight.set(&Tensor::from_vec(values, view.shape(), &Device::Cpu).unwrap()).unwrap();
        // Every weight has learned something: gradients reach all of them.
        assert_ne!(view.data(), &untrained[name].bytes[..], "{name}");
    }
    let text = texts.means(0..data.labels.len()).unwrap();
    let samples: Vec<Sample> =
        data.videos.iter().map(|video| video.sample(10, &sampling(&recipe)).unwrap()).collect();
    let expected: Vec<f32> = samples.iter().flat_map(|sample| on_device(&mut heads, sample, &text)).collect();
    let found = in_framework(&network, &samples, &text);
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-4));
    assert!(std::fs::read_to_string(folder.path().join("curve.svg")).unwrap().contains("<polyline"));
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("record.json")).unwrap()).unwrap();
    assert_eq!(json["recipe"]["optimiser"], "adamw");
    assert_ne!(json["candle"], "unknown");
}

#[test]
fn a_run_that_was_stopped_ends_as_one_that_was_not() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let recipe = Recipe { hold_out: 0.3, validate_every: 4, ..recipe() };
    let (_, expected) = finished(run(whole.path(), &recipe, false, None));
    for stop_at in [3, 7] {
        let Outcome::Stopped { checkpoint } = run(parts.path(), &recipe, true, Some(stop_at)) else {
            panic!("it went on")
        };
        assert!(checkpoint.exists() && !parts.path().join("heads.safetensors").exists());
    }
    let (_, found) = finished(run(parts.path(), &recipe, true, None));
    assert_eq!(found.heads, expected.heads, "bit by bit");
    assert_eq!((found.best_map, found.steps), (expected.best_map, expected.steps));
    assert!(found.data.held_out.len() == 3 && found.best_map.is_some());
    assert!(!parts.path().join("checkpoint.safetensors").exists());

    // Another recipe is another run, and another seed other heads.
    let _ = run(parts.path(), &recipe, false, Some(3));
    let other = Recipe { seed: 1, ..recipe };
    let (_, data, texts) = world();
    let task = Task { data, texts, wording: None, labels: &data.labels, out: parts.path() };
    let error = train(&task, &other, true, &Stop::new(), &mut |_, _| {}).unwrap_err().to_string();
    assert!(error.contains("another recipe"), "{error}");
    let (_, found) = finished(run(parts.path(), &other, false, None));
    assert_ne!(found.heads, expected.heads);
}

/// What is compared with: stopped, resumed and judged as heads are, and refused by a board.
#[test]
fn a_transformer_over_frames_is_kept_whole() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let base = Recipe { method: Approach::ActionClip, blocks: 2, ..recipe() };
    let recipe = Recipe { hold_out: 0.3, validate_every: 4, ..base };
    let (path, expected) = finished(run(whole.path(), &recipe, false, None));
    for stop_at in [3, 7] {
        let Outcome::Stopped { .. } = run(parts.path(), &recipe, true, Some(stop_at)) else {
            panic!("it went on")
        };
    }
    let (_, found) = finished(run(parts.path(), &recipe, true, None));
    assert_eq!(found.heads, expected.heads, "bit by bit");

    let bytes = std::fs::read(&path).unwrap();
    let read = Temporal::read(&bytes, &Device::Cpu).unwrap();
    assert_eq!(read.bytes().unwrap().len(), bytes.len());
    let (_, data, texts) = world();
    let task = Task { data, texts, wording: None, labels: &data.labels, out: whole.path() };
    let untrained = tensors(Model::fresh(&task, &recipe, &Device::Cpu).unwrap().weights()).unwrap();
    assert_eq!(untrained.len(), read.weights.len());
    for (name, tensor) in tensors(&read.weights).unwrap() {
        assert_ne!(tensor.bytes, untrained[&name].bytes, "{name}: gradients reach all of them");
    }
    let error = Interaction::read(&bytes).err().unwrap().to_string();
    assert!(error.contains("watchword temporal 1") && error.contains("iclip"), "{error}");
}

/// Frames that look like what a text tower makes of the labels' names with words around them that nobody says: while the
/// transformer over frames stays as it is, learning words alone makes the labels tell apart.
#[test]
fn words_are_learned_where_nothing_else_helps() {
    let folder = tempfile::tempdir().unwrap();
    let tower = Tower { width: 32, layers: 2, heads: 4 };
    let clip = Clip {
        picture: 32,
        patch: 16,
        image: tower,
        text: tower,
        context: 32,
        embedding: 24,
        ..CLIP_VIT_B32
    };
    let made = architecture::Recipe { clip, precision: Precision::F32, seed: 3 };
    let path = folder.path().join("pack");
    make_random(&RandomPack { name: "small".into(), recipe: made }, &path).unwrap();
    let labels = ["wave", "climb the stairs", "shoot a ball", "skateboarding", "sit"].map(str::to_owned);
    let wording = Wording::open(&Pack::open(&path).unwrap(), &labels, &Device::Cpu).unwrap();

    let mut random = SmallRng::seed_from_u64(1);
    let mut draw = |count: usize, reach: f32| -> Vec<f32> {
        (0..count).map(|_| random.random_range(-reach..reach)).collect()
    };
    let mut vectors = || Tensor::from_vec(draw(4 * 32, 1.0), (4, 32), &Device::Cpu).unwrap();
    let said = wording.embed(&[0, 1, 2, 3, 4], &vectors(), &vectors()).unwrap();
    let looks = said.broadcast_sub(&said.mean_keepdim(0).unwrap()).unwrap().to_vec2::<f32>().unwrap();
    let texts = Texts {
        labels: labels.to_vec(),
        embedding: "space".into(),
        logit_scale: 100.0,
        sentences: labels.iter().map(|label| vec![label.clone()]).collect(),
        rows: {
            let mut rows = Embeddings::new(24);
            (0..labels.len()).for_each(|_| assert!(rows.push(&[1.0; 24])));
            rows
        },
        key: "k".into(),
    };
    let features = folder.path().join("features");
    std::fs::create_dir(&features).unwrap();
    texts.write(&features.join(crate::lab::dataset::TEXTS)).unwrap();
    for (label, look) in looks.iter().enumerate() {
        let mut clip = crate::lab::features::Clip::new(24, labels.len());
        for frame in 1..=8 {
            let noise = draw(24, 0.3 * crate::clip::norm(look) / 24f32.sqrt());
            let mut feature = Embeddings::new(24);
            assert!(feature.push(&look.iter().zip(noise).map(|(x, noise)| x + noise).collect::<Vec<_>>()));
            let rect = crate::frame::Rect::new(0.0, 0.0, 9.0, 9.0);
            let seen = Seen {
                persons: Vec::new(),
                objects: Vec::new(),
                truth_features: feature.clone(),
                person_features: Embeddings::new(24),
                object_features: Embeddings::new(24),
                context: feature,
            };
            clip.push(frame, &Boxes { truth: vec![(rect, vec![label])], persons: None }, &seen);
        }
        let about = [("format", FORMAT), ("video", &labels[label]), ("embedding", "space"), ("key", "k")];
        let mut about: std::collections::HashMap<_, _> =
            about.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        about.insert("labels".into(), serde_json::to_string(&labels).unwrap());
        clip.write(&features.join(format!("{label}.safetensors")), about).unwrap();
    }
    let data = Dataset::open(&features, None).unwrap();
    let recipe = Recipe {
        method: Approach::EfficientPrompting,
        blocks: 1,
        vectors: 4,
        unit_factor: 0.0,
        before: 1,
        after: 0,
        frames: 8,
        iterations: 200,
        learning_rate: 1e-2,
        dropout: 0.0,
        ..recipe()
    };
    let out = folder.path().join("out");
    let task = Task { data: &data, texts: &texts, wording: Some(&wording), labels: &labels, out: &out };
    let trained = |recipe: &Recipe| {
        let (path, record) = finished(train(&task, recipe, false, &Stop::new(), &mut |_, _| {}).unwrap());
        (path, record.history.last().unwrap().loss)
    };
    let (_, before) = trained(&Recipe { learning_rate: 1e-12, iterations: 10, ..recipe.clone() });
    let (path, after) = trained(&recipe);
    assert!(before > 0.3 && after < 0.1 * before, "{before} {after}");
    let learned = Temporal::read(&std::fs::read(path).unwrap(), &Device::Cpu).unwrap();
    let untrained = tensors(Model::fresh(&task, &recipe, &Device::Cpu).unwrap().weights()).unwrap();
    for (name, tensor) in tensors(&learned.weights).unwrap() {
        assert_eq!(tensor.bytes != untrained[&name].bytes, name.starts_with("words."), "{name}");
    }
    let mute = Task { wording: None, ..task };
    let error = train(&mute, &recipe, false, &Stop::new(), &mut |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("--pack"), "{error}");
}

#[test]
fn the_loss_falls_and_its_gradient_is_its_slope() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = Recipe { iterations: 200, dropout: 0.0, ..recipe() };
    let (_, record) = finished(run(folder.path(), &recipe, false, None));
    let [first, .., last] = &record.history[..] else { panic!("{:?}", record.history) };
    assert!(last.loss < 0.6 * first.loss, "{:?}", record.history);

    let values = [0.3f32, -1.2, 0.7, 0.1, 0.4, -0.5];
    let labels = [vec![0], vec![1, 2]];
    for gamma in [0.0, 2.0] {
        let at = |values: &[f32]| {
            let logits = candle_core::Var::from_slice(values, (2, 3), &Device::Cpu).unwrap();
            let loss = loss::focal(&logits, &labels, gamma).unwrap();
            let gradient = loss.backward().unwrap().get(&logits).unwrap().flatten_all().unwrap();
            (f64::from(loss.to_scalar::<f32>().unwrap()), gradient.to_vec1::<f32>().unwrap())
        };
        let (loss, gradient) = at(&values);
        // By hand, in f64.
        let p = |row: usize, column: usize| {
            let row = &values[3 * row..3 * row + 3];
            f64::from(row[column]).exp() / row.iter().map(|x| f64::from(*x).exp()).sum::<f64>()
        };
        let term = |p: f64| -(1.0 - p).powf(gamma) * p.ln();
        let expected = (term(p(0, 0)) + (term(p(1, 1)) + term(p(1, 2))) / 2.0) / 2.0;
        assert!((loss - expected).abs() < 1e-5, "{loss} {expected}");
        for index in 0..6 {
            let mut moved = values;
            moved[index] += 1e-2;
            let up = at(&moved).0;
            moved[index] -= 2e-2;
            let slope = (up - at(&moved).0) / 2e-2;
            assert!((slope - f64::from(gradient[index])).abs() < 1e-3, "{slope} {gradient:?}");
        }
    }
}

#[test]
fn the_authors_recipe_is_the_default_and_warms_up() {
    let recipe = Recipe::default();
    recipe.check().unwrap();
    assert!((recipe.learning_rate(0) - 0.5e-4).abs() < 1e-12);
    assert!((recipe.learning_rate(350) - 1.25e-4).abs() < 1e-12);
    assert_eq!((recipe.learning_rate(700), recipe.learning_rate(6999)), (2e-4, 2e-4));
    let cosine = Recipe { schedule: Schedule::Cosine, ..recipe.clone() };
    assert!((cosine.learning_rate(3850) - 1e-4).abs() < 1e-9 && cosine.learning_rate(7000) < 1e-12);
    for bad in [
        Recipe { dropout: 1.0, ..recipe.clone() },
        Recipe { learning_rate: 0.0, ..recipe.clone() },
        Recipe { iterations: 0, ..recipe.clone() },
        Recipe { before: 0, after: 0, ..recipe.clone() },
        Recipe { method: Approach::ActionClip, blocks: 0, ..recipe.clone() },
        Recipe { units: vec![], layers: 0, ..recipe },
    ] {
        assert!(bad.check().is_err(), "{bad:?}");
    }
}
