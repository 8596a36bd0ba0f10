//! Why the runtime did not do what it was asked.

use std::sync::Arc;
use std::time::Duration;

use super::{ExecutionId, ExecutionStatus, RuntimeState, StreamId};
use crate::store::StoreError;

/// Why the runtime did not do what it was asked. Nothing was changed unless a variant says so.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// Nothing of that name can be executed.
    #[error("there is no entry point `{name}`; there are: {}", known.join(", "))]
    UnknownEntryPoint {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Never taken in here, or ended so long ago that it is no longer kept.
    #[error("there is no execution {0}; ended ones are kept for a while only")]
    UnknownExecution(ExecutionId),
    /// The stream has an execution that has not ended: a second one beside it would do its work twice.
    #[error("stream {stream} still has {execution}, which is {}", status.as_str())]
    StreamBusy {
        /// The stream.
        stream: StreamId,
        /// What runs in it.
        execution: ExecutionId,
        /// What has become of that.
        status: ExecutionStatus,
    },
    /// The store has work of the stream that cannot be resumed here, and that new work would take the place of.
    #[error(
        "stream {stream} keeps work of an earlier process that cannot be resumed: {why}; bring back what can, remove `stream-{stream}` from the store, or choose another stream"
    )]
    StreamHeld {
        /// The stream.
        stream: StreamId,
        /// Why that is so.
        why: String,
    },
    /// The key was used for another request.
    #[error("the idempotency key was used for another request, which is {0}; choose another for this one")]
    KeyReused(ExecutionId),
    /// As many run as may at once.
    #[error("{max} executions of `{entry_point}` run already, more may not at once")]
    Full {
        /// The entry point.
        entry_point: Arc<str>,
        /// How many may.
        max: usize,
    },
    /// It takes no work until it is resumed.
    #[error("the runtime is paused{}; send it again later, or elsewhere", note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default())]
    Paused {
        /// Why it was paused.
        note: Option<String>,
    },
    /// It drains.
    #[error("the runtime is draining: {in_flight} in flight; send it again later, or elsewhere")]
    Draining {
        /// How many have not ended.
        in_flight: usize,
        /// How long the drain may still take.
        left: Duration,
    },
    /// It is stopped, or not yet started.
    #[error("the runtime is {0} and takes no work; start it, or send the work elsewhere")]
    NotRunning(RuntimeState),
    /// No edge leads from here to where the verb goes.
    #[error("{verb} is not possible while the runtime is {state}; possible from here: {}", state.possible().join(", "))]
    WrongState {
        /// What was asked.
        verb: &'static str,
        /// Where it is.
        state: RuntimeState,
    },
    /// This runtime cannot do that.
    #[error("{0}")]
    Unsupported(String),
    /// Its start failed; it is stopped.
    #[error("the start failed: {0}")]
    StartFailed(String),
    /// A stop came before its start was done; it is stopped, or about to be.
    #[error("it was stopped before it was up; start it again")]
    StoppedMeanwhile,
    /// The process is about to end, and starts nothing any more.
    #[error("the process is ending and starts nothing any more; ask the next one")]
    Leaving,
    /// It could not be written down.
    #[error("it cannot be written down now")]
    Store(#[from] StoreError),
    /// Larger than is taken.
    #[error("the input has {found} bytes, more than the {limit} that are taken")]
    TooLarge {
        /// How large it is.
        found: usize,
        /// How large it may be.
        limit: usize,
    },
    /// It has not ended in the time that was asked for. It goes on.
    #[error("{execution} has not ended within {waited:?}; it goes on")]
    NotInTime {
        /// Which.
        execution: ExecutionId,
        /// How long was waited.
        waited: Duration,
    },
    /// Something went wrong in the runtime itself. What became of the request is unknown.
    #[error("the runtime failed: {0}")]
    Internal(String),
}

impl Refused {
    /// When to ask again, where that helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full { .. } | Self::Store(_) => Some(Duration::from_secs(1)),
            Self::Paused { .. } | Self::NotRunning(_) => Some(Duration::from_secs(5)),
            Self::Draining { left, .. } => Some((*left).max(Duration::from_secs(1))),
            Self::UnknownEntryPoint { .. }
            | Self::UnknownExecution(_)
            | Self::StreamBusy { .. }
            | Self::StreamHeld { .. }
            | Self::KeyReused(_)
            | Self::WrongState { .. }
            | Self::Unsupported(_)
            | Self::StartFailed(_)
            | Self::StoppedMeanwhile
            | Self::Leaving
            | Self::TooLarge { .. }
            | Self::NotInTime { .. }
            | Self::Internal(_) => None,
        }
    }
}
