//! kill -9 of Stead's daemon: from exec of the next one to `/health/ready` = 200 with every agent adopted. Peers have
//! nothing beside it: their agents die with them, or are left to nobody.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Child;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Setup;
use crate::clock::Instant;
use crate::http;
use crate::peers::{Peer, Stead};
use crate::report::{Table, progress};
use crate::roster::Roster;
use crate::stats::{Samples, millis};
use crate::tree;

pub(crate) fn measure(setup: &Setup, peers: &[Box<dyn Peer>]) -> Result<Vec<Table>> {
    let tries = setup.samples(2, 10);
    let mut table = Table::new(
        "adopt",
        format!(
            "kill -9 of Stead's daemon, {tries} times per fleet: milliseconds from exec of the next daemon to ready, with \
             every agent listed under the pid that it had and none started again."
        ),
        &["agents", "daemons killed", "median", "worst"],
    );
    if peers.iter().all(|peer| peer.name() != "stead") {
        return Ok(Vec::new());
    }
    let fleets = setup.agents.map_or_else(|| vec![100, 1000], |count| vec![count]);
    for count in fleets {
        progress(&format!("adopt: {tries} daemons of {count} agents"));
        let mut stead = Stead::new(setup.stead.as_deref())?;
        let result = stead
            .version()
            .and_then(|_| kill_daemons(setup, &mut stead, count, tries));
        stead.stop();
        tree::sweep();
        match result {
            Ok(times) => {
                table.row([
                    count.to_string(),
                    tries.to_string(),
                    millis(times.median()),
                    millis(times.max()),
                ]);
            }
            Err(why) => table.absent(&count.to_string(), &why),
        }
    }
    Ok(vec![table])
}

fn kill_daemons(setup: &Setup, stead: &mut Stead, count: u32, tries: u32) -> Result<Samples> {
    let mut daemon = None;
    let mut roster = setup.raise("stead", count, |fleet| {
        daemon = Some(stead.up(fleet)?);
        Ok(())
    })?;
    let mut daemon = daemon.context("no daemon was started")?;
    let address = stead.address()?;
    await_ready(address, &mut daemon)?;

    let mut times = Samples::default();
    for _ in 0..tries {
        roster.listen(Instant::now().after(CALM))?;
        daemon.kill()?;
        daemon.wait()?;
        let before = Instant::now();
        daemon = stead.up_again()?;
        times.add(await_ready(address, &mut daemon)?.since(before));
        check_pids(address, &roster)?;
        roster.listen(Instant::now().after(CALM))?;
        roster.audit(1).clean()?;
    }
    Ok(times)
}

/// Waits for `/health/ready` = 200. Returns the moment of that answer.
pub(super) fn await_ready(address: SocketAddr, daemon: &mut Child) -> Result<Instant> {
    let until = Instant::now().after(PATIENCE);
    loop {
        let answer = http::get(address, "/health/ready");
        if matches!(answer, Ok((200, _))) {
            return Ok(Instant::now());
        }
        ensure!(daemon.try_wait()?.is_none(), "the daemon ended by itself");
        ensure!(Instant::now() < until, "not ready within {PATIENCE:?}: {answer:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the daemon knows every agent under the pid that the agent itself reported.
fn check_pids(address: SocketAddr, roster: &Roster) -> Result<()> {
    let agents = http::items(address, "/api/v1/agents")?;
    let known: BTreeMap<_, _> = agents.iter().filter_map(name_and_pid).collect();
    for id in roster.fleet().ids() {
        let (listed, own) = (known.get(format!("a-{id}").as_str()), i64::from(roster.pid(id)?));
        ensure!(
            listed == Some(&own),
            "agent {id} has pid {own} and is listed under {listed:?}"
        );
    }
    Ok(())
}

fn name_and_pid(agent: &Value) -> Option<(&str, i64)> {
    Some((agent.get("name")?.as_str()?, agent.get("pid")?.as_i64()?))
}

/// Time for what the last daemon left behind to show, and for the next to come to rest.
const CALM: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(120);
