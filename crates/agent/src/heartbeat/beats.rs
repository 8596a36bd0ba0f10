//! Beats of runtimes that are embedded without an agent around them.

use std::time::Duration;

use stead_model::AgentName;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::config::{Place, Surroundings, Whose};
use super::crowd::{CrowdTeller, Member};
use super::{HeartbeatConfig, InvalidHeartbeats, Teller};
use crate::agent::{AgentError, on_thread};
use crate::pulse::Pulse;
use crate::runtime::Runtime;

/// Signs of life to the daemon of runtimes that no [`Agent`](crate::Agent) runs: one, or many in one process. An `Agent` beats by itself.
///
/// They come from a thread of their own. One is the process's [own](Self::own), the run that the daemon started; all others go together, in
/// one request, and are of agents that nothing starts there (`driver = "none"`): their runs are not told apart. A runtime whose tokio
/// runtime does not turn, or that has [failed](Runtime::fail), is left out until it does again, and is found by its silence.
///
/// Dropped, they end. Hold them until the last moment: whoever has beaten once is missed when it is silent.
///
/// # Examples
///
/// ```
/// use stead_agent::{Beats, Call, EntryPoint, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let noop = || EntryPoint::new("noop", async |_: Call| Ok::<_, String>(()));
/// let front = Runtime::builder().entry_point(noop()).build()?;
/// let reader = Runtime::builder().entry_point(noop()).build()?;
/// let beats = Beats::own("front", &front).and("reader", &reader).begin()?;
/// tokio::select! {
///     () = beats.superseded() => std::process::exit(75),
///     () = work_is_done() => {}
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # async fn work_is_done() {}
/// ```
#[derive(Debug)]
#[must_use = "dropped, the beats end"]
pub struct Beats {
    superseded: CancellationToken,
    _gone: DropGuard,
}

/// Runtimes that shall beat.
#[derive(Debug)]
#[must_use = "nothing beats until `begin`"]
pub struct BeatsBuilder {
    own: Option<(String, Runtime)>,
    others: Vec<(String, Runtime)>,
    config: HeartbeatConfig,
    wedged_after: Duration,
}

impl Beats {
    /// Has a runtime beat as the agent that the daemon started this process as; as `agent` where none did. At most one of a process, an
    /// `Agent` among them.
    pub fn own(agent: impl Into<String>, runtime: &Runtime) -> BeatsBuilder {
        BeatsBuilder {
            own: Some((agent.into(), runtime.clone())),
            others: Vec::new(),
            config: HeartbeatConfig::default(),
            wedged_after: Duration::from_secs(30),
        }
    }

    /// Has a runtime beat as `agent`, which is another than the one that this process was started as.
    pub fn of(agent: impl Into<String>, runtime: &Runtime) -> BeatsBuilder {
        BeatsBuilder {
            own: None,
            others: vec![(agent.into(), runtime.clone())],
            config: HeartbeatConfig::default(),
            wedged_after: Duration::from_secs(30),
        }
    }

    /// Is done once a later run of the process's own agent is the present one: the process had better end at once, with 75 for one, and write
    /// nothing down, as its work is the later one's. Never done where nobody beats as its own. Cancel safe.
    pub async fn superseded(&self) {
        self.superseded.cancelled().await;
    }
}

impl BeatsBuilder {
    /// Has one more runtime beat, as `agent`. At most 1,000 in all.
    pub fn and(mut self, agent: impl Into<String>, runtime: &Runtime) -> Self {
        self.others.push((agent.into(), runtime.clone()));
        self
    }

    /// Sets where they go and how often; the environment has the last word, as with an `Agent`.
    pub fn config(self, config: HeartbeatConfig) -> Self {
        Self { config, ..self }
    }

    /// Sets after how long without a turn of its tokio runtime one counts as dead; 30 s unless set.
    pub fn wedged_after(self, wedged_after: Duration) -> Self {
        Self { wedged_after, ..self }
    }

    /// Begins. Where there is no daemon, nothing is told to nobody, and that is no error.
    ///
    /// # Errors
    /// A name that is none or is there twice, too many, a configuration that makes no sense; or the system refused the thread. Nothing beats.
    pub fn begin(self) -> Result<Beats, AgentError> {
        let surroundings = self.config.surroundings()?;
        self.begin_in(surroundings)
    }

    pub(super) fn begin_in(self, surroundings: Option<Surroundings>) -> Result<Beats, AgentError> {
        let own = self
            .own
            .map(|(name, runtime)| Ok::<_, AgentError>((name.parse::<AgentName>()?, runtime)));
        let own = own.transpose()?;
        let others = self
            .others
            .into_iter()
            .map(|(name, runtime)| Ok((name.parse::<AgentName>()?, runtime)));
        let others = others.collect::<Result<Vec<_>, AgentError>>()?;
        let (gone, superseded) = (CancellationToken::new(), CancellationToken::new());
        let beats = Beats {
            superseded: superseded.clone(),
            _gone: gone.clone().drop_guard(),
        };
        let Some(surroundings) = surroundings else {
            return Ok(beats);
        };
        let pulse = |runtime: &Runtime| Pulse::begin(runtime.handle(), self.wedged_after);
        let own = own.map(|(name, runtime)| (surroundings.own(&name), runtime));
        let others: Vec<_> = others
            .into_iter()
            .map(|(name, runtime)| (surroundings.other(&name), runtime))
            .collect();
        told_apart(own.iter().chain(&others).map(|(whose, _)| whose))?;
        let own = own.map(|(whose, runtime)| Teller {
            place: Place {
                daemon: surroundings.daemon.clone(),
                whose,
            },
            config: self.config.clone(),
            pulse: pulse(&runtime),
            runtime,
            gone: gone.clone(),
            superseded,
        });
        let members = others.into_iter().map(|(whose, runtime)| {
            let pulse = pulse(&runtime);
            Member::new(whose, runtime, pulse)
        });
        let crowd = CrowdTeller {
            daemon: surroundings.daemon,
            config: self.config,
            members: members.collect(),
            gone,
        };
        on_thread("stead-heartbeat", async move {
            let own = async {
                if let Some(own) = own {
                    own.tell().await;
                }
            };
            let others = async {
                if !crowd.members.is_empty() {
                    crowd.tell().await;
                }
            };
            tokio::join!(own, others);
        })?;
        Ok(beats)
    }
}

/// Refuses names that are there twice, and more than the daemon's answer tells of.
fn told_apart<'a>(all: impl Iterator<Item = &'a Whose>) -> Result<(), InvalidHeartbeats> {
    let mut names: Vec<&str> = all.map(|whose| whose.agent.as_str()).collect();
    if names.len() > MOST {
        return Err(InvalidHeartbeats::TooMany(names.len()));
    }
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(InvalidHeartbeats::Twice(pair[0].to_owned())),
        None => Ok(()),
    }
}

/// How many beat together at most: of so many the daemon says which were not taken.
pub(super) const MOST: usize = 1_000;
