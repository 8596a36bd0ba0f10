//! What is wanted of an agent, what it says of itself, and where it may go.

use axum::http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use stead_model::spec::SpecForm;
use stead_model::{AgentRef, AgentSpec, Answer, LifecycleView, PauseMode, ProblemCode, Request, Span, Wanted};

use super::Api;
use super::agents::{InNamespace, Kind, checked};
use super::extract::{Change, Json, JsonOr, Place, Read, Text, part, suggest};
use super::openapi::Sketch;
use super::operation::{About, Table};
use super::problem::Failure;
use super::reply::{Accepted, Done, Shown};

pub(super) fn mount(table: &mut Table, kind: Kind) {
    use ProblemCode::{
        AgentGone, Busy, IdempotencyKeyReused, InvalidSpec, LimitReached, NotFound, NotOffered, NotPossible,
        NotScalable, OutcomeUnknown, PartOfGroup, ShuttingDown, StaleRevision, StoreUnavailable, UnknownAgent,
    };
    let about = |id: &str, summary| About::new(kind.id(id), "lifecycle", summary);
    let reads: &[ProblemCode] = &[UnknownAgent, AgentGone, Busy, ShuttingDown];
    let changes: &[ProblemCode] = &[
        UnknownAgent,
        AgentGone,
        NotFound,
        NotPossible,
        NotOffered,
        NotScalable,
        PartOfGroup,
        InvalidSpec,
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
    let verb = about("changeAgentLifecycle", "Wants something else of it")
        .more(VERBS_DOC)
        .may(changes);
    table.add(
        Method::POST,
        kind.path("/{agent}/lifecycle/{verb}"),
        verb,
        move |api, change| want(kind, api, change),
    );
    let error = about(
        "reportAgentError",
        "Hands in an error that somebody saw of it: an observation",
    )
    .may(changes);
    table.add(Method::POST, kind.path("/{agent}/errors"), error, report_error);
    let task = about("changeAgentTask", "Gives it a task, or says that one is done").may(changes);
    table.add(Method::POST, kind.path("/{agent}/tasks/{step}"), task, change_task);
}

/// What is said of answers that the engine gives itself.
pub(super) const FRESH: &str =
    "Answered from what is decided, which may be ahead by a moment of what is written down and listed.";

/// What is said of the verbs that take something.
const VERBS_DOC: &str = "`update` puts `spec` in force at once, or starts it anew as it is: its process is replaced, once its \
tasks are done. `scale` needs `replicas`, and is for what nothing here runs. `drain` stops it once its tasks are done, with those \
that it still has after `timeout`. `pause` takes a `mode` (`soft`: no new work; `freeze`: its whole tree of processes stands still) \
and, with `for`, ends by itself; a further one replaces it.";

/// What is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    Deploy,
    Start,
    Stop,
    Drain,
    Pause,
    Resume,
    Restart,
    Update,
    Scale,
    Maintenance,
    Suspend,
    Terminate,
    Reset,
}

pub(super) const VERBS: &[(&str, Verb)] = &[
    ("deploy", Verb::Deploy),
    ("start", Verb::Start),
    ("stop", Verb::Stop),
    ("drain", Verb::Drain),
    ("pause", Verb::Pause),
    ("resume", Verb::Resume),
    ("restart", Verb::Restart),
    ("update", Verb::Update),
    ("scale", Verb::Scale),
    ("maintenance", Verb::Maintenance),
    ("suspend", Verb::Suspend),
    ("terminate", Verb::Terminate),
    ("reset", Verb::Reset),
];

/// What is given with a verb.
#[derive(Default)]
pub(super) struct With {
    pub(super) spec: Option<AgentSpec>,
    pub(super) replicas: Option<u32>,
    pub(super) timeout: Option<Span>,
    pub(super) pausing: Pausing,
}

/// What is given with a pause.
#[derive(Clone, Default, Debug)]
pub(super) struct Pausing {
    pub(super) mode: Option<PauseMode>,
    pub(super) lasts: Option<Span>,
    pub(super) note: Option<Text<1024>>,
}

impl Pausing {
    pub(super) const fn is_given(&self) -> bool {
        self.mode.is_some() || self.lasts.is_some() || self.note.is_some()
    }

    /// The mode, where none is given the mildest, and after how long it ends.
    pub(super) fn wish(&self) -> (PauseMode, Option<Span>) {
        (self.mode.unwrap_or(PauseMode::Soft), self.lasts)
    }

    /// Why: the note is the reason of a pause.
    pub(super) fn why(&self, reason: Option<Text<1024>>) -> Result<Option<Text<1024>>, Failure> {
        match (&self.note, reason) {
            (Some(_), Some(_)) => Err(Failure::invalid(
                "`note` and `reason` are the same here; give one of them",
            )),
            (Some(note), None) => Ok(Some(note.clone())),
            (None, reason) => Ok(reason),
        }
    }
}

