//! What is usual in a class of agents at this time of the day.

use alloc::vec;
use alloc::vec::Vec;

/// How a season is learned.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `share` | 0.02 | a new normal stays unusual for days | trouble becomes normal while it lasts |
/// | `rank` | 3 | one metric with whims speaks for all | trouble in few metrics is missed |
/// | `least` | 0.001 | metrics that never move alarm when they do | small changes of steady metrics are missed |
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SeasonConfig {
    /// The share that one sample has in what is usual; with many agents in a class, feed a few of them.
    pub share: f32,
    /// Which of the distances of all metrics counts, from 0, the largest. The last where there are not so many.
    pub rank: usize,
    /// The least mean deviation that a metric is believed to have.
    pub least: f32,
}

impl Default for SeasonConfig {
    fn default() -> Self {
        Self {
            share: 0.02,
            rank: 3,
            least: 0.001,
        }
    }
}

/// Means and mean deviations of the metrics of a class, for each two hours of the day: 144 bytes per metric and class.
#[derive(Clone, PartialEq, Debug)]
pub struct Season {
    metrics: usize,
    usual: Vec<Usual>,
    /// Room to order distances in.
    distances: Vec<f32>,
}

#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Usual {
    mean: f32,
    dev: f32,
    seen: f32,
}

impl Season {
    /// Nothing known yet of so many metrics.
    #[must_use]
    pub fn new(metrics: usize) -> Self {
        Self {
            metrics,
            usual: vec![Usual::default(); metrics * PARTS],
            distances: Vec::with_capacity(metrics),
        }
    }

    /// How far a sample is from what is usual at `time`, a share of the day (0 to 1), in deviations; then learns it. What is
    /// far off is learned clipped, so that trouble is not soon usual. Values that are no numbers are left out.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and is clamped to the parts of a day"
    )]
    pub fn feed(&mut self, config: &SeasonConfig, time: f32, sample: &[f32]) -> f32 {
        let part = ((time * PARTS as f32) as usize).min(PARTS - 1);
        self.distances.clear();
        let usual = self.usual.iter_mut().skip(part * self.metrics).take(self.metrics);
        for (usual, value) in usual.zip(sample).filter(|(_, value)| value.is_finite()) {
            self.distances.push(usual.feed(config, *value));
        }
        self.distances.sort_unstable_by(|a, b| b.total_cmp(a));
        let rank = config.rank.min(self.distances.len().saturating_sub(1));
        self.distances.get(rank).copied().unwrap_or(0.0)
    }
}

impl Usual {
    fn feed(&mut self, config: &SeasonConfig, value: f32) -> f32 {
        self.seen = (self.seen + 1.0).min(1e6);
        let dev = self.dev.max(config.least);
        let off = value - self.mean;
        let clipped = if self.seen < YOUNG {
            off
        } else {
            off.clamp(-CLIP * dev, CLIP * dev)
        };
        let share = config.share.max(1.0 / self.seen);
        self.mean += share * clipped;
        self.dev += share * (clipped.abs() - self.dev);
        if self.seen < YOUNG { 0.0 } else { off.abs() / dev }
    }
}

/// Parts of a day.
const PARTS: usize = 12;
/// Samples before distances are worth something.
const YOUNG: f32 = 20.0;
/// Deviations beyond which a sample is learned as if it were no further off.
const CLIP: f32 = 3.0;
