//! Exponential smoothing of a row of scores on an irregular clock.

use std::time::Duration;

/// The smoothed scores of one track.
///
/// A new row gets the share α = 1 − exp(−Δt/τ), Δt since the row before (Müller, "Specially Weighted Moving
/// Averages with Repeated Application of the EMA Operator"). A filter started from its first row would keep that
/// row's weight of 1 for a whole τ; so the weights given out are summed and α is divided by their sum, as Adam
/// corrects its averages (Kingma & Ba 2015, section 3), with the first row counting as much as the second: a
/// young track has the plain mean of its rows, and the first crop of somebody half in the picture is soon outvoted.
#[derive(Debug, Default)]
pub(super) struct Smoothed {
    row: Vec<f32>,
    /// Sum of the weights given out, up to 1; 0 after one row.
    weight: f32,
    /// Monotonic time of the latest row.
    last: Option<Duration>,
}

impl Smoothed {
    /// Forgets everything, for another track; keeps the memory.
    pub fn reset(&mut self) {
        self.row.clear();
        self.weight = 0.0;
        self.last = None;
    }

    /// The smoothed scores; empty before the first row.
    pub fn row(&self) -> &[f32] {
        &self.row
    }

    /// Puts each score where `before` says it stood; a score that was not there is 0, and grows as the smoothing lets it.
    pub fn rearrange(&mut self, before: &[Option<usize>]) {
        if !self.row.is_empty() {
            let score = |index: &Option<usize>| index.and_then(|index| self.row.get(index).copied());
            self.row = before.iter().map(|index| score(index).unwrap_or_default()).collect();
        }
    }

    /// Takes in `scores` of the time `now`. `constant` is τ; zero for no smoothing. A score that is not a number
    /// leaves its old value.
    pub fn push(&mut self, scores: &[f32], now: Duration, constant: Duration) {
        let Some(last) = self.last.replace(now) else {
            self.row.clear();
            self.row.extend(scores.iter().map(|s| if s.is_finite() { *s } else { 0.0 }));
            return;
        };
        let elapsed = now.saturating_sub(last).as_secs_f32();
        let decay = if constant.is_zero() { 0.0 } else { (-elapsed / constant.as_secs_f32()).exp() };
        let alpha = 1.0 - decay;
        if self.weight == 0.0 {
            self.weight = alpha;
        }
        self.weight = (self.weight * decay + alpha).min(1.0);
        // No weight at all: no time has passed since the first row.
        let share = if self.weight > 0.0 { alpha / self.weight } else { 1.0 };
        for (smooth, score) in self.row.iter_mut().zip(scores).filter(|(_, score)| score.is_finite()) {
            *smooth += share * (score - *smooth);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn smooth(rows: &[(f64, f32)], constant: Duration) -> f32 {
        let mut smoothed = Smoothed::default();
        for (time, score) in rows {
            smoothed.push(&[*score], Duration::from_secs_f64(*time), constant);
        }
        smoothed.row()[0]
    }

    #[test]
    fn the_first_row_counts_as_much_as_the_second() {
        let mean = smooth(&[(0.0, 1.0), (0.001, 0.0)], SECOND);
        assert!((mean - 0.5).abs() < 1e-3, "{mean}");
        assert_eq!(smooth(&[(0.0, 1.0)], SECOND), 1.0);
    }

    #[test]
    fn a_step_is_followed_to_63_percent_in_one_time_constant_at_any_rate() {
        for rate in [5, 10, 30, 120] {
            let mut rows: Vec<_> = (0..10 * rate).map(|i| (f64::from(i) / f64::from(rate), 0.0)).collect();
            rows.extend((0..rate).map(|i| (10.0 + f64::from(i) / f64::from(rate), 1.0)));
            let after = smooth(&rows, SECOND);
            assert!((after - 0.632).abs() < 1e-3, "{after} at {rate} a second");
        }
    }

    #[test]
    fn no_time_constant_is_no_smoothing_and_no_number_is_no_score() {
        assert_eq!(smooth(&[(0.0, 0.2), (0.1, 0.9)], Duration::ZERO), 0.9);
        assert_eq!(smooth(&[(0.0, 0.2), (0.1, f32::NAN)], Duration::ZERO), 0.2);
        assert_eq!(smooth(&[(0.0, 0.2), (0.0, 0.4)], SECOND), 0.4);
    }

    proptest! {
        /// The recursion is the weighted mean it stands for, and stays between the least and the greatest score.
        #[test]
        fn is_the_weighted_mean(rows in prop::collection::vec((0.001f64..3.0, 0.0f32..=1.0), 2..40), tau in 0.1f64..5.0) {
            let mut now = 0.0;
            let timed: Vec<_> = rows.iter().map(|(step, score)| { now += step; (now, *score) }).collect();
            let alpha = |i: usize| 1.0 - (-(timed[i].0 - timed[i - 1].0) / tau).exp();
            let weight = |i: usize| (if i == 0 { alpha(1) } else { alpha(i) }) * (-(now - timed[i].0) / tau).exp();
            let total: f64 = (0..timed.len()).map(weight).sum();
            let mean: f64 = (0..timed.len()).map(|i| weight(i) * f64::from(timed[i].1)).sum::<f64>() / total;
            let smoothed = smooth(&timed, Duration::from_secs_f64(tau));
            prop_assert!((f64::from(smoothed) - mean).abs() < 2e-3, "{} is not {}", smoothed, mean);
        }
    }
}
