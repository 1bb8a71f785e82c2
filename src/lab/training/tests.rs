use std::sync::OnceLock;

use super::*;
use crate::heads::{
    Interaction, Metadata, Pads, Recalled, Size, Start, Surroundings, fresh as new_heads, serialise,
    similarity,
};
use crate::lab::dataset::Sample;
use crate::lab::synthetic;
use crate::lab::temporal::Temporal;
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
    let task = Task { data, texts, labels: &data.labels, out };
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
    let text = tensor(text, &Device::Cpu).unwrap();
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
    let task = Task { data, texts, labels: &data.labels, out: parts.path() };
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
    let task = Task { data, texts, labels: &data.labels, out: whole.path() };
    let untrained = tensors(Model::fresh(&task, &recipe, &Device::Cpu).unwrap().weights()).unwrap();
    assert_eq!(untrained.len(), read.weights.len());
    for (name, tensor) in tensors(&read.weights).unwrap() {
        assert_ne!(tensor.bytes, untrained[&name].bytes, "{name}: gradients reach all of them");
    }
    let error = Interaction::read(&bytes).err().unwrap().to_string();
    assert!(error.contains("watchword temporal 1") && error.contains("iclip"), "{error}");
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
