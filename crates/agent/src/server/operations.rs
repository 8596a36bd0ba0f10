//! The table of routes: each is mounted and described from one line.

use axum::Router;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use super::body::{ExecuteBody, NoBody, PauseBody, StopBody};
use super::problem::Code;
use super::routes::{self, Liveness, Readiness, StreamList};
use super::{EXECUTIONS, Server, access};
use crate::runtime::{Change, Execution, Status};

/// One route as it is described.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    /// Whether it needs the token.
    pub(super) control: bool,
    pub(super) body: Option<(Schema, Needed)>,
    pub(super) gives: &'static [(u16, &'static str, Gift)],
    pub(super) problems: &'static [Code],
    handler: MethodRouter<Server>,
}

/// Whether a body may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needed {
    Always,
    Optional,
}

/// What a response holds.
#[derive(Clone, Copy)]
pub(super) enum Gift {
    Json(Schema),
    Text,
}

type Schema = fn(&mut SchemaGenerator) -> Value;

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

/// Mounts every route.
pub(super) fn mount(server: &Server) -> Router<Server> {
    let guard = axum::middleware::from_fn_with_state(server.clone(), access::control);
    table().into_iter().fold(Router::new(), |router, operation| {
        let handler = if operation.control {
            operation.handler.layer(guard.clone())
        } else {
            operation.handler
        };
        router.route(operation.path, handler)
    })
}

/// Every route.
pub(super) fn table() -> Vec<Operation> {
    let mut all = open();
    all.extend(control());
    all.extend(executions());
    all
}

fn open() -> Vec<Operation> {
    let get = |path, id, summary, gives, handler| Operation {
        method: Method::GET,
        path,
        id,
        summary,
        description: "",
        control: false,
        body: None,
        gives,
        problems: &[],
        handler,
    };
    vec![
        get(
            "/health/live",
            "live",
            "Says whether the process works at all",
            LIVE,
            on(MethodFilter::GET, routes::live),
        ),
        get(
            "/health/ready",
            "ready",
            "Says whether it takes work",
            READY,
            on(MethodFilter::GET, routes::ready),
        ),
        get(
            "/api/v1/status",
            "status",
            "Shows the runtime as it is",
            &[(200, "As it is.", Gift::Json(schema::<Status>))],
            on(MethodFilter::GET, routes::status),
        ),
        get(
            "/api/v1/status/streams",
            "streams",
            "Lists the streams with an execution that has not ended",
            &[(200, "As they are.", Gift::Json(schema::<StreamList>))],
            on(MethodFilter::GET, routes::streams),
        ),
        get(
            "/metrics",
            "metrics",
            "Gives metrics to Prometheus",
            &[(200, "Prometheus' text format.", Gift::Text)],
            on(MethodFilter::GET, routes::metrics),
        ),
    ]
}

