//! What a breaker remembers of the calls of late.
//!
//! | window | remembers | forgets |
//! |---|---|---|
//! | streak | how many failures came in a row | all of it at a success |
//! | [`Leaky`] | how many failures there were | one per `leak` |
//! | [`CountWindow`] | the last so many calls | the oldest, at each call |
//! | [`TimeWindow`] | the calls of the last while, in up to 16 buckets | the oldest bucket, as time goes |

mod count;
mod leaky;
mod time;

pub use count::CountWindow;
pub use leaky::Leaky;
pub use time::{Buckets, TimeWindow, aged};

/// What one call was.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mark {
    /// It succeeded, fast enough.
    Good,
    /// It succeeded, slowly.
    Slow,
    /// It failed, fast enough.
    Failed,
    /// It failed, slowly.
    FailedSlowly,
}

impl Mark {
    /// Whether it failed.
    #[must_use]
    pub const fn failed(self) -> bool {
        matches!(self, Self::Failed | Self::FailedSlowly)
    }

    /// Whether it took too long.
    #[must_use]
    pub const fn slow(self) -> bool {
        matches!(self, Self::Slow | Self::FailedSlowly)
    }
}

/// How many calls a window holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Counts {
    /// All of them.
    pub total: u32,
    /// Those that failed.
    pub failed: u32,
    /// Those that took too long, failed or not.
    pub slow: u32,
}

impl Counts {
    /// These and one more.
    #[must_use]
    pub fn and(self, mark: Mark) -> Self {
        Self {
            total: self.total.saturating_add(1),
            failed: self.failed.saturating_add(u32::from(mark.failed())),
            slow: self.slow.saturating_add(u32::from(mark.slow())),
        }
    }

    /// These without one of them.
    #[must_use]
    pub fn without(self, mark: Mark) -> Self {
        Self {
            total: self.total.saturating_sub(1),
            failed: self.failed.saturating_sub(u32::from(mark.failed())),
            slow: self.slow.saturating_sub(u32::from(mark.slow())),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            total: self.total.saturating_add(other.total),
            failed: self.failed.saturating_add(other.failed),
            slow: self.slow.saturating_add(other.slow),
        }
    }
}

#[cfg(test)]
mod tests;
