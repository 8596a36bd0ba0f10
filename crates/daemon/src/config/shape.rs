//! Profiles, policies and types of a fleet file: what shapes the lives of its agents.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stead_model::profile::policy::{InvalidPolicy, MOST_POLICIES, PolicySpec, TransitionPolicy};
use stead_model::profile::spec::ProfileSpec;
use stead_model::profile::{agent, agent_original, component};
use stead_model::spec::{Deadlines, HealthSpec};
use stead_model::{AgentName, Profile, Span};

use crate::handle::Lifecycles;

use super::de;
use super::diagnostic::{Finding, Findings};
use super::source::Bounds;
use super::suggest::{listed, nearest};
use super::tree::{Entry, Node, Value};

/// Profiles and policies by name, as they are in force and as they are stored.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Shape {
    /// Profiles beside the built-in ones.
    pub profiles: BTreeMap<String, ProfileSpec>,
    /// Transition policies.
    pub policies: BTreeMap<String, PolicySpec>,
    /// Deadlines that agents of a type have in common, for those that come over the API.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, Deadlines>,
}

impl Shape {
    /// Makes what the engine takes.
    ///
    /// # Errors
    /// Says what does not hold together. What was read from a file always does.
    pub fn build(&self) -> Result<Lifecycles, String> {
        let profiles = self.profiles.iter().map(|(name, spec)| {
            let built = spec.build(name, built_in);
            built.map_err(|error| format!("profile `{name}`: {error}"))
        });
        let policies = self.policies.iter().map(|(name, spec)| {
            let policy = TransitionPolicy::new(name, spec.clone());
            policy.map_err(|error| format!("policy `{name}`: {error}"))
        });
        Ok((profiles.collect::<Result<_, _>>()?, policies.collect::<Result<_, _>>()?))
    }
}

/// What agents of one type have in common.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TypeForm {
    /// How long they may stay in the states that must end, unless they say otherwise.
    pub(super) deadlines: Deadlines,
    /// What is expected of their signs of life, unless they say otherwise.
    pub(super) health: HealthSpec,
}

/// The most profiles of one file.
const MOST_PROFILES: usize = 64;

/// The profiles that are always there.
pub(super) const BUILT_IN: [&str; 3] = ["agent", "agent-original", "component"];

fn built_in(name: &str) -> Option<Profile> {
    [agent(), agent_original(), component()]
        .into_iter()
        .find(|profile| profile.name() == name)
}

/// What was read of the tables; profiles that did not hold together are among the names all the same.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    pub(super) shape: Shape,
    /// Every name that an agent may give as its profile.
    names: Vec<String>,
    /// Every state that must end, of all profiles; nothing where what one of them has is not known.
    ending: Option<BTreeSet<String>>,
    types: BTreeMap<String, Node>,
}

impl Shapes {
    /// Reads the tables of all three.
    pub(super) fn read(
        profiles: Option<Entry>,
        policies: Option<Entry>,
        types: Option<Entry>,
        findings: &mut Findings,
    ) -> Self {
        let mut read = Self {
            names: BUILT_IN.iter().map(|name| (*name).to_owned()).collect(),
            ..Self::default()
        };
        let mut built: Vec<Profile> = BUILT_IN.iter().filter_map(|name| built_in(name)).collect();
        for mut entry in entries(profiles, MOST_PROFILES, findings) {
            if let Some(profile) = read.profile(&mut entry, findings) {
                built.push(profile);
            }
            read.names.push(entry.key);
        }
        for mut entry in entries(policies, MOST_POLICIES, findings) {
            read.policy(&mut entry, &built, findings);
        }
        let ending = built.iter().flat_map(|profile| {
            let ending = profile.phases().filter(|phase| profile.deadline(*phase).is_some());
            ending.map(|phase| profile.name_of(phase).to_owned())
        });
        read.ending = (built.len() == read.names.len()).then(|| ending.collect());
        for mut entry in entries(types, usize::MAX, findings) {
            read.check_states(&entry.node, findings);
            if let Some(form) = de::read::<TypeForm>(&mut entry.node, &entry.key_at, findings) {
                read.shape.types.insert(entry.key.clone(), form.deadlines);
            }
            entry.node.damaged = false;
            read.types.insert(entry.key, entry.node);
        }
        read
    }

