//! Early warning: what a few bytes per metric can say before a threshold is crossed.
//!
//! - **Novelty.** A metric keeps the range that it has ever been in, and so do its short and its long mean. How far a value
//!   lies beyond, over the width of the range, is how new it is; after an alarm only something newer is another one, until
//!   that fades. Needs no distribution and no season, and records grow rare by themselves.
//! - **Leak.** The long mean against a much longer one: growth that outweighs the usual distance from it, while the mean is
//!   higher than ever. With the slope, the time until a threshold.
//! - **Errors.** The test of Page ("Continuous inspection schemes", Biometrika 41, 1954) on one metric: excess over its own
//!   mean, summed up.
//! - **Unusual.** Distance from the [`Season`] of a class, smoothed over 24 samples: for what stays within all records.
//!
//! All of it is online: a sample is judged by what came before it.

use core::time::Duration;

mod range;
mod season;

use range::Range;
pub use season::{Season, SeasonConfig};

/// How metrics are watched.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `novelty` | 0.02 | each new record is an alarm | only leaps are |
/// | `growth` | 2 | a wave is called a leak | a leak is seen late |
/// | `drift` | 0.02 | errors that are usual add up | a small rise of errors never does |
/// | `excess` | 0.5 | a few errors are an alarm | as above |
/// | `unusual` | 4 | the usual is called unusual | the unusual is missed |
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WatchConfig {
    /// The share of the width of its range by which a value must be beyond it.
    pub novelty: f32,
    /// Which metric may leak (memory).
    pub leaks: usize,
    /// Deviations by which a mean must have grown over some 200 samples to be a leak.
    pub growth: f32,
    /// Which metric counts errors.
    pub errors: usize,
    /// By how much it may be above its mean for nothing.
    pub drift: f32,
    /// What may add up above that.
    pub excess: f32,
    /// Deviations from the season, smoothed, that are unusual.
    pub unusual: f32,
}

impl Default for WatchConfig {
    fn default() -> Self {
        Self {
            novelty: 0.02,
            leaks: 1,
            growth: 2.0,
            errors: 2,
            drift: 0.02,
            excess: 0.5,
            unusual: 4.0,
        }
    }
}

/// What one sample gave reason to warn of.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Warnings {
    /// A metric left its range.
    pub novelty: Option<Novelty>,
    /// A metric grows without rest; by how much per sample.
    pub leak: Option<f32>,
    /// Errors add up: by how much more than usual.
    pub errors: Option<f32>,
}

/// How new a value was.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Novelty {
    /// Of which metric.
    pub metric: usize,
    /// Its distance beyond the range, over the width of it.
    pub score: f32,
    /// The same of the metric that is second: above the bound, several moved at once.
    pub second: f32,
}

/// The metrics of one agent: 112 bytes for five.
///
/// Metrics have fixed places; one that was not reported is not a number ([`f32::NAN`]).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Watch<const N: usize> {
    low: [f32; N],
    high: [f32; N],
    /// Means and their ranges, as places in the range of their metric.
    inner: [[u16; 6]; N],
    /// The mean over [`LONGER`] samples of the metric that may leak, and the mean distance from it, over 2³¹⁻ⁿ.
    longer: f32,
    around: u16,
    /// Excess of errors.
    excess: u16,
    /// Distance from the season, smoothed.
    unusual: u16,
    /// Samples, until all is known.
    seen: u8,
    /// The last alarm, as it fades: steps of a sixteenth of a doubling.
    fading: u8,
}

