//! What a look found.

use core::fmt;
use core::time::Duration;

use super::{Holder, Resource, Usage, rounded};

/// What makes something look like a leak.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Sign {
    /// There is more than there may be. For memory both are shares of its limit.
    OverLimit {
        /// How much there is.
        value: f64,
        /// How much there may be.
        limit: f64,
    },
    /// It rises, and not by chance. For memory `from` and `to` are bytes.
    Growth {
        /// The least there was in that time.
        from: f64,
        /// What it has come to, without the noise.
        to: f64,
        /// In how much time.
        over: Duration,
        /// When it will reach its limit if it goes on so; `None` where that is further than a year.
        full_in: Option<Duration>,
    },
    /// Something is held for longer than anything should be.
    HeldLong {
        /// For how long.
        held_for: Duration,
        /// For how long it may.
        limit: Duration,
    },
}

/// One thing that looks like a leak.
#[derive(Clone, PartialEq, Debug)]
pub struct LeakFinding {
    /// What there is too much of.
    pub resource: Resource,
    /// Why it looks like a leak.
    pub sign: Sign,
    /// For how long looks have found it without a break; nothing at the first.
    pub found_for: Duration,
    /// Who holds what of it, the longest held first, at most ten; empty where nothing of it is tracked.
    pub holders: Vec<Holder>,
}

impl fmt::Display for LeakFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource = self.resource;
        match self.sign {
            Sign::OverLimit { value, limit } => write!(f, "{resource}: {value:.2} is over the limit of {limit:.2}")?,
            Sign::Growth {
                from,
                to,
                over,
                full_in,
            } => {
                write!(f, "{resource}: grew from {from:.0} to {to:.0} in {:?}", rounded(over))?;
                if let Some(full_in) = full_in {
                    write!(f, ", reaches its limit in {:?}", rounded(full_in))?;
                }
            }
            Sign::HeldLong { held_for, limit } => {
                write!(f, "{resource}: held for {:?}, longer than {limit:?}", rounded(held_for))?;
            }
        }
        for Holder { id, what, held_for } in &self.holders {
            write!(f, "; {what} ({id}, held for {:?})", rounded(*held_for))?;
        }
        Ok(())
    }
}

/// What a look found.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LeakReport {
    /// What the process holds; `None` where the system did not say, or before the first look.
    pub usage: Option<Usage>,
    /// Why the system did not say.
    pub error: Option<String>,
    /// How many guards of each resource are held.
    pub tracked: Vec<(Resource, u64)>,
    /// What looks like a leak.
    pub findings: Vec<LeakFinding>,
}

impl LeakReport {
    /// Whether anything looks like a leak.
    #[must_use]
    pub fn is_leaking(&self) -> bool {
        !self.findings.is_empty()
    }
}
