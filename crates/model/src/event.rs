//! What happened: rows of history, and events, which are the public interface.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    AgentId, AgentName, AttemptState, Condition, DegradationLevel, FailureKind, Health, Incarnation, Namespace, Reason,
    Revision, Sequence, Strategy, Wall, Wanted, WorkMode,
};

/// Longest metadata of a transition as JSON, in bytes.
pub const MAX_METADATA: usize = 16 * 1024;

/// One row of an agent's history: durable before the change is acknowledged.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Transition {
    /// Its number in the agent's history, contiguous from 1.
    pub sequence: Sequence,
    /// The agent.
    pub agent: AgentId,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name at the time.
    pub name: AgentName,
    /// The group that it was a replica of, if of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<AgentName>,
    /// The run that it was in.
    pub incarnation: Incarnation,
    /// Phase before.
    pub from: Cow<'static, str>,
    /// Phase after.
    pub to: Cow<'static, str>,
    /// When.
    pub at: Wall,
    /// Why, as a code.
    pub reason: Reason,
    /// Why, in words.
    pub description: String,
    /// Who caused it: the asker of a request, or `stead`.
    pub triggered_by: String,
    /// Passed through on the way to a further phase of the same walk; not worth telling people.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub via: bool,
    /// Binds together all that one cause led to.
    pub correlation_id: String,
    /// W3C trace id of the request behind it, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Free facts, at most [`MAX_METADATA`] bytes as JSON.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

/// Something that happened, as SSE, webhooks, audit and the web page get it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When.
    pub at: Wall,
    /// The namespace it happened in.
    pub namespace: Namespace,
    /// The agent or group it concerns; where it concerns the namespace as a whole, an id that stands for it.
    pub agent: AgentId,
    /// Its name at the time; that of the namespace, where it concerns that.
    pub name: AgentName,
    /// The group that it was a replica of, if of any; a group's own name, where it concerns a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<AgentName>,
    /// The agent's revision after it.
    pub revision: Revision,
    /// Who caused it.
    pub actor: String,
    /// Binds together all that one cause led to.
    pub correlation_id: String,
    /// W3C trace id of the request behind it, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub what: Happening,
}

