//! Signs of life: one at a time, or many at once for gateways.

mod binary;
mod line;

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stead_model::{
    AgentRef, Beat, BeatAnswer, BeatCounts, BeatHandle, BeatOf, BeatOutcome, DegradationTold, Incarnation, Namespace,
    ProblemCode, Span,
};

use self::line::{BeatBody, Lines};
use super::agents::{InNamespace, Kind};
use super::extract::{JsonOr, Post};
use super::openapi::Sketch;
use super::operation::{About, Gives, Table};
use super::problem::Failure;
use super::reply::Shown;
use super::{Api, BASE, degradation};

/// Mounts the route of single beats.
pub(super) fn mount_of(table: &mut Table, kind: Kind) {
    use ProblemCode::{AgentGone, Busy, ShuttingDown, UnknownAgent};
    let beat = About::new(
        kind.id("beatAgent"),
        "lifecycle",
        "Hands in a sign of life, with what it says of itself",
    )
    .more(
        "One observation among others: it can worsen its health, never clear a fault that was seen from outside. \
             An old `sequence` or another `incarnation` changes nothing; the answer says so.",
    )
    .may(&[UnknownAgent, AgentGone, Busy, ShuttingDown]);
    table.add(Method::POST, kind.path("/{agent}/heartbeats"), beat, one);
}

/// Mounts the route of batches.
pub(super) fn mount(table: &mut Table) {
    use ProblemCode::{Busy, ShuttingDown};
    let about = About::new("beatMany", "lifecycle", "Hands in many signs of life")
        .more(BATCH_DOC)
        .may(&[Busy, ShuttingDown])
        .limit(line::MOST_BYTES);
    table.add(Method::POST, format!("{BASE}/heartbeats"), about, many);
}

const BATCH_DOC: &str = "For gateways: one JSON object a line, or records of 32 bytes (`application/vnd.stead.beats`; their layout is in \
the guide of heartbeats). Up to 100,000 beats, each judged by itself: the answer counts what became of them, and says of the first \
1,000 that were not taken which and why. Agents are named by `agent`, or by the `handle` of an earlier answer, which is quicker. \
With `?handles=true` the answer gives the handle of each beat that was taken by name. When too much is under way the whole batch is \
refused (503, `Retry-After`), and nothing of it was taken.";

/// What became of one beat.
#[derive(Debug, Serialize, JsonSchema)]
struct BeatReply {
    /// Whether it was taken.
    outcome: BeatOutcome,
    /// How the agent is called in later beats.
    handle: Option<BeatHandle>,
    /// Its present run.
    incarnation: Incarnation,
    /// When the next one is expected.
    next_in: Span,
    /// What its namespace has given up; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    degradation: Option<DegradationTold>,
}

impl BeatReply {
    fn new(answer: BeatAnswer, degradation: Option<DegradationTold>) -> Self {
        let BeatAnswer {
            outcome,
            handle,
            incarnation,
            next_in,
        } = answer;
        Self {
            outcome,
            handle,
            incarnation,
            next_in: next_in.up_to_millis(),
            degradation,
        }
    }
}

/// 202 with what became of a beat.
struct Heard(BeatReply);

impl IntoResponse for Heard {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, axum::Json(self.0)).into_response()
    }
}

impl Gives for Heard {
    fn describe(sketch: &mut Sketch) {
        let schema = sketch.schema::<BeatReply>();
        sketch.response(202, "What became of it.", &[("application/json", schema)], &[]);
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Batch {
    /// Whether the handles of agents that were named are told. Default false.
    #[serde(default)]
    handles: bool,
}

/// What became of many.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct BatchReply {
    /// How many came to which end.
    #[serde(flatten)]
    counts: BeatCounts,
    /// The shortest time in which one of them is expected to beat again.
    next_in: Option<Span>,
    /// The first of those that were not taken.
    refused: Vec<Refused>,
    /// The handles of those that were named, where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    handles: Vec<Named>,
    /// What namespaces have given up, by their names: those that have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    degradation: BTreeMap<Namespace, DegradationTold>,
}

/// One that was not taken.
#[derive(Debug, Serialize, JsonSchema)]
struct Refused {
    /// Which beat of the batch, from 1.
    beat: usize,
    /// What became of it.
    outcome: BeatOutcome,
    /// What was wrong, where that is more than its outcome says.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// One whose handle is told.
#[derive(Debug, Serialize, JsonSchema)]
struct Named {
    /// Which beat of the batch, from 1.
    beat: usize,
    /// How the agent is called in later beats.
    handle: BeatHandle,
    /// Its present run.
    incarnation: Incarnation,
}

/// How many of those that were not taken are told.
const MOST_REFUSED: usize = 1000;

async fn one(api: Api, post: Post<AgentRef, InNamespace, JsonOr<BeatBody>>) -> Result<Heard, Failure> {
    let namespace = api.namespace(post.query.namespace, &post.path);
    let of = BeatOf::Named(Box::new((namespace.clone(), post.path)));
    let beat = post.body.0.of(of).map_err(Failure::invalid)?;
    let answer = api.state.handle.beat(beat).await?;
    Ok(Heard(BeatReply::new(answer, degradation::told(&api, &namespace))))
}

async fn many(api: Api, post: Post<(), Batch, Lines>) -> Result<Shown<BatchReply>, Failure> {
    let Lines { beats, malformed } = post.body;
    let named: Vec<bool> = if post.query.handles {
        beats.iter().map(|beat| !matches!(beat.of, BeatOf::Handle(_))).collect()
    } else {
        Vec::new()
    };
    let answers = api.state.handle.beats(beats, malformed.len()).await?;
    let mut reply = BatchReply {
        degradation: degradation::told_to_all(&api),
        ..BatchReply::default()
    };
    let mut wrong = malformed.into_iter().peekable();
    let mut answers = answers.into_iter().enumerate();
    let mut beat = 0;
    loop {
        beat += 1;
        if let Some((_, detail)) = wrong.next_if(|(at, _)| *at == beat) {
            reply.refuse(beat, BeatOutcome::Malformed, Some(detail));
            continue;
        }
        let Some((index, answer)) = answers.next() else {
            break;
        };
        if answer.outcome == BeatOutcome::Accepted {
            reply.counts.count(answer.outcome);
            let next_in = answer.next_in.up_to_millis();
            reply.next_in = Some(reply.next_in.map_or(next_in, |next| next.min(next_in)));
            if let (Some(true), Some(handle)) = (named.get(index), answer.handle) {
                let incarnation = answer.incarnation;
                reply.handles.push(Named {
                    beat,
                    handle,
                    incarnation,
                });
            }
        } else {
            reply.refuse(beat, answer.outcome, None);
        }
    }
    Ok(Shown(reply))
}

impl BatchReply {
    fn refuse(&mut self, beat: usize, outcome: BeatOutcome, detail: Option<String>) {
        self.counts.count(outcome);
        if self.refused.len() < MOST_REFUSED {
            self.refused.push(Refused { beat, outcome, detail });
        }
    }
}

/// Beats as they are read, before they are known to be right.
type ReadBeat = Result<Beat, String>;
