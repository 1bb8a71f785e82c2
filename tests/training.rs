//! Whether training works: heads learn, from actions that they see, what tells actions apart that they have never seen.
//! On worlds of features that are made here (src/lab/README.md).
#![cfg(feature = "lab")]

mod common;

use std::path::Path;

use common::{complaint, output, watchword};
use watchword::lab::dataset::Dataset;
use watchword::lab::eval::{self, Heads, MIN_SCORE, Setting};
use watchword::lab::link::Linking;
use watchword::lab::map::Measure;
use watchword::lab::split::Split;
use watchword::lab::synthetic::{self, Size};
use watchword::lab::tables::{Frozen, Judging, Metric};

/// Frame mAP at an IoU of 0.5 on the actions that were not seen, of persons found.
fn judge(world: &Path, heads: Heads<'_>) -> f64 {
    let data = Dataset::open(world, None).unwrap();
    let split = Split::listed(world, &data.labels).unwrap();
    let labels: Vec<usize> = split.unseen.iter().map(|label| data.label(label).unwrap()).collect();
    let setting = Setting {
        heads,
        frame_alone: false,
        judging: Judging::default(),
        background: None,
        min_score: MIN_SCORE,
        linking: Linking::default(),
        fps: 1.0,
        wording: None,
    };
    let videos = eval::showing(data.videos.iter(), &labels);
    let metric = Metric { measure: Measure::Frame, iou: 0.5 };
    let reports =
        eval::reports(&data, &data.texts().unwrap(), None, &videos, &labels, &setting, &[metric]).unwrap();
    reports[0].as_ref().unwrap().map
}

/// The same, of heads that `lab train` makes of the actions that are seen.
fn trained(world: &Path, units: &str, layers: usize, seed: u64, iterations: usize) -> f64 {
    train(world, &["--units", units, "--layers", &layers.to_string()], seed, iterations)
}

fn train(world: &Path, method: &[&str], seed: u64, iterations: usize) -> f64 {
    let out = tempfile::tempdir().unwrap();
    let (seed, part) = (seed.to_string(), (iterations / 10).to_string());
    let iterations = iterations.to_string();
    std::fs::write(out.path().join("recipe.toml"), format!("validate_every = {part}\n{RECIPE}")).unwrap();
    let mut command = watchword();
    // The framework's threads wait for one another in a busy loop, which tests side by side turn into waiting.
    command.env("RAYON_NUM_THREADS", "1").args(["lab", "train"]).arg(world).arg("--out").arg(out.path());
    for (option, file) in [("--labels", "train_label.txt"), ("--videos", "train_video.txt")] {
        command.arg(option).arg(world.join(file));
    }
    command.arg("--recipe").arg(out.path().join("recipe.toml"));
    command.args(method).args(["--seed", &seed]);
    command.args(["--iterations", &iterations, "--warm-up", &part]);
    let run = output(&mut command);
    assert!(run.status.success(), "{}", complaint(&run));
    judge(world, Heads::Trained(&std::fs::read(out.path().join("heads.safetensors")).unwrap()))
}

const RECIPE: &str = r#"
before = 16
after = 0
frames = 16
optimiser = "adamw"
schedule = "cosine"
learning_rate = 1e-3
unit_factor = 1.0
bias_factor = 1.0
weight_decay = 1e-2
"#;

fn world(size: Size, seed: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    synthetic::write(folder.path(), size, seed).unwrap();
    folder
}

/// The quick form of the table below, on one smaller world.
#[test]
fn what_is_learned_holds_for_actions_that_were_not_seen() {
    let world = world(Size { width: 32, families: 8, videos: 5 }, 1);
    let baseline = judge(world.path(), Heads::Frozen(Frozen::Baseline));
    let person = trained(world.path(), "person", 0, 1, 200);
    let all = trained(world.path(), "person,object,context,memory", 2, 1, 200);
    eprintln!("baseline {baseline:.1}, P {person:.1}, P+O+C+M and prompting {all:.1}");
    assert!(all >= baseline + 15.0, "{all} is not 15 above {baseline}");
    assert!(all >= person + 10.0, "{all} is not 10 above {person}");
}

/// What is compared with, at its own best: it sees no persons, and nothing of the past but in whole frames.
#[test]
fn a_transformer_over_frames_learns_too() {
    let world = world(Size { width: 32, families: 8, videos: 5 }, 1);
    let baseline = judge(world.path(), Heads::Frozen(Frozen::Baseline));
    let method = ["--method", "action-clip", "--blocks", "2"];
    let pooled = train(world.path(), &[&method[..], &["--learning-rate", "1e-12"]].concat(), 1, 10);
    let learned = train(world.path(), &method, 1, 200);
    eprintln!("baseline {baseline:.1}, mean of the frames {pooled:.1}, transformer {learned:.1}");
    assert!(learned >= baseline + 15.0, "{learned} is not 15 above {baseline}");
    assert!(learned >= pooled + 15.0, "{learned} is not 15 above {pooled}");
}

/// Five worlds of the default size; prints the table of src/lab/README.md. Takes minutes:
/// `cargo test --release --test training -- --ignored --nocapture`
#[test]
#[ignore = "minutes; the quick form is above"]
fn every_unit_adds_to_the_ones_before() {
    let rows: [(&str, &str, usize, usize); 5] = [
        ("P", "person", 0, 600),
        ("P+O", "person,object", 0, 600),
        ("P+O+C", "person,object,context", 0, 600),
        ("P+O+C+M", "person,object,context,memory", 0, 600),
        ("P+O+C+M, prompting", "person,object,context,memory", 2, 200),
    ];
    let worlds: Vec<_> =
        (0..5).map(|seed| (seed, world(Size { width: 64, families: 8, videos: 10 }, seed))).collect();
    let mut means = Vec::new();
    let mut print = |name: &str, figures: Vec<f64>| {
        let mean = figures.iter().sum::<f64>() / figures.len() as f64;
        let each: Vec<String> = figures.iter().map(|figure| format!("{figure:.1}")).collect();
        eprintln!("| {name} | {mean:.1} | {} |", each.join(" | "));
        means.push(mean);
    };
    for (name, frozen) in [("baseline", Frozen::Baseline), ("fusion", Frozen::Fusion)] {
        print(name, worlds.iter().map(|(_, world)| judge(world.path(), Heads::Frozen(frozen))).collect());
    }
    for (name, units, layers, iterations) in rows {
        let figure = |(seed, world): &(u64, tempfile::TempDir)| {
            trained(world.path(), units, layers, *seed, iterations)
        };
        print(name, worlds.iter().map(figure).collect());
    }
    let [baseline, _, person, object, context, memory, prompting] = means[..] else { unreachable!() };
    assert!(person < object && object < context && context < memory, "{means:?}");
    assert!(prompting >= baseline + 15.0, "{means:?}");
}
