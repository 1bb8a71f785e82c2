//! Cosines to probabilities.

use crate::clip::{dot, norm};
use crate::vocabulary::Vocabulary;

/// Overwrites `logits` with the cosine of `feature` with each of `labels`, `[L, width]`, times `scale`. Features that
/// cancel out are equally far from every phrase.
pub fn logits(feature: &[f32], labels: &[f32], scale: f32, logits: &mut Vec<f32>) {
    let length = norm(feature);
    logits.clear();
    logits.extend(labels.chunks_exact(feature.len().max(1)).map(|label| {
        let lengths = length * norm(label);
        if lengths > 0.0 { scale * dot(feature, label) / lengths } else { 0.0 }
    }));
}

/// The probability of each of `labels`, `[L, width]`, eq. (5): the softmax of [`logits`], with nothing besides them to
/// beat.
pub fn similarity(feature: &[f32], labels: &[f32], scale: f32) -> Vec<f32> {
    let mut out = Vec::new();
    logits(feature, labels, scale, &mut out);
    super::unit::softmax(&mut out);
    out
}

/// Writes the probability of each action for a person whose logits over all of the vocabulary's labels are `logits`:
///
/// ```text
///                         exp(logit a)
/// p(a) = ───────────────────────────────────────────────────
///        Σ { exp(logit b) : b ∈ actions ∪ background }
///      + Σ { exp(logit g) : g ∈ against(a) }
/// ```
///
/// CLIP's softmax over the vocabulary (Radford et al. 2021, section 3.1.2), with more to beat: background takes its
/// share from every action, what stands `against` an action from that one alone.
///
/// All exponents are taken relative to the largest of actions and background, so that the first sum is at least 1 and
/// no numerator above 1. An `against` phrase far above that may overflow to infinity: a probability of 0, as it
/// should be.
pub fn probabilities(logits: &[f32], vocabulary: &Vocabulary, out: &mut [f32]) {
    let rows = |range| logits.get::<std::ops::Range<usize>>(range).unwrap_or_default();
    let shared = rows(0..vocabulary.background().end);
    let top = shared.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum = shared.iter().map(|logit| (logit - top).exp()).sum::<f32>();
    for (action, (out, logit)) in out.iter_mut().zip(shared).enumerate() {
        let own = rows(vocabulary.against(action)).iter().map(|logit| (logit - top).exp()).sum::<f32>();
        *out = (*logit - top).exp() / (sum + own);
    }
}
