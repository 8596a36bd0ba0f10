//! Capabilities: what can be asked of the fleet. A call goes to the most preferred provider whose agent serves and whose circuit lets it
//! through, and on to the next where that one gives no answer.
//!
//! Circuits, retries, budgets and deadlines are those of `stead-resilience`; what is here chooses, asks and tells.

mod circuit;
mod endpoint;
mod outcome;
mod provider;
mod schema;
mod settings;
mod spec;
mod standing;
mod table;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::body::Bytes;
use serde_json::Value;
use stead_model::{
    AgentName, CapabilityView, CircuitVerb, CircuitView, Level, Namespace, Problem, ProblemCode, ProviderView,
};
use stead_resilience::{AnyClock, Clock as _, Coarse, Deadline, Registry};
use tracing::{debug, info};

pub(crate) use self::outcome::Answered;
use self::provider::{Call, Provider, Unanswered};
pub(crate) use self::spec::{CapabilitySpec, Fault};
use self::table::{Capability, Table};
use crate::Views;

/// The capabilities in force, with their circuits.
#[derive(Debug)]
pub(crate) struct Capabilities {
    table: ArcSwap<Table>,
    circuits: Registry<AnyClock>,
    clock: AnyClock,
    /// One change at a time.
    turn: Mutex<()>,
}

/// Capabilities by name, as a fleet file has them.
pub(crate) type Specs = std::collections::BTreeMap<AgentName, CapabilitySpec>;

/// What is asked, by whom.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) parameters: Value,
    /// The parameters as they came.
    pub(crate) body: Bytes,
    pub(crate) correlation_id: String,
    pub(crate) idempotency_key: String,
}

/// An answer, and who gave it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Served {
    pub(crate) answer: Answered,
    pub(crate) provider: AgentName,
    pub(crate) level: Level,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::with_clock(Coarse.any())
    }
}

impl Capabilities {
    fn with_clock(clock: AnyClock) -> Self {
        Self {
            table: ArcSwap::default(),
            circuits: Registry::with_clock(clock.clone()),
            clock,
            turn: Mutex::default(),
        }
    }

    /// Puts other capabilities in force. Circuits that are still named keep what they know; calls under way end as they began.
    ///
    /// # Errors
    /// Says what does not hold together; everything is as before. What was read from a file always does.
    pub(crate) fn configure(&self, namespace: &Namespace, specs: &Specs) -> Result<(), String> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.table.load_full();
        let table = Table::build(namespace, specs, &before, &self.circuits, &self.clock)?;
        self.table.store(Arc::new(table));
        Ok(())
    }

    /// Every capability, by name.
    pub(crate) fn list(&self, views: &Views) -> Vec<CapabilityView> {
        let table = self.table.load();
        let shown = table.capabilities.iter();
        shown
            .map(|(name, capability)| capability.view(name, &table.namespace, views))
            .collect()
    }

    /// One capability.
    ///
    /// # Errors
    /// `unknown-capability`.
    pub(crate) fn one(&self, name: &AgentName, views: &Views) -> Result<CapabilityView, Problem> {
        let table = self.table.load();
        Ok(table.find(name)?.view(name, &table.namespace, views))
    }

    /// Every circuit, by name.
    pub(crate) fn circuits(&self) -> Vec<CircuitView> {
        let table = self.table.load();
        table
            .circuits
            .values()
            .map(|circuit| circuit.view(table.who_shares(&circuit.name)))
            .collect()
    }

    /// Whether there is a circuit of this name.
    ///
    /// # Errors
    /// `unknown-circuit`.
    pub(crate) fn knows(&self, circuit: &str) -> Result<Namespace, Problem> {
        let table = self.table.load();
        table.circuit(circuit).map(|_| table.namespace.clone())
    }

    /// Turns a circuit by hand; says what it is now, and whether that is something else than before.
    ///
    /// # Errors
    /// `unknown-circuit`.
    pub(crate) fn turn(&self, circuit: &str, verb: CircuitVerb) -> Result<(CircuitView, bool), Problem> {
        let table = self.table.load();
        let found = table.circuit(circuit)?;
        let changed = found.turn(verb);
        Ok((found.view(table.who_shares(circuit)), changed))
    }

    /// How long a call of a capability may take at most.
    ///
    /// # Errors
    /// `unknown-capability`.
    pub(crate) fn deadline(&self, name: &AgentName) -> Result<Duration, Problem> {
        let table = self.table.load();
        table.find(name).map(|capability| capability.deadline)
    }

    /// Until when a call is of use that says `left` of itself.
    pub(crate) fn until(&self, left: Duration) -> Deadline {
        Deadline::after(&self.clock, left)
    }

    /// The clock that deadlines are on.
    pub(crate) const fn clock(&self) -> &AnyClock {
        &self.clock
    }

    /// Asks the providers of a capability, one after the other, until one answers. Cancelled, the call under way is given up.
    ///
    /// # Errors
    /// `unknown-capability`; `invalid-parameters`, and nobody was asked; `no-fallback-available` with the reason of each provider.
    pub(crate) async fn invoke(
        &self,
        name: &AgentName,
        asked: Asked,
        deadline: Deadline,
        views: &Views,
    ) -> Result<Served, Problem> {
        let (capability, namespace) = {
            let table = self.table.load();
            (Arc::clone(table.find(name)?), table.namespace.clone())
        };
        let faults = capability.faults(&asked.parameters);
        if !faults.is_empty() {
            return Err(Problem {
                errors: faults,
                ..Problem::new(
                    ProblemCode::InvalidParameters,
                    format!("nobody was asked: the parameters do not fit what {name} takes"),
                )
            });
        }
        let call = Call {
            body: asked.body,
            correlation_id: asked.correlation_id,
            idempotency_key: asked.idempotency_key,
        };
        deadline
            .scope(ask_all(name, &capability, &namespace, &call, views))
            .await
    }
}

