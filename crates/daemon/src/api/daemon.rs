//! The daemon itself: who it is, and the way to end it.

use axum::http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stead_model::{Origin, ProblemCode, Wall};
use stead_store::Figures;

use super::extract::{Json, NoQuery, Post, Read, Text};
use super::operation::{About, Table};
use super::problem::Failure;
use super::reply::{Shown, Taken};
use super::{Api, BASE};
use crate::StatusReport;
use crate::status::Part;

pub(super) fn mount(table: &mut Table) {
    let show = About::new("getDaemon", "daemon", "Says who runs here, since when, and how it does");
    table.add(Method::GET, format!("{BASE}/daemon"), show, show_daemon);
    let stop = About::new(
        "shutDown",
        "daemon",
        "Ends the daemon; with its agents, or leaving them at work",
    )
    .more("Its agents cannot be ended while the store is away: that they should be down could not be remembered.")
    .may(&[ProblemCode::StoreUnavailable]);
    table.add(Method::POST, format!("{BASE}/daemon/shutdown"), stop, shut_down);
}

/// Who runs, and where.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct DaemonInfo {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since when it runs.
    pub started_at: Wall,
    /// Where everything that is remembered lies.
    pub state_dir: String,
    /// Where it listens.
    pub listen: String,
    /// The parent of the agents' processes, where there is one.
    pub keeper_pid: Option<u32>,
}

/// The daemon as it is.
#[derive(Debug, Serialize, JsonSchema)]
struct DaemonView {
    #[serde(flatten)]
    info: DaemonInfo,
    /// How many agents and components it knows.
    agents: usize,
    /// How its parts do.
    status: StatusReport,
    /// What its store wrote since the daemon was started.
    store: Written,
}

/// What a store wrote since it was opened.
#[derive(Debug, Serialize, JsonSchema)]
struct Written {
    /// Appends: each is all that belongs to one decision.
    appends: u64,
    /// Commits; one may hold many appends.
    commits: u64,
    /// Commits that were synced to the disk before anybody was told.
    flushed: u64,
}

/// What becomes of the agents when the daemon ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentsLeft {
    /// They are stopped first, and started again when the daemon is back.
    Stop,
    /// They go on; the next daemon takes them over.
    Leave,
}

/// An order to end the daemon.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShutdownOrder {
    /// What becomes of the agents.
    pub agents: AgentsLeft,
    /// Why, in the asker's words.
    pub reason: Option<String>,
    /// Who asks.
    pub origin: Origin,
}

/// How to end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Shutdown {
    /// What becomes of the agents.
    agents: AgentsLeft,
    /// Why.
    #[serde(default)]
    reason: Option<Text<1024>>,
}

async fn show_daemon(api: Api, _: Read<(), NoQuery>) -> Result<Shown<DaemonView>, Failure> {
    let handle = &api.state.handle;
    let Figures {
        appends,
        commits,
        flushed,
    } = handle.store().figures();
    let view = DaemonView {
        info: api.state.ports.host.info(),
        agents: handle.views().count(),
        status: handle.status().report(),
        store: Written {
            appends,
            commits,
            flushed,
        },
    };
    Ok(Shown(view))
}

async fn shut_down(api: Api, post: Post<(), NoQuery, Json<Shutdown>>) -> Result<Taken, Failure> {
    let Json(Shutdown { agents, reason }) = post.body;
    let reason = reason.map(|Text(reason)| reason);
    if let (AgentsLeft::Stop, Part::Away { detail, .. }) = (agents, api.state.handle.status().report().store) {
        let detail = format!(
            "that the agents should be down cannot be written, so they would live on ({detail}); end the daemon without them, \
             by agents = \"leave\" or `stead down --leave-agents`"
        );
        return Err(Failure::new(ProblemCode::StoreUnavailable, detail));
    }
    api.state.ports.host.shut_down(ShutdownOrder {
        agents,
        reason,
        origin: post.origin,
    });
    Ok(Taken)
}
