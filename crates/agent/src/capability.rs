//! Capabilities inside a process: what can be done, by whom, and who stands in.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;
use stead_resilience::{Breaker, BreakerRefused, CircuitState, Failure, TokioClock};
use tracing::{info, warn};

mod provider;
mod schema;

pub use provider::{Failing, Level, Provider};

use schema::Schema;

/// What can be done in this process, and by whom. Clones share it.
///
/// # Examples
///
/// ```
/// use serde_json::{Value, json};
/// use stead_agent::capability::{Capabilities, Level, Provider};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let capabilities = Capabilities::new();
/// let schema = json!({ "type": "object", "required": ["text"], "properties": { "text": { "type": "string" } } });
/// let model = Provider::new("summary", "model", Level::PRIMARY, async |_: Value| Err::<(), _>("out of quota"));
/// let cut = Provider::new("summary", "cut", Level::FALLBACK, async |asked: Value| {
///     Ok::<_, String>(asked["text"].as_str().unwrap_or("").chars().take(5).collect::<String>())
/// });
/// capabilities.register(model.parameters(schema))?;
/// capabilities.register(cut)?;
/// let done = capabilities.execute_with_fallback("summary", json!({ "text": "to be or not" })).await?;
/// assert_eq!((done.value, &*done.provider), (json!("to be"), "cut"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct Capabilities(Arc<Mutex<BTreeMap<Arc<str>, Capability>>>);

#[derive(Default)]
struct Capability {
    schema: Option<Schema>,
    /// The best first; those of one level in the order in which they came.
    providers: Vec<Seat>,
}

#[derive(Clone)]
struct Seat {
    provider: Provider,
    circuit: Arc<Breaker<TokioClock>>,
}

/// What was done, and by whom.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Done {
    /// What it gave.
    pub value: Value,
    /// Who gave it.
    pub provider: Arc<str>,
    /// How good that one is.
    pub level: Level,
    /// Those that were to be asked before it, and why they gave nothing.
    pub passed_over: Vec<PassedOver>,
}

/// A provider that gave nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PassedOver {
    /// Who.
    pub provider: Arc<str>,
    /// Why.
    pub reason: String,
}

/// A capability as it is.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CapabilityView {
    /// What it is called.
    pub name: Arc<str>,
    /// What it takes, as JSON Schema, where that was said.
    pub parameters: Option<Value>,
    /// Who offers it, the best first.
    pub providers: Vec<ProviderView>,
}

/// A provider as it is.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ProviderView {
    /// What it is called.
    pub name: Arc<str>,
    /// How good it is.
    pub level: Level,
    /// What it does.
    pub description: String,
    /// Whether it serves just now.
    pub serves: bool,
    /// Its circuit.
    pub circuit: CircuitState,
}

/// A provider was not registered. Nothing changed.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotRegistered {
    /// Its schema cannot be checked by.
    #[error("the parameters of `{capability}`: {why}")]
    Schema {
        /// The capability.
        capability: Arc<str>,
        /// What is wrong with it, and where.
        why: String,
    },
    /// Another provider said otherwise.
    #[error("`{0}` takes other parameters already; all its providers take the same")]
    OtherSchema(Arc<str>),
    /// Its circuit makes no sense.
    #[error("the circuit of `{provider}`")]
    Circuit {
        /// The provider.
        provider: Arc<str>,
        /// Why.
        #[source]
        source: BreakerRefused,
    },
}

/// Nothing was done.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotExecuted {
    /// Nobody offers it.
    #[error("there is no capability `{0}`")]
    Unknown(String),
    /// The parameters do not fit: nobody was asked, and it counts for no circuit.
    #[error("the parameters of `{capability}` do not fit: {}", wrong.join("; "))]
    Parameters {
        /// The capability.
        capability: Arc<str>,
        /// Each thing that is wrong, with its place.
        wrong: Vec<String>,
    },
    /// All that could be asked gave nothing.
    #[error("nobody could do `{capability}`: {}", list(reasons))]
    NoFallbackAvailable {
        /// The capability.
        capability: Arc<str>,
        /// Why each gave nothing, in the order in which they were asked.
        reasons: Vec<PassedOver>,
    },
}

impl Capabilities {
    /// Nothing can be done yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a provider, or puts it in place of the one of its name, whose circuit it keeps.
    ///
    /// # Errors
    /// Its schema or its circuit makes no sense. Nothing changed.
    pub fn register(&self, provider: Provider) -> Result<(), NotRegistered> {
        let name = Arc::clone(&provider.capability);
        let schema = provider.parameters.clone().map(Schema::new).transpose();
        let schema = schema.map_err(|why| NotRegistered::Schema {
            capability: Arc::clone(&name),
            why,
        })?;
        let fresh = Breaker::with_clock(provider.breaker.clone(), TokioClock::new());
        let fresh = fresh.map_err(|source| NotRegistered::Circuit {
            provider: Arc::clone(&provider.name),
            source,
        })?;
        let mut all = self.all();
        let known = all.entry(Arc::clone(&name)).or_default();
        match (&known.schema, schema) {
            (Some(old), Some(new)) if *old != new => return Err(NotRegistered::OtherSchema(name)),
            (None, Some(new)) => known.schema = Some(new),
            (Some(_), Some(_)) | (_, None) => {}
        }
        let before = known
            .providers
            .iter()
            .position(|seat| seat.provider.name == provider.name);
        let circuit = match before.map(|place| known.providers.remove(place)) {
            Some(seat) => seat.circuit,
            None => Arc::new(fresh),
        };
        let place = known
            .providers
            .partition_point(|seat| seat.provider.level >= provider.level);
        info!(capability = %name, provider = %provider.name, level = provider.level.0, "ProviderRegistered");
        known.providers.insert(place, Seat { provider, circuit });
        Ok(())
    }

