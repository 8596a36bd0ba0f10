//! Several agents in one process, whose beats go together.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stead_model::{BeatOutcome, Namespace, Span};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::config::{Daemon, Whose};
use super::link::{Link, LinkError, Route};
use super::pace::Pace;
use super::said::Said;
use super::{HeartbeatConfig, hear_degradation, kept_up, may_beat};
use crate::pulse::Pulse;
use crate::runtime::Runtime;
use crate::sampler::Sampler;

/// What a thread of their beats is given.
#[derive(Clone, Debug)]
pub(super) struct CrowdTeller {
    pub(super) daemon: Daemon,
    pub(super) config: HeartbeatConfig,
    pub(super) members: Vec<Member>,
    /// Ends it.
    pub(super) gone: CancellationToken,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Member {
    whose: Whose,
    runtime: Runtime,
    pulse: Pulse,
    since_taken: Sampler,
    /// What its last one came to, where that was not taken.
    refused: Option<BeatOutcome>,
}

impl Member {
    pub(super) fn new(whose: Whose, runtime: Runtime, pulse: Pulse) -> Self {
        Self {
            since_taken: Sampler::new(&runtime),
            whose,
            runtime,
            pulse,
            refused: None,
        }
    }

    /// Takes down what became of its beat, which told what `sampler` saw.
    fn hear(&mut self, outcome: Option<BeatOutcome>, sampler: Sampler) {
        let agent = &self.whose.agent;
        match outcome {
            None => {
                self.since_taken = sampler;
                if self.refused.is_some() {
                    info!(%agent, "BeatsTaken: the daemon hears this agent");
                }
            }
            Some(outcome) if self.refused != Some(outcome) => {
                warn!(%agent, %outcome, "BeatsMissed: the daemon does not take the beats of this agent; they are tried on");
            }
            Some(_) => {}
        }
        self.refused = outcome;
    }
}

impl CrowdTeller {
    /// Beats for all of them until it is gone.
    pub(super) async fn tell(self) {
        kept_up(|| Crowd::new(self.clone()).tell()).await;
    }
}

/// Beats for all of them: in one request, as often as the daemon wishes to hear the first of them.
#[derive(Debug)]
struct Crowd {
    of: CrowdTeller,
    link: Link,
    route: Route,
    pace: Pace,
}

/// A line of a batch.
#[derive(Debug, Serialize)]
struct Line<'a> {
    agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(flatten)]
    said: Said,
}

/// What the daemon answers. What a later one says beside is passed over.
#[derive(Debug, Deserialize)]
struct Answer {
    /// None where none was taken.
    next_in: Option<Span>,
    refused: Vec<Refused>,
    /// What namespaces have given up, by name; absent where none has.
    #[serde(default)]
    degradation: Value,
}

#[derive(Debug, Deserialize)]
struct Refused {
    /// Which line, from 1.
    beat: usize,
    outcome: BeatOutcome,
}

impl Crowd {
    fn new(of: CrowdTeller) -> Self {
        Self {
            link: Link::new(of.daemon.clone()),
            route: Route {
                path: "/api/v1/heartbeats".to_owned(),
                content_type: "application/x-ndjson",
            },
            pace: Pace::new(of.config.interval),
            of,
        }
    }

    async fn tell(mut self) {
        let gone = self.of.gone.clone();
        let mut wait = self.pace.first();
        loop {
            tokio::select! {
                () = gone.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            let told = tokio::select! {
                () = gone.cancelled() => return,
                told = self.beat() => told,
            };
            wait = match told {
                Ok(Some(next)) => self.pace.taken(next),
                Ok(None) => self.pace.again(),
                Err(error) => self.pace.missed(&error),
            };
        }
    }

    /// Tells once of all that may beat, and says when the next is wished for; nothing where none may.
    async fn beat(&mut self) -> Result<Option<Duration>, LinkError> {
        let mut body = Vec::new();
        let mut looks = Vec::new();
        for (place, member) in self.of.members.iter().enumerate() {
            if !may_beat(&member.pulse, &member.runtime) {
                continue;
            }
            let mut sampler = member.since_taken.clone();
            let line = Line {
                agent: &member.whose.agent,
                namespace: member.whose.namespace.as_deref(),
                said: Said::new(&sampler.look(), self.of.config.executions_are_requests, None),
            };
            serde_json::to_writer(&mut body, &line).map_err(|error| LinkError::Unreadable(error.to_string()))?;
            body.push(b'\n');
            looks.push((place, sampler));
        }
        if looks.is_empty() {
            return Ok(None);
        }
        let answer: Answer = self.link.tell(&self.route, body, self.pace.patience()).await?;
        let refused: BTreeMap<_, _> = answer.refused.iter().map(|one| (one.beat, one.outcome)).collect();
        let unnamed = Namespace::default();
        for (line, (place, sampler)) in (1..).zip(looks) {
            if let Some(member) = self.of.members.get_mut(place) {
                member.hear(refused.get(&line).copied(), sampler);
                let namespace = member.whose.namespace.as_deref().unwrap_or(unnamed.as_str());
                hear_degradation(&member.runtime, answer.degradation.get(namespace));
            }
        }
        Ok(Some(answer.next_in.map_or(self.pace.interval, |next| next.0)))
    }
}
