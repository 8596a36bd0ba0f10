//! What is wanted of an agent, what it says of itself, and where it may go.

use axum::http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use stead_model::{AgentRef, Health, Incarnation, LifecycleView, ProblemCode, Report, Request, Wanted};

use super::Api;
use super::agents::{InNamespace, Kind};
use super::extract::{Change, Json, JsonOr, Place, Post, Read, Text, part, suggest};
use super::openapi::Sketch;
use super::operation::{About, Table};
use super::problem::Failure;
use super::reply::{Accepted, Done, Shown, Taken};

pub(super) fn mount(table: &mut Table, kind: Kind) {
    use ProblemCode::{
        AgentGone, Busy, IdempotencyKeyReused, LimitReached, NotFound, NotPossible, OutcomeUnknown, ShuttingDown,
        StaleRevision, StoreUnavailable, UnknownAgent,
    };
    let about = |id: &str, summary| About::new(kind.id(id), "lifecycle", summary);
    let reads: &[ProblemCode] = &[UnknownAgent, AgentGone, Busy, ShuttingDown];
    let changes: &[ProblemCode] = &[
        UnknownAgent,
        AgentGone,
        NotFound,
        NotPossible,
        StaleRevision,
        IdempotencyKeyReused,
        LimitReached,
        Busy,
        StoreUnavailable,
        OutcomeUnknown,
        ShuttingDown,
    ];
    let show = about(
        "getAgentLifecycle",
        "Shows where it is in its life and where it may go from there",
    )
    .more(FRESH)
    .may(reads);
    table.add(Method::GET, kind.path("/{agent}/lifecycle"), show, lifecycle);
    let verb = about("changeAgentLifecycle", "Wants something else of it").may(changes);
    table.add(Method::POST, kind.path("/{agent}/lifecycle/{verb}"), verb, want);
    let error = about(
        "reportAgentError",
        "Hands in an error that somebody saw of it: an observation",
    )
    .may(changes);
    table.add(Method::POST, kind.path("/{agent}/errors"), error, report_error);
    let beat = about("beatAgent", "Hands in what it says of itself")
        .more("One observation among others: it can worsen its health, never clear a fault that was seen from outside.")
        .may(reads);
    table.add(Method::POST, kind.path("/{agent}/heartbeats"), beat, heartbeat);
    let task = about("changeAgentTask", "Gives it a task, or says that one is done").may(changes);
    table.add(Method::POST, kind.path("/{agent}/tasks/{step}"), task, change_task);
}

/// What is said of answers that the engine gives itself.
pub(super) const FRESH: &str =
    "Answered from what is decided, which may be ahead by a moment of what is written down and listed.";

/// What is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verb {
    Deploy,
    Start,
    Stop,
    Pause,
    Resume,
    Restart,
    Maintenance,
    Suspend,
    Terminate,
    Reset,
}

const VERBS: &[(&str, Verb)] = &[
    ("deploy", Verb::Deploy),
    ("start", Verb::Start),
    ("stop", Verb::Stop),
    ("pause", Verb::Pause),
    ("resume", Verb::Resume),
    ("restart", Verb::Restart),
    ("maintenance", Verb::Maintenance),
    ("suspend", Verb::Suspend),
    ("terminate", Verb::Terminate),
    ("reset", Verb::Reset),
];

impl From<Verb> for Request {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Deploy => Self::Deploy,
            Verb::Start => Self::Want(Wanted::Running),
            Verb::Stop => Self::Want(Wanted::Stopped),
            Verb::Pause | Verb::Suspend => Self::Want(Wanted::Paused),
            Verb::Resume => Self::Resume,
            Verb::Restart => Self::Restart,
            Verb::Maintenance => Self::Want(Wanted::Maintenance),
            Verb::Terminate => Self::Want(Wanted::Terminated),
            Verb::Reset => Self::Reset,
        }
    }
}

/// A step in a task's life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Assign,
    Complete,
}

const STEPS: &[(&str, Step)] = &[("assign", Step::Assign), ("complete", Step::Complete)];

impl Place for (AgentRef, Verb) {
    fn find(parts: &[(String, String)]) -> Result<Self, Failure> {
        Ok((AgentRef::find(parts)?, word(VERBS, part(parts, "verb"))?))
    }

