//! How long answers take, roughly: enough to know when one is slow.
//!
//! A histogram of fixed size with eight steps per doubling, hence at most 12.5 % off; old answers weigh less and less.

use alloc::boxed::Box;
use core::time::Duration;

/// Times of answers of late.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Latencies {
    counts: Box<[u32; BUCKETS]>,
    total: u32,
    /// The weight at which all weights are halved.
    heavy: u32,
}

impl Default for Latencies {
    fn default() -> Self {
        Self::remembering(HEAVY)
    }
}

impl Latencies {
    /// None yet; of late are as many as `answers` (otherwise 1,000, below which share one in a thousand is not seen).
    #[must_use]
    pub fn remembering(answers: u32) -> Self {
        Self {
            counts: Box::new([0; BUCKETS]),
            total: 0,
            heavy: answers.max(1),
        }
    }

    /// Counts one answer. Once as many as are remembered weigh, all of them lose half of their weight.
    pub fn record(&mut self, took: Duration) {
        if self.total >= self.heavy {
            self.total = 0;
            for count in self.counts.iter_mut() {
                *count /= 2;
                self.total += *count;
            }
        }
        if let Some(count) = self.counts.get_mut(bucket(took)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// The weight of all answers counted.
    #[must_use]
    pub const fn weight(&self) -> u32 {
        self.total
    }

    /// The time within which this share of the answers came (0.95: all but the slowest twentieth); `None` before the first.
    /// A share outside of 0 to 1 counts as the nearer of the two.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a u32 is from 0 to that"
    )]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        if self.total == 0 {
            return None;
        }
        let wanted = (f64::from(self.total) * share.clamp(0.0, 1.0)) as u32;
        let mut seen = 0;
        let index = self.counts.iter().position(|count| {
            seen += *count;
            seen > 0 && seen >= wanted
        })?;
        Some(upper(index))
    }
}

/// Values below 8 ns have a bucket each; from there on, the three bits after the leading one choose within a doubling.
fn bucket(took: Duration) -> usize {
    let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    let octave = nanos.max(1).ilog2();
    let index = if octave < STEP_BITS {
        nanos
    } else {
        let step = (nanos >> (octave - STEP_BITS)) & (STEPS - 1);
        u64::from(octave - STEP_BITS + 1) * STEPS + step
    };
    usize::try_from(index).unwrap_or(BUCKETS - 1)
}

/// The longest time that a bucket holds.
fn upper(index: usize) -> Duration {
    let index = u64::try_from(index).unwrap_or(u64::MAX);
    let (doubling, step) = (index / STEPS, index % STEPS);
    let nanos = match doubling.checked_sub(1) {
        None => step,
        Some(shift) => {
            let next = u128::from(STEPS + step + 1) << shift;
            u64::try_from(next - 1).unwrap_or(u64::MAX)
        }
    };
    Duration::from_nanos(nanos)
}

const STEP_BITS: u32 = 3;
const STEPS: u64 = 1 << STEP_BITS;
/// 61 doublings above the first 8 nanoseconds, and those.
const BUCKETS: usize = 62 * 8;
/// Answers that are remembered unless said otherwise.
const HEAVY: u32 = 1000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn before_the_first_answer_nothing_is_known() {
        assert_eq!(Latencies::default().quantile(0.5), None);
    }

    #[test]
    fn a_quantile_is_where_it_should_be() {
        let mut latencies = Latencies::default();
        (1..=100).for_each(|n| latencies.record(Duration::from_millis(n)));
        for (share, millis) in [(0.5, 50), (0.95, 95), (1.0, 100), (0.0, 1)] {
            let found = latencies.quantile(share).unwrap();
            let exact = Duration::from_millis(millis);
            assert!(found >= exact && found <= exact.mul_f64(1.13), "{share}: {found:?}");
        }
    }

    #[test]
    fn answers_of_late_weigh_more() {
        let mut latencies = Latencies::default();
        (0..1000).for_each(|_| latencies.record(Duration::from_millis(1)));
        (0..3000).for_each(|_| latencies.record(Duration::from_secs(1)));
        assert!(latencies.quantile(0.2).unwrap() >= Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn every_time_has_a_bucket_that_is_little_longer(nanos: u64) {
            let took = Duration::from_nanos(nanos);
            let mut latencies = Latencies::default();
            latencies.record(took);
            let found = latencies.quantile(1.0).unwrap();
            prop_assert!(found >= took);
            prop_assert!(found.as_nanos() - took.as_nanos() <= took.as_nanos() / 8);
        }
    }
}
