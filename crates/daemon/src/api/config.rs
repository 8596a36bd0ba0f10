//! The fleet file in force: showing, checking and applying it.

use std::path::PathBuf;
use std::sync::Arc;

use axum::http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stead_model::{AgentName, Namespace, ProblemCode, Wall};

use super::extract::{Document, NoQuery, Payload, Post, Read};
use super::find::blocking;
use super::operation::{About, Table};
use super::ports::{ApplyMode, FleetText};
use super::problem::Failure;
use super::reply::Shown;
use super::{Api, BASE};

pub(super) fn mount(table: &mut Table) {
    use ProblemCode::{Busy, DuplicateName, InvalidConfig, OutcomeUnknown, ShuttingDown, StoreUnavailable};
    let about = |id, summary: &str| About::new(id, "config", summary).limit(Document::LIMIT);
    table.add(
        Method::GET,
        format!("{BASE}/config"),
        about("getConfig", "Shows which fleet file is in force"),
        show,
    );
    let validate = about("validateConfig", "Checks a fleet file without applying it");
    table.add(Method::POST, format!("{BASE}/config/validate"), validate, check);
    let applying = about(
        "applyConfig",
        "Applies a fleet file as a diff, or says what would change",
    )
    .may(&[
        InvalidConfig,
        DuplicateName,
        Busy,
        StoreUnavailable,
        OutcomeUnknown,
        ShuttingDown,
    ]);
    table.add(Method::POST, format!("{BASE}/config/apply"), applying, apply);
}

/// What is in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ConfigView {
    /// The fleet file, where one was given.
    pub fleet_file: Option<String>,
    /// The namespace that its agents live in.
    pub namespace: Namespace,
    /// How many agents and components it has.
    pub agents: usize,
    /// Hash of what is in force.
    pub hash: String,
    /// Since when.
    pub applied_at: Option<Wall>,
}

/// What is wrong with a fleet file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ConfigCheck {
    /// Whether it could be applied.
    pub valid: bool,
    /// Each fault, in the file's order.
    pub problems: Vec<ConfigFault>,
}

/// One fault of a fleet file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ConfigFault {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// What applying changed, or would change.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct ConfigApplied {
    /// Made known.
    pub added: Vec<AgentName>,
    /// Told to be something else.
    pub changed: Vec<AgentName>,
    /// Those of the changed ones that are groups and whose new template reaches the replicas one after the other.
    pub rolled_out: Vec<AgentName>,
    /// Those of the changed ones that are groups and have another number of replicas, or other rules for updates.
    pub scaled: Vec<AgentName>,
    /// Those of the changed ones that were an agent and are a group now, or the other way round: removed, and made anew.
    pub remade: Vec<AgentName>,
    /// Deleted.
    pub removed: Vec<AgentName>,
    /// Left alone.
    pub unchanged: Vec<AgentName>,
    /// Those of the changed ones that go on with their old spec until they are restarted.
    pub pending_restart: Vec<AgentName>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ApplyQuery {
    /// Only say what would change. Default false.
    #[serde(default)]
    dry_run: bool,
    /// Where the file lies, as an absolute path: relative ones in it start at its folder. Default: where the one in force lies.
    #[schemars(with = "Option<String>")]
    file: Option<PathBuf>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CheckQuery {
    /// Where the file lies, as an absolute path: relative ones in it start at its folder. Default: where the one in force lies.
    #[schemars(with = "Option<String>")]
    file: Option<PathBuf>,
}

fn document(Document(toml): Document, file: Option<PathBuf>) -> Result<FleetText, Failure> {
    if file.as_ref().is_some_and(|file| !file.is_absolute()) {
        return Err(Failure::invalid("in the query: file: must be an absolute path"));
    }
    Ok(FleetText { toml, file })
}

async fn show(api: Api, _: Read<(), NoQuery>) -> Result<Shown<ConfigView>, Failure> {
    Ok(Shown(api.state.ports.config.view()))
}

async fn check(api: Api, post: Post<(), CheckQuery, Document>) -> Result<Shown<ConfigCheck>, Failure> {
    let config = Arc::clone(&api.state.ports.config);
    let document = document(post.body, post.query.file)?;
    blocking(move || config.check(&document)).await.map(Shown)
}

async fn apply(api: Api, post: Post<(), ApplyQuery, Document>) -> Result<Shown<ConfigApplied>, Failure> {
    let mode = if post.query.dry_run {
        ApplyMode::DryRun
    } else {
        ApplyMode::Apply
    };
    let document = document(post.body, post.query.file)?;
    Ok(Shown(api.state.ports.config.apply(document, mode, post.origin).await?))
}
