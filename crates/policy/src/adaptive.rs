//! How many calls at once a service bears, learned from how it answers.
//!
//! | rule | looks at | good for |
//! |---|---|---|
//! | [`Aimd`] | failures for overload, and answers slower than a bound | services that say when it is too much |
//! | [`Vegas`] | how much longer than at best an answer takes | one service, steady answers |
//! | [`Gradient`] | how answers of late compare with those of long | answers that get longer or shorter by themselves |
//!
//! AIMD is that of TCP (Chiu and Jain, 1989). Vegas is TCP Vegas (Brakmo and Peterson, 1995) with a queue in place of a
//! window, and the gradient is that of Netflix's `concurrency-limits` ("Gradient2"), written anew from their description.

mod aimd;
mod gradient;
mod vegas;

use core::time::Duration;

use crate::OutOfRange;
pub use aimd::Aimd;
pub use gradient::Gradient;
pub use vegas::Vegas;

/// Between which bounds a limit is learned, and where it starts.
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `least` | 1 | – | a service in trouble is not spared |
/// | `initial` | 20 | calls wait until it is learned | the service is flooded until it is learned |
/// | `most` | 200 | calls wait that the service would take | – |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitRange {
    /// The limit never falls below; at least 1.
    pub least: u32,
    /// The limit before anything is learned.
    pub initial: u32,
    /// The limit never grows beyond.
    pub most: u32,
}

impl Default for LimitRange {
    fn default() -> Self {
        Self {
            least: 1,
            initial: 20,
            most: 200,
        }
    }
}

impl LimitRange {
    fn check(self) -> Result<Self, OutOfRange> {
        if 1 <= self.least && self.least <= self.initial && self.initial <= self.most {
            Ok(self)
        } else {
            Err(OutOfRange::Limit {
                least: self.least,
                initial: self.initial,
                most: self.most,
            })
        }
    }

    fn clamp(self, limit: f64) -> f64 {
        limit.clamp(f64::from(self.least), f64::from(self.most))
    }
}

/// What one finished call says about the load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// How long the call took.
    pub took: Duration,
    /// How many calls were under way when it began, itself included.
    pub in_flight: u32,
    /// Whether it failed because it was too much (a timeout, a 429, a 503).
    pub overloaded: bool,
}

impl Sample {
    /// Whether so few were under way that the limit cannot have been what held them back: nothing says that more would do.
    fn says_nothing_of(self, limit: f64) -> bool {
        f64::from(self.in_flight) * 2.0 < limit
    }
}

/// A rule that learns a limit.
#[derive(Clone, PartialEq, Debug)]
pub enum Adaptive {
    /// Grows by one, shrinks by a factor.
    Aimd(Aimd),
    /// Keeps a small queue at the service.
    Vegas(Vegas),
    /// Follows the trend of the answers' times.
    Gradient(Gradient),
}

impl Adaptive {
    /// Learns from one call.
    pub fn learn(&mut self, sample: Sample) {
        match self {
            Self::Aimd(rule) => rule.learn(sample),
            Self::Vegas(rule) => rule.learn(sample),
            Self::Gradient(rule) => rule.learn(sample),
        }
    }

    /// How many calls at once the service bears, as far as is known.
    #[must_use]
    pub fn limit(&self) -> u32 {
        match self {
            Self::Aimd(rule) => whole(rule.limit),
            Self::Vegas(rule) => whole(rule.limit),
            Self::Gradient(rule) => whole(rule.limit),
        }
    }

    /// Goes on from what `before` has learned, within the bounds of this rule.
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        let learned = f64::from(before.limit());
        match &mut self {
            Self::Aimd(rule) => rule.limit = rule.range.clamp(learned),
            Self::Vegas(rule) => rule.limit = rule.range.clamp(learned),
            Self::Gradient(rule) => rule.limit = rule.range.clamp(learned),
        }
        self
    }
}

/// The whole number below; a limit is always within its range, hence at least 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "limits lie between the two u32 of their range"
)]
fn whole(limit: f64) -> u32 {
    limit as u32
}

/// Refuses a `value` outside of `low` to `high`, NaN included.
fn within(what: &'static str, value: f64, low: f64, high: f64) -> Result<f64, OutOfRange> {
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(OutOfRange::Adaptive { what, value, low, high })
    }
}

#[cfg(test)]
mod tests;
