//! What the pipeline counts of itself: stage times, rates, latencies. Fixed size, nothing allocated while counting.

use std::time::Duration;

use crate::clock::Clock;

/// The stages of a frame, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Whole frame to the detector's tensor.
    Convert,
    /// Detector, decoding, NMS.
    Detect,
    /// Association over time.
    Track,
    /// Boxes to the image tower's tensor.
    Crop,
    /// Image tower.
    Encode,
    /// Features to probabilities.
    Heads,
    /// Probabilities over time to events, and their hand-over.
    Publish,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 7] =
        [Self::Convert, Self::Detect, Self::Track, Self::Crop, Self::Encode, Self::Heads, Self::Publish];

    /// As named in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Convert => "convert",
            Self::Detect => "detect",
            Self::Track => "track",
            Self::Crop => "crop",
            Self::Encode => "encode",
            Self::Heads => "heads",
            Self::Publish => "publish",
        }
    }
}

/// How long each stage of one frame, or of many, took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageTimes([Duration; Stage::ALL.len()]);

impl StageTimes {
    /// Runs `work` and adds to `stage` the time that it takes by `clock`.
    pub fn measure<T>(&mut self, clock: &dyn Clock, stage: Stage, work: impl FnOnce() -> T) -> T {
        let start = clock.monotonic();
        let result = work();
        self.extend(stage, clock.monotonic().saturating_sub(start));
        result
    }

    /// Adds `time` to `stage`.
    pub fn extend(&mut self, stage: Stage, time: Duration) {
        self.0[stage as usize] += time; // one element for each variant
    }

    /// The time spent in `stage`.
    pub fn of(&self, stage: Stage) -> Duration {
        self.0[stage as usize] // one element for each variant
    }

    /// Everything but the networks.
    pub fn outside_networks(&self) -> Duration {
        self.total() - self.of(Stage::Detect) - self.of(Stage::Encode)
    }

    /// All stages.
    pub fn total(&self) -> Duration {
        self.0.iter().sum()
    }

    /// Adds another frame's times.
    pub fn add(&mut self, other: &Self) {
        for (sum, time) in self.0.iter_mut().zip(other.0) {
            *sum += time;
        }
    }
}

/// The latest durations, for percentiles.
#[derive(Debug, Clone)]
pub struct Window {
    values: [Duration; Self::LENGTH],
    count: usize,
}

impl Window {
    /// How many durations are remembered.
    pub const LENGTH: usize = 1024;

    /// Remembers `value` in place of the oldest.
    pub fn push(&mut self, value: Duration) {
        self.values[self.count % Self::LENGTH] = value; // the remainder is below LENGTH
        self.count += 1;
    }

    /// The `fraction` quantile (nearest rank) of what is remembered; `None` before the first.
    pub fn quantile(&self, fraction: f64) -> Option<Duration> {
        let mut sorted = self.values;
        let sorted = sorted.get_mut(..self.count.min(Self::LENGTH))?;
        sorted.sort_unstable();
        quantile(sorted, fraction)
    }
}

/// The `fraction` quantile (nearest rank) of `sorted`, from the shortest on; `None` of nothing.
pub fn quantile(sorted: &[Duration], fraction: f64) -> Option<Duration> {
    let rank = (fraction * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

impl Default for Window {
    fn default() -> Self {
        Self { values: [Duration::ZERO; Self::LENGTH], count: 0 }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn quantiles_are_of_the_latest_values() {
        let mut window = Window::default();
        assert_eq!(window.quantile(0.5), None);
        for ms in 0..5000 {
            window.push(Duration::from_millis(ms));
        }
        assert_eq!(window.quantile(1.0), Some(Duration::from_millis(4999)));
        assert_eq!(window.quantile(0.0), Some(Duration::from_millis(5000 - 1024)));
        assert_eq!(window.quantile(0.5), Some(Duration::from_millis(5000 - 512 - 1)));
    }

    #[test]
    fn stages_add_up() {
        let mut times = StageTimes::default();
        let clock = ManualClock::new(Duration::ZERO, Timestamp::UNIX_EPOCH);
        let work = || {
            clock.advance(Duration::from_millis(20));
            7
        };
        assert_eq!(times.measure(&clock, Stage::Crop, work), 7);
        assert_eq!(times.of(Stage::Crop), Duration::from_millis(20));
        let mut sum = times;
        sum.add(&times);
        assert_eq!(sum.total(), 2 * times.of(Stage::Crop));
        assert_eq!(sum.outside_networks(), sum.total());
    }
}
