//! `[features]`, `[degradation]` and what agents say of their criticality.

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::Deserialize;
use stead_model::{AgentName, Criticality};

use super::de;
use super::diagnostic::{Finding, Findings};
use super::shape::{entries, named};
use super::source::Bounds;
use super::suggest::nearest;
use super::tree::{Entry, Node, Value};
use crate::degradation::{DegradationSpec, Degrading, FeatureSpec, Place};

/// The most features, and the most rules, of one file.
const MOST: usize = 1000;

/// So many names are looked at for one that was meant.
const FEW: usize = 2000;

/// The key of an agent, component or group, for the schema.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "read by itself; here for the schema")]
pub(super) struct CriticalityForm {
    /// How much depends on it, for the level of degradation while it is down. Default: nothing does, unless a feature requires it,
    /// and then `important`.
    #[schemars(default)]
    criticality: Criticality,
}

/// The key, in the table of an agent.
pub(super) const KEY: &str = "criticality";

/// Takes it out of the table.
pub(super) fn take(entry: &mut Entry, findings: &mut Findings) -> Option<Criticality> {
    let mut own = entry.node.take(KEY)?;
    let at = own.node.at.clone();
    let read = de::read::<Criticality>(&mut own.node, &at, findings);
    entry.node.damaged |= read.is_none();
    read
}

/// What was read, with where it stands.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) degrading: Degrading,
    features: BTreeMap<AgentName, (Node, Bounds)>,
    degradation: Option<(Node, Bounds)>,
}

/// Reads both tables.
pub(super) fn read(features: Option<Entry>, degradation: Option<Entry>, findings: &mut Findings) -> Read {
    let mut read = Read::default();
    for mut entry in entries(features, MOST, findings) {
        let whole = entry.node.clone();
        let at = entry.key_at.clone();
        if let Some(spec) = named::<FeatureSpec>(&mut entry, findings)
            && let Ok(name) = entry.key.parse::<AgentName>()
        {
            read.features.insert(name.clone(), (whole, at));
            read.degrading.features.insert(name, spec);
        }
    }
    if let Some(mut entry) = degradation {
        let (whole, at) = (entry.node.clone(), entry.key_at.clone());
        if let Some(spec) = de::read::<DegradationSpec>(&mut entry.node, &at, findings) {
            if spec.rules.len() > MOST {
                let message = format!("there are at most {MOST} rules, not {}", spec.rules.len());
                findings.add(Finding::new(at.clone(), message).help("merge those that say the same"));
            }
            read.degrading.degradation = spec;
            read.degradation = Some((whole, at));
        }
    }
    for fault in read.degrading.faults() {
        let at = read.place(&fault.place, fault.key, None);
        findings.add(Finding::new(at, fault.message).help(fault.help));
    }
    read
}

impl Read {
    /// Where a key of a table stands, or the item of a list in it.
    fn place(&self, place: &Place, key: &str, item: Option<&AgentName>) -> Bounds {
        let (node, at) = match place {
            Place::Feature(name) => match self.features.get(name) {
                Some((node, at)) => (Some(node), at.clone()),
                None => (None, Bounds::default()),
            },
            Place::Rule(index) => match &self.degradation {
                Some((node, at)) => match node.get("rules").map(|rules| &rules.node.value) {
                    Some(Value::List(rules)) => (rules.get(*index), at.clone()),
                    _no_list => (None, at.clone()),
                },
                None => (None, Bounds::default()),
            },
        };
        let Some(entry) = node.and_then(|node| node.get(key)) else {
            return node.map_or(at, |node| node.at.clone());
        };
        let is = |node: &&Node| matches!((&node.value, item), (Value::Text(text) | Value::Filled(text), Some(item)) if *text == item.as_str());
        match &entry.node.value {
            Value::List(items) => items.iter().find(is).map(|item| item.at.clone()),
            _no_list => None,
        }
        .unwrap_or_else(|| entry.node.at.clone())
    }

    /// Takes over what agents say of themselves, and tells the names that are in no table of the file.
    pub(super) fn settle<'n>(
        &mut self,
        agents: impl Iterator<Item = (&'n str, Option<Criticality>)> + Clone,
        findings: &mut Findings,
    ) {
        let said = agents
            .clone()
            .filter_map(|(name, said)| Some((name.parse().ok()?, said?)));
        self.degrading.criticality = said.collect();
        let Degrading {
            features, degradation, ..
        } = &self.degrading;
        let known: HashSet<&str> = agents.clone().map(|(name, _)| name).collect();
        let needed = |name: &str| known.contains(name);
        for name in degradation.components.keys() {
            if needed(name.as_str()) {
                let at = self.degradation.as_ref().and_then(|(node, _)| {
                    let (_, at) = node.locate(&format!("components.{name}"))?;
                    Some(at)
                });
                let message = format!("`{name}` has a table of its own");
                let help = "say `criticality` there, and remove this";
                findings.add(Finding::new(at.unwrap_or_default(), message).help(help));
            }
        }
        let components = || {
            let own = agents.clone().map(|(name, _)| name).take(FEW);
            own.chain(degradation.components.keys().map(AgentName::as_str))
        };
        let is_component = |name: &AgentName| needed(name.as_str()) || degradation.components.contains_key(name);
        let mut unknown = |place: Place, key: &'static str, name: &AgentName, of: Sort| {
            let (message, near, help) = match of {
                Sort::Component => (
                    format!("there is no agent, component or group `{name}`"),
                    nearest(name.as_str(), components()),
                    "add it to the file, or to [degradation.components] where it comes by itself",
                ),
                Sort::Feature => (
                    format!("there is no feature `{name}`"),
                    nearest(name.as_str(), features.keys().map(AgentName::as_str)),
                    "add a table [features.NAME], or remove it here",
                ),
            };
            let help = near.map_or_else(|| help.to_owned(), |near| format!("did you mean `{near}`?"));
            let at = self.place(&place, key, Some(name));
            findings.add(Finding::new(at, message).help(help));
        };
        for (of, feature) in features {
            let place = || Place::Feature(of.clone());
            for name in feature.requires.iter().filter(|name| !is_component(name)) {
                unknown(place(), "requires", name, Sort::Component);
            }
            for name in feature.fallback.iter().filter(|name| !features.contains_key(*name)) {
                unknown(place(), "fallback", name, Sort::Feature);
            }
        }
        for (index, rule) in degradation.rules.iter().enumerate() {
            for name in rule.down.iter().filter(|name| !is_component(name)) {
                unknown(Place::Rule(index), "down", name, Sort::Component);
            }
            for name in rule.disable.iter().filter(|name| !features.contains_key(*name)) {
                unknown(Place::Rule(index), "disable", name, Sort::Feature);
            }
        }
    }
}

/// What a name is looked for among.
#[derive(Clone, Copy)]
enum Sort {
    Component,
    Feature,
}
