//! `replicas` and `update` of an agent's table: with them it is a group.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;
use stead_model::AgentSpec;
use stead_model::group::{GroupSpec, InvalidGroup, UpdateSpec};
use stead_model::spec::{LifecycleSpec, SpecForm};

use super::agents::Kind;
use super::de;
use super::diagnostic::{Finding, Findings};
use super::suggest::nearest;
use super::tree::Entry;

/// How many of an agent there are, and how a new spec reaches them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replicas {
    /// How many are wanted.
    pub count: u32,
    /// How a new spec reaches them.
    pub update: UpdateSpec,
}

impl Replicas {
    /// What a group is told to be whose replicas are told this.
    #[must_use]
    pub fn of(&self, template: AgentSpec) -> GroupSpec {
        GroupSpec {
            replicas: self.count,
            update: self.update.clone(),
            template,
        }
    }
}

/// The keys that make a group of an agent, for the schema.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "read key by key; here for the schema")]
pub(super) struct ReplicasForm {
    /// How many of it there are, each an agent of its own: `NAME-1`, `NAME-2`, … Default: it is one agent, `NAME`.
    #[schemars(default, range(max = 10_000))]
    replicas: u32,
    /// How a new spec reaches the replicas; needs `replicas`.
    #[schemars(default)]
    update: UpdateSpec,
}

/// The keys that make a group of an agent.
pub(super) const KEYS: [&str; 2] = ["replicas", "update"];

/// Longest name of a group, in bytes: its replicas' names are longer.
const LONGEST_NAME: usize = 57;

/// Takes what makes it a group out of an agent's table. Nothing if it is a single agent, or where something is wrong, which is told.
pub(super) fn take(entry: &mut Entry, kind: Kind, findings: &mut Findings) -> Option<Replicas> {
    tell_slips(entry, findings);
    let (count, update) = (entry.node.take("replicas"), entry.node.take("update"));
    let Some(mut count) = count else {
        if let Some(update) = update {
            let finding = Finding::new(update.key_at, "`update` is of groups, and this is a single agent");
            findings.add(finding.help("add `replicas`, or remove this"));
            entry.node.damaged = true;
        }
        return None;
    };
    if kind == Kind::Component {
        let finding = Finding::new(count.key_at, "a component has no replicas");
        findings.add(finding.help("remove this, or move the table to [agents.NAME]"));
        entry.node.damaged = true;
        return None;
    }
    if entry.key.len() > LONGEST_NAME {
        let message = format!("the name of a group has at most {LONGEST_NAME} bytes");
        findings.add(Finding::new(entry.key_at.clone(), message).help("choose a shorter one: replicas add a number"));
    }
    let at = count.node.at.clone();
    let replicas = de::read::<u32>(&mut count.node, &at, findings);
    let (update, update_at) = match update {
        Some(mut update) => {
            let read = de::read::<UpdateSpec>(&mut update.node, &update.key_at, findings);
            (read, update.key_at)
        }
        None => (Some(UpdateSpec::default()), at.clone()),
    };
    let whole = replicas.zip(update).map(|(count, update)| Replicas { count, update });
    let lifecycle_at = entry.node.get("lifecycle").map(|lifecycle| lifecycle.key_at.clone());
    // Of the template, only what the rules of groups are about; the rest is read with the spec.
    let template = AgentSpec {
        lifecycle: lifecycle_at.is_some().then_some(LifecycleSpec { port: 0, host: None }),
        ..AgentSpec::reporting("agent")
    };
    let checked = whole.and_then(
        |whole| match GroupSpec::new(whole.count, whole.update.clone(), template) {
            Ok(_fits) => Some(whole),
            Err(invalid) => {
                let (at, help) = match invalid {
                    InvalidGroup::TooMany(_) => (at, "choose fewer"),
                    InvalidGroup::NoWay => (update_at, "raise one of them"),
                    InvalidGroup::NoTime => (update_at, "raise `progress_deadline`, or lower `min_ready`"),
                    InvalidGroup::OnePort => (
                        lifecycle_at.unwrap_or(at),
                        "leave it out, or have agents of their own, each with its port",
                    ),
                };
                let said = invalid.to_string();
                let (message, _help) = said.split_once(';').unwrap_or((&said, ""));
                findings.add(Finding::new(at, message).help(help));
                None
            }
        },
    );
    entry.node.damaged |= checked.is_none();
    checked
}

/// Tells keys that nobody knows and that are almost these, so that they are understood; the others are told with the spec.
fn tell_slips(entry: &mut Entry, findings: &mut Findings) {
    let slips: Vec<(String, &'static str)> = entry
        .node
        .entries()
        .iter()
        .filter_map(|own| {
            let near = nearest(&own.key, KEYS)?;
            (!KEYS.contains(&own.key.as_str()) && !is_of_spec(&own.key)).then(|| (own.key.clone(), near))
        })
        .collect();
    for (key, near) in slips {
        if let Some(slip) = entry.node.take(&key) {
            let finding = Finding::new(slip.key_at, format!("unknown key `{key}`"));
            findings.add(finding.help(format!("did you mean `{near}`?")));
            entry.node.damaged = true;
        }
    }
}

fn is_of_spec(key: &str) -> bool {
    let alone = Json::Object([(key.to_owned(), Json::Null)].into_iter().collect());
    serde_json::from_value::<SpecForm>(alone)
        .err()
        .is_none_or(|error| !error.to_string().starts_with("unknown field"))
}
