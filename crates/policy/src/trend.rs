//! Whether a series of numbers rises, and how fast, whatever its noise.
//!
//! Rising is decided by the test of Mann and Kendall (H. B. Mann, "Nonparametric tests against trend", Econometrica 13,
//! 1945), with the usual correction for ties; how fast by the estimator of Theil and Sen (P. K. Sen, "Estimates of the
//! regression coefficient based on Kendall's tau", JASA 63, 1968): neither is moved by a few outliers.

use alloc::vec::Vec;
use core::time::Duration;

/// The trend of a series.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Trend {
    per_second: f64,
    /// Pairs that rise less pairs that fall.
    score: f64,
    /// Of the score, if there were no trend.
    variance: f64,
}

impl Trend {
    /// The trend of `points`, in the order of their times; `None` for fewer than three, or where no time passes.
    ///
    /// Values that are not numbers are left out. Costs time and memory by the square of the number of points: hand in
    /// a bounded window.
    #[must_use]
    pub fn of(points: &[(Duration, f64)]) -> Option<Self> {
        let points: Vec<_> = points.iter().filter(|(_, value)| value.is_finite()).collect();
        if points.len() < 3 {
            return None;
        }
        let mut slopes = Vec::with_capacity(points.len() * (points.len() - 1) / 2);
        let mut score = 0.0;
        for (index, (at, value)) in points.iter().enumerate() {
            for (later, other) in &points[index + 1..] {
                score += sign(other - value);
                let passed = later.saturating_sub(*at).as_secs_f64();
                if passed > 0.0 {
                    slopes.push((other - value) / passed);
                }
            }
        }
        let middle = slopes.len() / 2;
        let per_second = (!slopes.is_empty()).then(|| *slopes.select_nth_unstable_by(middle, f64::total_cmp).1)?;
        let values = points.iter().map(|(_, value)| *value).collect();
        Some(Self {
            per_second,
            score,
            variance: variance(values),
        })
    }

    /// By how much the values rise per second: the median over all pairs. Negative where they fall.
    #[must_use]
    pub const fn per_second(&self) -> f64 {
        self.per_second
    }

    /// Whether the values rise, and would not by chance but for `deviations` standard deviations: 1.6 errs once in 20
    /// series without a trend, 3 once in 700.
    ///
    /// Values that hang on each other (a random walk) err more often.
    #[must_use]
    pub fn rises(&self, deviations: f64) -> bool {
        // One off the score: it moves in steps of two, and its likeness to a normal distribution is better between them.
        let score = self.score - 1.0;
        // Compared as squares: there is no root without the standard library.
        self.per_second > 0.0 && score > 0.0 && score * score > deviations * deviations * self.variance
    }
}

/// The variance of the score of a series without a trend: n(n-1)(2n+5)/18, less the same for each group of equal values.
fn variance(mut values: Vec<f64>) -> f64 {
    let share = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    values.sort_unstable_by(f64::total_cmp);
    let ties: f64 = values
        .chunk_by(|a, b| sign(b - a) == 0.0)
        .map(|equal| share(equal.len() as f64))
        .sum();
    (share(values.len() as f64) - ties) / 18.0
}

fn sign(difference: f64) -> f64 {
    match difference.partial_cmp(&0.0) {
        Some(core::cmp::Ordering::Greater) => 1.0,
        Some(core::cmp::Ordering::Less) => -1.0,
        Some(core::cmp::Ordering::Equal) | None => 0.0,
    }
}

#[cfg(test)]
mod tests;
