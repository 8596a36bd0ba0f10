//! What each route does.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{OriginalUri, Path, Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use stead_model::PauseMode;

use super::body::{ExecuteBody, NoBody, PauseBody, StopBody, at_most, read, read_or_default};
use super::problem::Problem;
use super::{Server, metrics};
use crate::runtime::{Change, Execution, ExecutionId, Pause, RequestKey, RuntimeState, Status, StreamView, Submission};

/// Whether the process works at all.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Liveness {
    /// `live`, or `dead` where only a new process can help.
    status: &'static str,
    /// Where the runtime is in its life.
    state: RuntimeState,
    /// Why it is dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Whether it takes work.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Readiness {
    /// `ready` or `not_ready`.
    status: &'static str,
    /// Where the runtime is in its life.
    state: RuntimeState,
    /// Why it takes no work.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Streams with an execution that has not ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StreamList {
    /// All of them, the oldest first.
    items: Vec<StreamView>,
    /// Always null: it is one page.
    next_cursor: Option<String>,
}

pub(super) async fn live(State(server): State<Server>) -> Response {
    let state = server.runtime().state();
    match server.dead() {
        None => Json(Liveness {
            status: "live",
            state,
            reason: None,
        })
        .into_response(),
        Some(reason) => {
            let dead = Liveness {
                status: "dead",
                state,
                reason: Some(reason),
            };
            (StatusCode::SERVICE_UNAVAILABLE, Json(dead)).into_response()
        }
    }
}

pub(super) async fn ready(State(server): State<Server>) -> Response {
    let state = server.runtime().state();
    let reason = match state {
        RuntimeState::Running => match server.dead() {
            None => {
                let ready = Readiness {
                    status: "ready",
                    state,
                    reason: None,
                };
                return Json(ready).into_response();
            }
            Some(reason) => reason,
        },
        RuntimeState::Paused => {
            let paused = server.runtime().paused();
            let note = paused.and_then(|paused| paused.note);
            note.map_or_else(|| "paused".to_owned(), |note| format!("paused: {note}"))
        }
        RuntimeState::Stopping => format!("draining: {} in flight", server.runtime().in_flight()),
        RuntimeState::Starting => "starting".to_owned(),
        RuntimeState::Stopped => "stopped".to_owned(),
    };
    let not_ready = Readiness {
        status: "not_ready",
        state,
        reason: Some(reason),
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(not_ready)).into_response()
}

pub(super) async fn status(State(server): State<Server>) -> Json<Status> {
    Json(server.runtime().status())
}

pub(super) async fn streams(State(server): State<Server>) -> Json<StreamList> {
    Json(StreamList {
        items: server.runtime().streams(),
        next_cursor: None,
    })
}

pub(super) async fn start(State(server): State<Server>, request: Request) -> Result<Json<Change>, Problem> {
    let NoBody {} = read_or_default(request, SMALL).await?;
    Ok(Json(server.runtime().start().await?))
}

pub(super) async fn stop(State(server): State<Server>, request: Request) -> Result<Json<Change>, Problem> {
    let budget = budget(&server, request).await?;
    Ok(Json(server.runtime().stop_within(budget).await?))
}

pub(super) async fn restart(State(server): State<Server>, request: Request) -> Result<Json<Change>, Problem> {
    let budget = budget(&server, request).await?;
    Ok(Json(server.runtime().restart_within(budget).await?))
}

async fn budget(server: &Server, request: Request) -> Result<Duration, Problem> {
    let StopBody { timeout } = read_or_default(request, SMALL).await?;
    let budget = timeout.map_or(server.graceful_timeout(), |timeout| timeout.duration());
    at_most("timeout", budget, HOUR)
}

