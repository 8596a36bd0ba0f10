//! How an agent is brought back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Span;

/// What recovery may do, and for how long one attempt may take to show that it helped.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecoverySpec {
    /// Whether it acts; default `act`.
    pub mode: RecoveryMode,
    /// How long after the time that it may take to start an attempt may take to show that it helped; default 30 s.
    pub timeout: Span,
    /// How many of its namespace may be ended and started again at the same time for it to be, too; it waits for its turn otherwise, 5
    /// minutes at most. Default 5, at least 1. What ended by itself needs no turn.
    pub at_once: u32,
}

impl Default for RecoverySpec {
    fn default() -> Self {
        Self {
            mode: RecoveryMode::Act,
            timeout: Span::secs(30),
            at_once: 5,
        }
    }
}

/// Whether recovery acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryMode {
    /// It does what it chooses.
    #[default]
    Act,
    /// It says what it would have done, and does nothing.
    Observe,
}
