//! Training on cached features: the heads, and the methods that they are compared with.
//!
//! Knows a [`Dataset`] and the names and shapes of a heads file; has never heard of pictures, nor of how heads are judged
//! on actions they have not seen. What comes out of heads is what `src/heads` loads, and gives the same scores there.
//!
//! The paper's authors take the weights of the lowest training loss. Here some of the training labels are held out, the
//! number of steps is the one after which those were told apart best, and then all labels are trained on for as long.

mod batch;
mod checkpoint;
mod curve;
mod dropout;
mod frames;
mod loss;
mod model;
mod network;
mod optimiser;
mod recipe;
mod record;
#[cfg(test)]
mod tests;
mod validation;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use candle_core::{Device, Tensor};
use sha2::{Digest, Sha256};

use super::dataset::{Dataset, People, Sampling, Texts};
use super::features::write_whole;
use super::transformer::tensors;
use super::wording::Wording;
use crate::camera::Stop;
use crate::heads::{Kind, Reach, Tensors};
use checkpoint::Checkpoint;
pub use checkpoint::{Phase, State};
use dropout::Dropout;
use frames::Frames;
use model::Model;
pub use recipe::{Approach, Optimiser, Recipe, Schedule};
pub use record::{Data, Entry, Record, hash};

/// Frames that judge the weights on the way, at most.
const JUDGED: usize = 512;
/// Steps between entries of the record where nothing is held out.
const NOTED: usize = 100;
/// Steps between checkpoints.
const KEPT: usize = 500;

/// What is trained on, and where the result goes.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    pub data: &'a Dataset,
    pub texts: &'a Texts,
    /// Where the recipe learns words: what reads them with the names of all labels of the data set.
    pub wording: Option<&'a Wording>,
    /// Those that people in the videos do and that may be learned from; what is done besides is not looked at.
    pub labels: &'a [String],
    /// A folder, for `heads.safetensors`, `record.json`, `curve.svg` and while it runs `checkpoint.safetensors`.
    pub out: &'a Path,
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    Finished {
        heads: PathBuf,
        record: Box<Record>,
    },
    /// Asked to stop; a checkpoint holds how far it was.
    Stopped {
        checkpoint: PathBuf,
    },
}

/// Told after every step how far a run is.
pub type Watch<'a> = &'a mut dyn FnMut(&State, f64);

/// Trains what the recipe says. With `resume` a run that was stopped goes on: on the same machine to the same weights, bit by bit.
pub fn train(
    task: &Task<'_>,
    recipe: &Recipe,
    resume: bool,
    stop: &Stop,
    watch: Watch<'_>,
) -> anyhow::Result<Outcome> {
    recipe.check()?;
    std::fs::create_dir_all(task.out).with_context(|| format!("cannot make {}", task.out.display()))?;
    let labels =
        task.labels.iter().map(|label| task.data.label(label)).collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(labels.len() >= 2, "training takes two labels at least");
    let device = device()?;
    let data = record::hash(task.data, task.texts, &labels);
    let (trained, held) = frames::hold_out(&labels, recipe.hold_out, recipe.seed)?;
    let phase = if held.is_empty() { Phase::Refit } else { Phase::Search };
    let mut run = Run::new(task, recipe, data, phase, &device)?;
    if resume {
        run.resume()?;
    }
    if run.checkpoint.state.phase == Phase::Search {
        if !run.go(&trained, &held, recipe.iterations, stop, watch)? {
            return Ok(Outcome::Stopped { checkpoint: run.path });
        }
        if recipe.refit {
            run.begin_refit()?;
        } else {
            checkpoint::set(run.model.weights(), &run.checkpoint.best, &device)?;
        }
    }
    let best = run.checkpoint.state.best;
    let steps = best.map_or(recipe.iterations, |(step, _)| step);
    if run.checkpoint.state.phase == Phase::Refit && !run.go(&labels, &[], steps, stop, watch)? {
        return Ok(Outcome::Stopped { checkpoint: run.path });
    }
    run.finish(&labels, &held, steps)
}

/// A GPU if this was built for one and there is one.
pub fn device() -> anyhow::Result<Device> {
    Ok(Device::cuda_if_available(0)?)
}

