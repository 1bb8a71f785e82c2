//! Cosines to probabilities.

use crate::clip::dot;
use crate::vocabulary::Vocabulary;

/// Writes the probability of each action for `feature` (a unit vector, or zeros where there is no evidence):
///
/// ```text
///                         exp(s·cos a)
/// p(a) = ───────────────────────────────────────────────────
///        Σ { exp(s·cos b) : b ∈ actions ∪ background }
///      + Σ { exp(s·cos g) : g ∈ against(a) }
/// ```
///
/// CLIP's softmax over the vocabulary (Radford et al. 2021, section 3.1.2), with more to beat: background takes its
/// share from every action, what stands `against` an action from that one alone.
///
/// All exponents are taken relative to the largest of actions and background, so that the first sum is at least 1 and
/// no numerator above 1. An `against` phrase far above that may overflow to infinity: a probability of 0, as it
/// should be.
pub fn probabilities(
    feature: &[f32],
    vocabulary: &Vocabulary,
    scale: f32,
    background: &mut Vec<f32>,
    out: &mut [f32],
) {
    let logit = |row: &[f32]| scale * dot(feature, row);
    background.clear();
    background.extend(vocabulary.background().rows().map(logit));
    out.iter_mut().zip(vocabulary.actions().rows()).for_each(|(out, row)| *out = logit(row));

    let top = out.iter().chain(&*background).copied().fold(f32::NEG_INFINITY, f32::max);
    let shared = out.iter().chain(&*background).map(|logit| (logit - top).exp()).sum::<f32>();
    for (action, out) in out.iter_mut().enumerate() {
        let own = vocabulary.against(action).map(|row| (logit(row) - top).exp()).sum::<f32>();
        *out = (*out - top).exp() / (shared + own);
    }
}
