//! The shape of a fleet file, which is also the source of its JSON Schema.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stead_model::spec::SpecForm;
use stead_model::{AgentName, Namespace};

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
    /// What every agent and component has unless it says otherwise: any key of theirs except `command` and `profile`.
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
}

/// The keys of a fleet file.
pub(super) const TOP: [&str; 5] = ["namespace", "daemon", "defaults", "agents", "components"];

/// What `[defaults]` may not hold: each agent has its own.
pub(super) const OWN: [&str; 2] = ["command", "profile"];

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
}

/// The JSON Schema of a fleet file, as editors and other programs take it.
#[must_use]
pub fn fleet_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(FleetForm).to_value();
    let Some(defaults) = schema.pointer("/$defs/SpecForm").cloned() else {
        return schema;
    };
    if let Some(known) = schema.pointer_mut("/$defs").and_then(serde_json::Value::as_object_mut) {
        known.insert("Defaults".to_owned(), defaults);
    }
    for own in OWN {
        if let Some(keys) = schema.pointer_mut("/$defs/Defaults/properties") {
            keys.as_object_mut().and_then(|keys| keys.remove(own));
        }
    }
    if let Some(property) = schema
        .pointer_mut("/properties/defaults")
        .and_then(serde_json::Value::as_object_mut)
    {
        property.remove("anyOf");
        property.insert("$ref".to_owned(), "#/$defs/Defaults".into());
    }
    schema
}
