//! Requests to the API, bodies and all, carried out by a small daemon.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use stead_model::ProblemCode;
use tower::ServiceExt;

use crate::world;

/// Requests, each a line `METHOD PATH` and its body, apart from each other by a line `---`: whatever is asked, it is answered in
/// time, never by a server's error, and what is refused says why by a stable code.
pub fn api(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be had");
    runtime.block_on(async {
        let daemon = world::daemon();
        for request in parted(bytes).take(MOST).filter_map(request) {
            asked(&daemon, request).await;
        }
    });
    runtime.shutdown_background();
}

fn parted(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let now = rest?;
        let end = now.windows(APART.len()).position(|window| window == APART);
        rest = end.map(|end| &now[end + APART.len()..]);
        Some(&now[..end.unwrap_or(now.len())])
    })
}

/// The request that some bytes are; none where they are none that HTTP could bring.
fn request(bytes: &[u8]) -> Option<Request<Body>> {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (line, body) = bytes.split_at(end);
    let (method, path) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let kind = match method {
        "PATCH" => MERGE,
        _ if CONFIG.iter().any(|config| path.starts_with(config)) => TOML,
        _ => JSON,
    };
    let request = Request::builder().method(method).uri(path).header("content-type", kind);
    let body = body.get(1..).unwrap_or_default().to_vec();
    request
        .body(Body::from(body))
        .ok()
        .filter(|request| request.uri().path().starts_with('/'))
}

async fn asked(daemon: &Router, request: Request<Body>) {
    let line = format!("{} {}", request.method(), request.uri());
    let answered = tokio::time::timeout(PATIENCE, daemon.clone().oneshot(request)).await;
    let answer = answered.unwrap_or_else(|_late| panic!("{line} is not answered"));
    let Ok(answer) = answer;
    let (parts, body) = answer.into_parts();
    let kind = content_type(&parts.headers).to_owned();
    if kind == "text/event-stream" || kind == "application/x-ndjson" {
        return;
    }
    let read = tokio::time::timeout(PATIENCE, to_bytes(body, usize::MAX)).await;
    let body = read.unwrap_or_else(|_late| panic!("{line} is not answered to its end"));
    let body = body.expect("what is in memory can be read");
    let said = || format!("{line}: {} {}", parts.status, String::from_utf8_lossy(&body));
    assert!(!parts.status.is_server_error(), "{}", said());
    if kind.ends_with("json") && !body.is_empty() {
        let told: Value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error} in {}", said()));
        if parts.status.is_client_error() {
            refused(parts.status, &kind, &told).unwrap_or_else(|wrong| panic!("{wrong}: {}", said()));
        }
    } else {
        assert!(!parts.status.is_client_error(), "a refusal is a problem: {}", said());
    }
}

/// A refusal is a problem of a known code, which says what is wrong.
fn refused(status: StatusCode, kind: &str, told: &Value) -> Result<(), String> {
    let code: ProblemCode = serde_json::from_value(told["code"].clone()).map_err(|error| error.to_string())?;
    let says = |field: &str| told[field].as_str().is_some_and(|text| !text.is_empty());
    if kind != "application/problem+json" {
        return Err(format!("a problem is no {kind}"));
    }
    if u64::from(status.as_u16()) != told["status"] || code.status() != status.as_u16() {
        return Err("the status is not that of its code".to_owned());
    }
    if !says("detail") || !says("title") {
        return Err("nothing says what is wrong".to_owned());
    }
    Ok(())
}

fn content_type(headers: &HeaderMap) -> &str {
    let given = headers.get("content-type").and_then(|given| given.to_str().ok());
    given.and_then(|given| given.split(';').next()).unwrap_or_default()
}

/// What takes the text of a fleet file.
const CONFIG: &[&str] = &["/api/v1/config/validate", "/api/v1/config/apply"];

const APART: &[u8] = b"\n---\n";
const JSON: &str = "application/json";
const TOML: &str = "application/toml";
const MERGE: &str = "application/merge-patch+json";

/// The most requests of one try.
const MOST: usize = 32;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
