//! The fleet file in force: showing, checking and applying it.

mod history;

use std::path::PathBuf;
use std::sync::Arc;

use axum::http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stead_model::{AgentName, Namespace, ProblemCode, Wall};

use super::extract::{Document, NoQuery, Payload, Post, Read};
use super::find::blocking;
use super::operation::{About, Table};
use super::ports::{ApplyMode, ApplyOrder, FleetText, Restarts};
use super::problem::Failure;
use super::reply::Shown;
use super::{Api, BASE};

pub use self::history::{ConfigRevision, ConfigText};

pub(super) fn mount(table: &mut Table) {
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
    .may(APPLYING);
    table.add(Method::POST, format!("{BASE}/config/apply"), applying, apply);
    history::mount(table);
}

/// What may go wrong with applying.
const APPLYING: &[ProblemCode] = &[
    ProblemCode::InvalidConfig,
    ProblemCode::NotPossible,
    ProblemCode::PolicyRefused,
    ProblemCode::RateLimited,
    ProblemCode::DuplicateName,
    ProblemCode::LimitReached,
    ProblemCode::Busy,
    ProblemCode::StoreUnavailable,
    ProblemCode::OutcomeUnknown,
    ProblemCode::ShuttingDown,
];

/// What is in force.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
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
    /// Number of the revision.
    pub revision: Option<u64>,
    /// Who applied it.
    pub applied_by: Option<String>,
    /// Why, where that was said.
    pub reason: Option<String>,
    /// Whether the file is looked at and applied when it changes.
    pub watched: bool,
    /// Whether the file that was put in force is no longer where it was.
    pub missing: bool,
    /// Whether the file says something else than what is in force, as after a rollback: its next change, SIGHUP or `stead up` puts that in
    /// force.
    pub differs: bool,
    /// Agents and groups that had been changed beside the file, and that its last application made again what it says.
    pub overruled: Vec<AgentName>,
    /// The change of the file that was refused last, if none was applied since. What is in force stayed as it was.
    pub refused: Option<ConfigRefused>,
}

/// A change of the fleet file that was not taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ConfigRefused {
    /// When.
    pub at: Wall,
    /// What had it read: `file` or `SIGHUP`.
    pub cause: String,
    /// What was wrong.
    pub detail: String,
    /// Each fault, in the file's order.
    pub problems: Vec<ConfigFault>,
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
    /// Groups for which the document says what was tried and rolled back: it is not tried again until it changes, or somebody asks for it.
    pub rolled_back: Vec<AgentName>,
    /// Those of the changed ones of which the document says what the one in force said before: they were changed beside it, and it wins.
    pub overruled: Vec<AgentName>,
    /// Those that go on with their old spec until they are restarted.
    pub pending_restart: Vec<AgentName>,
    /// What changes of each changed agent.
    pub changes: Vec<ConfigChange>,
    /// What changes beside agents: profiles, policies, retention, the daemon itself.
    pub settings: Vec<FieldChange>,
    /// Keys that are in force with the next start of the daemon.
    pub daemon_restart: Vec<String>,
    /// Number of the revision that is in force with it; absent if nothing was applied.
    pub revision: Option<u64>,
}

/// What changes of one agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ConfigChange {
    /// Which one.
    pub agent: AgentName,
    /// Key by key, at most 64.
    pub fields: Vec<FieldChange>,
}

/// One key that changes. Values of secrets are `***`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct FieldChange {
    /// The key, such as `stop.grace`.
    pub field: String,
    /// Its value as JSON before, where it had one.
    pub before: Option<String>,
    /// Its value as JSON after, where it has one.
    pub after: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ApplyQuery {
    /// Only say what would change. Default false.
    #[serde(default)]
    dry_run: bool,
    /// Restart the agents whose new spec comes in force only then. Default false: they go on with the old one.
    #[serde(default)]
    restart: bool,
    /// Why, for the history.
    reason: Option<String>,
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
    let ApplyQuery {
        dry_run,
        restart,
        reason,
        file,
    } = post.query;
    let order = order(dry_run, restart, reason);
    let document = document(post.body, file)?;
    Ok(Shown(api.state.ports.config.apply(document, order, post.origin).await?))
}

fn order(dry_run: bool, restart: bool, reason: Option<String>) -> ApplyOrder {
    ApplyOrder {
        mode: if dry_run { ApplyMode::DryRun } else { ApplyMode::Apply },
        restarts: if restart { Restarts::Now } else { Restarts::Wait },
        reason,
    }
}
