//! What a fleet file says of features: what they need, and what follows while that is down. Deciding by it is the engine's.

mod load;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stead_engine::words;
use stead_model::{AgentName, Criticality, DegradationLevel, Ratio, Span, WorkMode};
use stead_policy::degrade::{Calm, Degrader, Feature, Name, Plan, Rule, When};

pub(crate) use self::load::watch_load;

/// Features with what they need, as a fleet file has them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Degrading {
    pub(crate) features: BTreeMap<AgentName, FeatureSpec>,
    pub(crate) degradation: DegradationSpec,
    /// What agents, components and groups of the file say of themselves.
    pub(crate) criticality: BTreeMap<AgentName, Criticality>,
}

/// Something that users get, and what it needs.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Feature")]
pub(crate) struct FeatureSpec {
    /// The agents, components and groups without which it does not work. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) requires: Vec<AgentName>,
    /// How much users depend on it: the least important features are given up first. Default `important`.
    pub(crate) importance: Criticality,
    /// What it counts for in the impact, 1 to 1,000. Default by its importance: optional 1, important 2, critical 4, essential 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) weight: Option<u32>,
    /// The feature that does instead while this one is off. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fallback: Option<AgentName>,
}

/// What follows while something that features need is down.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Degradation")]
pub(crate) struct DegradationSpec {
    /// Whether the rules hold that come with Stead: a level by the criticality of what is down, a mode by the load of the machine.
    /// Default true.
    pub(crate) defaults: bool,
    /// For how long what was down must be up before it counts as up. Default 0 s: at once.
    pub(crate) calm: Span,
    /// For how long the load must have been below a threshold, less 0.05, before it counts as below. Default 30 s.
    pub(crate) load_calm: Span,
    /// How much depends on what is in no table of the file, because it comes by itself. Default: nothing is.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) components: BTreeMap<AgentName, Criticality>,
    /// Rules of one's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rules: Vec<RuleSpec>,
}

impl Default for DegradationSpec {
    fn default() -> Self {
        let calm = Calm::default();
        Self {
            defaults: true,
            calm: Span(calm.components),
            load_calm: Span(calm.load),
            components: BTreeMap::new(),
            rules: Vec::new(),
        }
    }
}

/// What follows while something is so. Of all rules that apply the one of highest priority decides, of several the most severe.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DegradationRule")]
pub(crate) struct RuleSpec {
    /// What it is called in causes and in the history.
    pub(crate) name: AgentName,
    /// It applies while all of these are down. Each rule has one of `down`, `any_down`, `criticality`, `cpu_over`, `memory_over`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) down: Vec<AgentName>,
    /// It applies while anything is down.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) any_down: bool,
    /// It applies while `count` things of this criticality are down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) criticality: Option<Criticality>,
    /// How many; goes with `criticality`. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(crate) count: Option<u32>,
    /// It applies while the processors of the machine are busier than this share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_over: Option<Ratio>,
    /// It applies while the memory of the machine is fuller than this share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory_over: Option<Ratio>,
    /// The level that it asks for.
    pub(crate) level: DegradationLevel,
    /// How work is to be done meanwhile. Default: as always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<WorkMode>,
    /// Features that it turns off beside those that the level gives up, where it decides. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) disable: Vec<AgentName>,
    /// Higher decides over lower; the rules that come with Stead have 0. Default 0.
    #[serde(default)]
    pub(crate) priority: i32,
}

/// Something that does not hold together.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The table that it is in: `features.NAME`, `degradation`, or which rule.
    pub(crate) place: Place,
    /// The key that is at fault.
    pub(crate) key: &'static str,
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

/// A table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Feature(AgentName),
    Rule(usize),
}

impl RuleSpec {
    /// When it applies; none where it says nothing of that, or more than one thing.
    fn when(&self) -> Option<When> {
        let down = (!self.down.is_empty()).then(|| When::AllDown(self.down.iter().map(name).collect()));
        let any = self.any_down.then_some(When::AnyDown);
        let of = self.criticality.map(|criticality| When::Down {
            criticality: words::criticality(criticality),
            count: self.count.unwrap_or(1),
        });
        let cpu = self.cpu_over.map(|share| When::CpuOver(share.get()));
        let memory = self.memory_over.map(|share| When::MemoryOver(share.get()));
        let mut said = [down, any, of, cpu, memory].into_iter().flatten();
        let when = said.next();
        when.filter(|_| said.next().is_none())
    }
}

