//! What a breaker tells.

use stead_policy::CircuitState;

use crate::Moment;

/// A breaker changed its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerEvent {
    /// The generation that begins with it; events come in its order, without gaps.
    pub generation: u64,
    /// The state before.
    pub from: CircuitState,
    /// The state from now on.
    pub to: CircuitState,
    /// When, on the breaker's clock.
    pub at: Moment,
    /// Why.
    pub cause: Cause,
}

/// Why a breaker changed its state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// There were too many failures.
    Failures,
    /// Too many calls were slow.
    SlowCalls,
    /// The service refuses for good.
    Terminal,
    /// The service asked to be left alone ([`Breaker::rest`](crate::Breaker::rest)).
    AskedFor,
    /// The open period was over and a call came.
    PeriodOver,
    /// A probe failed or was slow.
    ProbeFailed,
    /// Enough probes succeeded.
    ProbesSucceeded,
    /// A step of the ramp lasted long enough.
    StepPassed,
    /// There were too many failures within a step of the ramp.
    StepFailed,
    /// Somebody forced or reset it.
    ByHand,
    /// Its settings were changed.
    Reconfigured,
}

/// How often a breaker did what costs something. Successes are not counted: a healthy breaker is not written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BreakerCounts {
    /// Calls that were not admitted.
    pub rejected: u64,
    /// Calls that would not have been admitted, and were, as [`enforce`](crate::BreakerConfig::enforce) is below 100.
    pub let_through: u64,
    /// Failures that were counted.
    pub failed: u64,
    /// Slow calls that were counted.
    pub slow: u64,
    /// Calls whose result says nothing about the service.
    pub ignored: u64,
    /// Calls that were cancelled, panicked, or dropped their permit.
    pub abandoned: u64,
    /// Results of an earlier generation, or of a probe that was given up: they changed nothing.
    pub late: u64,
    /// Probes that the [`Budget`](crate::Budget) did not pay for; they are among the rejected.
    pub not_granted: u64,
}