struct Run<'a> {
    task: &'a Task<'a>,
    recipe: &'a Recipe,
    device: &'a Device,
    model: Model,
    checkpoint: Checkpoint,
    path: PathBuf,
}

impl<'a> Run<'a> {
    fn new(
        task: &'a Task<'a>,
        recipe: &'a Recipe,
        data: String,
        phase: Phase,
        device: &'a Device,
    ) -> anyhow::Result<Self> {
        let state = State {
            recipe: recipe.clone(),
            data,
            phase,
            step: 0,
            best: None,
            history: Vec::new(),
            seconds: 0.0,
        };
        let checkpoint = Checkpoint { state, moments: Default::default(), best: Tensors::new() };
        let path = task.out.join("checkpoint.safetensors");
        Ok(Self { task, recipe, device, model: Model::fresh(task, recipe, device)?, checkpoint, path })
    }

    fn resume(&mut self) -> anyhow::Result<()> {
        if !self.path.exists() {
            return Ok(());
        }
        let found = Checkpoint::read(&self.path, self.model.weights(), self.device)?;
        let place = || format!("checkpoint {}", self.path.display());
        let own = &self.checkpoint.state;
        ensure!(found.state.data == own.data, "{}: it was trained on other data or labels", place());
        ensure!(
            found.state.recipe == *self.recipe,
            "{}: it was trained by another recipe; give the same options, or begin anew in another folder",
            place()
        );
        self.checkpoint = found;
        Ok(())
    }

    fn begin_refit(&mut self) -> anyhow::Result<()> {
        self.model = Model::fresh(self.task, self.recipe, self.device)?;
        self.checkpoint.moments = Default::default();
        self.checkpoint.state.phase = Phase::Refit;
        self.checkpoint.state.step = 0;
        Ok(())
    }

    /// Trains on `labels` up to step `until`; on the way the weights are judged by those `held` out. `false` if stopped.
    fn go(
        &mut self,
        labels: &[usize],
        held: &[usize],
        until: usize,
        stop: &Stop,
        watch: Watch<'_>,
    ) -> anyhow::Result<bool> {
        let data = self.task.data;
        let mut frames = Frames::new(data, self.recipe, labels, held);
        ensure!(frames.len() > 0, "nobody in the videos does any of the labels to be trained on");
        let judges = Frames::new(data, self.recipe, held, &[]).thinned(JUDGED);
        ensure!(held.is_empty() || judges.len() > 0, "nobody in the videos does any of the labels held out");
        let every = if held.is_empty() { NOTED } else { self.recipe.validate_every };
        let (begun, spent) = (Instant::now(), self.checkpoint.state.seconds);
        let (mut sum, mut since) = (0.0, 0usize);
        let first = self.checkpoint.state.step;
        while self.checkpoint.state.step < until {
            let stopped = stop.is_set();
            let step = self.checkpoint.state.step;
            if stopped || (step > first && step.is_multiple_of(KEPT)) {
                self.checkpoint.state.seconds = spent + begun.elapsed().as_secs_f64();
                self.checkpoint.write(self.model.weights(), &self.path)?;
            }
            if stopped {
                return Ok(false);
            }
            let loss = self.step(&mut frames, step, labels)?;
            ensure!(
                loss.is_finite(),
                "step {step}: the loss is {loss}; a smaller learning rate (now {}) may help",
                self.recipe.learning_rate
            );
            sum += loss;
            since += 1;
            self.checkpoint.state.step = step + 1;
            if (step + 1).is_multiple_of(every) || step + 1 == until {
                let map = match held {
                    [] => None,
                    _ => {
                        let text = self.model.text(self.task, held, self.device)?;
                        Some(validation::map(&self.model, &judges, &text, self.recipe.frames)?)
                    }
                };
                if let Some(map) = map
                    && self.checkpoint.state.best.is_none_or(|(_, best)| map > best)
                {
                    self.checkpoint.state.best = Some((step + 1, map));
                    self.checkpoint.best = tensors(self.model.weights())?;
                }
                let (loss, learning_rate) = (sum / since as f64, self.recipe.learning_rate(step));
                let phase = self.checkpoint.state.phase;
                self.checkpoint.state.history.push(Entry { phase, step: step + 1, loss, learning_rate, map });
                (sum, since) = (0.0, 0);
            }
            watch(&self.checkpoint.state, loss);
        }
        self.checkpoint.state.seconds = spent + begun.elapsed().as_secs_f64();
        Ok(true)
    }

