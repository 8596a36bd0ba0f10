//! Signs of life to the daemon, over HTTP, from a thread of their own: never from the agent's own loop.

mod config;
mod link;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use stead_model::{ActivityKind, BeatOutcome, Incarnation, Span};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub use config::{HeartbeatConfig, InvalidHeartbeats};
pub(crate) use config::{Place, Whose};
use link::{Link, LinkError};

use crate::activity::Activity;
use crate::clock;
use crate::pulse::Pulse;
use crate::runtime::Runtime;
use crate::sampler::{Sampler, Vitals};
use crate::stagger::stagger;

/// Beats for one agent, until it is gone.
#[derive(Debug)]
pub(crate) struct Heartbeats {
    link: Link,
    whose: Whose,
    sequence: u64,
    interval: Duration,
    /// Whether the last one was heard, so that each change is logged once.
    heard: Option<bool>,
}

/// What became of one that was heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    /// The next is wished for so much later.
    Next(Duration),
    /// A later run of the same agent is the present one.
    Superseded(Incarnation),
}

/// A beat as the daemon reads it.
#[derive(Debug, Serialize)]
struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    incarnation: Option<Incarnation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    metrics: BTreeMap<&'static str, f64>,
    progress: u64,
    activity: stead_model::Activity,
}

/// What the daemon answers. What a later one says beside is passed over.
#[derive(Debug, Deserialize)]
struct Answer {
    outcome: BeatOutcome,
    incarnation: Incarnation,
    next_in: Span,
}

impl Heartbeats {
    pub(crate) fn new(place: Place, interval: Duration) -> Self {
        let Place { daemon, whose } = place;
        Self {
            link: Link::new(daemon),
            whose,
            sequence: 0,
            interval,
            heard: None,
        }
    }

    /// Beats until `gone`, as often as the daemon wishes; cancels `superseded` and ends when another run of this agent took over.
    ///
    /// While the daemon is away nothing is kept but what the next beat tells anyway: counters grow on, and rates and means are of the
    /// whole time since the last beat that was heard. One whose own loop hangs, or that has failed for good, is silent.
    pub(crate) async fn tell(
        mut self,
        runtime: Runtime,
        pulse: Pulse,
        gone: CancellationToken,
        superseded: CancellationToken,
    ) {
        let mut since_heard = Sampler::new(&runtime);
        // The first at a place of its own, so that not all agents beat at once.
        let mut wait = stagger(self.interval);
        loop {
            tokio::select! {
                () = gone.cancelled() => return,
                () = tokio::time::sleep(wait) => wait = self.interval,
            }
            if pulse.stopped_for().is_some() || runtime.failure().is_some() {
                continue;
            }
            let mut sampler = since_heard.clone();
            let told = tokio::select! {
                () = gone.cancelled() => return,
                told = self.beat(sampler.look()) => told,
            };
            match told {
                Ok(Told::Next(next)) => {
                    since_heard = sampler;
                    wait = next.clamp(SHORTEST, LONGEST);
                    self.note_heard();
                }
                Ok(Told::Superseded(present)) => {
                    warn!(%present, "Superseded: a later run of this agent is the present one");
                    superseded.cancel();
                    return;
                }
                Err(error) => self.note_unheard(&error),
            }
        }
    }

    /// Tells once; for at most an interval, and five seconds.
    async fn beat(&mut self, vitals: Vitals) -> Result<Told, LinkError> {
        self.sequence += 1;
        let run = self.whose.incarnation;
        let said = Said {
            incarnation: run,
            // The numbers of one that has no run begin anew with each process: the daemon counts for it.
            sequence: run.map(|_| self.sequence),
            metrics: metrics(&vitals),
            progress: vitals.progress,
            activity: activity(&vitals),
        };
        let body = serde_json::to_vec(&said).map_err(|error| LinkError::Unreadable(error.to_string()))?;
        let patience = self.interval.clamp(Duration::from_secs(1), PATIENCE);
        let asked = tokio::time::timeout(patience, self.link.post(&self.whose.path, body)).await;
        let (status, body) = asked.unwrap_or_else(|_late| {
            self.link.drop_connection();
            Err(LinkError::Late(patience))
        })?;
        if status != StatusCode::ACCEPTED {
            return Err(LinkError::Refused(status, String::from_utf8_lossy(&body).into_owned()));
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| LinkError::Unreadable(error.to_string()))?;
        Ok(match (answer.outcome, run) {
            // One that is behind itself, as after its database was put back from a backup, will be ahead again.
            (BeatOutcome::Fenced, Some(run)) if answer.incarnation > run => Told::Superseded(answer.incarnation),
            _ => Told::Next(answer.next_in.0),
        })
    }

    fn note_heard(&mut self) {
        match self.heard.replace(true) {
            Some(true) => {}
            None => debug!("Beats"),
            Some(false) => info!("BeatsHeard: the daemon is back"),
        }
    }

    fn note_unheard(&mut self, error: &LinkError) {
        if self.heard.replace(false) == Some(false) {
            debug!(%error, "BeatUnheard");
        } else {
            warn!(%error, "BeatUnheard: the daemon hears no beats of this agent; they are tried on");
        }
    }
}

/// Those that were measured: where nothing ended, nothing is known of errors and latency.
fn metrics(vitals: &Vitals) -> BTreeMap<&'static str, f64> {
    let worked = vitals.throughput > 0.0;
    let count = |number: usize| crate::sampler::as_f64(number as u64);
    let known = [
        ("cpu_usage", Some(vitals.cpu_usage)),
        ("memory_usage", Some(vitals.memory_usage)),
        ("error_rate", worked.then_some(vitals.error_rate)),
        ("request_latency", worked.then_some(vitals.request_latency)),
        ("throughput", Some(vitals.throughput)),
        ("active_streams", Some(count(vitals.active_streams))),
        ("handles", Some(crate::sampler::as_f64(vitals.handles))),
        ("threads", Some(crate::sampler::as_f64(vitals.threads))),
    ];
    known
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn activity(vitals: &Vitals) -> stead_model::Activity {
    let (kind, hash) = match &vitals.activity {
        Activity::LlmCall { .. } => (ActivityKind::LlmCall, None),
        Activity::Tool { hash, .. } => (ActivityKind::Tool, Some(*hash)),
        Activity::WaitingInput => (ActivityKind::WaitingInput, None),
        Activity::Idle => (ActivityKind::Idle, None),
    };
    let lasts = vitals.activity_since.map(|since| Span(clock::wall().since(since)));
    stead_model::Activity { kind, lasts, hash }
}

/// How long one beat may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How soon and how late the next one comes at most, whatever the daemon wishes.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests;
