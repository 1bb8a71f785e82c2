//! How heads are trained. The default is the authors' (`design/evaluation.md`).

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use crate::heads::{AUTHORS_PADS, Kind, Metadata, Pads};

/// Everything that a training run depends on besides its data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    pub method: Approach,
    /// What the units look at, in their order.
    pub units: Vec<Kind>,
    /// Layers of prompting; 0 for none.
    pub layers: usize,
    /// Of the transformer over frames, which [`Approach::Iclip`] does not have.
    pub blocks: usize,
    /// Learned words before a label's name, and as many after it, of [`Approach::EfficientPrompting`].
    pub vectors: usize,
    /// Memory slots before the frame.
    pub before: usize,
    /// Memory slots after it.
    pub after: usize,
    /// Slots in a second.
    pub rate: f32,
    /// Frame numbers in a second; the authors take a frame for a second.
    pub fps: f32,
    /// Zero features that stand in for what is not there; 0 masks it.
    pub pads: Pads,
    /// Temperature of the softmax over the labels.
    pub tau: f32,
    /// Weight and bias in the units' normalisation, as the paper has it.
    pub ln_affine: bool,
    /// Rectification before the units' output projection, as the authors' code has it.
    pub relu: bool,
    /// Deviation of the units' first queries, keys and values.
    pub deviation: f32,
    pub iterations: usize,
    /// Frames in a step.
    pub frames: usize,
    /// Persons of a frame, at most.
    pub persons: usize,
    /// Objects of a frame, at most.
    pub objects: usize,
    /// Every person is seen as the whole frame: prompting for the paper's baseline.
    pub frame_alone: bool,
    pub optimiser: Optimiser,
    pub learning_rate: f64,
    /// Factor on the learning rate of all but prompting and words.
    pub unit_factor: f64,
    /// Factor on the learning rate of biases.
    pub bias_factor: f64,
    /// On all but biases and what normalises.
    pub weight_decay: f64,
    /// Steps over which the learning rate rises linearly from a quarter.
    pub warm_up: usize,
    pub schedule: Schedule,
    /// γ of the softmax focal loss (Lin et al. 2017); 0 is cross-entropy.
    pub focal: f64,
    /// Share of what a unit or a half of a block adds, and of prompting's hidden features, that a step leaves out.
    pub dropout: f32,
    /// Share of the training labels that are kept from training and tell which weights are the best. 0: the last are.
    pub hold_out: f32,
    /// Steps between looks at the labels held out.
    pub validate_every: usize,
    /// With the best number of steps known, train on all labels for as long.
    pub refit: bool,
    pub seed: u64,
}

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Approach {
    /// Interaction units and prompting, which a board runs
    Iclip,
    /// A transformer over the whole frames around one, to compare with: `lab eval` judges it
    ActionClip,
    /// The same, and learned words around the labels' names
    EfficientPrompting,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Optimiser {
    /// Stochastic gradient descent with momentum 0.9.
    Sgd,
    /// Loshchilov & Hutter 2019, with β 0.9 and 0.999.
    AdamW,
}

/// The learning rate after its rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    Constant,
    /// Falls to 0 along half a cosine.
    Cosine,
}

impl Default for Recipe {
    fn default() -> Self {
        use Kind::{Context, Memory, Object, Person};
        Self {
            method: Approach::Iclip,
            units: vec![Person, Object, Context, Memory, Person, Object, Context, Memory],
            layers: 2,
            blocks: 6,
            vectors: 8,
            before: 30,
            after: 30,
            rate: 1.0,
            fps: 1.0,
            pads: AUTHORS_PADS,
            tau: 0.07,
            ln_affine: false,
            relu: true,
            deviation: 0.01,
            iterations: 7000,
            frames: 8,
            persons: 10,
            objects: 5,
            frame_alone: false,
            optimiser: Optimiser::Sgd,
            learning_rate: 2e-4,
            unit_factor: 10.0,
            bias_factor: 2.0,
            weight_decay: 1e-7,
            warm_up: 700,
            schedule: Schedule::Constant,
            focal: 2.0,
            dropout: 0.2,
            hold_out: 0.2,
            validate_every: 250,
            refit: true,
            seed: 0,
        }
    }
}

impl Recipe {
    /// Refuses what cannot be trained with, naming the field.
    pub fn check(&self) -> anyhow::Result<()> {
        let positive = [
            ("fps", f64::from(self.fps)),
            ("rate", f64::from(self.rate)),
            ("tau", f64::from(self.tau)),
            ("learning_rate", self.learning_rate),
        ];
        for (name, value) in positive {
            ensure!(value.is_finite() && value > 0.0, "{name} is {value}: it must be positive");
        }
        let others = [
            ("unit_factor", self.unit_factor),
            ("bias_factor", self.bias_factor),
            ("weight_decay", self.weight_decay),
            ("focal", self.focal),
            ("deviation", f64::from(self.deviation)),
        ];
        for (name, value) in others {
            ensure!(value.is_finite() && value >= 0.0, "{name} is {value}: it must not be negative");
        }
        for (name, count) in [
            ("iterations", self.iterations),
            ("frames", self.frames),
            ("persons", self.persons),
            ("validate_every", self.validate_every),
        ] {
            ensure!(count > 0, "{name} is 0");
        }
        ensure!((0.0..1.0).contains(&self.dropout), "dropout is {}: it must be below 1", self.dropout);
        ensure!(
            (0.0..=0.5).contains(&self.hold_out),
            "hold_out is {}: half of the labels at most",
            self.hold_out
        );
        match self.method {
            Approach::Iclip => ensure!(
                !self.units.is_empty() || self.layers > 0,
                "no units and no prompting: there is nothing to train"
            ),
            Approach::ActionClip => ensure!(self.blocks > 0, "blocks is 0: there is nothing to train"),
            Approach::EfficientPrompting => {
                ensure!(self.vectors > 0, "vectors is 0: there are no words to learn")
            }
        }
        Metadata::parse(&self.metadata("").to_map())?;
        Ok(())
    }

    /// What the heads file says of itself.
    pub fn metadata(&self, embedding: &str) -> Metadata {
        Metadata {
            units: self.units.clone(),
            before: self.before,
            after: self.after,
            rate: self.rate,
            pads: self.pads,
            tau: self.tau,
            ln_affine: self.ln_affine,
            relu: self.relu,
            embedding: Some(embedding.to_owned()),
        }
    }

    /// The learning rate of a step, before any factor.
    pub fn learning_rate(&self, step: usize) -> f64 {
        let warm_up = self.warm_up.min(self.iterations);
        if step < warm_up {
            let share = step as f64 / warm_up as f64;
            return self.learning_rate * (0.25 + 0.75 * share);
        }
        match self.schedule {
            Schedule::Constant => self.learning_rate,
            Schedule::Cosine => {
                let share = (step - warm_up) as f64 / (self.iterations - warm_up).max(1) as f64;
                self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos())
            }
        }
    }
}