    fn profile(&mut self, entry: &mut Entry, findings: &mut Findings) -> Option<Profile> {
        if BUILT_IN.contains(&entry.key.as_str()) {
            let message = format!("`{}` is a built-in profile", entry.key);
            let help = format!("give yours another name, and begin it with base = \"{}\"", entry.key);
            findings.add(Finding::new(entry.key_at.clone(), message).help(help));
            return None;
        }
        let whole = entry.node.clone();
        let spec: ProfileSpec = named(entry, findings)?;
        match spec.build(&entry.key, built_in) {
            Ok(profile) => {
                self.shape.profiles.insert(entry.key.clone(), spec);
                Some(profile)
            }
            Err(invalid) => {
                let message = invalid.to_string();
                let at = mentioned(&whole, &message).unwrap_or_else(|| entry.key_at.clone());
                findings.add(Finding::new(at, message));
                None
            }
        }
    }

    fn policy(&mut self, entry: &mut Entry, profiles: &[Profile], findings: &mut Findings) {
        let whole = entry.node.clone();
        check_name(entry, findings);
        let Some(spec) = de::what_fits::<PolicySpec>(&mut entry.node, &entry.key_at, findings) else {
            return;
        };
        if let Some(bound) = &spec.profile
            && !self.names.contains(bound)
        {
            let at = whole
                .get("profile")
                .map_or_else(|| entry.key_at.clone(), |profile| profile.node.at.clone());
            findings.add(self.no_profile(bound, at));
        }
        let bound = |profile: &&Profile| spec.profile.as_deref().is_none_or(|bound| bound == profile.name());
        let bound: Vec<&Profile> = profiles.iter().filter(bound).collect();
        // A profile that did not hold together was told; what its states are is not known. Of a list that lost an edge, nor is which is where.
        let edges = if entry.node.damaged { &[][..] } else { &spec.edges[..] };
        let unknown = edges.iter().enumerate().flat_map(|(index, edge)| {
            let known = |state: &&str| !bound.is_empty() && bound.iter().all(|profile| profile.phase(state).is_none());
            edge.states().filter(known).map(move |state| (index, state))
        });
        for (index, state) in unknown {
            let listed_at = whole.get("edges").and_then(|edges| edges.node.follow(&[index]));
            let at = listed_at.map_or_else(|| entry.key_at.clone(), |edge| edge.at.clone());
            let states = || {
                bound
                    .iter()
                    .flat_map(|profile| profile.phases().map(|phase| profile.name_of(phase)))
            };
            let help = match nearest(state, states()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`stead describe AGENT` shows the states of its profile; `*` stands for any".to_owned(),
            };
            findings
                .add(Finding::new(at, format!("no profile that this policy binds has a state `{state}`")).help(help));
        }
        self.settle_policy(entry, spec, &whole, findings);
    }

    /// Takes a policy that holds together; else tells all that is wrong with it, one after the other.
    fn settle_policy(&mut self, entry: &Entry, mut spec: PolicySpec, whole: &Node, findings: &mut Findings) {
        loop {
            let invalid = match TransitionPolicy::new(&entry.key, spec.clone()) {
                Ok(policy) => {
                    self.shape.policies.insert(policy.name, policy.spec);
                    return;
                }
                Err(invalid) => invalid,
            };
            // What was told is taken for right, so that what else there is shows itself.
            let rest = spec.rate_limit.as_mut().zip(Some(&invalid));
            let more = match rest {
                Some((rate, InvalidPolicy::Rate(_))) => {
                    rate.max = 1;
                    true
                }
                Some((rate, InvalidPolicy::Period)) => {
                    rate.per = Span::secs(1);
                    true
                }
                Some((_, InvalidPolicy::Empty)) | None => false,
            };
            // Of a policy that lost a part that could not be read, it is not known what it asks for.
            if invalid != InvalidPolicy::Empty || !entry.node.damaged {
                let message = invalid.to_string();
                let at = mentioned(whole, &message).unwrap_or_else(|| entry.key_at.clone());
                let (message, help) = match message.split_once("; ") {
                    Some((said, help)) => (said.to_owned(), help.to_owned()),
                    None => (message, "see `[policies.NAME]` in docs/guides/fleet-file.md".to_owned()),
                };
                findings.add(Finding::new(at, message).help(help));
            }
            if !more {
                return;
            }
        }
    }

