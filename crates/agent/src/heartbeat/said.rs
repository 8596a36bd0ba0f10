//! A beat as the daemon reads it.

use std::collections::BTreeMap;

use serde::Serialize;
use stead_model::{ActivityKind, Incarnation, Span};

use crate::activity::Activity;
use crate::sampler::Vitals;

/// What an agent says of itself.
#[derive(Debug, Serialize)]
pub(super) struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    incarnation: Option<Incarnation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    metrics: BTreeMap<&'static str, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<u64>,
    activity: stead_model::Activity,
}

impl Said {
    /// What was measured. The numbers of one that has no run could be of several at once: the daemon counts for it.
    pub(super) fn new(vitals: &Vitals, are_requests: bool, run: Option<(Incarnation, u64)>) -> Self {
        Self {
            incarnation: run.map(|(incarnation, _)| incarnation),
            sequence: run.map(|(_, sequence)| sequence),
            metrics: metrics(vitals, are_requests),
            progress: vitals.progress,
            activity: activity(vitals),
        }
    }
}

/// What was measured, under the names that the daemon knows. How long executions take is a latency only where they are requests.
fn metrics(vitals: &Vitals, are_requests: bool) -> BTreeMap<&'static str, f64> {
    let number = crate::sampler::as_f64;
    let latency = if are_requests {
        "request_latency"
    } else {
        "execution_ms"
    };
    BTreeMap::from([
        ("cpu_usage", vitals.cpu_usage),
        ("memory_usage", vitals.memory_usage),
        ("error_rate", vitals.error_rate),
        (latency, vitals.latency),
        ("throughput", vitals.throughput),
        ("active_streams", number(vitals.active_streams as u64)),
        ("handles", number(vitals.handles)),
        ("threads", number(vitals.threads)),
    ])
}

fn activity(vitals: &Vitals) -> stead_model::Activity {
    let (kind, hash) = match &vitals.activity {
        Activity::LlmCall { .. } => (ActivityKind::LlmCall, None),
        Activity::Tool { hash, .. } => (ActivityKind::Tool, Some(*hash)),
        Activity::WaitingInput => (ActivityKind::WaitingInput, None),
        Activity::Idle => (ActivityKind::Idle, None),
    };
    let lasts = vitals.activity_for.map(Span);
    stead_model::Activity { kind, lasts, hash }
}