/// 200 once nothing is in flight; 202 where it is paused and something still is, or where it still starts.
pub(super) async fn pause(State(server): State<Server>, request: Request) -> Result<Response, Problem> {
    let PauseBody { mode, note, wait } = read_or_default(request, SMALL).await?;
    if note.as_ref().is_some_and(|note| note.chars().count() > NOTE) {
        return Err(Problem::invalid(format!("`note` is longer than {NOTE} characters")));
    }
    let wait = wait.map_or(server.graceful_timeout(), |wait| wait.duration());
    let pause = Pause {
        mode: mode.unwrap_or(PauseMode::Soft),
        note,
        wait: at_most("wait", wait, HOUR)?,
    };
    let change = server.runtime().pause(pause).await?;
    let status = match change.state {
        RuntimeState::Starting => StatusCode::ACCEPTED,
        RuntimeState::Paused if change.in_flight > 0 => StatusCode::ACCEPTED,
        RuntimeState::Paused | RuntimeState::Running | RuntimeState::Stopping | RuntimeState::Stopped => StatusCode::OK,
    };
    Ok((status, Json(change)).into_response())
}

pub(super) async fn resume(State(server): State<Server>, request: Request) -> Result<Json<Change>, Problem> {
    let NoBody {} = read_or_default(request, SMALL).await?;
    Ok(Json(server.runtime().resume().await?))
}

/// 202 where it goes on, 200 where it ended within the time that was asked for, 408 where it did not.
pub(super) async fn execute(State(server): State<Server>, request: Request) -> Result<Response, Problem> {
    let key = key_of(request.headers())?;
    let prefix = prefix_of(&request);
    let body: ExecuteBody = read(request, server.body_limit()).await?;
    let wait = at_most("wait", body.wait.duration(), WAIT)?;
    let begun = server.runtime().submit(Submission {
        entry_point: body.entry_point,
        input: body.input.unwrap_or_else(null),
        stream: body.stream,
        key,
    });
    let begun = begun.await?;
    let (status, shown) = if begun.status.is_final() {
        (StatusCode::OK, begun)
    } else if wait.is_zero() {
        (StatusCode::ACCEPTED, begun)
    } else {
        (StatusCode::OK, server.runtime().wait(begun.id, wait).await?)
    };
    let place = [(LOCATION, format!("{prefix}{}/{}", super::EXECUTIONS, shown.id))];
    Ok((status, place, Json(shown)).into_response())
}

/// What stands before our own path where the routes are nested in an application.
fn prefix_of(request: &Request) -> String {
    let asked = request
        .extensions()
        .get::<OriginalUri>()
        .map(|OriginalUri(uri)| uri.path());
    let prefix = asked.and_then(|asked| asked.strip_suffix(request.uri().path()));
    prefix.unwrap_or_default().to_owned()
}

pub(super) async fn execution(
    State(server): State<Server>,
    Path(id): Path<String>,
) -> Result<Json<Arc<Execution>>, Problem> {
    Ok(Json(server.runtime().execution(named(&id)?)?))
}

/// 200 where it has ended, 202 where it was told to and has not yet.
pub(super) async fn cancel(State(server): State<Server>, Path(id): Path<String>) -> Result<Response, Problem> {
    let shown = server.runtime().cancel(named(&id)?).await?;
    let status = if shown.status.is_final() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok((status, Json(shown)).into_response())
}

fn key_of(headers: &HeaderMap) -> Result<Option<RequestKey>, Problem> {
    let Some(given) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let read = given.to_str().ok().and_then(|text| text.parse().ok());
    let invalid = || Problem::invalid(format!("Idempotency-Key: {}", crate::InvalidKey));
    read.map(Some).ok_or_else(invalid)
}

fn named(id: &str) -> Result<ExecutionId, Problem> {
    let unknown = |error: crate::InvalidId| Problem::new(super::problem::Code::UnknownExecution, error.to_string());
    id.parse().map_err(unknown)
}

pub(super) async fn metrics(State(server): State<Server>) -> impl IntoResponse {
    let text = metrics::render(&server);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

fn null() -> Box<RawValue> {
    // `null` always is JSON.
    RawValue::NULL.to_owned()
}

/// How large the body of a control request may be, in bytes.
const SMALL: usize = 16 * 1024;
/// How long a note may be, in characters.
const NOTE: usize = 1_024;
/// How long a request may wait for an execution.
const WAIT: Duration = Duration::from_secs(300);
/// How long a drain or a pause may take.
const HOUR: Duration = Duration::from_secs(3_600);