fn control() -> Vec<Operation> {
    let verb = |path, id, summary, description, body, gives, problems, handler| Operation {
        method: Method::POST,
        path,
        id,
        summary,
        description,
        control: true,
        body: Some((body, Needed::Optional)),
        gives,
        problems,
        handler,
    };
    vec![
        verb(
            "/api/v1/lifecycle/start",
            "start",
            "Starts the runtime",
            "Started already, nothing happens. What was paused before is paused again. What was left unfinished goes on.",
            schema::<NoBody>,
            DONE,
            &[Code::WrongState, Code::StartFailed],
            on(MethodFilter::POST, routes::start),
        ),
        verb(
            "/api/v1/lifecycle/stop",
            "stop",
            "Drains and stops the runtime; the process stays",
            "Takes no work from now on. What is in flight is written down, then has `timeout` to end; the rest is written down where it is and interrupted. Answered when that is done.",
            schema::<StopBody>,
            DONE,
            &[],
            on(MethodFilter::POST, routes::stop),
        ),
        verb(
            "/api/v1/lifecycle/pause",
            "pause",
            "Pauses the runtime",
            "Takes no work from now on, and waits for what is in flight. Holds until it is resumed, also in the next process. \
             A soft pause can become a checkpoint.",
            schema::<PauseBody>,
            &[
                (
                    200,
                    "It is paused, and nothing is in flight.",
                    Gift::Json(schema::<Change>),
                ),
                (
                    202,
                    "It is paused, and something still is in flight.",
                    Gift::Json(schema::<Change>),
                ),
            ],
            &[
                Code::WrongState,
                Code::NotOffered,
                Code::StartFailed,
                Code::StoreUnavailable,
            ],
            on(MethodFilter::POST, routes::pause),
        ),
        verb(
            "/api/v1/lifecycle/resume",
            "resume",
            "Resumes the runtime",
            "Goes on with what was interrupted, first.",
            schema::<NoBody>,
            DONE,
            &[Code::WrongState, Code::StoreUnavailable],
            on(MethodFilter::POST, routes::resume),
        ),
        verb(
            "/api/v1/lifecycle/restart",
            "restart",
            "Stops and starts the runtime",
            "What is down is started. What was paused is paused again.",
            schema::<StopBody>,
            DONE,
            &[Code::WrongState, Code::StartFailed],
            on(MethodFilter::POST, routes::restart),
        ),
    ]
}

fn executions() -> Vec<Operation> {
    let operation = |method, path, id, summary, gives, problems, handler| Operation {
        method,
        path,
        id,
        summary,
        description: "",
        control: true,
        body: None,
        gives,
        problems,
        handler,
    };
    vec![
        Operation {
            body: Some((schema::<ExecuteBody>, Needed::Always)),
            description: "Taken in, it is done, or goes on after a stop; with an entry point that is durable also after a crash. Sent again with the same `Idempotency-Key` it is the same execution.",
            ..operation(
                Method::POST,
                EXECUTIONS,
                "execute",
                "Has an entry point executed",
                &[
                    (200, "It ended within `wait`.", Gift::Json(schema::<Execution>)),
                    (
                        202,
                        "It was taken in; `Location` says where it is found.",
                        Gift::Json(schema::<Execution>),
                    ),
                ],
                &[
                    Code::UnknownEntryPoint,
                    Code::NotInTime,
                    Code::StreamBusy,
                    Code::IdempotencyKeyReused,
                    Code::Busy,
                    Code::Paused,
                    Code::Draining,
                    Code::NotRunning,
                    Code::StoreUnavailable,
                ],
                on(MethodFilter::POST, routes::execute),
            )
        },
        operation(
            Method::GET,
            EXECUTION,
            "execution",
            "Shows an execution",
            &[(200, "As it is.", Gift::Json(schema::<Execution>))],
            &[Code::UnknownExecution],
            on(MethodFilter::GET, routes::execution),
        ),
        Operation {
            description: "Its stream stays taken until it has ended, so that nothing runs twice.",
            ..operation(
                Method::DELETE,
                EXECUTION,
                "cancel",
                "Tells an execution to end",
                &[
                    (200, "It has ended.", Gift::Json(schema::<Execution>)),
                    (202, "It was told to.", Gift::Json(schema::<Execution>)),
                ],
                &[Code::UnknownExecution],
                on(MethodFilter::DELETE, routes::cancel),
            )
        },
    ]
}

const LIVE: &[(u16, &str, Gift)] = &[
    (
        200,
        "It works: also while it is stopped, paused or draining.",
        Gift::Json(schema::<Liveness>),
    ),
    (
        503,
        "It hangs, or can never work again: only a new process can help.",
        Gift::Json(schema::<Liveness>),
    ),
];
const READY: &[(u16, &str, Gift)] = &[
    (200, "It runs.", Gift::Json(schema::<Readiness>)),
    (
        503,
        "It does not, from the moment on that a pause or a stop was accepted.",
        Gift::Json(schema::<Readiness>),
    ),
];
const DONE: &[(u16, &str, Gift)] = &[(200, "It is so.", Gift::Json(schema::<Change>))];
const EXECUTION: &str = "/api/v1/executions/{id}";
