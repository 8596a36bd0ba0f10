//! A circuit breaker as a plain state machine.
//!
//! ```text
//!             the window trips            open period over, a call comes
//!   CLOSED ────────────────────► OPEN ───────────────────────────────────► HALF OPEN
//!     ▲ ▲                        ▲  ▲                one probe fails          │ │
//!     │ │                        │  └─────────────────────────────────────────┘ │
//!     │ │ last step passed       │ failures at the first step                   │ enough probes
//!     │ └──────────────── RECOVERING (10, 25, 50 % …) ◄─────────────────────────┤ succeed
//!     └──────────────────────────────── without a ramp ─────────────────────────┘
//!
//!   a terminal failure, from any of these but OPEN ──► ISOLATED, until reset, reconfiguration or a deliberate probe
//!   by hand: FORCED OPEN, FORCED CLOSED, DISABLED, until reset
//! ```
//!
//! [`Circuit`] is the specification: the concurrent breaker that calls go through is compared with it step by step.

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::window::{CountWindow, Leaky, Mark, TimeWindow};

mod config;
mod image;
mod memory;
mod thaw;

pub use config::{BreakerConfig, BreakerRefused, BreakerSettings, Ramp, SlowCalls, Tripped, Window};
pub use image::{BreakerImage, Bucket, Marks, PhaseImage, UnknownMark, WindowImage};

use memory::Memory;

/// What a breaker does with calls.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CircuitState {
    /// Admits all; counts.
    Closed,
    /// Admits none until its time is over.
    Open,
    /// Admits a few probes.
    HalfOpen,
    /// Admits a growing share.
    Recovering,
    /// Admits none until somebody acts: the service refuses for good (401, 402, 403, billing).
    Isolated,
    /// Admits none, by hand.
    ForcedOpen,
    /// Admits all, by hand; counts nothing.
    ForcedClosed,
    /// Admits all, by hand, as if it were not there.
    Disabled,
}

impl CircuitState {
    /// As it is written: `closed`, `half_open` and so on.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Recovering => "recovering",
            Self::Isolated => "isolated",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
            Self::Disabled => "disabled",
        }
    }
}

/// What a call came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The service did what it was asked.
    Success,
    /// The service failed.
    Failure {
        /// When it said to come back, from now on.
        retry_after: Option<Duration>,
    },
    /// The service refuses until somebody acts.
    Terminal,
    /// Says nothing about the service.
    Ignored,
    /// Nobody knows: cancelled, panicked, forgotten.
    Abandoned,
}

/// Leave to make one call; handed back with its outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Ticket {
    generation: u64,
    role: Role,
    since: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// Counts.
    Call,
    /// Decides; its place is held until it reports or its lease ends.
    Probe { id: u64 },
    /// Was let through although the breaker would refuse, or does not care.
    Bypass,
}

/// A call is not admitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The state that refused.
    pub state: CircuitState,
    /// When a call may be admitted again; `None` where only a person or a configuration change can tell.
    pub retry_after: Option<Duration>,
}

/// What became of an outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recorded {
    /// It was counted, or was one of those that are not.
    Noted,
    /// The call began under an earlier state, or its lease had ended: nothing was changed.
    Late,
}

/// A breaker as a value: its callers hand in the time, a [`Duration`] since an origin of their own that never goes back.
#[derive(Clone, PartialEq, Debug)]
pub struct Circuit {
    settings: BreakerSettings,
    generation: u64,
    reopened: u32,
    not_before: Duration,
    /// Would-be rejections so far, of which [`BreakerConfig::enforce`] percent are rejections.
    refused: u64,
    phase: Phase,
}

#[derive(Clone, PartialEq, Debug)]
enum Phase {
    Closed(Memory),
    Open {
        until: Duration,
    },
    HalfOpen {
        successes: u32,
        probes: Probes,
    },
    Recovering {
        step: usize,
        until: Duration,
        failures: u32,
        arrivals: u64,
    },
    Isolated {
        probes: Probes,
    },
    ForcedOpen,
    ForcedClosed,
    Disabled,
}

