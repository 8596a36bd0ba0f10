//! When an agent is started again.

use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::InvalidSpec;
use crate::{Factor, Ratio, Span};

/// Restart policy with its backoff and its bound.
///
/// | setting | default |
/// |---|---|
/// | policy | `always` |
/// | backoff | the first restart after a stable period at once, then 1 s × 2 up to 5 min, jitter 0.2 |
/// | intensity | 5 restarts in 10 min, then quarantine |
/// | stable | 10 min healthy reset both |
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RestartSpec {
    /// Which exits are answered by a start.
    pub policy: RestartPolicy,
    /// How long each waits.
    pub backoff: BackoffSpec,
    /// How many are too many.
    pub intensity: IntensitySpec,
    /// How long an agent must be healthy for its counters to begin anew.
    pub stable: Span,
    /// Exit codes after which it is never started again, whatever the policy.
    pub final_exit_codes: Vec<i32>,
}

impl Default for RestartSpec {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::Always,
            backoff: BackoffSpec::default(),
            intensity: IntensitySpec::default(),
            stable: Span::secs(600),
            final_exit_codes: Vec::new(),
        }
    }
}

impl RestartSpec {
    pub(super) fn check(&self) -> Result<(), InvalidSpec> {
        match self.intensity {
            IntensitySpec { max: 0, .. } => Err(InvalidSpec::Zero("restart.intensity.max")),
            IntensitySpec {
                period: Span(core::time::Duration::ZERO),
                ..
            } => Err(InvalidSpec::Zero("restart.intensity.period")),
            IntensitySpec { .. } => Ok(()),
        }
    }
}

/// Which exits are answered by a start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Every one.
    #[default]
    Always,
    /// Those with a code other than 0, by a signal, or unknown.
    OnFailure,
    /// None.
    Never,
}

/// Exponential backoff with jitter. `initial = "0s"` restarts at once every time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BackoffSpec {
    /// The wait before the second restart (the first has none); default 1 s.
    pub initial: Span,
    /// By how much each is longer; default 2.
    pub factor: Factor,
    /// The longest; default 5 min.
    pub max: Span,
    /// Share by which a wait is moved up or down; default 0.2.
    pub jitter: Ratio,
}

impl Default for BackoffSpec {
    fn default() -> Self {
        let jitter = Ratio::try_from(0.2).unwrap_or_default();
        Self {
            initial: Span::secs(1),
            factor: Factor::DOUBLE,
            max: Span::secs(300),
            jitter,
        }
    }
}

/// Restart intensity as in Erlang/OTP: more than `max` restarts within `period` end in quarantine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IntensitySpec {
    /// Default 5, at least 1.
    pub max: u32,
    /// Default 10 min.
    pub period: Span,
}

impl Default for IntensitySpec {
    fn default() -> Self {
        Self {
            max: 5,
            period: Span::secs(600),
        }
    }
}