/// What is asked by a verb; what goes with another one is refused.
pub(super) fn request(verb: Verb, with: With) -> Result<Request, Failure> {
    let With {
        spec,
        replicas,
        timeout,
        pausing,
    } = with;
    let stray = [
        ("`spec` goes", spec.is_some(), Verb::Update, "update"),
        ("`replicas` goes", replicas.is_some(), Verb::Scale, "scale"),
        ("`timeout` goes", timeout.is_some(), Verb::Drain, "drain"),
        (PAUSE_FIELDS, pausing.is_given(), Verb::Pause, "pause"),
    ];
    if let Some((fields, _, _, word)) = stray.into_iter().find(|(_, given, of, _)| *given && *of != verb) {
        return Err(Failure::invalid(format!("{fields} with `{word}` alone")));
    }
    let (mode, lasts) = pausing.wish();
    Ok(match verb {
        Verb::Deploy => Request::Deploy,
        Verb::Start => Request::Want(Wanted::Running),
        Verb::Stop => Request::Want(Wanted::Stopped),
        Verb::Drain => Request::Drain {
            within: timeout.unwrap_or(DRAIN),
        },
        Verb::Pause => Request::Pause { mode, lasts },
        Verb::Suspend => Request::Want(Wanted::Paused),
        Verb::Resume => Request::Resume,
        Verb::Restart => Request::Restart,
        Verb::Update => Request::Update {
            spec: spec.map(Box::new),
        },
        Verb::Scale => match replicas {
            Some(replicas) => Request::Scale { replicas },
            None => return Err(Failure::invalid("`replicas` is missing: how many are wanted")),
        },
        Verb::Maintenance => Request::Want(Wanted::Maintenance),
        Verb::Terminate => Request::Want(Wanted::Terminated),
        Verb::Reset => Request::Reset,
    })
}

/// How it is said that these are of a pause.
pub(super) const PAUSE_FIELDS: &str = "`mode`, `for` and `note` go";

/// How long tasks in flight may take where a drain does not say it.
pub(super) const DRAIN: Span = Span(std::time::Duration::from_secs(120));

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

pub(super) fn words<T>(known: &[(&'static str, T)]) -> serde_json::Value {
    serde_json::json!({ "type": "string", "enum": known.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
}

pub(super) fn word<T: Copy>(known: &[(&'static str, T)], given: &str) -> Result<T, Failure> {
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

/// What goes with a verb.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct VerbBody {
    /// What it is told to be: for `update` alone. Default: as it is, started anew.
    #[serde(default)]
    spec: Option<SpecForm>,
    /// How many of itself it is to be: for `scale` alone.
    #[serde(default)]
    replicas: Option<u32>,
    /// How long its tasks may take: for `drain` alone. Default 2 min.
    #[serde(default)]
    timeout: Option<Span>,
    /// What a pause does to it: for `pause` alone. Default `soft`.
    #[serde(default)]
    mode: Option<PauseMode>,
    /// After how long a pause ends by itself: for `pause` alone. Default: when somebody ends it.
    #[serde(default, rename = "for")]
    lasts: Option<Span>,
    /// Why it is paused, for its history and all who look at it: for `pause` alone.
    #[serde(default)]
    note: Option<Text<1024>>,
    /// Why, for its history.
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

async fn want(
    kind: Kind,
    api: Api,
    change: Change<(AgentRef, Verb), InNamespace, JsonOr<VerbBody>>,
) -> Result<Accepted<Answer>, Failure> {
    let (agent, verb) = change.path;
    let namespace = api.namespace(change.query.namespace, &agent);
    let JsonOr(body) = change.body;
    let spec = body.spec.map(|form| checked(&api, kind, form)).transpose()?;
    let pausing = Pausing {
        mode: body.mode,
        lasts: body.lasts,
        note: body.note,
    };
    let reason = pausing.why(body.reason)?;
    let with = With {
        spec,
        replicas: body.replicas,
        timeout: body.timeout,
        pausing,
    };
    let request = request(verb, with)?;
    change
        .ticket
        .send(&api, namespace, agent, reason, request)
        .await
        .map(Accepted)
}

async fn report_error(
    api: Api,
    change: Change<AgentRef, InNamespace, Json<SeenError>>,
) -> Result<Accepted<Answer>, Failure> {
    let Json(SeenError { detail: Text(detail) }) = change.body;
    let namespace = api.namespace(change.query.namespace, &change.path);
    change
        .ticket
        .send(&api, namespace, change.path, None, Request::ReportError { detail })
        .await
        .map(Accepted)
}

async fn change_task(
    api: Api,
    change: Change<(AgentRef, Step), InNamespace, Json<Task>>,
) -> Result<Done<Answer>, Failure> {
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
