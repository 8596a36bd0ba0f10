//! Signs of life to the daemon, over HTTP, from a thread of their own: never from the agent's own loop.

mod config;
mod link;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stead_model::{ActivityKind, BeatOutcome, Incarnation, Span};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

pub(crate) use config::Place;
pub use config::{HeartbeatConfig, InvalidHeartbeats};
use link::{Link, LinkError};

use crate::activity::Activity;
use crate::clock;
use crate::pulse::Pulse;
use crate::runtime::Runtime;
use crate::sampler::{Sampler, Vitals};
use crate::stagger::stagger;

/// What a thread of beats is given.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    pub(crate) place: Place,
    pub(crate) config: HeartbeatConfig,
    pub(crate) runtime: Runtime,
    pub(crate) pulse: Pulse,
    /// Ends it.
    pub(crate) gone: CancellationToken,
    /// Cancelled by it when another run of this agent took over.
    pub(crate) superseded: CancellationToken,
}

impl Teller {
    /// Beats until it is gone or superseded. Who has begun to beat is missed once it is silent, so it begins anew should it break.
    pub(crate) async fn tell(self) {
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            tasks.spawn(Heartbeats::new(self.clone()).tell());
            match tasks.join_next().await {
                Some(Err(broken)) => {
                    error!(%broken, "BeatsBroke: they begin anew");
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Some(Ok(())) | None => return,
            }
        }
    }
}

/// Beats for one agent.
#[derive(Debug)]
struct Heartbeats {
    of: Teller,
    link: Link,
    sequence: u64,
    /// How often the daemon wishes to be told.
    interval: Duration,
    /// How many in a row were not taken.
    missed: u32,
    /// Whether one was ever taken.
    taken: bool,
}

/// What became of one that was answered.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<u64>,
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
    fn new(of: Teller) -> Self {
        Self {
            link: Link::new(of.place.daemon.clone()),
            // Beyond that of a process before this one in the same run, which beat for less than a thousand times a second.
            sequence: u64::try_from(clock::wall().unix_millis()).unwrap_or(0),
            interval: of.config.interval,
            missed: 0,
            taken: false,
            of,
        }
    }

    /// Beats as often as the daemon wishes.
    ///
    /// While the daemon is away nothing is kept but what the next beat tells anyway: counters grow on, and means are of the whole time
    /// since the last beat that was taken. One whose own loop hangs, or that has failed for good, is silent.
    async fn tell(mut self) {
        let gone = self.of.gone.clone();
        let mut since_taken = Sampler::new(&self.of.runtime);
        // At places of their own, so that not all agents beat at once; the answer to the first gives the place for good.
        let mut wait = stagger(self.interval.min(FIRST));
        loop {
            tokio::select! {
                () = gone.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            if self.of.pulse.stopped_for().is_some() || self.of.runtime.failure().is_some() {
                // It may be no more than that this whole process stood still.
                wait = LOOK_AGAIN.min(self.interval);
                continue;
            }
            let mut sampler = since_taken.clone();
            let told = tokio::select! {
                () = gone.cancelled() => return,
                told = self.beat(sampler.look()) => told,
            };
            wait = match told {
                Ok(Told::Next(next)) => {
                    since_taken = sampler;
                    self.interval = next.clamp(SHORTEST, LONGEST);
                    self.note_taken();
                    self.interval
                }
                Ok(Told::Superseded(present)) => {
                    warn!(%present, "Superseded: a later run of this agent is the present one");
                    self.of.superseded.cancel();
                    return;
                }
                Err(error) => {
                    self.note_missed(&error);
                    error
                        .retry_after()
                        .unwrap_or_else(|| self.soon())
                        .clamp(SHORTEST, LONGEST)
                }
            };
        }
    }

    /// How soon one that was not taken is tried again: an interval later would be missed already.
    fn soon(&self) -> Duration {
        let part = (self.interval / 8).saturating_mul(1 << self.missed.min(3));
        part / 2 + stagger(part / 2)
    }

    /// Tells once; for at most an interval, and five seconds.
    async fn beat(&mut self, vitals: Vitals) -> Result<Told, LinkError> {
        self.sequence += 1;
        let whose = &self.of.place.whose;
        let run = whose.incarnation;
        let said = Said {
            incarnation: run,
            // The numbers of one that has no run could be of several at once: the daemon counts for it.
            sequence: run.map(|_| self.sequence),
            metrics: metrics(&vitals, self.of.config.executions_are_requests),
            progress: vitals.progress,
            activity: activity(&vitals),
        };
        let body = serde_json::to_vec(&said).map_err(|error| LinkError::Unreadable(error.to_string()))?;
        let patience = self.interval.clamp(Duration::from_secs(1), PATIENCE);
        let asked = tokio::time::timeout(patience, self.link.post(&whose.path, body)).await;
        let answered = asked.unwrap_or_else(|_late| {
            self.link.drop_connection();
            Err(LinkError::Late(patience))
        })?;
        let answer: Answer =
            serde_json::from_slice(&answered).map_err(|error| LinkError::Unreadable(error.to_string()))?;
        match (answer.outcome, run) {
            (BeatOutcome::Accepted, _) => Ok(Told::Next(answer.next_in.0)),
            // One that is behind itself, as after its database was put back from a backup, will be ahead again.
            (BeatOutcome::Fenced, Some(run)) if answer.incarnation > run => Ok(Told::Superseded(answer.incarnation)),
            (BeatOutcome::Fenced | BeatOutcome::Stale | BeatOutcome::Unknown | BeatOutcome::Malformed, _) => {
                Err(LinkError::NotTaken(answer.outcome))
            }
        }
    }

    fn note_taken(&mut self) {
        if std::mem::take(&mut self.missed) > 0 {
            info!("BeatsTaken: the daemon hears this agent");
        } else if !std::mem::replace(&mut self.taken, true) {
            debug!("Beats");
        }
    }

    fn note_missed(&mut self, error: &LinkError) {
        self.missed = self.missed.saturating_add(1);
        // Once is nothing.
        if self.missed == 2 {
            warn!(%error, "BeatsMissed: the daemon does not take the beats of this agent; they are tried on");
        } else {
            debug!(%error, missed = self.missed, "BeatMissed");
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

/// How long one beat may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Within what time the first one comes.
const FIRST: Duration = Duration::from_millis(500);
/// How soon one that was silent, or broke, looks again whether it may beat.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How soon and how late the next one comes at most, whatever the daemon wishes.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests;
