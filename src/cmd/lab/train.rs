//! `lab train`: heads out of the features of a data set.

use std::path::PathBuf;

use anyhow::Context;

use super::materials::wording;
use crate::cmd::interrupt::stop_on_signals;
use crate::cmd::progress;
use crate::heads::{AUTHORS_PADS, Kind, Pads};
use crate::lab::annotation;
use crate::lab::dataset::Dataset;
use crate::lab::training::{Approach, Optimiser, Outcome, Phase, Recipe, Schedule, State, Task, train};

/// The defaults are the authors' recipe. Ctrl-C leaves a checkpoint, with which `--resume` goes on.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of features, as `lab features` leaves it
    features: PathBuf,
    /// Folder for heads.safetensors, record.json and curve.svg
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Labels to train on, one a line [default: all]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Videos to train on, one a line [default: all]
    #[arg(long, value_name = "FILE")]
    videos: Option<PathBuf>,
    /// Go on from the checkpoint in the folder, if there is one
    #[arg(long)]
    resume: bool,
    /// Options from a TOML file, by the names that record.json has them under; those given here count more
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// What is trained [default: iclip]
    #[arg(long, value_enum)]
    method: Option<Approach>,
    /// Layers of the transformer over frames
    #[arg(long)]
    blocks: Option<usize>,
    /// Learned words before a label's name, and as many after it
    #[arg(long)]
    vectors: Option<usize>,
    /// The pack that made the features, whose text tower reads learned words
    #[arg(long)]
    pack: Option<PathBuf>,
    /// What the units look at, in their order
    #[arg(long, value_delimiter = ',', value_parser = |name: &str| name.parse::<Kind>().map_err(|()| "person, object, context or memory"))]
    units: Option<Vec<Kind>>,
    /// Layers of prompting; 0 for none
    #[arg(long)]
    layers: Option<usize>,
    /// Memory slots before the frame
    #[arg(long)]
    before: Option<usize>,
    /// Memory slots after the frame; 0 for heads that need not wait
    #[arg(long)]
    after: Option<usize>,
    /// Memory slots in a second
    #[arg(long)]
    rate: Option<f32>,
    /// Frame numbers in a second; a frame counts as a second unless given, as in the paper
    #[arg(long)]
    fps: Option<f32>,
    /// What stands in for persons, objects and frames that are not there
    #[arg(long, value_enum)]
    pads: Option<PadsKind>,
    /// Steps
    #[arg(long)]
    iterations: Option<usize>,
    /// Frames in a step
    #[arg(long)]
    frames: Option<usize>,
    #[arg(long, value_enum)]
    optimiser: Option<OptimiserKind>,
    /// Learning rate; the units' is 10 times that
    #[arg(long)]
    learning_rate: Option<f64>,
    #[arg(long)]
    weight_decay: Option<f64>,
    /// Steps over which the learning rate rises
    #[arg(long)]
    warm_up: Option<usize>,
    #[arg(long, value_enum)]
    schedule: Option<ScheduleKind>,
    #[arg(long)]
    dropout: Option<f32>,
    /// Share of the labels that tells how long to train; 0 takes the last weights
    #[arg(long)]
    hold_out: Option<f32>,
    /// Take the best weights of the search as they are, instead of training on all labels for as long
    #[arg(long)]
    no_refit: bool,
    /// The same seed gives the same heads on the same machine
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PadsKind {
    /// Zero features, as the authors train
    Zero,
    /// Nothing
    Masked,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum OptimiserKind {
    Sgd,
    Adamw,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ScheduleKind {
    Constant,
    Cosine,
}

/// Trains.
pub fn run(args: Args) -> anyhow::Result<()> {
    let stop = stop_on_signals()?;
    let recipe = recipe(&args)?;
    let videos = args.videos.as_deref().map(annotation::names).transpose()?;
    let data = Dataset::open(&args.features, videos.as_deref())?;
    let texts = data.texts()?;
    let labels = match &args.labels {
        Some(path) => annotation::names(path)?,
        None => data.labels.clone(),
    };
    let learned = recipe.method == Approach::EfficientPrompting;
    let wording = args.pack.as_deref().filter(|_| learned).map(|pack| wording(pack, &data)).transpose()?;
    let wording = wording.as_ref();
    let task = Task { data: &data, texts: &texts, wording, labels: &labels, out: &args.out };
    let bar = progress::steps(recipe.iterations);
    let mut watch = |state: &State, loss: f64| {
        let best = state.best.map_or(String::new(), |(step, map)| format!(", best mAP {map:.1} % at {step}"));
        let phase = match state.phase {
            Phase::Search => "search",
            Phase::Refit => "all labels",
        };
        if let (Phase::Refit, Some((step, _))) = (state.phase, state.best) {
            bar.set_length(step as u64);
        }
        bar.set_position(state.step as u64);
        bar.set_message(format!("{phase}: loss {loss:.4}{best}"));
    };
    let outcome = train(&task, &recipe, args.resume, &stop, &mut watch)?;
    bar.finish_and_clear();
    match outcome {
        Outcome::Stopped { checkpoint } => {
            anyhow::bail!("stopped; {} holds how far it was: --resume goes on", checkpoint.display())
        }
        Outcome::Finished { heads, record } => {
            let held = record.best_map.map_or(String::new(), |map| {
                format!("; mAP {map:.1} % on {} labels held out", record.data.held_out.len())
            });
            println!(
                "{}: {} labels, {} frames, {} steps, {:.0} s{held}",
                heads.display(),
                record.data.labels.len(),
                record.data.frames,
                record.steps,
                record.seconds
            );
            Ok(())
        }
    }
}

fn recipe(args: &Args) -> anyhow::Result<Recipe> {
    let mut recipe = match &args.recipe {
        Some(path) => {
            let read = || anyhow::Ok(toml::from_str(&std::fs::read_to_string(path)?)?);
            read().with_context(|| format!("recipe {}", path.display()))?
        }
        None => Recipe::default(),
    };
    fn set<T: Clone>(place: &mut T, given: &Option<T>) {
        if let Some(given) = given {
            place.clone_from(given);
        }
    }
    set(&mut recipe.method, &args.method);
    set(&mut recipe.blocks, &args.blocks);
    set(&mut recipe.vectors, &args.vectors);
    set(&mut recipe.units, &args.units);
    set(&mut recipe.layers, &args.layers);
    set(&mut recipe.before, &args.before);
    set(&mut recipe.after, &args.after);
    set(&mut recipe.rate, &args.rate);
    set(&mut recipe.fps, &args.fps);
    set(&mut recipe.iterations, &args.iterations);
    set(&mut recipe.frames, &args.frames);
    set(&mut recipe.learning_rate, &args.learning_rate);
    set(&mut recipe.weight_decay, &args.weight_decay);
    set(&mut recipe.warm_up, &args.warm_up);
    set(&mut recipe.dropout, &args.dropout);
    set(&mut recipe.hold_out, &args.hold_out);
    set(&mut recipe.seed, &args.seed);
    recipe.refit &= !args.no_refit;
    if let Some(pads) = args.pads {
        recipe.pads = match pads {
            PadsKind::Zero => AUTHORS_PADS,
            PadsKind::Masked => Pads::default(),
        };
    }
    if let Some(optimiser) = args.optimiser {
        recipe.optimiser = match optimiser {
            OptimiserKind::Sgd => Optimiser::Sgd,
            OptimiserKind::Adamw => Optimiser::AdamW,
        };
    }
    if let Some(schedule) = args.schedule {
        recipe.schedule = match schedule {
            ScheduleKind::Constant => Schedule::Constant,
            ScheduleKind::Cosine => Schedule::Cosine,
        };
    }
    recipe.check()?;
    Ok(recipe)
}
