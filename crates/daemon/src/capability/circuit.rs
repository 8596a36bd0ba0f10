//! The circuits that calls to providers go through, by name, each shared by everybody who names it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stead_model::{AgentName, CircuitFailure, CircuitVerb, CircuitView, Span};
use stead_resilience::{AnyClock, Breaker, BreakerEvent, CircuitState, Heard, Listener, PhaseImage};
use tracing::{info, warn};

use crate::clock;

/// One circuit.
#[derive(Debug)]
pub(super) struct Circuit {
    pub(super) name: String,
    pub(super) breaker: Arc<Breaker<AnyClock>>,
    heard: Mutex<Listener<BreakerEvent>>,
    last: Mutex<Option<CircuitFailure>>,
}

impl Circuit {
    pub(super) fn new(name: String, breaker: Arc<Breaker<AnyClock>>) -> Self {
        Self {
            heard: Mutex::new(breaker.listen()),
            name,
            breaker,
            last: Mutex::default(),
        }
    }

    /// Notes what went wrong, for whoever asks why it is open.
    pub(super) fn note(&self, provider: String, detail: String) {
        *lock(&self.last) = Some(CircuitFailure {
            at: clock::wall(),
            provider,
            detail,
        });
    }

    /// What went wrong last.
    pub(super) fn last(&self) -> Option<CircuitFailure> {
        lock(&self.last).clone()
    }

    /// Writes down in the log what became of its state since the last time.
    pub(super) fn tell(&self) {
        let mut heard = lock(&self.heard);
        while let Some(next) = heard.try_next() {
            let Heard::Event(BreakerEvent { from, to, cause, .. }) = next else {
                continue;
            };
            let (circuit, from, cause) = (&self.name, from.as_str(), format!("{cause:?}"));
            let said = self.last().map(|last| last.detail).unwrap_or_default();
            match to {
                CircuitState::Open | CircuitState::Isolated => {
                    warn!(circuit, from, to = to.as_str(), cause, detail = said, "CircuitChanged");
                }
                CircuitState::Closed
                | CircuitState::HalfOpen
                | CircuitState::Recovering
                | CircuitState::ForcedOpen
                | CircuitState::ForcedClosed
                | CircuitState::Disabled => info!(circuit, from, to = to.as_str(), cause, "CircuitChanged"),
            }
        }
    }

    /// Does to it what somebody asked for; says whether that changed anything.
    pub(super) fn turn(&self, verb: CircuitVerb) -> bool {
        let before = self.breaker.state();
        match verb {
            CircuitVerb::ForceOpen => self.breaker.force_open(),
            CircuitVerb::ForceClose => self.breaker.force_closed(),
            CircuitVerb::Reset => self.breaker.reset(),
        }
        self.tell();
        before != self.breaker.state()
    }

    /// Why no call would be let through now; nothing where one would.
    pub(super) fn refusal(&self) -> Option<String> {
        let left = self.left();
        let why = match self.breaker.state() {
            CircuitState::Closed
            | CircuitState::HalfOpen
            | CircuitState::Recovering
            | CircuitState::ForcedClosed
            | CircuitState::Disabled => return None,
            CircuitState::Open => format!("is open for another {}", left.filter(|left| !left.0.is_zero())?),
            CircuitState::Isolated => "is isolated until somebody acts".to_owned(),
            CircuitState::ForcedOpen => return Some(format!("circuit {} was opened by hand", self.name)),
        };
        Some(self.because(&why))
    }

    /// A sentence about it, with what went wrong last.
    pub(super) fn because(&self, what: &str) -> String {
        let last = self.last();
        let last = last.map(|last| format!(", since {}: {}", last.provider, last.detail));
        format!("circuit {} {what}{}", self.name, last.unwrap_or_default())
    }

    /// It as it is shown.
    pub(super) fn view(&self, providers: Vec<String>) -> CircuitView {
        let counts = self.breaker.counts();
        CircuitView {
            name: self.name.clone(),
            state: self.breaker.state().as_str().to_owned(),
            retry_in: self.left(),
            last_failure: self.last(),
            providers,
            changes: self.breaker.generation(),
            rejected: counts.rejected,
            failed: counts.failed,
        }
    }

    /// How long it stays open; rounded up to seconds where it is long.
    fn left(&self) -> Option<Span> {
        let PhaseImage::Open { left } = self.breaker.snapshot().phase else {
            return None;
        };
        let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        Some(match millis {
            0..=9999 => Span::millis(millis),
            _ => Span::secs(millis.div_ceil(1000)),
        })
    }
}

/// Whom a circuit is told of.
pub(super) fn place(capability: &AgentName, provider: &AgentName) -> String {
    format!("{capability}/{provider}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
