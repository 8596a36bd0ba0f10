//! What is said of many samples.

use std::time::Duration;

/// Samples, sorted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn add(&mut self, sample: Duration) {
        let place = self.0.partition_point(|earlier| *earlier <= sample);
        self.0.insert(place, sample);
    }

    /// Of samples in any order.
    pub(crate) fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        Self(samples)
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
        self.0.sort_unstable();
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest sample that at least `percent` of a hundred samples do not exceed; zero of none.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    pub(crate) fn median(&self) -> Duration {
        self.percentile(50)
    }

    pub(crate) fn max(&self) -> Duration {
        self.percentile(100)
    }
}

/// Milliseconds for people.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(count: u64) -> Samples {
        let mut samples = Samples::default();
        (1..=count).rev().for_each(|n| samples.add(Duration::from_millis(n)));
        samples
    }

    #[test]
    fn a_percentile_is_a_sample_that_was_taken() {
        let hundred = samples(100);
        let of = |percent| hundred.percentile(percent).as_millis();
        assert_eq!((of(50), of(90), of(99), of(100)), (50, 90, 99, 100));
        assert_eq!(samples(3).median(), Duration::from_millis(2));
        assert_eq!(samples(20).percentile(99), Duration::from_millis(20));
    }

    #[test]
    fn no_samples_are_zero() {
        assert_eq!(Samples::default().max(), Duration::ZERO);
    }
}