    /// Whether an agent may have a profile of that name.
    pub(super) fn knows(&self, profile: &str) -> bool {
        self.names.iter().any(|name| name == profile)
    }

    pub(super) fn no_profile(&self, given: &str, at: Bounds) -> Finding {
        let known = || self.names.iter().map(String::as_str);
        let help = match nearest(given, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "the profiles are {}; [profiles.NAME] makes one of your own",
                listed(known())
            ),
        };
        Finding::new(at, format!("there is no profile `{given}`")).help(help)
    }

    /// Checks the states that `deadlines` of a table name.
    pub(super) fn check_states(&self, table: &Node, findings: &mut Findings) {
        let Some(ending) = &self.ending else { return };
        let states = table
            .get("deadlines")
            .and_then(|deadlines| deadlines.node.get("states"));
        for state in states.map(|states| states.node.entries()).unwrap_or_default() {
            if !ending.contains(&state.key) {
                let message = format!("no profile has a state `{}` that must end", state.key);
                let known = || ending.iter().map(String::as_str);
                let help = match nearest(&state.key, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("those that must end are {}", listed(known())),
                };
                findings.add(Finding::new(state.key_at.clone(), message).help(help));
            }
        }
    }

    /// What agents of a type have in common.
    pub(super) fn of_type(&self, kind: &str) -> Option<&Node> {
        self.types.get(kind)
    }
}

/// Reads one table whose key is a name.
pub(super) fn named<T: serde::de::DeserializeOwned>(entry: &mut Entry, findings: &mut Findings) -> Option<T> {
    check_name(entry, findings);
    de::read(&mut entry.node, &entry.key_at, findings)
}

fn check_name(entry: &Entry, findings: &mut Findings) {
    if let Err(invalid) = entry.key.parse::<AgentName>() {
        let said = invalid.to_string();
        let (_, help) = said.split_once(": ").unwrap_or((&said, ""));
        findings.add(Finding::new(entry.key_at.clone(), format!("`{}` is no name", entry.key)).help(help));
    }
}

/// The tables in a table, no more than `most`.
pub(super) fn entries(table: Option<Entry>, most: usize, findings: &mut Findings) -> Vec<Entry> {
    let Some(Entry { node, key, key_at }) = table else {
        return Vec::new();
    };
    let Value::Table(mut entries) = node.value else {
        return Vec::new();
    };
    if entries.len() > most {
        let message = format!("there are at most {most} {key}, not {}", entries.len());
        findings.add(Finding::new(key_at, message).help("merge those that say the same"));
        entries.truncate(most);
    }
    entries
}

/// The first place in a table that a word in backticks of the message stands at.
fn mentioned(table: &Node, message: &str) -> Option<Bounds> {
    let mut words = message.split('`').skip(1).step_by(2);
    words.find_map(|word| {
        let dotted = table.locate(word).map(|(_, at)| at);
        dotted.or_else(|| mention(table, word))
    })
}

fn mention(node: &Node, word: &str) -> Option<Bounds> {
    match &node.value {
        Value::Text(text) | Value::Filled(text) => {
            let plain = |text: &str| text.split_whitespace().collect::<String>();
            let ends = text.split("->").map(str::trim);
            (plain(text) == plain(word) || ends.into_iter().any(|end| end == word)).then(|| node.at.clone())
        }
        Value::List(items) => items.iter().find_map(|item| mention(item, word)),
        Value::Table(entries) => entries.iter().find_map(|entry| {
            let key = (entry.key == word).then(|| entry.key_at.clone());
            key.or_else(|| mention(&entry.node, word))
        }),
        Value::Whole(_) | Value::Real(_) | Value::Truth(_) | Value::Date | Value::Told => None,
    }
}