/// Asks one after the other, within the deadline of the task.
async fn ask_all(
    name: &AgentName,
    capability: &Capability,
    namespace: &Namespace,
    call: &Call,
    views: &Views,
) -> Result<Served, Problem> {
    let mut reasons = Vec::new();
    let mut soonest: Option<Duration> = None;
    for (place, provider) in capability.providers.iter().enumerate() {
        let agent = provider.spec.agent.as_ref();
        let away = agent.and_then(|agent| standing::of(views, namespace, agent).away);
        let result = match away {
            Some(away) => Err(Unanswered {
                reason: away,
                retry_after: None,
            }),
            None => provider.ask(call, share(&capability.providers, place)).await,
        };
        match result {
            Ok(answer) => {
                if !reasons.is_empty() {
                    info!(capability = %name, provider = %provider.spec.name, before = reasons.join("; "), "CapabilityFellThrough");
                }
                return Ok(Served {
                    answer,
                    provider: provider.spec.name.clone(),
                    level: provider.spec.level,
                });
            }
            Err(Unanswered { reason, retry_after }) => {
                debug!(capability = %name, provider = %provider.spec.name, reason, "ProviderUnanswered");
                reasons.push(format!("{} ({}): {reason}", provider.spec.name, provider.spec.level));
                soonest = match (soonest, retry_after) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
            }
        }
    }
    let seconds = |wait: Duration| u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    Err(Problem {
        retry_after: soonest.map(seconds),
        errors: reasons,
        ..Problem::new(
            ProblemCode::NoFallbackAvailable,
            format!(
                "none of the {} providers of {name} gave an answer",
                capability.providers.len()
            ),
        )
    })
}

/// What is left of the deadline, shared evenly among this provider and those after it that may be asked yet.
fn share(providers: &[Provider], place: usize) -> Duration {
    let after = providers.iter().skip(place + 1);
    let others = after.filter(|provider| provider.circuit.refusal().is_none()).count();
    let left = Deadline::remaining_now().unwrap_or(Duration::MAX);
    left / u32::try_from(others + 1).unwrap_or(u32::MAX)
}

impl Capability {
    fn view(&self, name: &AgentName, namespace: &Namespace, views: &Views) -> CapabilityView {
        let providers = self.providers.iter().map(|provider| provider.view(namespace, views));
        let providers: Vec<ProviderView> = providers.collect();
        CapabilityView {
            name: name.clone(),
            description: self.description.clone(),
            parameters: self.schema.clone(),
            deadline: stead_model::Span(self.deadline),
            available: providers.iter().any(|provider| provider.skipped.is_none()),
            providers,
        }
    }
}

impl Provider {
    fn view(&self, namespace: &Namespace, views: &Views) -> ProviderView {
        let agent = self.spec.agent.as_ref();
        let standing = agent
            .map(|agent| standing::of(views, namespace, agent))
            .unwrap_or_default();
        ProviderView {
            name: self.spec.name.clone(),
            level: self.spec.level,
            url: self.endpoint.shown(),
            agent: agent.cloned(),
            phase: standing.phase,
            skipped: standing.away.or_else(|| self.circuit.refusal()),
            circuit: self.circuit.name.clone(),
            circuit_state: self.circuit.breaker.state().as_str().to_owned(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
