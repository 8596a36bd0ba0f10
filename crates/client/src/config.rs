//! The configuration: applied, looked at, taken back.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;
use stead_model::Wall;

use crate::request::Mutation;
use crate::{Applied, Client, ClientError, Page};

/// How a fleet file is applied; [`Applying::default`] changes at once, restarts nothing and says no reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Applying<'a> {
    /// Where the file lies, as an absolute path: relative ones in it start at its folder. Absent: where the file in force lies.
    pub file: Option<&'a Path>,
    /// Only say what would change.
    pub dry_run: bool,
    /// Restart the agents whose new spec comes in force only then.
    pub restart: bool,
    /// Why, for the history.
    pub reason: Option<&'a str>,
}

/// One revision of the configuration: `GET /config/history`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConfigRevision {
    /// Its number.
    pub revision: u64,
    /// When it was applied.
    pub at: Wall,
    /// Who applied it.
    pub actor: String,
    /// Why, where that was said.
    #[serde(default)]
    pub reason: Option<String>,
    /// Where the file lies.
    pub file: String,
    /// Hash of its content.
    pub hash: String,
    /// The namespace of its agents.
    pub namespace: String,
    /// How many agents and components it has.
    pub agents: u64,
}

/// One revision with its text: `GET /config/revisions/{n}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConfigText {
    /// Which one.
    #[serde(flatten)]
    pub revision: ConfigRevision,
    /// The file as it was written, without the values of secrets.
    pub toml: String,
}

impl Client {
    /// Puts a fleet file in force: `POST /config/apply`. All of it, or nothing if any of it is wrong.
    ///
    /// # Errors
    /// `invalid-config` with each fault, and those of every request.
    pub async fn apply(&self, toml: &str, applying: &Applying<'_>) -> Result<Applied, ClientError> {
        let mut mutation = Mutation::post("/config/apply").toml(toml);
        if let Some(file) = applying.file {
            mutation = mutation.query("file", file.display());
        }
        if let Some(reason) = applying.reason {
            mutation = mutation.query("reason", reason);
        }
        if applying.restart {
            mutation = mutation.query("restart", true);
        }
        if applying.dry_run {
            mutation = mutation.query("dry_run", true).unkeyed();
        }
        let reply = self.mutate(mutation).await?;
        self.decode(&reply)
    }

    /// Lists what was applied as configuration, newest first: `GET /config/history`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn config_history(&self) -> Result<Vec<ConfigRevision>, ClientError> {
        let page: Page<ConfigRevision> = self.read("/config/history", &Vec::new()).await?;
        Ok(page.items)
    }

    /// Reads one revision with its text: `GET /config/revisions/{n}`.
    ///
    /// # Errors
    /// `not-found` for one that is not kept; see [`ClientError`].
    pub async fn config_revision(&self, revision: u64) -> Result<ConfigText, ClientError> {
        self.read(&format!("/config/revisions/{revision}"), &Vec::new()).await
    }

    /// Applies an old revision as a new one: `POST /config/rollback`. Of `applying` the file has no meaning here.
    ///
    /// # Errors
    /// `not-found` for one that is not kept, and those of [`Client::apply`].
    pub async fn config_rollback(&self, revision: u64, applying: &Applying<'_>) -> Result<Applied, ClientError> {
        let body = json!({
            "revision": revision,
            "dry_run": applying.dry_run,
            "restart": applying.restart,
            "reason": applying.reason,
        });
        let reply = self.mutate(Mutation::post("/config/rollback").json(&body)).await?;
        self.decode(&reply)
    }

    /// Has the fleet file in force read again and applied: `POST /config/reload`.
    ///
    /// # Errors
    /// As [`Client::apply`].
    pub async fn config_reload(&self, reason: Option<&str>) -> Result<Applied, ClientError> {
        let body = json!({ "reason": reason });
        let reply = self.mutate(Mutation::post("/config/reload").json(&body)).await?;
        self.decode(&reply)
    }
}
