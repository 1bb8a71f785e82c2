//! How well labels that were not trained on are told apart, while training goes on.

use candle_core::Tensor;

use super::dropout::Dropout;
use super::frames::Frames;
use super::model::Model;
use crate::lab::map::average_precision;
use crate::lab::transformer::softmax;

/// The mean over the labels of `frames` of the average precision with which people annotated are ranked for them, 0 to
/// 100. `text` are the labels' embeddings; each person's probabilities are over them alone.
pub fn map(model: &Model, frames: &Frames<'_>, text: &Tensor, at_a_time: usize) -> anyhow::Result<f64> {
    let labels = frames.labels().len();
    let mut ranked: Vec<Vec<(f32, bool)>> = vec![Vec::new(); labels];
    for samples in frames.all(at_a_time) {
        let samples = samples?;
        let scores = softmax(&model.logits(&samples, text, &mut Dropout::none())?)?.to_vec2::<f32>()?;
        for (done, scores) in samples.iter().flat_map(|sample| &sample.labels).zip(scores) {
            for (label, (ranked, score)) in ranked.iter_mut().zip(scores).enumerate() {
                ranked.push((score, done.contains(&label)));
            }
        }
    }
    let (mut sum, mut counted) = (0.0, 0);
    for mut ranked in ranked {
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        let hits: Vec<bool> = ranked.iter().map(|(_, hit)| *hit).collect();
        let positives = hits.iter().filter(|hit| **hit).count();
        if positives > 0 {
            sum += 100.0 * average_precision(&hits, positives);
            counted += 1;
        }
    }
    anyhow::ensure!(counted > 0, "nobody does any of the labels held out");
    Ok(sum / f64::from(counted))
}