    /// Takes a provider away, with its circuit, and says whether there was one. Calls in flight go on. With the last one the
    /// capability goes, and what it takes.
    #[expect(clippy::must_use_candidate, reason = "whether there was one matters to few")]
    pub fn remove(&self, capability: &str, provider: &str) -> bool {
        let mut all = self.all();
        let Some(known) = all.get_mut(capability) else {
            return false;
        };
        let before = known.providers.len();
        known.providers.retain(|seat| &*seat.provider.name != provider);
        let removed = known.providers.len() < before;
        if known.providers.is_empty() {
            all.remove(capability);
        }
        removed
    }

    /// The circuit of a provider, to look at or to force.
    #[must_use]
    pub fn circuit(&self, capability: &str, provider: &str) -> Option<Arc<Breaker<TokioClock>>> {
        let all = self.all();
        let seats = &all.get(capability)?.providers;
        let seat = seats.iter().find(|seat| &*seat.provider.name == provider)?;
        Some(Arc::clone(&seat.circuit))
    }

    /// What can be done, by name.
    #[must_use]
    pub fn list(&self) -> Vec<CapabilityView> {
        let known: Vec<_> = {
            let all = self.all();
            let known = all.iter().map(|(name, known)| {
                let parameters = known.schema.as_ref().map(|schema| schema.as_json().clone());
                (Arc::clone(name), parameters, known.providers.clone())
            });
            known.collect()
        };
        // Whether they serve is asked under no lock of ours: the answer may ask us in turn.
        let shown = known.into_iter().map(|(name, parameters, seats)| CapabilityView {
            name,
            parameters,
            providers: seats.iter().map(Seat::show).collect(),
        });
        shown.collect()
    }

    /// Has the best provider do it that serves and whose circuit admits the call; where that fails, the next best. Cancel safe as
    /// far as the providers are; a call that is dropped counts for no circuit.
    ///
    /// # Errors
    /// Nobody offers it, the parameters do not fit, or nobody could.
    pub async fn execute_with_fallback(&self, capability: &str, parameters: Value) -> Result<Done, NotExecuted> {
        let (name, seats) = self.seats(capability, &parameters)?;
        let mut reasons = Vec::new();
        for seat in seats {
            match seat.call(parameters.clone()).await {
                Ok(value) => {
                    return Ok(Done {
                        value,
                        provider: seat.provider.name,
                        level: seat.provider.level,
                        passed_over: reasons,
                    });
                }
                Err(reason) => {
                    let provider = seat.provider.name;
                    warn!(capability = %name, %provider, reason, "ProviderPassedOver");
                    reasons.push(PassedOver { provider, reason });
                }
            }
        }
        Err(NotExecuted::NoFallbackAvailable {
            capability: name,
            reasons,
        })
    }

    fn seats(&self, capability: &str, parameters: &Value) -> Result<(Arc<str>, Vec<Seat>), NotExecuted> {
        let all = self.all();
        let Some((name, known)) = all.get_key_value(capability) else {
            return Err(NotExecuted::Unknown(capability.chars().take(80).collect()));
        };
        if let Some(schema) = &known.schema {
            schema.check(parameters).map_err(|wrong| NotExecuted::Parameters {
                capability: Arc::clone(name),
                wrong,
            })?;
        }
        Ok((Arc::clone(name), known.providers.clone()))
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Capability>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    async fn call(&self, parameters: Value) -> Result<Value, String> {
        if !(self.provider.serves)() {
            return Err("it does not serve now".to_owned());
        }
        let judged = self.circuit.judged_by(|result: &Result<Value, Failing>| match result {
            Ok(_) => stead_resilience::Verdict::Success,
            Err(failing) => failing.verdict(),
        });
        let called = judged.call_async(self.provider.call(parameters)).await;
        called.map_err(|failure| match failure {
            Failure::Inner(failing) => failing.to_string(),
            other => other.to_string(),
        })
    }

    fn show(&self) -> ProviderView {
        ProviderView {
            name: Arc::clone(&self.provider.name),
            level: self.provider.level,
            description: self.provider.description.clone(),
            serves: (self.provider.serves)(),
            circuit: self.circuit.state(),
        }
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.all().keys()).finish()
    }
}

fn list(reasons: &[PassedOver]) -> String {
    let said: Vec<_> = reasons
        .iter()
        .map(|one| format!("{}: {}", one.provider, one.reason))
        .collect();
    said.join("; ")
}

#[cfg(test)]
mod tests;
