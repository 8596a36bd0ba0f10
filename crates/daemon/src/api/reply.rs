//! Writing answers.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use stead_model::{AgentId, AgentView, Answer, Outcome, Revision};

use super::BASE;
use super::openapi::Sketch;
use super::operation::Gives;

/// 200 with a JSON body.
pub(super) struct Shown<T>(pub(super) T);

/// 202 with nothing to say yet.
pub(super) struct Taken;

/// 200 with an agent and its ETag, or 304.
pub(super) enum Agent {
    Shown(Arc<AgentView>),
    NotModified(Revision),
}

/// 201: an agent that is known from now on.
pub(super) struct Created(pub(super) Answer);

/// 202: an agent on its way.
pub(super) struct Accepted(pub(super) Answer);

/// 200: an agent that is as was asked.
pub(super) struct Done(pub(super) Answer);

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

impl IntoResponse for Agent {
    fn into_response(self) -> Response {
        match self {
            Self::Shown(view) => ([(ETAG, etag(view.revision))], Json(view)).into_response(),
            Self::NotModified(revision) => (StatusCode::NOT_MODIFIED, [(ETAG, etag(revision))]).into_response(),
        }
    }
}

impl Gives for Agent {
    fn describe(sketch: &mut Sketch) {
        let schema = sketch.schema::<AgentView>();
        sketch.response(200, "The agent as it is.", &[(JSON, schema)], &[ETAG_DOC]);
        sketch.response(304, "It is at the revision that the asker has.", &[], &[ETAG_DOC]);
    }
}

impl IntoResponse for Created {
    fn into_response(self) -> Response {
        let location = location(self.0.agent.id);
        match self.0.outcome {
            Outcome::Created => (StatusCode::CREATED, location, answered(self.0)).into_response(),
            Outcome::Accepted | Outcome::Already => (location, answered(self.0)).into_response(),
        }
    }
}

impl Gives for Created {
    fn describe(sketch: &mut Sketch) {
        let schema = sketch.schema::<AgentView>();
        let headers = [ETAG_DOC, OUTCOME_DOC, ("Location", "Where the agent is found.")];
        sketch.response(201, "It is known from now on.", &[(JSON, schema)], &headers);
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, answered(self.0)).into_response()
    }
}

impl Gives for Accepted {
    fn describe(sketch: &mut Sketch) {
        let schema = sketch.schema::<AgentView>();
        sketch.response(
            202,
            "It is written down; what takes time is under way.",
            &[(JSON, schema)],
            &[ETAG_DOC, OUTCOME_DOC],
        );
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        answered(self.0).into_response()
    }
}

impl Gives for Done {
    fn describe(sketch: &mut Sketch) {
        let schema = sketch.schema::<AgentView>();
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
        let schema = sketch.schema::<stead_model::Event>();
        let description = "Events: `id` is the cursor, `event` the type, `data` this object.";
        sketch.response(200, description, &[(EVENT_STREAM, schema)], &[]);
    }
}

/// An agent with its ETag and what its request led to.
fn answered(answer: Answer) -> impl IntoResponse {
    let outcome = match answer.outcome {
        Outcome::Created => "created",
        Outcome::Accepted => "accepted",
        Outcome::Already => "already",
    };
    let headers = [
        (ETAG, etag(answer.agent.revision)),
        (OUTCOME, HeaderValue::from_static(outcome)),
    ];
    (headers, Json(answer.agent))
}

pub(super) fn etag(revision: Revision) -> HeaderValue {
    // Digits in quotes always are a header's value.
    HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn location(agent: AgentId) -> [(HeaderName, String); 1] {
    [(LOCATION, format!("{BASE}/agents/{agent}"))]
}

const OUTCOME: HeaderName = HeaderName::from_static("stead-outcome");
const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";
const EVENT_STREAM: &str = "text/event-stream";
const ETAG_DOC: (&str, &str) = ("ETag", "The agent's revision in quotes.");
const OUTCOME_DOC: (&str, &str) = (
    "Stead-Outcome",
    "`created`, `accepted`, or `already` when it was so before.",
);
