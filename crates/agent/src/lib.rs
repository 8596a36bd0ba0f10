//! What an agent embeds: a runtime for its work, that can be started, paused, drained and asked about itself.

mod activity;
mod clock;
mod runtime;
mod store;

pub use activity::Activity;
pub use runtime::{
    Call, Change, CheckpointView, DependencyHealth, EntryPoint, Execution, ExecutionId, ExecutionStatus, InvalidId,
    InvalidRuntime, Pause, PauseView, Refused, Runtime, RuntimeBuilder, RuntimeConfig, RuntimeState, Status, StreamId,
    StreamView, Submission, Suspended, Unreadable, WindDown, WorkResult,
};
pub use store::{CheckpointStore, Files, Memory, StoreError};