/// What an [`Event`] tells; `type` in JSON.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Happening {
    /// It is known from now on.
    AgentRegistered {
        /// Its lifecycle profile.
        profile: String,
    },
    /// Its phase changed; the row of history in short.
    PhaseChanged {
        /// Number of the row.
        sequence: Sequence,
        /// Phase before.
        from: Cow<'static, str>,
        /// Phase after.
        to: Cow<'static, str>,
        /// Why, as a code.
        reason: Reason,
        /// Why, in words.
        description: String,
        /// Passed through on the way to a further phase.
        via: bool,
    },
    /// Its health changed.
    HealthChanged {
        /// Before.
        from: Health,
        /// After.
        to: Health,
        /// What says so.
        detail: String,
    },
    /// It began or ceased to take work.
    ReadinessChanged {
        /// Whether it takes work now.
        ready: bool,
        /// What says so.
        detail: String,
    },
    /// Something else is wanted of it.
    IntentChanged {
        /// Before.
        from: Wanted,
        /// After.
        to: Wanted,
        /// Why, in the asker's words.
        reason: Option<String>,
    },
    /// A condition holds from now on.
    ConditionRaised {
        /// Which.
        condition: Condition,
        /// What says so, and what would clear it.
        detail: String,
    },
    /// A condition no longer holds.
    ConditionCleared {
        /// Which.
        condition: Condition,
    },
    /// It is told to be something else.
    SpecChanged {
        /// Number of the new spec.
        spec_revision: u32,
    },
    /// It will be started again.
    RestartScheduled {
        /// How many since the last stable period, this one included.
        attempt: u32,
        /// When.
        due: Wall,
    },
    /// It is being brought back.
    RecoveryStarted {
        /// Which attempt of this agent.
        number: u64,
        /// What is done.
        strategy: Strategy,
        /// Against which kind of failure.
        failure: FailureKind,
        /// What was seen of the failure.
        cause: String,
    },
    /// An attempt to bring it back has ended.
    RecoveryEnded {
        /// Which attempt of this agent.
        number: u64,
        /// What was done.
        strategy: Strategy,
        /// How it ended.
        state: AttemptState,
        /// What was verified, or why it failed.
        detail: String,
    },
    /// It got a task.
    TaskAssigned {
        /// The task.
        task: String,
        /// How many it has now.
        in_flight: u32,
    },
    /// A task of it is done.
    TaskCompleted {
        /// The task.
        task: String,
        /// How many it has now.
        in_flight: u32,
    },
    /// A group is known from now on.
    GroupCreated {
        /// How many replicas are wanted.
        replicas: u32,
    },
    /// Another number of replicas is wanted.
    GroupScaled {
        /// Before.
        from: u32,
        /// After.
        to: u32,
    },
    /// A revision of a group's spec begins to reach its replicas.
    RolloutStarted {
        /// The revision before.
        from: u32,
        /// The new one.
        to: u32,
        /// Why, in the asker's words.
        reason: Option<String>,
    },
    /// An update failed and is being taken back.
    RolloutFailed {
        /// The revision that failed.
        #[serde(rename = "spec_revision")]
        revision: u32,
        /// The revision that it goes back to; absent if there is none.
        back_to: Option<u32>,
        /// What failed.
        detail: String,
    },
    /// An update has ended.
    RolloutEnded {
        /// The revision that every replica has now, or was to have.
        #[serde(rename = "spec_revision")]
        revision: u32,
        /// How it ended.
        state: crate::group::RolloutState,
    },
    /// A group is no longer there.
    GroupDeleted,
    /// What the namespace has given up changed.
    DegradationChanged {
        /// Number of the row of history.
        sequence: Sequence,
        /// The level before.
        from: DegradationLevel,
        /// The level since.
        to: DegradationLevel,
        /// Why it is as it is since.
        cause: String,
        /// How work is to be done since, the most pressing first; empty where as always.
        modes: Vec<WorkMode>,
        /// Features that went off.
        went_off: Vec<AgentName>,
        /// Features that came back.
        came_back: Vec<AgentName>,
        /// The share of features that are off since, by weight, from 0 to 1.
        impact: f64,
    },
    /// Things happened that could not be kept.
    Gap {
        /// Why.
        detail: String,
    },
}

impl Happening {
    /// The word in `type`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::AgentRegistered { .. } => "agent_registered",
            Self::PhaseChanged { .. } => "phase_changed",
            Self::HealthChanged { .. } => "health_changed",
            Self::ReadinessChanged { .. } => "readiness_changed",
            Self::IntentChanged { .. } => "intent_changed",
            Self::ConditionRaised { .. } => "condition_raised",
            Self::ConditionCleared { .. } => "condition_cleared",
            Self::SpecChanged { .. } => "spec_changed",
            Self::RestartScheduled { .. } => "restart_scheduled",
            Self::RecoveryStarted { .. } => "recovery_started",
            Self::RecoveryEnded { .. } => "recovery_ended",
            Self::TaskAssigned { .. } => "task_assigned",
            Self::TaskCompleted { .. } => "task_completed",
            Self::GroupCreated { .. } => "group_created",
            Self::GroupScaled { .. } => "group_scaled",
            Self::RolloutStarted { .. } => "rollout_started",
            Self::RolloutFailed { .. } => "rollout_failed",
            Self::RolloutEnded { .. } => "rollout_ended",
            Self::GroupDeleted => "group_deleted",
            Self::DegradationChanged { .. } => "degradation_changed",
            Self::Gap { .. } => "gap",
        }
    }
}

#[cfg(test)]
mod tests;
