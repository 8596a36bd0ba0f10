//! What is measured; one file each.

pub(crate) mod adopt;
pub(crate) mod beats;
pub(crate) mod idle;
pub(crate) mod mass;
pub(crate) mod million;
pub(crate) mod respawn;
pub(crate) mod transitions;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::Args;
use crate::agent;
use crate::clock::Instant;
use crate::fleet::Fleet;
use crate::peers::Peer;
use crate::report::progress;
use crate::roster::Roster;
use crate::tree::{self, Scratch};

/// What all cases need: a place, the agent's program, how much to do.
#[derive(Debug)]
pub(crate) struct Setup {
    scratch: Scratch,
    agent: PathBuf,
    samples: Option<u32>,
    agents: Option<u32>,
    short: bool,
    stead: Option<PathBuf>,
}

impl Setup {
    pub(crate) fn new(args: &Args) -> Result<Self> {
        ensure!(
            args.agents != Some(0) && args.samples != Some(0),
            "at least one agent and one sample"
        );
        let scratch = Scratch::new()?;
        let agent = scratch.path().join("agent");
        agent::install(&agent)?;
        Ok(Self {
            scratch,
            agent,
            samples: args.samples,
            agents: args.agents,
            short: args.short,
            stead: args.stead.clone(),
        })
    }

    /// What was asked for, else the one of the short or the long form.
    fn samples(&self, short: u32, long: u32) -> u32 {
        self.samples.unwrap_or(if self.short { short } else { long })
    }

    fn agents(&self, otherwise: u32) -> u32 {
        self.agents.unwrap_or(otherwise)
    }

    /// Lays out a fleet for a system and has `start` start it; returns when all agents run.
    fn raise(&self, name: &str, count: u32, start: impl FnOnce(&Fleet) -> Result<()>) -> Result<Roster> {
        let fleet = Fleet::lay(self.scratch.path(), name, &self.agent, count)?;
        let mut roster = Roster::new(fleet)?;
        start(roster.fleet())?;
        let missing = roster.await_starts(1, Instant::now().after(START_PATIENCE))?;
        if missing > 0 {
            let log = tree::tail(&roster.fleet().dir.join("log"));
            bail!("{missing} of {count} agents did not start within {START_PATIENCE:?}: {log}");
        }
        Ok(roster)
    }

    /// Runs `measure` with each system alone on the machine.
    fn each_alone<T>(
        &self,
        case: &str,
        peers: &mut [Box<dyn Peer>],
        count: u32,
        mut measure: impl FnMut(&mut Roster) -> Result<T>,
    ) -> Vec<(&'static str, Result<T>)> {
        let mut results = Vec::new();
        for peer in peers.iter_mut().filter(|peer| !peer.only_respawns()) {
            progress(&format!("{case}: {} with {count} agents", peer.name()));
            let raised = peer
                .version()
                .and_then(|_| self.raise(peer.name(), count, |fleet| peer.start(fleet)));
            results.push((peer.name(), raised.and_then(|mut roster| measure(&mut roster))));
            peer.stop();
            tree::sweep();
        }
        results
    }
}

/// How old an agent is at least when it is killed: older than every peer's pause between two starts.
const RIPE: Duration = Duration::from_secs(3);
/// How long a supervisor may take to have all agents running.
const START_PATIENCE: Duration = Duration::from_secs(180);
