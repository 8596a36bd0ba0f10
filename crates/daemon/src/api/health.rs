//! Whether the daemon lives and works.

use axum::Json;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::extract::{NoQuery, Read};
use super::openapi::Sketch;
use super::operation::{About, Gives, Table};
use super::problem::Failure;
use super::reply::Shown;
use crate::StatusReport;

pub(super) fn mount(table: &mut Table) {
    let live = About::new("live", "daemon", "Answers while the process turns");
    table.add(Method::GET, "/health/live", live, alive);
    let ready = About::new(
        "ready",
        "daemon",
        "Says whether changes are taken and agents looked after",
    );
    table.add(Method::GET, "/health/ready", ready, readiness);
}

/// It turns.
#[derive(Debug, Serialize, JsonSchema)]
struct Live {
    /// Always `live`.
    status: &'static str,
}

/// Whether it works, and what is away.
struct Readiness(StatusReport);

impl IntoResponse for Readiness {
    fn into_response(self) -> Response {
        let status = if self.0.ready() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        (status, Json(self.0)).into_response()
    }
}

impl Gives for Readiness {
    fn describe(sketch: &mut Sketch) {
        let schema = sketch.schema::<StatusReport>();
        sketch.response(200, "Everything works.", &[("application/json", schema.clone())], &[]);
        sketch.response(
            503,
            "A part is away; agents are looked after as far as that goes.",
            &[("application/json", schema)],
            &[],
        );
    }
}

async fn alive(_: Api, _: Read<(), NoQuery>) -> Result<Shown<Live>, Failure> {
    Ok(Shown(Live { status: "live" }))
}

async fn readiness(api: Api, _: Read<(), NoQuery>) -> Result<Readiness, Failure> {
    Ok(Readiness(api.state.handle.status().report()))
}
