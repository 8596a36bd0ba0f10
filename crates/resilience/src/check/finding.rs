//! What one run of a check found.

use core::fmt;
use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How well something does, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It was seen to work.
    Healthy,
    /// Nobody has looked, or not for long. Never healthy.
    Unknown,
    /// It works, and not as it should.
    Degraded,
    /// It does not work.
    Unhealthy,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        })
    }
}

/// What one run of a check found. Messages are cut after 512 bytes.
///
/// `Ok(())` is healthy, an error unhealthy with the error's words; so is `Ok(finding)` that finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How well it does.
    pub health: Health,
    /// What there is to say; for anything but healthy, why.
    pub message: Cow<'static, str>,
}

impl Finding {
    /// It works.
    #[must_use]
    pub const fn healthy() -> Self {
        Self {
            health: Health::Healthy,
            message: Cow::Borrowed(""),
        }
    }

    /// It works, but not as it should, and why.
    #[must_use]
    pub fn degraded(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Health::Degraded, why.into())
    }

    /// It does not work, and why.
    #[must_use]
    pub fn unhealthy(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Health::Unhealthy, why.into())
    }

    /// The check could not tell, and why.
    #[must_use]
    pub fn unknown(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Health::Unknown, why.into())
    }

    fn new(health: Health, message: Cow<'static, str>) -> Self {
        Self { health, message }
    }

    /// A message that is not longer than a finding's may be.
    pub(super) fn bounded(mut self) -> Self {
        if self.message.len() > MESSAGE {
            let end = self.message.floor_char_boundary(MESSAGE);
            self.message.to_mut().truncate(end);
        }
        self
    }
}

impl<E: fmt::Display> From<Result<(), E>> for Finding {
    fn from(result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Self::healthy(),
            Err(why) => Self::unhealthy(why.to_string()),
        }
    }
}

impl<E: fmt::Display> From<Result<Self, E>> for Finding {
    fn from(result: Result<Self, E>) -> Self {
        result.unwrap_or_else(|why| Self::unhealthy(why.to_string()))
    }
}

/// Bytes of a message that are kept.
const MESSAGE: usize = 512;
