//! One step downhill, at a rate of its own for each tensor.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor};

use super::recipe::{Optimiser, Recipe};
use crate::lab::transformer::Weights;

const MOMENTUM: f64 = 0.9;
const BETAS: (f64, f64) = (0.9, 0.999);
const EPSILON: f64 = 1e-8;

/// Running means of gradients, by the names of the weights.
#[derive(Default)]
pub struct Moments {
    pub first: BTreeMap<String, Tensor>,
    /// Of squares, for AdamW.
    pub second: BTreeMap<String, Tensor>,
}

impl Moments {
    /// Changes `weights` by their gradients; `step` counts from 0.
    pub fn step(
        &mut self,
        recipe: &Recipe,
        step: usize,
        weights: &Weights,
        gradients: &GradStore,
    ) -> Result<()> {
        for (name, weight) in weights {
            // A unit that nothing in the batch went through has none.
            let Some(gradient) = gradients.get(weight.as_tensor()) else { continue };
            // Gradients hold on to what they were computed from.
            let gradient = gradient.detach();
            let (rate, decay) = rate(recipe, step, name);
            let update = match recipe.optimiser {
                Optimiser::Sgd => {
                    let gradient = (gradient + (weight.as_tensor() * decay)?)?;
                    let moment = match self.first.get(name) {
                        Some(moment) => ((moment * MOMENTUM)? + gradient)?,
                        None => gradient,
                    };
                    self.first.insert(name.clone(), moment.clone());
                    (moment * rate)?
                }
                Optimiser::AdamW => {
                    let (beta1, beta2) = BETAS;
                    let mean = |known: Option<&Tensor>, new: Tensor, beta: f64| match known {
                        Some(known) => (known * beta)? + (new * (1.0 - beta))?,
                        None => new * (1.0 - beta),
                    };
                    let first = mean(self.first.get(name), gradient.clone(), beta1)?;
                    let second = mean(self.second.get(name), gradient.sqr()?, beta2)?;
                    self.first.insert(name.clone(), first.clone());
                    self.second.insert(name.clone(), second.clone());
                    let count = step as i32 + 1;
                    let first = (first / (1.0 - beta1.powi(count)))?;
                    let root = (second / (1.0 - beta2.powi(count)))?.sqrt()?;
                    let adapted = (first / (root + EPSILON)?)?;
                    ((adapted + (weight.as_tensor() * decay)?)? * rate)?
                }
            };
            weight.set(&(weight.as_tensor() - update)?.detach())?;
        }
        Ok(())
    }
}

/// Learning rate and weight decay of a tensor.
fn rate(recipe: &Recipe, step: usize, name: &str) -> (f64, f64) {
    let mut rate = recipe.learning_rate(step);
    if !name.starts_with("prompt.") && !name.starts_with("words.") {
        rate *= recipe.unit_factor;
    }
    let bias = name.ends_with(".bias");
    if bias {
        rate *= recipe.bias_factor;
    }
    let decays = !bias && !name.contains("norm") && name != "prompt.alpha";
    (rate, if decays { recipe.weight_decay } else { 0.0 })
}
