//! The shape of a fleet file, which is also the source of its JSON Schema.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use stead_model::profile::policy::PolicySpec;
use stead_model::profile::spec::ProfileSpec;
use stead_model::spec::SpecForm;
use stead_model::{AgentName, Namespace};

use super::features::CriticalityForm;
use super::replicas::ReplicasForm;
use super::retained::Retained;
use super::shape::TypeForm;
use crate::capability::CapabilitySpec;
use crate::degradation::{DegradationSpec, FeatureSpec};

/// A fleet: agents and components with what they share, and settings of the daemon that runs them.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Fleet")]
pub(super) struct FleetForm {
    /// The namespace that all of them live in. Default `default`.
    #[schemars(default)]
    #[expect(
        dead_code,
        reason = "read key by key, so that every mistake is found; here for the schema"
    )]
    namespace: Namespace,
    /// The daemon itself. `stead up` on the command line has the last word.
    #[schemars(default)]
    #[expect(dead_code, reason = "as above")]
    daemon: DaemonSettings,
    /// What every agent and component has unless it says otherwise: any key of theirs except `command`, `profile`,
    /// `replicas`, `update` and `criticality`.
    #[schemars(default)]
    #[expect(dead_code, reason = "as above")]
    defaults: Option<SpecForm>,
    /// The agents by name.
    #[schemars(default)]
    #[expect(dead_code, reason = "as above")]
    agents: BTreeMap<AgentName, SpecForm>,
    /// The components by name: the same shape, with the profile `component`.
    #[schemars(default)]
    #[expect(dead_code, reason = "as above")]
    components: BTreeMap<AgentName, SpecForm>,
    /// Profiles of one's own by name: tables of states and edges that agents may follow beside the built-in ones.
    #[schemars(default)]
    #[expect(dead_code, reason = "as above")]
    profiles: BTreeMap<AgentName, ProfileSpec>,
    /// Transition policies by name: what a request must bring along for an agent to take an edge.
    #[schemars(default)]
    #[expect(dead_code, reason = "as above")]
    policies: BTreeMap<AgentName, PolicySpec>,
    /// What agents of a type have in common, by the type.
    #[schemars(default)]
    #[expect(dead_code, reason = "as above")]
    types: BTreeMap<String, TypeForm>,
    /// What can be asked of the fleet by name, and who provides it.
    #[schemars(default)]
    #[expect(dead_code, reason = "as above")]
    capabilities: BTreeMap<AgentName, CapabilitySpec>,
    /// What users get of the fleet by name, and what that needs.
    #[schemars(default)]
    #[expect(dead_code, reason = "as above")]
    features: BTreeMap<AgentName, FeatureSpec>,
    /// What follows while something is down that features need.
    #[schemars(default)]
    #[expect(dead_code, reason = "as above")]
    degradation: DegradationSpec,
    /// How long what only grows is kept.
    #[schemars(default)]
    #[expect(dead_code, reason = "as above")]
    retention: Retained,
}

/// The keys of a fleet file.
pub(super) const TOP: [&str; 12] = [
    "namespace",
    "daemon",
    "defaults",
    "agents",
    "components",
    "profiles",
    "policies",
    "types",
    "capabilities",
    "features",
    "degradation",
    "retention",
];

/// What `[defaults]` may not hold: each agent has its own.
pub(super) const OWN: [&str; 5] = ["command", "profile", "replicas", "update", "criticality"];

/// Settings of the daemon in a fleet file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DaemonSettings {
    /// Address and port of the HTTP API. Default `127.0.0.1:7878`. Any address off loopback needs `token_file`.
    #[schemars(with = "Option<String>")]
    pub listen: Option<SocketAddr>,
    /// Folder of everything that is remembered; a relative one starts at the fleet file's folder. Default: `STEAD_STATE_DIR`,
    /// else the platform's data directory.
    pub state_dir: Option<String>,
    /// File that holds the token which clients must show; a relative one starts at the fleet file's folder. Default: none is
    /// asked for.
    pub token_file: Option<String>,
    /// Names by which requests may call a daemon on loopback beside `localhost`, such as that of a proxy before it. Default: none.
    pub hosts: Vec<String>,
    /// Whether the fleet file is looked at once a second and applied when it changed. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<bool>,
}

