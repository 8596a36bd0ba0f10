//! What an agent embeds: a runtime for its work, that can be started, paused, drained and asked about itself.
//!
//! [`Agent`] is the whole: it runs entry points, answers probes and control requests over HTTP, tells its supervisor how it is, and
//! on SIGTERM finishes what it has. [`Runtime`] is the part that runs, [`Server`] the part that answers, [`Beats`] the part that tells the daemon
//! that it lives; each can be used alone.

mod activity;
mod agent;
pub mod capability;
mod clock;
mod config;
mod heartbeat;
pub mod lifecycle;
mod notify;
mod pulse;
mod runtime;
mod sampler;
mod sentence;
mod server;
mod shutdown;
mod stagger;
mod store;

pub use activity::Activity;
pub use agent::{Agent, AgentBuilder, AgentError};
pub use config::{InvalidConfig, LifecycleConfig, Token};
pub use heartbeat::{Beats, BeatsBuilder, HeartbeatConfig, InvalidHeartbeats};
pub use runtime::{
    Call, Change, CheckpointView, DependencyHealth, EntryPoint, Execution, ExecutionId, ExecutionStatus, InvalidId,
    InvalidKey, InvalidRuntime, Pause, PauseView, Refused, RequestKey, Runtime, RuntimeBuilder, RuntimeConfig,
    RuntimeState, Status, StreamId, StreamView, Submission, Suspended, Unreadable, WindDown, WorkResult,
};
pub use sampler::{Sampler, Vitals};
pub use server::{Reach, Server};
pub use stead_model::{DegradationLevel, DegradationTold, PauseMode, WorkMode};
pub use stead_resilience::{CheckConfig, Finding, HealthChecker};
pub use store::{CheckpointStore, Files, Memory, StoreError};
