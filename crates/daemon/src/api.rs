//! The HTTP API: everything that people and programs may ask, over [`Handle`](crate::Handle) and a few [ports](Ports).
//!
//! Handlers are thin: they read a request into model types, ask the handle, and write the answer down. A table of
//! [operations](operation) mounts each handler and describes it from the very types it takes and gives, so that
//! `/openapi.json` cannot tell another story than the code.

mod agents;
mod analytics;
mod audit;
mod auth;
mod batch;
mod beats;
mod capabilities;
mod circuits;
mod config;
mod cursor;
mod daemon;
mod degradation;
mod docs;
mod door;
mod events;
mod extract;
mod find;
mod groups;
mod health;
mod history;
mod lifecycle;
mod logs;
mod metrics;
mod openapi;
mod operation;
mod ports;
mod problem;
mod readers;
mod recoveries;
mod reply;
mod serve;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Bytes;
use tokio_util::sync::CancellationToken;

pub use self::auth::{InvalidToken, OpenListener, Token, check_listener};
pub use self::config::{
    ConfigApplied, ConfigChange, ConfigCheck, ConfigFault, ConfigRefused, ConfigRevision, ConfigText, ConfigView,
    FieldChange,
};
pub use self::daemon::{AgentsLeft, DaemonInfo, ShutdownOrder};
pub use self::logs::{LogLine, LogReader, LogRequest, LogSource, LogStream};
use self::operation::Table;
pub use self::ports::{ApplyMode, ApplyOrder, ConfigDoor, FleetText, Host, Ports, Restarts};
pub use self::serve::serve;
use crate::Handle;

/// What the API needs to serve.
#[derive(Debug)]
pub struct ApiState {
    /// The engine, its views and its history.
    pub handle: Handle,
    /// What the rest of the daemon does for the API.
    pub ports: Ports,
    /// What every request must show; `None` only on loopback (see [`check_listener`]).
    pub token: Option<Token>,
    /// Where it listens: on loopback, requests by way of other hosts or sites are refused.
    pub listen: SocketAddr,
    /// Further names that a loopback listener may be called by, for example behind a proxy.
    pub hosts: Vec<String>,
    /// Ends all streams when it is cancelled.
    pub closing: CancellationToken,
}

/// What every handler shares.
struct Shared {
    state: ApiState,
    document: OnceLock<Bytes>,
}

type Api = Arc<Shared>;

/// Builds the whole API. Serve it with [`serve`].
pub fn router(state: ApiState) -> Router {
    let api = Arc::new(Shared {
        state,
        document: OnceLock::new(),
    });
    table().into_router(&api)
}

/// The OpenAPI 3.1 document of the API, as `/openapi.json` serves it.
#[must_use]
pub fn openapi() -> serde_json::Value {
    openapi::document(&table())
}

/// Every operation there is.
fn table() -> Table {
    let mut table = Table::default();
    for kind in [agents::Kind::Agent, agents::Kind::Component] {
        agents::mount(&mut table, kind);
        lifecycle::mount(&mut table, kind);
        batch::mount(&mut table, kind);
        beats::mount_of(&mut table, kind);
        history::mount_of(&mut table, kind);
        logs::mount(&mut table, kind);
    }
    beats::mount(&mut table);
    analytics::mount(&mut table);
    groups::mount(&mut table);
    history::mount(&mut table);
    recoveries::mount(&mut table);
    audit::mount(&mut table);
    events::mount(&mut table);
    readers::mount(&mut table);
    capabilities::mount(&mut table);
    circuits::mount(&mut table);
    degradation::mount(&mut table);
    config::mount(&mut table);
    daemon::mount(&mut table);
    health::mount(&mut table);
    metrics::mount(&mut table);
    table
}

/// Where the API starts.
const BASE: &str = "/api/v1";

#[cfg(test)]
mod tests;
