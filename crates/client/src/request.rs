//! Sending: paths, keys, tries, and telling answers from problems.

use std::time::Duration;

use reqwest::header::{HeaderMap, IF_MATCH};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stead_model::{Answer, Outcome, Problem, ProblemCode, Revision};
use tokio::time::{Instant, sleep};

use crate::filter::Query;
use crate::{Change, Client, ClientError};

/// The first wait before a mutation is sent again.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

impl Client {
    pub(crate) fn endpoint(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.url)
    }

    /// Reads a resource. A read is not repeated: the caller sees at once that nobody answers.
    pub(crate) async fn read<T: DeserializeOwned>(&self, path: &str, query: &Query) -> Result<T, ClientError> {
        let request = self.http.get(self.endpoint(path)).query(query);
        let reply = self.exchange(request.timeout(self.timeouts.request)).await?;
        self.decode(&reply)
    }

    /// Sends once and reads the whole answer.
    pub(crate) async fn exchange(&self, request: RequestBuilder) -> Result<Reply, ClientError> {
        let response = self.send(request).await?;
        self.whole(response).await
    }

    /// The same, for a route whose refusals are answers too.
    pub(crate) async fn exchange_any(&self, request: RequestBuilder) -> Result<Reply, ClientError> {
        let response = request.send().await;
        let response = response.map_err(|error| ClientError::transport(&self.url, &error))?;
        self.whole(response).await
    }

    async fn whole(&self, response: Response) -> Result<Reply, ClientError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await;
        let body = body.map_err(|error| ClientError::transport(&self.url, &error))?;
        Ok(Reply {
            status,
            headers,
            body: body.into(),
        })
    }

    /// Sends once and turns everything that is no success into an error.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request
            .send()
            .await
            .map_err(|error| ClientError::transport(&self.url, &error))?;
        if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        Err(self.refused(response).await)
    }

    pub(crate) fn decode<T: DeserializeOwned>(&self, reply: &Reply) -> Result<T, ClientError> {
        serde_json::from_slice(&reply.body).map_err(|error| ClientError::protocol(&self.url, error.to_string()))
    }

    /// Changes something, at most once: tries share one idempotency key.
    ///
    /// Sent again when the connection broke after it stood, and when the daemon says that it was busy or does not know the outcome. A daemon
    /// that was never there is reported at once; one that goes away between two tries is waited for.
    pub(crate) async fn mutate(&self, mutation: Mutation<'_>) -> Result<Reply, ClientError> {
        let key = uuid::Uuid::now_v7().to_string();
        let until = Instant::now() + self.timeouts.retry;
        let mut wait = FIRST_WAIT;
        let mut sent = false;
        loop {
            let mut request = self
                .http
                .request(mutation.method.clone(), self.endpoint(&mutation.path))
                .query(&mutation.query)
                .timeout(self.timeouts.request);
            if mutation.keyed {
                request = request.header("Idempotency-Key", &key);
            }
            if let Some(revision) = mutation.if_revision {
                request = request.header(IF_MATCH, format!("\"{revision}\""));
            }
            let request = match &mutation.body {
                Body::None => request,
                Body::Json(value) => request.json(value),
                Body::Toml(text) => request
                    .header("content-type", "application/toml")
                    .body((*text).to_owned()),
            };
            let error = match self.exchange(request).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            sent = sent || !matches!(&error, ClientError::Unreachable { sent: false, .. });
            if !(sent && worth_another_try(&error)) || Instant::now() + wait > until {
                return Err(told_whether_sent(error, sent));
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Changes one agent and tells what became of it.
    pub(crate) async fn answer(&self, mutation: Mutation<'_>) -> Result<Answer, ClientError> {
        let (outcome, agent, correlation_id) = self.changed(mutation).await?;
        Ok(Answer {
            outcome,
            agent,
            correlation_id,
        })
    }

    /// Changes something: whether it was changed, what it is now, and what binds together all that follows.
    pub(crate) async fn changed<T: DeserializeOwned>(
        &self,
        mutation: Mutation<'_>,
    ) -> Result<(Outcome, T, String), ClientError> {
        let reply = self.mutate(mutation).await?;
        let outcome = match reply.header("stead-outcome") {
            Some("created") => Outcome::Created,
            Some("already") => Outcome::Already,
            Some("accepted") | None => Outcome::Accepted,
            Some(other) => {
                return Err(ClientError::protocol(
                    &self.url,
                    format!("unknown Stead-Outcome `{other}`"),
                ));
            }
        };
        let correlation_id = reply.header("x-correlation-id").unwrap_or_default().to_owned();
        Ok((outcome, self.decode(&reply)?, correlation_id))
    }

    async fn refused(&self, response: Response) -> ClientError {
        let status = response.status();
        let is_problem = response
            .headers()
            .get("content-type")
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.starts_with("application/problem+json"));
        let body = response.bytes().await.unwrap_or_default();
        if is_problem && let Some(problem) = read_problem(&body) {
            // A daemon puts the request's id into each of its problems; others that know problems have other routes.
            if problem.code == ProblemCode::NotFound && problem.correlation_id.is_none() {
                let detail = format!(
                    "no Stead daemon answers there, but something that says: {}",
                    problem.detail
                );
                return ClientError::protocol(&self.url, detail);
            }
            return ClientError::Problem(Box::new(problem));
        }
        ClientError::protocol(&self.url, format!("HTTP {status} without a problem document"))
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The revision in `ETag: "REVISION"`.
    pub(crate) fn revision(&self) -> Option<Revision> {
        self.header("etag")?.trim_matches('"').parse().ok().map(Revision)
    }
}

/// Reads a problem; one with a code that this version does not know is taken by its status.
pub(crate) fn read_problem(body: &[u8]) -> Option<Problem> {
    if let Ok(problem) = serde_json::from_slice(body) {
        return Some(problem);
    }
    let mut value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let status = u16::try_from(value.get("status")?.as_u64()?).ok()?;
    let of_status = ProblemCode::ALL.iter().find(|code| code.status() == status);
    let stand_in = of_status.copied().unwrap_or(ProblemCode::Internal);
    value
        .as_object_mut()?
        .insert("code".to_owned(), stand_in.as_str().into());
    serde_json::from_value(value).ok()
}

fn worth_another_try(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        ClientError::Problem(problem) => matches!(problem.code, ProblemCode::Busy | ProblemCode::OutcomeUnknown),
        // A timeout has used up the caller's patience already.
        ClientError::Timeout { .. } | ClientError::Protocol { .. } => false,
    }
}

/// An earlier try may have been received even when the last one was not.
fn told_whether_sent(error: ClientError, any_sent: bool) -> ClientError {
    match error {
        ClientError::Unreachable { url, cause, sent } => ClientError::Unreachable {
            url,
            cause,
            sent: sent || any_sent,
        },
        other => other,
    }
}

/// A change to be sent.
#[derive(Debug)]
pub(crate) struct Mutation<'a> {
    method: Method,
    path: String,
    query: Query,
    body: Body<'a>,
    if_revision: Option<Revision>,
    keyed: bool,
}