/// Probes in flight, each with the end of its lease.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Probes {
    next: u64,
    leases: Vec<(u64, Duration)>,
}

impl Circuit {
    /// A closed circuit that has seen nothing.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        Self {
            phase: Phase::Closed(Memory::new(settings.config().window)),
            settings,
            generation: 0,
            reopened: 0,
            not_before: Duration::ZERO,
            refused: 0,
        }
    }

    /// Its settings.
    #[must_use]
    pub const fn settings(&self) -> &BreakerSettings {
        &self.settings
    }

    /// Its state. An open circuit whose time is over stays open until a call comes.
    #[must_use]
    pub const fn state(&self) -> CircuitState {
        match self.phase {
            Phase::Closed(_) => CircuitState::Closed,
            Phase::Open { .. } => CircuitState::Open,
            Phase::HalfOpen { .. } => CircuitState::HalfOpen,
            Phase::Recovering { .. } => CircuitState::Recovering,
            Phase::Isolated { .. } => CircuitState::Isolated,
            Phase::ForcedOpen => CircuitState::ForcedOpen,
            Phase::ForcedClosed => CircuitState::ForcedClosed,
            Phase::Disabled => CircuitState::Disabled,
        }
    }

    /// Counts the changes of state; only grows.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Asks leave for one call.
    ///
    /// # Errors
    ///
    /// The call is not admitted, and must not be made.
    pub fn acquire(&mut self, now: Duration) -> Result<Ticket, Refusal> {
        if matches!(self.phase, Phase::Open { until } if now >= until) {
            let probes = Probes::default();
            self.enter(Phase::HalfOpen { successes: 0, probes });
        }
        let config = self.settings.config();
        let (limit, lease) = (config.half_open_max_calls, config.trial_timeout);
        let left = match &mut self.phase {
            Phase::Closed(_) => return Ok(self.ticket(now, Role::Call)),
            Phase::ForcedClosed | Phase::Disabled => return Ok(self.ticket(now, Role::Bypass)),
            Phase::HalfOpen { probes, .. } => match probes.take(now, lease, limit) {
                Ok(id) => return Ok(self.ticket(now, Role::Probe { id })),
                Err(free) => Some(free),
            },
            Phase::Recovering {
                step, until, arrivals, ..
            } => {
                let n = *arrivals;
                *arrivals += 1;
                let until = *until;
                if share(n, self.settings.share(*step).unwrap_or(100)) {
                    return Ok(self.ticket(now, Role::Call));
                }
                Some(until)
            }
            Phase::Open { until } => Some(*until),
            Phase::Isolated { .. } | Phase::ForcedOpen => None,
        };
        self.refuse(now, left)
    }

    /// Asks leave for a deliberate probe: as [`Circuit::acquire`], but an isolated circuit admits one at a time, and closes
    /// when it succeeds.
    ///
    /// # Errors
    ///
    /// The call is not admitted, and must not be made.
    pub fn acquire_probe(&mut self, now: Duration) -> Result<Ticket, Refusal> {
        let lease = self.settings.config().trial_timeout;
        match &mut self.phase {
            Phase::Isolated { probes } => match probes.take(now, lease, 1) {
                Ok(id) => Ok(self.ticket(now, Role::Probe { id })),
                Err(free) => Err(Refusal {
                    state: CircuitState::Isolated,
                    retry_after: Some(free.saturating_sub(now)),
                }),
            },
            Phase::Closed(_)
            | Phase::Open { .. }
            | Phase::HalfOpen { .. }
            | Phase::Recovering { .. }
            | Phase::ForcedOpen
            | Phase::ForcedClosed
            | Phase::Disabled => self.acquire(now),
        }
    }

    /// Takes back a ticket with what the call came to.
    pub fn record(&mut self, now: Duration, ticket: Ticket, outcome: Outcome) -> Recorded {
        match ticket.role {
            Role::Bypass => return Recorded::Noted,
            Role::Call | Role::Probe { .. } if ticket.generation != self.generation => return Recorded::Late,
            Role::Call => {}
            Role::Probe { id } => {
                if !self.probes().is_some_and(|probes| probes.give_back(now, id)) {
                    return Recorded::Late;
                }
            }
        }
        let slow = self.settings.slow(now.saturating_sub(ticket.since));
        match outcome {
            Outcome::Ignored | Outcome::Abandoned => {}
            Outcome::Terminal => self.isolate(),
            Outcome::Success if slow => self.count(now, Mark::Slow),
            Outcome::Success => self.count(now, Mark::Good),
            Outcome::Failure { retry_after } => {
                if let Some(wait) = retry_after {
                    self.not_before = self.not_before.max(now.saturating_add(wait.min(RETRY_AFTER_MOST)));
                }
                self.count(now, if slow { Mark::FailedSlowly } else { Mark::Failed });
            }
        }
        Recorded::Noted
    }

    /// Opens it by hand, until [`Circuit::reset`].
    pub fn force_open(&mut self) {
        self.force(Phase::ForcedOpen);
    }

    /// Closes it by hand: all calls are admitted, none is counted, until [`Circuit::reset`].
    pub fn force_closed(&mut self) {
        self.force(Phase::ForcedClosed);
    }

    /// Switches it off until [`Circuit::reset`].
    pub fn disable(&mut self) {
        self.force(Phase::Disabled);
    }

    /// Closes it with an empty window, whatever it was.
    pub fn reset(&mut self) {
        self.close();
    }

    /// Changes its settings. State and window stay; an isolated circuit closes, as what it waited for may be this.
    ///
    /// A window of another kind starts empty, as does one of time that has counted failures alone and is now asked for a
    /// rate. An open period that has begun ends when it was to end.
    pub fn reconfigure(&mut self, now: Duration, settings: BreakerSettings) {
        if settings == self.settings {
            return;
        }
        let before = core::mem::replace(&mut self.settings, settings);
        let steps = self.settings.share(0).is_some();
        match &mut self.phase {
            Phase::Closed(memory) => memory.reconfigure(now, &before, &self.settings),
            Phase::Isolated { .. } => self.close(),
            Phase::Recovering { .. } if !steps => self.close(),
            Phase::Recovering { .. }
            | Phase::Open { .. }
            | Phase::HalfOpen { .. }
            | Phase::ForcedOpen
            | Phase::ForcedClosed
            | Phase::Disabled => {}
        }
    }

    const fn probes(&mut self) -> Option<&mut Probes> {
        match &mut self.phase {
            Phase::HalfOpen { probes, .. } | Phase::Isolated { probes } => Some(probes),
            Phase::Closed(_)
            | Phase::Open { .. }
            | Phase::Recovering { .. }
            | Phase::ForcedOpen
            | Phase::ForcedClosed
            | Phase::Disabled => None,
        }
    }

    fn count(&mut self, now: Duration, mark: Mark) {
        match &mut self.phase {
            Phase::Closed(memory) => {
                if memory.record(now, mark, &self.settings).is_some() {
                    self.open(now);
                }
            }
            Phase::HalfOpen { successes, .. } => {
                if mark != Mark::Good {
                    self.reopen(now);
                    return;
                }
                *successes += 1;
                if *successes >= self.settings.config().success_threshold {
                    self.recover(now);
                }
            }
            Phase::Recovering {
                step, until, failures, ..
            } => {
                let (step, over) = (*step, now >= *until);
                if mark == Mark::Good {
                    if over {
                        self.climb(now, step + 1);
                    }
                    return;
                }
                *failures += 1;
                if self
                    .settings
                    .config()
                    .ramp
                    .as_ref()
                    .is_none_or(|ramp| *failures >= ramp.failures)
                {
                    match step.checked_sub(1) {
                        Some(lower) => self.climb(now, lower),
                        None => self.reopen(now),
                    }
                }
            }
            Phase::Isolated { .. } => {
                if mark == Mark::Good {
                    self.recover(now);
                }
            }
            Phase::Open { .. } | Phase::ForcedOpen | Phase::ForcedClosed | Phase::Disabled => {}
        }
    }

    fn open(&mut self, now: Duration) {
        let period = self.settings.open_period(self.reopened);
        let until = now.saturating_add(period).max(self.not_before);
        self.enter(Phase::Open { until });
    }

    fn reopen(&mut self, now: Duration) {
        self.reopened = self.reopened.saturating_add(1);
        self.open(now);
    }

    fn recover(&mut self, now: Duration) {
        self.climb(now, 0);
    }

    fn climb(&mut self, now: Duration, step: usize) {
        match (&self.settings.config().ramp, self.settings.share(step)) {
            (Some(ramp), Some(_)) => {
                let until = now.saturating_add(ramp.step_for);
                self.enter(Phase::Recovering {
                    step,
                    until,
                    failures: 0,
                    arrivals: 0,
                });
            }
            (Some(_) | None, None) | (None, Some(_)) => self.close(),
        }
    }

    fn close(&mut self) {
        self.reopened = 0;
        self.not_before = Duration::ZERO;
        self.enter(Phase::Closed(Memory::new(self.settings.config().window)));
    }

    fn isolate(&mut self) {
        match self.phase {
            Phase::Isolated { .. } => {}
            Phase::Closed(_)
            | Phase::Open { .. }
            | Phase::HalfOpen { .. }
            | Phase::Recovering { .. }
            | Phase::ForcedOpen
            | Phase::ForcedClosed
            | Phase::Disabled => self.enter(Phase::Isolated {
                probes: Probes::default(),
            }),
        }
    }

    /// Asking for the state that is there changes nothing.
    fn force(&mut self, phase: Phase) {
        if self.phase != phase {
            self.enter(phase);
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.generation += 1;
        self.phase = phase;
    }

    fn ticket(&self, now: Duration, role: Role) -> Ticket {
        Ticket {
            generation: self.generation,
            role,
            since: now,
        }
    }

    fn refuse(&mut self, now: Duration, left: Option<Duration>) -> Result<Ticket, Refusal> {
        let n = self.refused;
        self.refused += 1;
        let state = self.state();
        if state != CircuitState::ForcedOpen && !share(n, self.settings.config().enforce) {
            return Ok(self.ticket(now, Role::Bypass));
        }
        Err(Refusal {
            state,
            retry_after: left.map(|until| until.saturating_sub(now)),
        })
    }
}

impl Probes {
    /// A place, or when the next one is free.
    fn take(&mut self, now: Duration, lease: Duration, limit: u32) -> Result<u64, Duration> {
        self.leases.retain(|(_, until)| *until > now);
        if self.leases.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
            let free = self.leases.iter().map(|(_, until)| *until).min();
            return Err(free.unwrap_or(now));
        }
        let id = self.next;
        self.next += 1;
        self.leases.push((id, now.saturating_add(lease)));
        Ok(id)
    }

    /// Whether the lease was still running.
    fn give_back(&mut self, now: Duration, id: u64) -> bool {
        self.leases.retain(|(_, until)| *until > now);
        let held = self.leases.len();
        self.leases.retain(|(lease, _)| *lease != id);
        self.leases.len() < held
    }
}

/// Whether the `n`-th of many, from 0, is one of the `percent` of them, spread evenly; the first always is.
#[must_use]
pub const fn share(n: u64, percent: u8) -> bool {
    let percent = percent as u128;
    ((n as u128 + 1) * percent).div_ceil(100) > (n as u128 * percent).div_ceil(100)
}

/// What a service asks for by `Retry-After` is honoured up to here: a day, so that nonsense does not close it for ever.
pub const RETRY_AFTER_MOST: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests;
