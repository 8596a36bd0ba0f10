//! Earlier configurations: listed, shown, and taken up again.

use std::sync::Arc;

use axum::http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stead_model::{Namespace, ProblemCode, Wall};

use super::{APPLYING, ConfigApplied, order};
use crate::api::extract::{Json, JsonOr, NoQuery, Place, Post, Read, part};
use crate::api::find::blocking;
use crate::api::openapi::Sketch;
use crate::api::operation::{About, Table};
use crate::api::ports::ApplyOrder;
use crate::api::problem::Failure;
use crate::api::reply::{List, Shown};
use crate::api::{Api, BASE};

pub(super) fn mount(table: &mut Table) {
    use ProblemCode::{NotFound, StoreUnavailable};
    let about = |id, summary: &str| About::new(id, "config", summary);
    let listing = about(
        "listConfigRevisions",
        "Lists what was applied as configuration, newest first; the last hundred are kept",
    )
    .may(&[StoreUnavailable]);
    table.add(Method::GET, format!("{BASE}/config/history"), listing, list);
    let showing = about("getConfigRevision", "Shows one revision as it was written")
        .more("Values of secrets are replaced by `***`, references to the environment stay.")
        .may(&[NotFound, StoreUnavailable]);
    table.add(
        Method::GET,
        format!("{BASE}/config/revisions/{{revision}}"),
        showing,
        show,
    );
    let rolling = about(
        "rollbackConfig",
        "Applies an old revision as a new one, or says what would change",
    )
    .may(ROLLING_BACK);
    table.add(Method::POST, format!("{BASE}/config/rollback"), rolling, roll_back);
    let reloading = about("reloadConfig", "Reads the fleet file in force again, and applies it").may(APPLYING);
    table.add(Method::POST, format!("{BASE}/config/reload"), reloading, reload);
}

/// What may go wrong with going back: what may with applying, and that there is nothing to go back to.
const ROLLING_BACK: &[ProblemCode] = &{
    let mut codes = [ProblemCode::NotFound; APPLYING.len() + 1];
    let mut at = 0;
    while at < APPLYING.len() {
        codes[at] = APPLYING[at];
        at += 1;
    }
    codes
};

/// One revision of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ConfigRevision {
    /// Its number.
    pub revision: u64,
    /// When it was applied.
    pub at: Wall,
    /// Who applied it.
    pub actor: String,
    /// Why, where that was said.
    pub reason: Option<String>,
    /// Where the file lies.
    pub file: String,
    /// Hash of its content.
    pub hash: String,
    /// The namespace of its agents.
    pub namespace: Namespace,
    /// How many agents and components it has.
    pub agents: usize,
}

/// One revision with its text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct ConfigText {
    /// Which one.
    #[serde(flatten)]
    pub revision: ConfigRevision,
    /// The file as it was written, without the values of secrets.
    pub toml: String,
}

/// The path of a revision.
struct Number(u64);

impl Place for Number {
    fn find(parts: &[(String, String)]) -> Result<Self, Failure> {
        let text = part(parts, "revision");
        let number = text.parse().map(Self);
        number.map_err(|_no_number| Failure::invalid(format!("`{text}` is no number of a revision")))
    }

    fn describe(sketch: &mut Sketch) {
        let schema = serde_json::json!({ "type": "integer", "minimum": 1 });
        sketch.path("revision", "Number of the revision.", schema);
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rollback {
    /// Number of the revision to apply again.
    revision: u64,
    /// Only say what would change. Default false.
    #[serde(default)]
    dry_run: bool,
    /// Restart the agents whose new spec comes in force only then. Default false.
    #[serde(default)]
    restart: bool,
    /// Why, for the history.
    reason: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Reload {
    /// Why, for the history.
    reason: Option<String>,
}

async fn list(api: Api, _: Read<(), NoQuery>) -> Result<Shown<List<ConfigRevision>>, Failure> {
    let config = Arc::clone(&api.state.ports.config);
    let items = blocking(move || config.revisions()).await??;
    Ok(Shown(List {
        items,
        next_cursor: None,
    }))
}

async fn show(api: Api, read: Read<Number, NoQuery>) -> Result<Shown<ConfigText>, Failure> {
    let config = Arc::clone(&api.state.ports.config);
    Ok(Shown(blocking(move || config.revision(read.path.0)).await??))
}

async fn roll_back(api: Api, post: Post<(), NoQuery, Json<Rollback>>) -> Result<Shown<ConfigApplied>, Failure> {
    let Json(body) = post.body;
    let order = order(body.dry_run, body.restart, body.reason);
    let done = api.state.ports.config.roll_back(body.revision, order, post.origin);
    Ok(Shown(done.await?))
}

async fn reload(api: Api, post: Post<(), NoQuery, JsonOr<Reload>>) -> Result<Shown<ConfigApplied>, Failure> {
    let JsonOr(Reload { reason }) = post.body;
    let order = ApplyOrder {
        reason,
        ..ApplyOrder::default()
    };
    Ok(Shown(api.state.ports.config.reload(order, post.origin).await?))
}
