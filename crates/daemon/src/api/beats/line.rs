//! Beats as text: a JSON object, or many, one a line.

use std::collections::BTreeMap;

use axum::body::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use stead_model::{
    Activity, AgentRef, Beat, BeatHandle, BeatMore, BeatOf, Health, Incarnation, Metric, Namespace, ProblemCode, Span,
    Vitals,
};

use super::{ReadBeat, binary};
use crate::api::extract::{Payload, Text, is_list, suggest};
use crate::api::openapi::Sketch;
use crate::api::problem::Failure;

/// The largest batch, in bytes.
pub(super) const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The most beats of a batch.
const MOST_BEATS: usize = 100_000;

/// The most gauges under names of its own that a beat may have.
const MOST_GAUGES: usize = 32;

/// The longest name of a gauge.
const MOST_NAME: usize = 64;

/// What an agent says of itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Beat")]
pub(super) struct BeatBody {
    /// Name or id of the agent: in batches alone.
    #[serde(default)]
    agent: Option<Text<255>>,
    /// The namespace of that name: in batches alone. Default `default`.
    #[serde(default)]
    namespace: Option<Namespace>,
    /// What an earlier answer called the agent, in place of its name: in batches alone.
    #[serde(default)]
    handle: Option<BeatHandle>,
    /// The run that it believes to be (`STEAD_INCARNATION`); older ones are ignored.
    #[serde(default)]
    incarnation: Option<Incarnation>,
    /// Its number, which grows from beat to beat within a run; old ones are ignored. Default: one more than the last.
    #[serde(default)]
    sequence: Option<u64>,
    /// How it says that it does.
    #[serde(default)]
    health: Option<Health>,
    /// What it says beside.
    #[serde(default)]
    detail: Option<Text<4096>>,
    /// What it measured: `cpu_usage memory_usage error_rate` from 0.0 to 1.0, `request_latency` in milliseconds, `throughput` in
    /// requests per second, and up to 32 gauges under names of its own (`active_streams tokens_used cost_usd` among them).
    #[serde(default)]
    metrics: BTreeMap<String, f64>,
    /// A counter of useful work, which only grows.
    #[serde(default)]
    progress: Option<u64>,
    /// What it is at.
    #[serde(default)]
    activity: Option<Activity>,
    /// For how long it will be silent from here: 10 minutes at most.
    #[serde(default)]
    expect_silence: Option<Span>,
}

impl BeatBody {
    /// The beat of somebody whom the path names.
    pub(super) fn of(self, named: BeatOf) -> ReadBeat {
        if self.agent.is_some() || self.namespace.is_some() || self.handle.is_some() {
            return Err("the path says whose it is; leave out `agent`, `namespace` and `handle`".into());
        }
        self.beat(named)
    }

    fn beat(self, of: BeatOf) -> ReadBeat {
        let Self {
            agent: _,
            namespace: _,
            handle: _,
            incarnation,
            sequence,
            health,
            detail,
            metrics,
            progress,
            activity,
            expect_silence,
        } = self;
        let mut vitals = Vitals::NONE;
        let mut gauges = BTreeMap::new();
        for (name, value) in metrics {
            if !(1..=MOST_NAME).contains(&name.len()) || !value.is_finite() {
                return Err(format!(
                    "metrics: a name has 1 to {MOST_NAME} bytes, and its value is a number"
                ));
            }
            match Metric::ALL.iter().find(|metric| metric.as_str() == name) {
                Some(metric) => vitals
                    .set(*metric, value)
                    .map_err(|invalid| format!("metrics: {invalid}"))?,
                None if gauges.len() == MOST_GAUGES => {
                    return Err(format!(
                        "metrics: more than {MOST_GAUGES} gauges under names of its own"
                    ));
                }
                None => drop(gauges.insert(name, value)),
            }
        }
        let detail = detail.map(|Text(detail)| detail);
        let more = BeatMore {
            activity,
            detail,
            gauges,
        };
        Ok(Beat {
            of,
            incarnation,
            sequence,
            claim: health,
            vitals,
            progress,
            expect_silence,
            more: (more != BeatMore::default()).then(|| Box::new(more)),
        })
    }
}

/// Many beats, and which of the batch (from 1) could not be understood.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) beats: Vec<Beat>,
    pub(super) malformed: Vec<(usize, String)>,
}

impl Lines {
    /// Sorts what was read.
    fn of(read: impl Iterator<Item = ReadBeat>) -> Result<Self, Failure> {
        let mut lines = Self::default();
        for (index, beat) in read.enumerate() {
            if index == MOST_BEATS {
                let detail = format!("there are more than {MOST_BEATS} beats in this batch; send them in several");
                return Err(Failure::new(ProblemCode::TooLarge, detail));
            }
            match beat {
                Ok(beat) => lines.beats.push(beat),
                Err(wrong) => lines.malformed.push((index + 1, wrong)),
            }
        }
        Ok(lines)
    }
}

impl Payload for Lines {
    const LIMIT: usize = MOST_BYTES;

    fn read(kind: Option<&str>, bytes: &Bytes) -> Result<Self, Failure> {
        let given = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
        match given {
            Some(binary::KIND) => Self::of(binary::read(bytes).map_err(Failure::invalid)?),
            Some(NDJSON) => {
                let filled = |line: &&[u8]| !line.trim_ascii().is_empty();
                Self::of(bytes.split(|byte| *byte == b'\n').filter(filled).map(line))
            }
            other => Err(Failure::new(
                ProblemCode::UnsupportedMediaType,
                format!(
                    "the body is {}; what is taken here is {NDJSON} or {}",
                    other.map_or_else(|| "of no Content-Type".to_owned(), |kind| format!("`{kind}`")),
                    binary::KIND
                ),
            )),
        }
    }

    fn describe(sketch: &mut Sketch) {
        let line = sketch.schema::<BeatBody>();
        let records = serde_json::json!({ "type": "string", "format": "binary", "description": "A head of 8 bytes, then records of 32." });
        sketch.body(&[(NDJSON, line), (binary::KIND, records)], true);
    }
}

fn line(text: &[u8]) -> ReadBeat {
    if is_list(text) {
        return Err("expected an object, found a list".into());
    }
    let mut line: BeatBody = serde_json::from_slice(text).map_err(|error| suggest(&error.to_string()))?;
    let of = match (line.handle, line.agent.take()) {
        (Some(handle), None) => BeatOf::Handle(handle),
        (None, Some(Text(agent))) => {
            let agent: AgentRef = agent.parse().map_err(|invalid| format!("agent: {invalid}"))?;
            match agent {
                AgentRef::Id(id) => BeatOf::Id(id),
                AgentRef::Name(_) => BeatOf::Named(Box::new((line.namespace.take().unwrap_or_default(), agent))),
            }
        }
        (Some(_), Some(_)) => return Err("`agent` and `handle` are the same here; give one of them".into()),
        (None, None) => return Err("whose it is is missing: give `agent` or `handle`".into()),
    };
    line.beat(of)
}

const NDJSON: &str = "application/x-ndjson";
