//! `[capabilities]`: what can be asked of the fleet.

use std::collections::BTreeMap;

use stead_model::AgentName;
use stead_model::spec::EnvValue;

use super::diagnostic::{Finding, Findings};
use super::shape::{entries, named};
use super::source::Bounds;
use super::suggest::nearest;
use super::tree::{Entry, Node, Value};
use crate::capability::{CapabilitySpec, Fault, Specs};

/// The most capabilities of one file.
const MOST: usize = 1000;

/// What was read, and what is yet to be looked for among the agents.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) specs: Specs,
    /// The agents that providers name, with where they do.
    agents: Vec<(AgentName, Bounds)>,
}

/// Reads the table. `absolute` makes the path of a file one that does not depend on where the daemon was started.
pub(super) fn read(table: Option<Entry>, absolute: impl Fn(&str) -> String, findings: &mut Findings) -> Read {
    let mut read = Read::default();
    // What each circuit is told, and who told it first.
    let mut told: BTreeMap<String, (stead_resilience::BreakerConfig, String)> = BTreeMap::new();
    for mut entry in entries(table, MOST, findings) {
        let whole = entry.node.clone();
        let Some(mut spec) = named::<CapabilitySpec>(&mut entry, findings) else {
            continue;
        };
        let Ok(name) = entry.key.parse::<AgentName>() else {
            continue;
        };
        for fault in spec.faults() {
            let at = place(&whole, &fault).unwrap_or_else(|| entry.key_at.clone());
            findings.add(Finding::new(at, fault.message).help(fault.help));
        }
        for (index, provider) in spec.providers.iter_mut().enumerate() {
            let node = provider_at(&whole, index);
            let key = |key: &str| {
                let found = node.and_then(|node| node.locate(key)).map(|(_, at)| at);
                found.unwrap_or_else(|| entry.key_at.clone())
            };
            if let Some(agent) = &provider.agent {
                read.agents.push((agent.clone(), key("agent")));
            }
            for value in provider.headers.values_mut() {
                if let EnvValue::File { file } = value {
                    *file = absolute(file);
                }
            }
            let Some(breaker) = provider.breaker.clone() else {
                continue;
            };
            let circuit = provider.circuit_in(&name);
            let who = format!("{name}/{}", provider.name);
            let (known, first) = told.entry(circuit.clone()).or_insert_with(|| (breaker.clone(), who));
            if *known != breaker {
                let message = format!("circuit `{circuit}` is told something else by {first}");
                let help = "who shares a circuit says the same of it; say it at one of them alone";
                findings.add(Finding::new(key("breaker"), message).help(help));
            }
        }
        read.specs.insert(name, spec);
    }
    read
}

impl Read {
    /// Tells the agents that are in no table of the file.
    pub(super) fn tell_unknown<'n>(&self, known: impl Iterator<Item = &'n str> + Clone, findings: &mut Findings) {
        for (agent, at) in &self.agents {
            if known.clone().any(|known| known == agent.as_str()) {
                continue;
            }
            let help = match nearest(agent.as_str(), known.clone().take(FEW)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add it to the file, or leave `agent` out: then the provider is always asked".to_owned(),
            };
            let message = format!("there is no agent, component or group `{agent}` that could serve this");
            findings.add(Finding::new(at.clone(), message).help(help));
        }
    }
}

/// So many names are looked at for one that was meant.
const FEW: usize = 2000;

/// Where the key of a fault stands, or the nearest that is written above it.
fn place(whole: &Node, fault: &Fault) -> Option<Bounds> {
    let node = match fault.provider {
        None => whole,
        Some(index) => provider_at(whole, index)?,
    };
    let mut key = fault.key;
    loop {
        if let Some((_, at)) = node.locate(key) {
            return Some(at);
        }
        match key.rsplit_once('.') {
            Some((above, _)) => key = above,
            None => return Some(node.at.clone()).filter(|_| fault.provider.is_some()),
        }
    }
}

fn provider_at(whole: &Node, index: usize) -> Option<&Node> {
    match &whole.get("providers")?.node.value {
        Value::List(items) => items.get(index),
        _no_list => None,
    }
}
