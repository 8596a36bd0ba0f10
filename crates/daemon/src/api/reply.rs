//! Writing answers.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use stead_model::group::{GroupAnswer, GroupView};
use stead_model::{AgentId, AgentView, Answer, Outcome, Revision};

use super::BASE;
use super::openapi::Sketch;
use super::operation::Gives;

/// 200 with a JSON body.
pub(super) struct Shown<T>(pub(super) T);

/// 202 with nothing to say yet.
pub(super) struct Taken;

/// 200 with something that has versions and its ETag, or 304.
pub(super) enum Version<T> {
    Shown(Arc<T>),
    NotModified(Revision),
}

/// What became of a request for a change.
pub(super) trait Answered {
    /// What was changed, as it is shown.
    type View: Serialize + JsonSchema;
    /// Where such things are found.
    const PLACE: &'static str;

    fn outcome(&self) -> Outcome;
    fn id(&self) -> AgentId;
    fn revision(&self) -> Revision;
    fn view(self) -> Self::View;
}

impl Answered for Answer {
    type View = AgentView;
    const PLACE: &'static str = "agents";

    fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn id(&self) -> AgentId {
        self.agent.id
    }

    fn revision(&self) -> Revision {
        self.agent.revision
    }

    fn view(self) -> AgentView {
        self.agent
    }
}

impl Answered for GroupAnswer {
    type View = GroupView;
    const PLACE: &'static str = "groups";

    fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn id(&self) -> AgentId {
        self.group.id
    }

    fn revision(&self) -> Revision {
        self.group.revision
    }

    fn view(self) -> GroupView {
        self.group
    }
}

/// 201: something that is known from now on.
pub(super) struct Created<A>(pub(super) A);

/// 202: something on its way.
pub(super) struct Accepted<A>(pub(super) A);

/// 200: something that is as was asked.
pub(super) struct Done<A>(pub(super) A);

/// Lines of JSON as they come.
pub(super) struct Lines(pub(super) Body);

/// Server-sent events.
pub(super) struct Events(pub(super) Body);

/// One page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub(super) struct List<T> {
    /// What fits.
    pub(super) items: Vec<T>,
    /// Hand it in as `cursor` for the next page; absent after the last.
    pub(super) next_cursor: Option<String>,
}

impl<T: Serialize> IntoResponse for Shown<T> {
    fn into_response(self) -> Response {
        Json(self.0).into_response()
    }
}

impl<T: Serialize + JsonSchema> Gives for Shown<T> {
    fn describe(sketch: &mut Sketch) {
        let schema = sketch.schema::<T>();
        sketch.response(200, "As it is.", &[(JSON, schema)], &[]);
    }
}

impl IntoResponse for Taken {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(serde_json::json!({}))).into_response()
    }
}

impl Gives for Taken {
    fn describe(sketch: &mut Sketch) {
        sketch.response(
            202,
            "It was taken.",
            &[(JSON, serde_json::json!({ "type": "object" }))],
            &[],
        );
    }
}

impl<T: Serialize + Versioned> IntoResponse for Version<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Shown(view) => ([(ETAG, etag(view.revision()))], Json(view)).into_response(),
            Self::NotModified(revision) => (StatusCode::NOT_MODIFIED, [(ETAG, etag(revision))]).into_response(),
        }
    }
}

impl<T: Serialize + JsonSchema + Versioned> Gives for Version<T> {
    fn describe(sketch: &mut Sketch) {
        let schema = sketch.schema::<T>();
        sketch.response(200, "As it is.", &[(JSON, schema)], &[ETAG_DOC]);
        sketch.response(304, "It is at the revision that the asker has.", &[], &[ETAG_DOC]);
    }
}

/// What has a revision.
pub(super) trait Versioned {
    fn revision(&self) -> Revision;
}

impl Versioned for AgentView {
    fn revision(&self) -> Revision {
        self.revision
    }
}

impl Versioned for GroupView {
    fn revision(&self) -> Revision {
        self.revision
    }
}

impl<A: Answered> IntoResponse for Created<A> {
    fn into_response(self) -> Response {
        let location = [(LOCATION, format!("{BASE}/{}/{}", A::PLACE, self.0.id()))];
        match self.0.outcome() {
            Outcome::Created => (StatusCode::CREATED, location, answered(self.0)).into_response(),
            Outcome::Accepted | Outcome::Already => (location, answered(self.0)).into_response(),
        }
    }
}

impl<A: Answered> Gives for Created<A> {
    fn describe(sketch: &mut Sketch) {
        let schema = sketch.schema::<A::View>();
        let headers = [ETAG_DOC, OUTCOME_DOC, ("Location", "Where it is found.")];
        sketch.response(201, "It is known from now on.", &[(JSON, schema)], &headers);
    }
}

impl<A: Answered> IntoResponse for Accepted<A> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, answered(self.0)).into_response()
    }
}

impl<A: Answered> Gives for Accepted<A> {
    fn describe(sketch: &mut Sketch) {
        let schema = sketch.schema::<A::View>();
        sketch.response(
            202,
            "It is written down; what takes time is under way.",
            &[(JSON, schema)],
            &[ETAG_DOC, OUTCOME_DOC],
        );
    }
}

impl<A: Answered> IntoResponse for Done<A> {
    fn into_response(self) -> Response {
        answered(self.0).into_response()
    }
}

impl<A: Answered> Gives for Done<A> {
    fn describe(sketch: &mut Sketch) {
        let schema = sketch.schema::<A::View>();
        sketch.response(
            200,
            "It is so, and written down.",
            &[(JSON, schema)],
            &[ETAG_DOC, OUTCOME_DOC],
        );
    }
}

impl IntoResponse for Lines {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, HeaderValue::from_static(NDJSON))], self.0).into_response()
    }
}

impl Gives for Lines {
    fn describe(sketch: &mut Sketch) {
        let schema = sketch.schema::<super::logs::LogLine>();
        sketch.response(200, "One JSON object per line.", &[(NDJSON, schema)], &[]);
    }
}

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM))], self.0).into_response()
    }
}

impl Gives for Events {
    fn describe(sketch: &mut Sketch) {
        let gap = json!({
            "type": "object",
            "description": "Told where events behind the cursor are no longer kept.",
            "required": ["type", "detail"],
            "properties": { "type": { "const": "gap" }, "detail": { "type": "string" } },
        });
        let schema = json!({ "anyOf": [sketch.schema::<stead_model::Event>(), gap] });
        let description = "Events: `id` is the cursor, `event` the type, `data` this object.";
        sketch.response(200, description, &[(EVENT_STREAM, schema)], &[]);
    }
}

/// What was changed with its ETag and what its request led to.
fn answered<A: Answered>(answer: A) -> impl IntoResponse + use<A> {
    let outcome = match answer.outcome() {
        Outcome::Created => "created",
        Outcome::Accepted => "accepted",
        Outcome::Already => "already",
    };
    let headers = [
        (ETAG, etag(answer.revision())),
        (OUTCOME, HeaderValue::from_static(outcome)),
    ];
    (headers, Json(answer.view()))
}

pub(super) fn etag(revision: Revision) -> HeaderValue {
    // Digits in quotes always are a header's value.
    HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

const OUTCOME: HeaderName = HeaderName::from_static("stead-outcome");
const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";
const EVENT_STREAM: &str = "text/event-stream";
const ETAG_DOC: (&str, &str) = ("ETag", "Its revision in quotes.");
const OUTCOME_DOC: (&str, &str) = (
    "Stead-Outcome",
    "`created`, `accepted`, or `already` when it was so before.",
);
