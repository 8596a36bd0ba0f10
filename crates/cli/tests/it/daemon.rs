//! A daemon of one agent, `web-1`, that refuses by name.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, mpsc};

use assert_cmd::Command;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use stead_model::{Problem, ProblemCode};

/// Serves on a thread of its own until it is dropped.
pub(crate) struct Daemon {
    pub(crate) url: String,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        let (told, address) = mpsc::channel::<SocketAddr>();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    served = axum::serve(listener, routes()) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self {
            url: format!("http://{}", address.recv().unwrap()),
            _stop: stop,
        }
    }

    /// The binary, asking this daemon.
    pub(crate) fn stead(&self) -> Command {
        let mut command = stead();
        command.args(["--url", &self.url]);
        command
    }
}

/// The binary with nothing of this environment in it.
pub(crate) fn stead() -> Command {
    let mut command = Command::cargo_bin("stead").unwrap();
    command
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("STEAD_STATE_DIR", "/nonexistent/state");
    command
}

/// An address where nobody listens, and nobody else can as long as the tests run.
pub(crate) fn nowhere() -> String {
    static KEPT: OnceLock<tokio::net::TcpSocket> = OnceLock::new();
    let kept = KEPT.get_or_init(|| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket
    });
    format!("http://{}", kept.local_addr().unwrap())
}

pub(crate) fn agent(name: &str, phase: &str) -> Value {
    json!({
        "id": "agt_0000000000001", "name": name, "namespace": "default", "profile": "agent", "type": "worker",
        "phase": phase, "since": "2026-01-01T00:00:00Z", "health": "healthy", "ready": phase == "online",
        "intent": "running", "incarnation": 1, "pid": if phase == "online" { Some(42) } else { None }, "restarts": 0,
        "tasks": 0, "revision": 7, "spec_revision": 1, "labels": { "team": "red" }, "evidence": [], "next": null
    })
}

fn problem(code: ProblemCode, detail: &str) -> Response {
    let status = StatusCode::from_u16(code.status()).unwrap();
    let problem = Problem {
        correlation_id: Some("c".into()),
        ..Problem::new(code, detail)
    };
    let body = serde_json::to_string(&problem).unwrap();
    (status, [("content-type", "application/problem+json")], body).into_response()
}

/// `web-1` is there; the names of problems are refused with them.
fn one(name: &str) -> Response {
    if name == "web-1" {
        return ([("stead-outcome", "accepted")], Json(agent(name, "online"))).into_response();
    }
    match ProblemCode::ALL.iter().find(|code| code.as_str() == name) {
        Some(code) => problem(*code, "as asked for"),
        None => problem(ProblemCode::UnknownAgent, &format!("there is no agent `{name}`")),
    }
}

async fn no_group(Path(name): Path<String>) -> Response {
    problem(ProblemCode::UnknownGroup, &format!("there is no group `{name}`"))
}

fn routes() -> Router {
    // Looked at for the third time, it is gone.
    let looks = Arc::new(AtomicU32::new(0));
    let fading = move || {
        let looks = Arc::clone(&looks);
        async move {
            match looks.fetch_add(1, Ordering::SeqCst) {
                0 | 1 => Json(agent("fading", "stopping")).into_response(),
                _ => problem(ProblemCode::AgentGone, "agent agt_0000000000001 was deleted"),
            }
        }
    };
    let line = |text: &str| json!({ "at": "2026-01-01T00:00:00Z", "stream": "stdout", "incarnation": 1, "line": text });
    let lines: String = ["one", "two"].map(|text| format!("{}\n", line(text))).concat();
    let list = |Query(query): Query<Vec<(String, String)>>| async move {
        let several = query
            .iter()
            .any(|(key, value)| key == "selector" && value == "team=many");
        if query.iter().any(|(key, value)| key == "phase" && value == "runing") {
            return problem(
                ProblemCode::InvalidRequest,
                "in the query: phase: `runing` is not known",
            );
        }
        let count = if several { 5_000 } else { 1 };
        let items: Vec<_> = (1..=count)
            .map(|number| agent(&format!("web-{number}"), "online"))
            .collect();
        Json(json!({ "items": items, "next_cursor": null })).into_response()
    };
    let none = || async { Json(json!({ "items": [], "next_cursor": null })) };
    Router::new()
        .route("/health/live", get(|| async { Json(json!({ "status": "live" })) }))
        .route("/api/v1/agents", get(list))
        .route("/api/v1/components", get(none))
        .route("/api/v1/groups", get(none))
        .route("/api/v1/groups/{group}", get(no_group).delete(no_group))
        .route(
            "/api/v1/groups/{group}/lifecycle/{verb}",
            post(|Path((name, _)): Path<(String, String)>| no_group(Path(name))),
        )
        .route("/api/v1/agents/fading", get(fading))
        .route(
            "/api/v1/agents/{agent}",
            get(|Path(name): Path<String>| async move { one(&name) })
                .delete(|Path(name): Path<String>| async move { one(&name) }),
        )
        .route(
            "/api/v1/agents/{agent}/lifecycle/{verb}",
            post(|Path((name, _)): Path<(String, String)>| async move { one(&name) }),
        )
        .route(
            "/api/v1/agents/{agent}/heartbeats",
            post(|| async { (StatusCode::ACCEPTED, Json(json!({}))) }),
        )
        .route(
            "/api/v1/agents/{agent}/logs",
            get(move |Query(query): Query<Vec<(String, String)>>| follow(query, lines.clone())),
        )
        .route(
            "/api/v1/events",
            get(|| follow(vec![("follow".into(), "true".into())], EVENT.to_owned())),
        )
}

const EVENT: &str = "id: c-1\nevent: spec_changed\ndata: {\"at\":\"2026-01-01T00:00:00Z\",\"namespace\":\"default\",\"agent\":\"agt_0000000000001\",\"name\":\"web-1\",\"revision\":7,\"actor\":\"ann\",\"correlation_id\":\"c\",\"type\":\"spec_changed\",\"spec_revision\":2}\n\n";

/// Sends a text; one that follows goes on for ever without another byte.
async fn follow(query: Vec<(String, String)>, text: String) -> Response {
    use futures_util::StreamExt;
    let first = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(text)]);
    let body = if query.iter().any(|(key, value)| key == "follow" && value == "true") {
        axum::body::Body::from_stream(first.chain(futures_util::stream::pending()))
    } else {
        axum::body::Body::from_stream(first)
    };
    body.into_response()
}
