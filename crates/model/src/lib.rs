//! The nouns of Stead: ids, time, profiles, specs, commands, events, and the journal's types.
//!
//! Everything here is plain data. Nothing reads a clock, a file or the environment: the compiler keeps `std` out.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod action;
mod audit;
mod beat;
mod capability;
mod command;
mod degradation;
mod event;
mod failure;
pub mod group;
mod id;
mod instance;
pub mod journal;
mod output;
mod problem;
pub mod profile;
mod reader;
mod reason;
mod recovery;
mod selector;
pub mod spec;
mod state;
mod summary;
mod time;
mod unit;
mod view;

pub use action::{Action, Inventory, LiveInstance, Notice, Observation, Order, Report, Word};
pub use audit::{AuditKind, AuditRow};
pub use beat::{
    Activity, ActivityKind, Beat, BeatAnswer, BeatCounts, BeatHandle, BeatMore, BeatOf, BeatOutcome, InvalidMetric,
    Metric, Vitals,
};
pub use capability::{CapabilityView, CircuitFailure, CircuitVerb, CircuitView, Level, ProviderView};
pub use command::{AgentRef, Answer, Command, IdempotencyKey, Outcome, Refusal, Request};
pub use degradation::{
    CALM, ComponentStanding, Criticality, DegradationAnswer, DegradationCommand, DegradationLevel, DegradationRequest,
    DegradationTold, DegradationView, FeatureView, LevelChange, LevelHeld, NeededView, UnknownLevel, WorkMode,
};
pub use event::{Event, Happening, MAX_METADATA, Transition};
pub use failure::{Failure, FailureKind, UnknownFailure};
pub use id::{
    ActionId, AgentId, AgentName, Epoch, Incarnation, InvalidId, Namespace, Position, ReaderName, Revision, SLOTS,
    Sequence, Slot,
};
pub use instance::{Exit, InstanceId, ProcessIdentity, SpawnFailure, SpawnFailureKind};
pub use output::{LogLine, LogStream};
pub use problem::{Problem, ProblemCode};
pub use profile::policy::AccessRole;
pub use profile::{Class, PhaseId, Profile, Role};
pub use reader::ReaderView;
pub use reason::{Reason, UnknownReason};
pub use recovery::{AttemptState, Foresight, RecoveryAttempt, Remedy, Strategy};
pub use selector::{InvalidSelector, Selector};
pub use spec::{AgentSpec, Driver};
pub use state::{Condition, ConditionView, Evidence, Health, Intent, Origin, Pause, PauseMode, Wanted};
pub use summary::{HealthSummary, MetricSummary, Summary, Troubled};
pub use time::{BootClock, InvalidTime, Moment, Now, Span, StoredWait, Wall};
pub use unit::{Bytes, Factor, OutOfRange, Ratio, Seconds, Signal};
pub use view::{AgentView, Explanation, LastExit, LifecycleView, NextStep, PauseView, RestartBudget};
