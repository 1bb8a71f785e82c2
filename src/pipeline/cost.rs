//! What crops cost in the image tower, as it was lately: so much for a batch, and so much for each crop in it.

use std::time::Duration;

/// Weight of the newest batch. A machine that heats up slows down within seconds.
const NEWEST: f64 = 0.15;
/// Batches whose sizes vary less than this (variance) tell nothing of the two parts.
const ALIKE: f64 = 0.3;

/// What the latest batches say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    means: Option<Means>,
    /// Seconds of a crop, from when batches differed last.
    each: Option<f64>,
}

/// Of the latest batches, the newest counting most: crops, seconds, and their products, for a line through them.
#[derive(Debug, Clone, Copy)]
struct Means {
    crops: f64,
    seconds: f64,
    squares: f64,
    products: f64,
}

impl Cost {
    /// Takes into account that `crops` together took `time`.
    pub fn observe(&mut self, crops: usize, time: Duration) {
        if crops == 0 || time.is_zero() {
            return;
        }
        let (crops, seconds) = (crops as f64, time.as_secs_f64());
        let new = Means { crops, seconds, squares: crops * crops, products: crops * seconds };
        let mix = |old: f64, new: f64| old + NEWEST * (new - old);
        let means = self.means.map_or(new, |old| Means {
            crops: mix(old.crops, new.crops),
            seconds: mix(old.seconds, new.seconds),
            squares: mix(old.squares, new.squares),
            products: mix(old.products, new.products),
        });
        self.means = Some(means);
        let variance = means.squares - means.crops * means.crops;
        let slope = (means.products - means.crops * means.seconds) / variance;
        // Where a crop would cost next to nothing, it is the noise that speaks.
        if variance > ALIKE && slope > means.seconds / means.crops / 4.0 {
            self.each = Some(slope);
        }
    }

    /// How many crops can be encoded in `time`; `None` before the first batch.
    pub fn crops_in(&self, time: Duration) -> Option<usize> {
        let Means { crops, seconds, .. } = self.means?;
        // A batch of none cannot cost less than nothing.
        let each = self.each.unwrap_or(f64::INFINITY).min(seconds / crops);
        let batch = seconds - each * crops;
        Some(((time.as_secs_f64() - batch) / each + 1e-6).max(0.0) as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tower(crops: usize) -> Duration {
        Duration::from_millis(40 + 10 * crops as u64)
    }

    #[test]
    fn before_the_first_batch_nothing_is_known_and_after_it_the_mean() {
        let mut cost = Cost::default();
        assert_eq!(cost.crops_in(Duration::from_secs(1)), None);
        cost.observe(0, Duration::from_secs(1));
        assert_eq!(cost.crops_in(Duration::from_secs(1)), None);
        cost.observe(4, tower(4));
        assert_eq!(cost.crops_in(Duration::from_millis(61)), Some(3), "20 ms each");
    }

    proptest! {
        /// A batch's own cost is told from a crop's as soon as batches differ.
        #[test]
        fn a_line_is_found(sizes in prop::collection::vec(1usize..12, 20..60), wanted in 1usize..40) {
            let mut cost = Cost::default();
            sizes.iter().chain(&[2, 8]).for_each(|crops| cost.observe(*crops, tower(*crops)));
            let found = cost.crops_in(tower(wanted) + Duration::from_millis(5));
            prop_assert_eq!(found, Some(wanted));
        }

        /// Whatever was measured: more time is never fewer crops, and no time none.
        #[test]
        fn stays_sane(batches in prop::collection::vec((1usize..60, 0u64..2000), 1..50), ms in 0u64..1000) {
            let mut cost = Cost::default();
            batches.iter().for_each(|(crops, ms)| cost.observe(*crops, Duration::from_millis(*ms)));
            let within = |ms| cost.crops_in(Duration::from_millis(ms));
            prop_assert!(within(ms) <= within(ms + 50));
            prop_assert!(within(0).is_none_or(|crops| crops == 0));
        }
    }

    #[test]
    fn a_machine_that_slows_down_is_believed() {
        let mut cost = Cost::default();
        for crops in [1, 5, 3].into_iter().cycle().take(60) {
            cost.observe(crops, tower(crops));
        }
        for crops in [1, 5, 3].into_iter().cycle().take(60) {
            cost.observe(crops, 2 * tower(crops));
        }
        assert_eq!(cost.crops_in(2 * tower(9) + Duration::from_millis(5)), Some(9));
    }
}
