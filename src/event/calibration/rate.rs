//! What a number of false alarms in some hours says about their rate.
//!
//! They are taken for a Poisson process, in which none tells of another.

use std::time::Duration;

/// The probability left to a rate higher than the bound.
const RISK: f64 = 0.05;

/// Occurrences in `watched` that a rate of `per_hour` allows: as many as it gives on average, rounded down.
pub fn at_most(per_hour: f64, watched: Duration) -> usize {
    // The product of, say, 0.1 an hour and 10 hours comes out a hair below 1.
    (per_hour * hours(watched) + 1e-9).floor() as usize
}

/// The rate an hour that is not exceeded, with 95 % confidence, where `count` occurrences were seen in `watched`: the
/// exact upper limit for a Poisson mean (Garwood 1936, one-sided). With none seen it is 3.0 divided by the hours, the
/// "rule of three" (Hanley & Lippman-Hand 1983). Infinite if nothing was watched.
pub fn highest_rate(count: usize, watched: Duration) -> f64 {
    if watched.is_zero() {
        return f64::INFINITY;
    }
    // The mean of which `count` or fewer are seen with just that probability; it falls as the mean grows.
    let (mut low, mut high) = (count as f64, 2.0 * count as f64 + 10.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_most_with(middle, count) > RISK { low = middle } else { high = middle }
    }
    high / hours(watched)
}

/// The probability that a Poisson variable with this mean is at most `count`.
fn at_most_with(mean: f64, count: usize) -> f64 {
    let logarithms = (1..=count).scan(-mean, |term, i| {
        *term += (mean / i as f64).ln();
        Some(*term)
    });
    std::iter::once(-mean).chain(logarithms).map(f64::exp).sum()
}

fn hours(time: Duration) -> f64 {
    time.as_secs_f64() / 3600.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn bounds_are_those_of_the_tables() {
        // Half the 95 % point of χ² with 2 (count + 1) degrees of freedom.
        for (count, bound) in
            [(0, 2.9957), (1, 4.7439), (2, 6.2958), (5, 10.5130), (10, 16.9622), (100, 118.079)]
        {
            let found = highest_rate(count, HOUR);
            assert!((found - bound).abs() < 1e-3, "{count}: {found}");
        }
        assert!((highest_rate(0, HOUR * 30) - 0.09986).abs() < 1e-5);
        assert_eq!(highest_rate(3, Duration::ZERO), f64::INFINITY);
        assert!((highest_rate(5000, HOUR) - 5118.0).abs() < 2.0, "where exp(-mean) is 0");
    }

    #[test]
    fn a_rate_allows_whole_occurrences() {
        assert_eq!(at_most(0.1, HOUR * 9), 0);
        assert_eq!(at_most(0.1, HOUR * 10), 1);
        assert_eq!(at_most(0.1, HOUR * 30), 3);
        assert_eq!(at_most(2.0, HOUR / 2), 1);
    }
}
