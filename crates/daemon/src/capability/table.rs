//! The capabilities of one configuration, put together.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use stead_model::{AgentName, Namespace, Problem, ProblemCode};
use stead_resilience::{AnyClock, BreakerConfig, BreakerSettings, Budget, CircuitState, Registry};

use super::Specs;
use super::circuit::{Circuit, place};
use super::provider::Provider;
use super::schema::Parameters;
use super::spec::{CapabilitySpec, ProviderSpec};

/// All of them, with the circuits that they name.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) namespace: Namespace,
    pub(super) capabilities: BTreeMap<AgentName, Arc<Capability>>,
    pub(super) circuits: BTreeMap<String, Arc<Circuit>>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Capability {
    pub(super) description: Option<String>,
    pub(super) schema: Option<Value>,
    parameters: Option<Parameters>,
    pub(super) deadline: Duration,
    budget: Arc<Budget>,
    /// The most preferred first.
    pub(super) providers: Vec<Provider>,
}

impl Capability {
    /// What of the parameters does not fit.
    pub(super) fn faults(&self, parameters: &Value) -> Vec<String> {
        self.parameters
            .as_ref()
            .map(|schema| schema.faults(parameters))
            .unwrap_or_default()
    }
}

impl Table {
    /// Puts a table together beside the one before: circuits and budgets that are named again are the same ones, under the new settings.
    ///
    /// # Errors
    /// Says what does not hold together; no circuit was touched.
    pub(super) fn build(
        namespace: &Namespace,
        specs: &Specs,
        before: &Self,
        registry: &Registry<AnyClock>,
        clock: &AnyClock,
    ) -> Result<Self, String> {
        for (name, spec) in specs {
            if let Some(fault) = spec.faults().first() {
                return Err(format!("capability {name}: {}", fault.message));
            }
        }
        let settings = settings(specs)?;
        let mut circuits = BTreeMap::new();
        for (name, settings) in settings {
            let breaker = registry.breaker(&name, settings);
            let known = before.circuits.get(&name).map(Arc::clone);
            let circuit = known.unwrap_or_else(|| Arc::new(Circuit::new(name.clone(), breaker)));
            circuits.insert(name, circuit);
        }
        let mut capabilities = BTreeMap::new();
        for (name, spec) in specs {
            let capability = build_one(name, spec, before.capabilities.get(name), &circuits, clock);
            capabilities.insert(
                name.clone(),
                Arc::new(capability.map_err(|why| format!("capability {name}: {why}"))?),
            );
        }
        let table = Self {
            namespace: namespace.clone(),
            capabilities,
            circuits,
        };
        table.free_changed(before);
        for gone in before
            .circuits
            .keys()
            .filter(|name| !table.circuits.contains_key(*name))
        {
            registry.remove(gone);
        }
        Ok(table)
    }

    /// A capability.
    ///
    /// # Errors
    /// `unknown-capability`.
    pub(super) fn find(&self, name: &AgentName) -> Result<&Arc<Capability>, Problem> {
        self.capabilities.get(name).ok_or_else(|| {
            Problem::new(
                ProblemCode::UnknownCapability,
                format!("there is no capability {name}; `[capabilities.{name}]` in the fleet file makes one"),
            )
        })
    }

    /// A circuit.
    ///
    /// # Errors
    /// `unknown-circuit`.
    pub(super) fn circuit(&self, name: &str) -> Result<&Arc<Circuit>, Problem> {
        self.circuits.get(name).ok_or_else(|| {
            let name: String = name.chars().take(200).collect();
            Problem::new(ProblemCode::UnknownCircuit, format!("there is no circuit {name}"))
        })
    }

    /// Whose calls go through a circuit.
    pub(super) fn who_shares(&self, circuit: &str) -> Vec<String> {
        let providers = self.capabilities.iter().flat_map(|(name, capability)| {
            let sharing = capability
                .providers
                .iter()
                .filter(|provider| provider.circuit.name == circuit);
            sharing.map(move |provider| place(name, &provider.spec.name))
        });
        providers.collect()
    }

    /// Closes the circuits that were isolated for an endpoint or a credential that is another one now.
    fn free_changed(&self, before: &Self) {
        for (name, capability) in &self.capabilities {
            let Some(old) = before.capabilities.get(name) else {
                continue;
            };
            for provider in &capability.providers {
                let (circuit, spec) = (&provider.circuit, &provider.spec);
                let same = |old: &&Provider| old.spec.name == spec.name && old.circuit.name == circuit.name;
                let changed = |old: &Provider| (&old.spec.url, &old.spec.headers) != (&spec.url, &spec.headers);
                if circuit.breaker.state() == CircuitState::Isolated
                    && old.providers.iter().find(same).is_some_and(changed)
                {
                    circuit.breaker.reset();
                    circuit.tell();
                }
            }
        }
    }
}

fn build_one(
    name: &AgentName,
    spec: &CapabilitySpec,
    before: Option<&Arc<Capability>>,
    circuits: &BTreeMap<String, Arc<Circuit>>,
    clock: &AnyClock,
) -> Result<Capability, String> {
    let budget = match before {
        Some(before) => {
            before
                .budget
                .reconfigure(spec.budget.config())
                .map_err(|why| why.to_string())?;
            Arc::clone(&before.budget)
        }
        None => Arc::new(Budget::with_clock(spec.budget.config(), clock).map_err(|why| why.to_string())?),
    };
    let mut specs: Vec<&ProviderSpec> = spec.providers.iter().collect();
    specs.sort_by_key(|provider| Reverse(provider.level));
    let provider = |provider: &ProviderSpec| {
        let circuit = circuits.get(&provider.circuit_in(name)).map(Arc::clone);
        let circuit = circuit.ok_or("its circuit is missing")?;
        Provider::new(name, provider.clone(), circuit, &budget, clock)
    };
    Ok(Capability {
        description: spec.description.clone(),
        schema: spec.parameters.clone(),
        parameters: spec.parameters.as_ref().map(Parameters::new).transpose()?,
        deadline: spec.deadline.0,
        providers: specs.into_iter().map(provider).collect::<Result<_, _>>()?,
        budget,
    })
}

/// The settings of each circuit that is named: of all who share it, those who say some say the same.
fn settings(specs: &Specs) -> Result<BTreeMap<String, BreakerSettings>, String> {
    let mut said: BTreeMap<String, Option<&BreakerConfig>> = BTreeMap::new();
    for (name, spec) in specs {
        for provider in &spec.providers {
            let circuit = provider.circuit_in(name);
            let known = said.entry(circuit.clone()).or_default();
            match (*known, provider.breaker.as_ref()) {
                (Some(one), Some(other)) if one != other => {
                    return Err(format!(
                        "circuit {circuit} is told two things: `breaker` of {}",
                        place(name, &provider.name)
                    ));
                }
                (None, Some(settings)) => *known = Some(settings),
                (Some(_), _) | (None, None) => {}
            }
        }
    }
    let checked = said.into_iter().map(|(circuit, config)| {
        let settings = BreakerSettings::try_from(config.cloned().unwrap_or_default());
        settings
            .map(|settings| (circuit, settings))
            .map_err(|why| why.to_string())
    });
    checked.collect()
}