impl<const N: usize> Default for Watch<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Watch<N> {
    /// Nothing seen yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            low: [f32::MAX; N],
            high: [f32::MIN; N],
            inner: [[0; 6]; N],
            longer: 0.0,
            around: 0,
            excess: 0,
            unusual: 0,
            seen: 0,
            fading: 0,
        }
    }

    /// Takes one sample of all metrics: what it gives reason to warn of. Says nothing during the first 40.
    pub fn feed(&mut self, config: &WatchConfig, sample: &[f32; N]) -> Warnings {
        self.seen = self.seen.saturating_add(1);
        self.fading = self.fading.saturating_sub(1);
        let mut novel = Novelty {
            metric: 0,
            score: 0.0,
            second: 0.0,
        };
        for (metric, value) in sample.iter().enumerate() {
            let Some(score) = self.take(metric, *value) else {
                continue;
            };
            if score > novel.score {
                novel.second = novel.score;
                (novel.metric, novel.score) = (metric, score);
            } else {
                novel.second = novel.second.max(score);
            }
        }
        let leak = self.leak(config, sample);
        let errors = self.errors(config, sample);
        if self.seen < KNOWN {
            return Warnings::default();
        }
        Warnings {
            novelty: self.rouse(novel.score, config.novelty).then_some(novel),
            leak,
            errors,
        }
    }

    /// Takes how far a sample was from the [`Season`] of its class: the smoothed distance if it is unusual.
    pub fn season(&mut self, config: &WatchConfig, distance: f32) -> Option<f32> {
        let before = f32::from(self.unusual) / FINE;
        let smooth = before + (distance.clamp(0.0, 63.0) - before) / SMOOTH;
        self.unusual = rounded(smooth * FINE);
        (self.seen >= KNOWN && smooth > config.unusual).then_some(smooth)
    }

    /// The smoothed distance from the season.
    #[must_use]
    pub fn unusual(&self) -> f32 {
        f32::from(self.unusual) / FINE
    }

    /// The short and the long mean of a metric.
    #[must_use]
    pub fn means(&self, metric: usize) -> Option<[f32; 2]> {
        let range = self.range(metric)?;
        Some([range.near(), range.far()])
    }

    fn range(&self, metric: usize) -> Option<Range> {
        let (low, high) = (*self.low.get(metric)?, *self.high.get(metric)?);
        (low <= high).then_some(Range {
            low,
            high,
            inner: *self.inner.get(metric)?,
        })
    }

    /// Takes one value: how new it is.
    fn take(&mut self, metric: usize, value: f32) -> Option<f32> {
        if !value.is_finite() {
            return None;
        }
        let (range, score) = if let Some(mut range) = self.range(metric) {
            let score = range.take(value, self.seen);
            (range, score)
        } else {
            // A metric that was not there before: all that is known begins anew, so that it can be told from news.
            self.seen = 1;
            self.longer = value;
            (Range::new(value), 0.0)
        };
        *self.low.get_mut(metric)? = range.low;
        *self.high.get_mut(metric)? = range.high;
        *self.inner.get_mut(metric)? = range.inner;
        Some(score)
    }

    /// Whether a score is an alarm: above the bound, and above what is left of the last one.
    fn rouse(&mut self, score: f32, bound: f32) -> bool {
        if score < bound.max(FAINTEST) {
            return false;
        }
        let steps = 1.0 + 16.0 * libm::log2f(score / FAINTEST);
        if steps <= f32::from(self.fading) {
            return false;
        }
        self.fading = u8::try_from(rounded(steps)).unwrap_or(u8::MAX);
        true
    }

    fn leak(&mut self, config: &WatchConfig, sample: &[f32; N]) -> Option<f32> {
        let value = *sample.get(config.leaks).filter(|value| value.is_finite())?;
        let range = self.range(config.leaks)?;
        let [_, far] = [range.near(), range.far()];
        let width = (range.high - range.low).max(f32::MIN_POSITIVE);
        if self.seen < KNOWN {
            self.longer = far;
        }
        self.longer += (value - self.longer) / LONGER;
        let around = f32::from(self.around) / f32::from(u16::MAX) * width;
        let around = around + ((value - far).abs() - around) / FAR;
        self.around = rounded(around / width * f32::from(u16::MAX));
        let growth = far - self.longer;
        (growth > config.growth * around && growth > 0.0 && range.far_is_highest()).then(|| growth / self.apart())
    }

    /// By how many samples of steady growth the longer mean is behind the long one. Both lag: a mean over so many samples by
    /// so many of them in the end, and by less as long as it has seen few since they were level.
    fn apart(&self) -> f32 {
        if self.seen == u8::MAX {
            return LONGER - FAR;
        }
        let since = f32::from(self.seen.saturating_sub(KNOWN)) + 1.0;
        let lag = |mean: f32| mean * (1.0 - libm::expf(-since / mean));
        (lag(LONGER) - lag(FAR)).max(1.0)
    }

    fn errors(&mut self, config: &WatchConfig, sample: &[f32; N]) -> Option<f32> {
        let value = *sample.get(config.errors).filter(|value| value.is_finite())?;
        let mean = self.range(config.errors)?.far();
        let excess = f32::from(self.excess) / EXCESS + (value - mean - config.drift);
        self.excess = rounded(excess.clamp(0.0, 7.9) * EXCESS);
        (excess > config.excess).then_some(excess)
    }
}

/// How long until `threshold` is crossed at `slope` per sample, one every `interval`; `None` if it is not, or not within a
/// thousand years.
#[must_use]
pub fn time_to(threshold: f32, value: f32, slope: f32, interval: Duration) -> Option<Duration> {
    if value >= threshold {
        return Some(Duration::ZERO);
    }
    let samples = f64::from(threshold - value) / f64::from(slope);
    let seconds = samples * interval.as_secs_f64();
    (slope > 0.0 && seconds < 3e10).then(|| Duration::from_secs_f64(seconds))
}

/// The nearest that 16 bits hold.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates at both ends"
)]
fn rounded(value: f32) -> u16 {
    (value + 0.5) as u16
}

/// Samples of the short mean, of the long one, and of the one that leaks are measured against.
const NEAR: f32 = 6.0;
const FAR: f32 = 30.0;
const LONGER: f32 = 240.0;
/// Samples after which ranges are worth something.
const KNOWN: u8 = 40;
/// Samples that the distance from the season is smoothed over.
const SMOOTH: f32 = 24.0;
/// The steps in which it is kept,
const FINE: f32 = 1024.0;
/// and those of the excess of errors.
const EXCESS: f32 = 8192.0;
/// The least score that can be an alarm.
const FAINTEST: f32 = 0.001;

#[cfg(test)]
mod tests;