/// The JSON Schema of a fleet file, as editors and other programs take it.
#[must_use]
pub fn fleet_schema() -> Json {
    let mut schema = schemars::schema_for!(FleetForm).to_value();
    let defaults = schema
        .pointer("/$defs/SpecForm")
        .cloned()
        .map(without_own)
        .unwrap_or_default();
    let agent = schema
        .pointer("/$defs/SpecForm")
        .cloned()
        .map(|shape| with_keys::<ReplicasForm>(shape, &mut schema))
        .map(|shape| with_keys::<CriticalityForm>(shape, &mut schema))
        .unwrap_or_default();
    let component = schema
        .pointer("/$defs/SpecForm")
        .cloned()
        .map(|shape| with_keys::<CriticalityForm>(shape, &mut schema))
        .unwrap_or_default();
    if let Some(Json::Object(known)) = schema.pointer_mut("/$defs") {
        known.insert("Defaults".to_owned(), defaults);
        known.insert("Agent".to_owned(), agent);
        known.insert("Component".to_owned(), component);
    }
    for (table, kind) in [("agents", "Agent"), ("components", "Component")] {
        let names = schema.pointer_mut(&format!("/properties/{table}/patternProperties"));
        if let Some(Json::Object(names)) = names {
            for reference in names.values_mut() {
                *reference = serde_json::json!({ "$ref": format!("#/$defs/{kind}") });
            }
        }
    }
    if let Some(Json::Object(property)) = schema.pointer_mut("/properties/defaults") {
        property.remove("anyOf");
        property.insert("$ref".to_owned(), "#/$defs/Defaults".into());
    }
    if let Some(Json::Object(properties)) = schema.pointer_mut("/properties") {
        // What is absent is absent: TOML has no word for nothing.
        for property in properties.values_mut().filter_map(Json::as_object_mut) {
            property.remove("default");
        }
    }
    let_references(&mut schema);
    schema
}

/// The shape of an agent without what each has for itself.
fn without_own(mut shape: Json) -> Json {
    if let Some(Json::Object(keys)) = shape.pointer_mut("/properties") {
        keys.retain(|key, _| !OWN.contains(&key.as_str()));
    }
    shape
}

/// The shape of an agent with keys that are no part of its spec; what they refer to is added to the schema.
fn with_keys<K: JsonSchema>(mut shape: Json, schema: &mut Json) -> Json {
    let mut keys = schemars::schema_for!(K).to_value();
    if let (Some(Json::Object(known)), Some(Json::Object(more))) =
        (schema.pointer_mut("/$defs"), keys.pointer_mut("/$defs").map(Json::take))
    {
        known.extend(more);
    }
    if let (Some(Json::Object(shape)), Some(Json::Object(more))) = (
        shape.pointer_mut("/properties"),
        keys.pointer_mut("/properties").map(Json::take),
    ) {
        shape.extend(more);
    }
    shape
}

/// Lets a reference to the environment stand wherever a number, a truth or a text of a certain form is wanted.
fn let_references(schema: &mut Json) {
    const REFERENCE: &str = r"\$\{";
    match schema {
        Json::Object(members) => {
            let kinds: Vec<Json> = match members.get("type") {
                Some(Json::Array(kinds)) => kinds.clone(),
                Some(kind) => vec![kind.clone()],
                None => Vec::new(),
            };
            let is = |words: &[&str]| kinds.iter().any(|kind| words.iter().any(|word| kind == word));
            if is(&["integer", "number", "boolean"]) && !is(&["string"]) {
                let or_text: Vec<Json> = kinds.into_iter().chain(["string".into()]).collect();
                members.insert("type".to_owned(), or_text.into());
                members.insert("pattern".to_owned(), REFERENCE.into());
            } else if let Some(Json::String(pattern)) = members.get_mut("pattern") {
                *pattern = format!("{pattern}|{REFERENCE}");
            }
            members.values_mut().for_each(let_references);
        }
        Json::Array(items) => items.iter_mut().for_each(let_references),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
