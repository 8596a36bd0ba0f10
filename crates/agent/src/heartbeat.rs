//! Signs of life to the daemon, over HTTP, from a thread of their own: never from the agent's own loop.

mod beats;
mod config;
mod crowd;
mod link;
mod pace;
mod said;

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use stead_model::{BeatOutcome, DegradationTold, Incarnation, Span};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

pub use beats::{Beats, BeatsBuilder};
pub(crate) use config::Place;
pub use config::{HeartbeatConfig, InvalidHeartbeats};
use link::{Link, LinkError, Route};
use pace::{LOOK_AGAIN, Pace};
use said::Said;

use crate::clock;
use crate::pulse::Pulse;
use crate::runtime::Runtime;
use crate::sampler::{Sampler, Vitals};

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
    /// Beats until it is gone or superseded.
    pub(crate) async fn tell(self) {
        kept_up(|| Heartbeats::new(self.clone()).tell()).await;
    }
}

/// Does it until it ends. Who has begun to beat is missed once it is silent, so it begins anew should it break.
async fn kept_up<F>(begin: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        tasks.spawn(begin());
        match tasks.join_next().await {
            Some(Err(broken)) => {
                error!(%broken, "BeatsBroke: they begin anew");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Some(Ok(())) | None => return,
        }
    }
}

/// Whether one may beat. Whose own loop hangs, or that has failed for good, is silent.
fn may_beat(pulse: &Pulse, runtime: &Runtime) -> bool {
    pulse.stopped_for().is_none() && runtime.failure().is_none()
}

/// Has a runtime hear what its namespace has given up: nothing where nothing is told. Words of a later daemon change nothing.
fn hear_degradation(runtime: &Runtime, told: Option<&Value>) {
    match told.map(DegradationTold::deserialize).transpose() {
        Ok(told) => runtime.hear_degradation(told.unwrap_or_default()),
        Err(unknown) => debug!(%unknown, "DegradationNotUnderstood: what was heard before holds"),
    }
}

/// Beats for one agent.
#[derive(Debug)]
struct Heartbeats {
    of: Teller,
    link: Link,
    route: Route,
    sequence: u64,
    pace: Pace,
}

/// What became of one that was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    /// The next is wished for so much later.
    Next(Duration),
    /// A later run of the same agent is the present one.
    Superseded(Incarnation),
}

/// What the daemon answers. What a later one says beside is passed over.
#[derive(Debug, Deserialize)]
struct Answer {
    outcome: BeatOutcome,
    incarnation: Incarnation,
    next_in: Span,
    /// What its namespace has given up, as a [`DegradationTold`]; absent where nothing is.
    degradation: Option<Value>,
}

impl Heartbeats {
    fn new(of: Teller) -> Self {
        Self {
            link: Link::new(of.place.daemon.clone()),
            route: Route {
                path: of.place.whose.path(),
                content_type: "application/json",
            },
            // Beyond that of a process before this one in the same run, which beat for less than a thousand times a second.
            sequence: u64::try_from(clock::wall().unix_millis()).unwrap_or(0),
            pace: Pace::new(of.config.interval),
            of,
        }
    }

    /// Beats as often as the daemon wishes.
    ///
    /// While the daemon is away nothing is kept but what the next beat tells anyway: counters grow on, and means are of the whole time
    /// since the last beat that was taken.
    async fn tell(mut self) {
        let gone = self.of.gone.clone();
        let mut since_taken = Sampler::new(&self.of.runtime);
        let mut wait = self.pace.first();
        loop {
            tokio::select! {
                () = gone.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            if !may_beat(&self.of.pulse, &self.of.runtime) {
                // It may be no more than that this whole process stood still.
                wait = self.pace.again();
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
                    self.pace.taken(next)
                }
                Ok(Told::Superseded(present)) => {
                    warn!(%present, "Superseded: a later run of this agent is the present one");
                    self.of.superseded.cancel();
                    return;
                }
                Err(error) => self.pace.missed(&error),
            };
        }
    }

    /// Tells once; for at most an interval, and five seconds.
    async fn beat(&mut self, vitals: Vitals) -> Result<Told, LinkError> {
        self.sequence += 1;
        let run = self.of.place.whose.incarnation;
        let numbered = run.map(|run| (run, self.sequence));
        let said = Said::new(&vitals, self.of.config.executions_are_requests, numbered);
        let body = serde_json::to_vec(&said).map_err(|error| LinkError::Unreadable(error.to_string()))?;
        let answer: Answer = self.link.tell(&self.route, body, self.pace.patience()).await?;
        hear_degradation(&self.of.runtime, answer.degradation.as_ref());
        match (answer.outcome, run) {
            (BeatOutcome::Accepted, _) => Ok(Told::Next(answer.next_in.0)),
            // One that is behind itself, as after its database was put back from a backup, will be ahead again.
            (BeatOutcome::Fenced, Some(run)) if answer.incarnation > run => Ok(Told::Superseded(answer.incarnation)),
            (BeatOutcome::Fenced | BeatOutcome::Stale | BeatOutcome::Unknown | BeatOutcome::Malformed, _) => {
                Err(LinkError::NotTaken(answer.outcome))
            }
        }
    }
}

#[cfg(test)]
mod tests;
