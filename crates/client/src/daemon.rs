//! The daemon itself: its configuration, its health, its end.

use reqwest::StatusCode;
use serde_json::json;
use stead_model::{HealthSummary, Namespace, Selector, Summary};

use crate::request::Mutation;
use crate::{AgentsOnShutdown, Change, Client, ClientError, ConfigView, DaemonView, StatusView, Validation};

impl Client {
    /// Counts agents: `GET /analytics/summary`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn summary(&self, namespace: Option<&Namespace>) -> Result<Summary, ClientError> {
        let query = namespace.map(|namespace| ("namespace", namespace.to_string()));
        self.read("/analytics/summary", &query.into_iter().collect()).await
    }

    /// Counts agents and components by how well they do, and tells the worst of them: `GET /analytics/health`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn health_summary(
        &self,
        namespace: Option<&Namespace>,
        selector: Option<&Selector>,
        limit: usize,
    ) -> Result<HealthSummary, ClientError> {
        let namespace = namespace.map(|namespace| ("namespace", namespace.to_string()));
        let selector = selector.map(|selector| ("selector", selector.to_string()));
        let query = namespace.into_iter().chain(selector);
        let query = query.chain([("limit", limit.to_string())]).collect();
        self.read("/analytics/health", &query).await
    }

    /// Reads what configuration is in force: `GET /config`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn config(&self) -> Result<ConfigView, ClientError> {
        self.read("/config", &Vec::new()).await
    }

    /// Asks whether a fleet file could be applied: `POST /config/validate`. Changes nothing.
    ///
    /// # Errors
    /// See [`ClientError`]; faults of the file are in the answer.
    pub async fn validate(&self, toml: &str) -> Result<Validation, ClientError> {
        let reply = self
            .mutate(Mutation::post("/config/validate").toml(toml).unkeyed())
            .await?;
        self.decode(&reply)
    }

    /// Reads who the daemon is: `GET /daemon`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn daemon(&self) -> Result<DaemonView, ClientError> {
        self.read("/daemon", &Vec::new()).await
    }

    /// Asks the daemon to go down: `POST /daemon/shutdown`. Answered before it does.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn shutdown(&self, agents: AgentsOnShutdown, change: &Change) -> Result<(), ClientError> {
        let body = json!({ "agents": agents, "reason": change.reason });
        self.mutate(Mutation::post("/daemon/shutdown").json(&body))
            .await
            .map(drop)
    }

    /// Asks whether the daemon's process turns: `GET /health/live`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn live(&self) -> Result<(), ClientError> {
        let request = self.http.get(format!("{}/health/live", self.url));
        self.send(request.timeout(self.timeouts.request)).await.map(drop)
    }

    /// Asks how the daemon's parts do: `GET /health/ready`. An answer that it is not ready is an answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn status(&self) -> Result<StatusView, ClientError> {
        let request = self.http.get(format!("{}/health/ready", self.url));
        let reply = self.exchange_any(request.timeout(self.timeouts.request)).await?;
        match reply.status {
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => self.decode(&reply),
            other => Err(ClientError::protocol(
                &self.url,
                format!("HTTP {other} from /health/ready"),
            )),
        }
    }
}
