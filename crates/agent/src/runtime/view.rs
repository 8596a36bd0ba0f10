//! What is shown of the runtime and its work.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use stead_model::{PauseMode, Wall};

use super::{ExecutionId, RuntimeState, StreamId};

/// What has become of an execution so far.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionStatus {
    /// It runs.
    Running,
    /// It was told to end and has not yet: its stream stays taken.
    Cancelling,
    /// It was interrupted, by a drain or a pause, and goes on from its checkpoint when the runtime runs again.
    ToBeResumed,
    /// It ended and gave a result.
    Succeeded,
    /// It ended with an error.
    Failed,
    /// It was told to end and did.
    Cancelled,
}

impl ExecutionStatus {
    /// Whether nothing more becomes of it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
            Self::Running | Self::Cancelling | Self::ToBeResumed => false,
        }
    }

    /// The word that it is written as.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::ToBeResumed => "to_be_resumed",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One execution of an entry point.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Execution {
    /// Its id; kept when it is resumed.
    pub id: ExecutionId,
    /// The stream that it runs in.
    pub stream: StreamId,
    /// What runs.
    #[schemars(with = "String")]
    pub entry_point: Arc<str>,
    /// What has become of it.
    pub status: ExecutionStatus,
    /// Which try this is: 1, and one more each time that it is resumed.
    pub attempt: u32,
    /// When it was taken in.
    pub started_at: Wall,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Wall>,
    /// What it gave, where it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub result: Option<Arc<RawValue>>,
    /// What went wrong, where it failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A stream with an execution in it that has not ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct StreamView {
    /// The stream.
    pub id: StreamId,
    /// What runs in it.
    #[schemars(with = "String")]
    pub entry_point: Arc<str>,
    /// Which execution.
    pub execution_id: ExecutionId,
    /// When that was taken in.
    pub started_at: Wall,
    /// `running`, or `cancelling` where it was told to end and has not yet.
    pub state: ExecutionStatus,
}

/// How something that the agent depends on does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DependencyHealth {
    /// It was seen to work.
    Healthy,
    /// It works, and not as it should.
    Degraded,
    /// It does not work.
    Unhealthy,
    /// Nobody has looked, or not for long.
    Unknown,
}

/// The runtime as it is. Every number is true at one moment, and none costs more the more has run.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Where it is in its life.
    pub state: RuntimeState,
    /// Whole seconds since it was started; 0 while it is stopped.
    pub uptime_seconds: u64,
    /// Streams with an execution that has not ended.
    pub active_streams: usize,
    /// Executions that this process took in or resumed, each counted once.
    pub total_executions: u64,
    /// How many of them ended with an error.
    pub failed_executions: u64,
    /// What can be executed, in the order in which it was declared.
    #[schemars(with = "Vec<String>")]
    pub entry_points: Arc<[Arc<str>]>,
    /// What it depends on, by name.
    pub health: BTreeMap<String, DependencyHealth>,
}

/// A pause: how, since when and why. It outlives the process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, serde::Deserialize, JsonSchema)]
pub struct PauseView {
    /// What was done to the work in flight.
    pub mode: PauseMode,
    /// Since when.
    pub since: Wall,
    /// Why, in the asker's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a pause of mode `checkpoint` wrote down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct CheckpointView {
    /// Names this checkpoint.
    pub token: String,
    /// How many streams came to an end: done, or to be resumed from where they wrote down that they are.
    pub acknowledged: usize,
    /// Streams that have not, and still run.
    pub missing: Vec<StreamId>,
}

/// What a request for a change of state led to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Change {
    /// Where the runtime is now.
    pub state: RuntimeState,
    /// What was done, in words; `already …` where it was so before.
    pub message: String,
    /// Whether it was so before.
    pub already: bool,
    /// Executions that have not ended.
    pub in_flight: usize,
    /// Executions that go on when the runtime runs again.
    pub to_be_resumed: usize,
    /// What was written down, for a pause of mode `checkpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointView>,
}
