//! What namespaces give up of their features.

use reqwest::Method;
use serde_json::json;
use stead_model::{DegradationLevel, DegradationView, LevelChange, Namespace, Span};

use crate::filter::Query;
use crate::request::Mutation;
use crate::{Client, ClientError, Page};

/// Which changes of what a namespace has given up are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LevelFilter {
    /// Not older than a time (RFC 3339) or a span (`10m`).
    pub since: Option<String>,
    /// Older than a time (RFC 3339) or a span (`10m`).
    pub until: Option<String>,
    /// At most this many.
    pub limit: Option<u32>,
    /// Behind an earlier page.
    pub cursor: Option<String>,
}

impl LevelFilter {
    fn query(&self, namespace: &Namespace) -> Query {
        let mut query = vec![("namespace", namespace.to_string())];
        query.extend(self.since.clone().map(|since| ("since", since)));
        query.extend(self.until.clone().map(|until| ("until", until)));
        query.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        query.extend(self.cursor.clone().map(|cursor| ("cursor", cursor)));
        query
    }
}

impl Client {
    /// Shows what a namespace has given up: `GET /degradation`.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn degradation(&self, namespace: &Namespace) -> Result<DegradationView, ClientError> {
        let query = vec![("namespace", namespace.to_string())];
        self.read("/degradation", &query).await
    }

    /// Lists how that changed, newest first: `GET /degradation/history`.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn degradations(
        &self,
        namespace: &Namespace,
        filter: &LevelFilter,
    ) -> Result<Page<LevelChange>, ClientError> {
        self.read("/degradation/history", &filter.query(namespace)).await
    }

    /// Holds a level until it is released, or for as long as `lasts` says: `PUT /degradation/override`. Durable when answered.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn hold_degradation(
        &self,
        namespace: &Namespace,
        level: DegradationLevel,
        lasts: Option<Span>,
        reason: Option<&str>,
    ) -> Result<DegradationView, ClientError> {
        let body = json!({ "level": level, "for": lasts, "reason": reason });
        let mutation = Mutation::new(Method::PUT, "/degradation/override".to_owned())
            .query("namespace", namespace)
            .json(&body);
        let reply = self.mutate(mutation).await?;
        self.decode(&reply)
    }

    /// Holds no level any more: `DELETE /degradation/override`. Durable when answered.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn release_degradation(
        &self,
        namespace: &Namespace,
        reason: Option<&str>,
    ) -> Result<DegradationView, ClientError> {
        let mut mutation =
            Mutation::new(Method::DELETE, "/degradation/override".to_owned()).query("namespace", namespace);
        if let Some(reason) = reason {
            mutation = mutation.query("reason", reason);
        }
        let reply = self.mutate(mutation).await?;
        self.decode(&reply)
    }
}