    fn describe(sketch: &mut Sketch) {
        AgentRef::describe(sketch);
        sketch.path("verb", "What is wanted of it.", words(VERBS));
    }
}

impl Place for (AgentRef, Step) {
    fn find(parts: &[(String, String)]) -> Result<Self, Failure> {
        Ok((AgentRef::find(parts)?, word(STEPS, part(parts, "step"))?))
    }

    fn describe(sketch: &mut Sketch) {
        AgentRef::describe(sketch);
        sketch.path("step", "What becomes of the task.", words(STEPS));
    }
}

fn words<T>(known: &[(&'static str, T)]) -> serde_json::Value {
    serde_json::json!({ "type": "string", "enum": known.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
}

fn word<T: Copy>(known: &[(&'static str, T)], given: &str) -> Result<T, Failure> {
    match known.iter().find(|(word, _)| *word == given) {
        Some((_, meant)) => Ok(*meant),
        None => {
            let list: Vec<_> = known.iter().map(|(word, _)| format!("`{word}`")).collect();
            let said = format!("unknown variant `{given}`, expected one of {}", list.join(", "));
            Err(Failure::new(
                ProblemCode::NotFound,
                suggest(&said).replace("unknown variant", "there is no"),
            ))
        }
    }
}

/// Why something is asked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Why {
    /// For its history.
    #[serde(default)]
    reason: Option<Text<1024>>,
}

/// An error that somebody saw.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SeenError {
    /// What was seen.
    detail: Text<4096>,
}

/// What an agent says of itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Beat {
    /// The run that it believes to be (`STEAD_INCARNATION`); older ones are ignored.
    #[serde(default)]
    incarnation: Option<Incarnation>,
    /// How it says that it does.
    #[serde(default)]
    health: Option<Health>,
    /// What it says beside.
    #[serde(default)]
    detail: Option<Text<4096>>,
}

/// A task.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Task {
    /// Its id; twice the same is once.
    task: Text<255>,
}

async fn lifecycle(api: Api, read: Read<AgentRef, InNamespace>) -> Result<Shown<LifecycleView>, Failure> {
    let namespace = api.namespace(read.query.namespace, &read.path);
    Ok(Shown(api.state.handle.lifecycle(namespace, read.path).await?))
}

async fn want(api: Api, change: Change<(AgentRef, Verb), InNamespace, JsonOr<Why>>) -> Result<Accepted, Failure> {
    let (agent, verb) = change.path;
    let namespace = api.namespace(change.query.namespace, &agent);
    let JsonOr(Why { reason }) = change.body;
    change
        .ticket
        .send(&api, namespace, agent, reason, verb.into())
        .await
        .map(Accepted)
}

async fn report_error(api: Api, change: Change<AgentRef, InNamespace, Json<SeenError>>) -> Result<Accepted, Failure> {
    let Json(SeenError { detail: Text(detail) }) = change.body;
    let namespace = api.namespace(change.query.namespace, &change.path);
    change
        .ticket
        .send(&api, namespace, change.path, None, Request::ReportError { detail })
        .await
        .map(Accepted)
}

async fn heartbeat(api: Api, post: Post<AgentRef, InNamespace, JsonOr<Beat>>) -> Result<Taken, Failure> {
    let JsonOr(Beat {
        incarnation,
        health,
        detail,
    }) = post.body;
    let report = Report {
        incarnation,
        health,
        detail: detail.map(|Text(detail)| detail),
    };
    let namespace = api.namespace(post.query.namespace, &post.path);
    api.state.handle.report(namespace, post.path, report).await?;
    Ok(Taken)
}

async fn change_task(api: Api, change: Change<(AgentRef, Step), InNamespace, Json<Task>>) -> Result<Done, Failure> {
    let ((agent, step), Json(Task { task: Text(task) })) = (change.path, change.body);
    let request = match step {
        Step::Assign => Request::Assign { task },
        Step::Complete => Request::Complete { task },
    };
    let namespace = api.namespace(change.query.namespace, &agent);
    change
        .ticket
        .send(&api, namespace, agent, None, request)
        .await
        .map(Done)
}
