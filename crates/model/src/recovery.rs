//! What was done to bring an agent back, and whether it helped.

use alloc::string::String;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::state::words;
use crate::{AgentId, AgentName, FailureKind, Incarnation, Namespace, Span, Wall};

words! {
    /// What is done about a failure.
    Strategy {
        /// It is stopped, if it still lives, and started again.
        Restart = "restart",
    }
}

words! {
    /// How an attempt stands or ended.
    AttemptState {
        /// Under way.
        Running = "running",
        /// It helped: the new run's own word, its report or its probe says so.
        Verified = "verified",
        /// The new run lived for long enough; nothing better tells how it does.
        Unverified = "unverified",
        /// It did not help, or nothing showed in time that it did.
        Failed = "failed",
        /// Nothing was done: its mode is to say what would have been.
        Observed = "observed",
        /// It was overtaken: something else is wanted, or another start took its place.
        Abandoned = "abandoned",
    }
}

words! {
    /// What would be done about a failure.
    Remedy {
        /// It is stopped, if it still lives, and started again.
        Restart = "restart",
        /// It is left alone until what it depends on is back.
        Hold = "hold",
        /// It is not started again until somebody looked at it.
        Quarantine = "quarantine",
        /// Nothing.
        Nothing = "nothing",
    }
}

/// What would be done about a failure, had it come at this moment. Nothing was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Foresight {
    /// The agent.
    pub agent: AgentId,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: AgentName,
    /// The kind of failure that was asked about.
    pub failure: FailureKind,
    /// What would be done.
    pub would: Remedy,
    /// How long it would wait before; absent where nothing is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// What decides so.
    pub why: String,
}

/// One attempt to bring an agent back. Written in one transaction with what it does, and again when it has ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryAttempt {
    /// The agent.
    pub agent: AgentId,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name at the time.
    pub name: AgentName,
    /// Which attempt of this agent, over its whole life, from 1.
    pub number: u64,
    /// The number of the first attempt of the same incident: all from the first failure until one of them helped.
    pub incident: u64,
    /// What is done.
    pub strategy: Strategy,
    /// Against which kind of failure.
    pub failure: FailureKind,
    /// What was seen of the failure.
    pub cause: String,
    /// The run that is to show that it helped.
    pub incarnation: Incarnation,
    /// Who had it done: `stead`, or who asked.
    pub triggered_by: String,
    /// When it began.
    pub began: Wall,
    /// When it ended; absent while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Wall>,
    /// How it stands or ended.
    pub state: AttemptState,
    /// What was verified, or why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Binds together all that one cause led to.
    pub correlation_id: String,
}