    /// One step; gives its loss.
    fn step(&mut self, frames: &mut Frames<'_>, step: usize, labels: &[usize]) -> anyhow::Result<f64> {
        let samples = frames.of_step(step, self.recipe.frames)?;
        let mut dropout = Dropout::of_step(self.recipe.dropout, self.recipe.seed, step);
        let text = self.model.text(self.task, labels, self.device)?;
        let logits = self.model.logits(&samples, &text, &mut dropout)?;
        let labels: Vec<Vec<usize>> = samples.into_iter().flat_map(|sample| sample.labels).collect();
        // Persons who do nothing of what is trained are there for the others.
        let counted = (0u32..).zip(&labels).filter(|(_, labels)| !labels.is_empty()).map(|(row, _)| row);
        let counted = Tensor::new(counted.collect::<Vec<_>>(), self.device)?;
        let labels: Vec<Vec<usize>> = labels.into_iter().filter(|labels| !labels.is_empty()).collect();
        let loss = loss::focal(&logits.index_select(&counted, 0)?, &labels, self.recipe.focal)?;
        let gradients = loss.backward()?;
        self.checkpoint.moments.step(self.recipe, step, self.model.weights(), &gradients)?;
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    fn finish(self, labels: &[usize], held: &[usize], steps: usize) -> anyhow::Result<Outcome> {
        let Self { task, recipe, model, checkpoint, path, device } = self;
        let name = |label: &usize| task.data.labels.get(*label).cloned().unwrap_or_default();
        let bytes = model.bytes()?;
        let frames = Frames::new(task.data, recipe, labels, &[]);
        let state = checkpoint.state;
        let record = Record {
            recipe: recipe.clone(),
            data: Data {
                videos: task.data.videos.len(),
                frames: frames.len(),
                labels: labels.iter().map(name).collect(),
                held_out: held.iter().map(name).collect(),
                embedding: task.data.embedding.clone(),
                hash: state.data,
            },
            watchword: env!("CARGO_PKG_VERSION").to_owned(),
            candle: record::candle(),
            device: if device.is_cuda() { "cuda" } else { "cpu" }.to_owned(),
            seconds: state.seconds,
            steps,
            best_map: state.best.map(|(_, map)| map),
            history: state.history,
            heads: tensors_hash(&model)?,
        };
        let heads = task.out.join("heads.safetensors");
        write_whole(&heads, &bytes)?;
        write_whole(&task.out.join("record.json"), &serde_json::to_vec_pretty(&record)?)?;
        write_whole(&task.out.join("curve.svg"), curve::svg(&record.history).as_bytes())?;
        // What it was needed for is done.
        let _ = std::fs::remove_file(path);
        Ok(Outcome::Finished { heads, record: Box::new(record) })
    }
}

/// What a recipe takes of a frame.
pub fn sampling(recipe: &Recipe) -> Sampling {
    let Recipe { before, after, rate, fps, .. } = *recipe;
    let reach = Reach { before, after, rate };
    let heads = recipe.method == Approach::Iclip;
    Sampling {
        people: People::Truth,
        most_persons: recipe.persons,
        most_objects: if heads { recipe.objects } else { 0 },
        reach: (!heads || recipe.units.contains(&Kind::Memory)).then_some(reach),
        fps,
    }
}

/// The weights alone: the header's entries come in any order.
fn tensors_hash(model: &Model) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    for (name, tensor) in tensors(model.weights())? {
        hash.update(name);
        hash.update(&tensor.bytes);
    }
    Ok(hex::encode(hash.finalize()))
}

/// A seed of its own for each of many draws (splitmix64, Steele et al. 2014).
fn mixed(seed: u64, draw: u64) -> u64 {
    let mut x = seed ^ draw.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