impl Degrading {
    /// Whether it says anything.
    fn is_empty(&self) -> bool {
        self.features.is_empty() && self.criticality.is_empty() && self.degradation == DegradationSpec::default()
    }

    /// What does not hold together by itself; whether names are known is not asked here.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (name, feature) in &self.features {
            let place = || Place::Feature(name.clone());
            if feature.weight.is_some_and(|weight| !(1..=1000).contains(&weight)) {
                faults.push(Fault {
                    place: place(),
                    key: "weight",
                    message: "`weight` is a number from 1 to 1000".to_owned(),
                    help: "leave it out to have it weigh by its importance",
                });
            }
            let next = |name: &&AgentName| self.features.get(*name)?.fallback.as_ref();
            let chain = std::iter::successors(Some(name), |name| next(name));
            if chain.take(self.features.len() + 1).count() > self.features.len() {
                faults.push(Fault {
                    place: place(),
                    key: "fallback",
                    message: format!("the fallbacks of `{name}` go in a circle"),
                    help: "end it with a feature that has none",
                });
            }
        }
        let mut names = BTreeSet::new();
        for (index, rule) in self.degradation.rules.iter().enumerate() {
            let mut fault = |key, message: &str, help| {
                faults.push(Fault {
                    place: Place::Rule(index),
                    key,
                    message: message.to_owned(),
                    help,
                });
            };
            if rule.when().is_none() {
                let message = "a rule says once when it applies";
                let help = "give it one of `down`, `any_down`, `criticality`, `cpu_over` and `memory_over`";
                fault("name", message, help);
            }
            if rule.count == Some(0) {
                fault(
                    "count",
                    "`count` is at least 1",
                    "a rule that always applies is no rule",
                );
            }
            if rule.count.is_some() && rule.criticality.is_none() {
                fault("count", "`count` goes with `criticality`", "add it, or remove this");
            }
            if !names.insert(&rule.name) {
                fault("name", "another rule has this name", "each rule has a name of its own");
            }
        }
        faults
    }

    /// What the engine goes by. Names that are not there have no part in it.
    pub(crate) fn plan(&self) -> Degrader {
        let whole = self.whole();
        // A file that was read holds together; of one that an earlier version kept, at least nothing is given up.
        Degrader::new(whole).unwrap_or_default()
    }

    fn whole(&self) -> Plan {
        if self.is_empty() {
            return Plan {
                rules: Vec::new(),
                ..Plan::default()
            };
        }
        let required = self.features.values().flat_map(|feature| &feature.requires);
        let told = self.degradation.rules.iter().flat_map(|rule| &rule.down);
        let unsaid = required.chain(told).map(|name| (name, Criticality::default()));
        let said = self.criticality.iter().chain(&self.degradation.components);
        let components = unsaid.chain(said.map(|(name, criticality)| (name, *criticality)));
        let features = self.features.iter().map(|(of, feature)| {
            let feature = Feature {
                requires: feature.requires.iter().map(name).collect(),
                importance: words::criticality(feature.importance),
                fallback: feature.fallback.as_ref().map(name),
                weight: feature.weight,
            };
            (name(of), feature)
        });
        let own = self.degradation.rules.iter().filter_map(|rule| {
            Some(Rule {
                name: name(&rule.name),
                when: rule.when()?,
                level: words::level(rule.level),
                mode: rule.mode.map(words::mode),
                disable: rule.disable.iter().map(name).collect(),
                priority: rule.priority,
            })
        });
        let defaults = if self.degradation.defaults {
            Rule::defaults()
        } else {
            Vec::new()
        };
        Plan {
            components: components
                .map(|(of, criticality)| (name(of), words::criticality(criticality)))
                .collect(),
            features: features.collect(),
            rules: own.chain(defaults).collect(),
            calm: Calm {
                components: self.degradation.calm.0,
                load: self.degradation.load_calm.0,
                ..Calm::default()
            },
        }
    }
}

fn name(name: &AgentName) -> Name {
    name.as_str().into()
}