#[derive(Debug)]
enum Body<'a> {
    None,
    Json(serde_json::Value),
    Toml(&'a str),
}

impl<'a> Mutation<'a> {
    pub(crate) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            body: Body::None,
            if_revision: None,
            keyed: true,
        }
    }

    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path.into())
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub(crate) fn queries(mut self, query: Query) -> Self {
        self.query.extend(query);
        self
    }

    /// Sends `body` as JSON. Our own bodies always are JSON; one that were not would be sent as null and refused.
    pub(crate) fn json(mut self, body: &impl Serialize) -> Self {
        self.body = Body::Json(serde_json::to_value(body).unwrap_or_default());
        self
    }

    pub(crate) fn toml(mut self, text: &'a str) -> Self {
        self.body = Body::Toml(text);
        self
    }

    pub(crate) fn under(mut self, change: &Change) -> Self {
        self.if_revision = change.if_revision;
        self
    }

    /// For what may come twice without harm, so that the daemon need not remember it.
    pub(crate) fn unkeyed(mut self) -> Self {
        self.keyed = false;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_of_a_newer_daemon_is_known_by_its_status() {
        let body = br#"{"type":"urn:stead:problem:new","title":"t","status":409,"code":"new","detail":"d"}"#;
        let problem = read_problem(body).unwrap();
        assert_eq!(
            (problem.status, problem.code.status(), problem.detail.as_str()),
            (409, 409, "d")
        );
        assert!(read_problem(b"<html>").is_none());
    }
}
