//! Call protection for whoever calls a model, a tool or a database: correct first, then fast.
//!
//! Every policy stands alone, takes its time from a [`Clock`] and tells what it did in a [`Failure`].

mod chaos;
mod check;
mod classify;
mod clock;
pub mod degrade;
mod failure;
mod layer;
mod leak;
mod preset;
mod procfs;
pub mod replay;
mod rounds;
mod watch;

pub use chaos::{Chaos, ChaosConfig, ChaosError, ChaosLatency, ChaosOutcome, ChaosRefused, ChaosSnapshot};
pub use check::{CheckConfig, CheckRefused, CheckReport, Finding, Health, HealthChecker, HealthReport};
pub use classify::{AnyError, Classify, Verdict};
pub use clock::{Clock, Coarse, Moment, Precise, Ticker, TokioClock, Virtual};
pub use failure::Failure;
pub use layer::Layer;
pub use leak::{
    HandleId, Holder, LeakConfig, LeakConfigRefused, LeakDetector, LeakFinding, LeakReport, ProcSampler, Resource,
    Sample, Sign, Tracked, Usage,
};
pub use preset::{Preset, UnknownPreset};
pub use stead_policy::{CircuitState, Criticality};
pub use watch::Watch;
