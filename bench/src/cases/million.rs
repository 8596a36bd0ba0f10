//! Very many agents: what each costs in memory, how fast the daemon is ready with all of them, and how fast it answers then.

use std::net::SocketAddr;
use std::process::Child;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use serde_json::Value;

use super::Setup;
use super::adopt::await_ready;
use super::transitions::{each, register};
use crate::clock::Instant;
use crate::http::{self, Line};
use crate::peers::{Peer, Stead};
use crate::procfs;
use crate::report::{Table, progress};
use crate::stats::{Samples, millis};
use crate::tree;

pub(crate) fn measure(setup: &Setup, peers: &[Box<dyn Peer>]) -> Result<Vec<Table>> {
    if peers.iter().all(|peer| peer.name() != "stead") {
        return Ok(Vec::new());
    }
    let agents = setup.agents(if setup.short { 20_000 } else { 1_000_000 });
    let mut table = Table::new(
        "million",
        format!(
            "{agents} agents without a driver, names of 20 bytes, two labels each, registered over HTTP, at rest. Bytes: growth of the daemon's \
             PSS per agent, after a restart. Ready: from exec to `/health/ready`, warm cache. Reads: a list of 100 by a phase that one in a thousand is in (1 in 5) and one agent (4 in 5), 5,000 \
             a second asked for over 16 connections."
        ),
        &[
            "agents",
            "bytes each",
            "ready ms",
            "reads/s",
            "list p99 ms",
            "get p99 ms",
        ],
    );
    let mut stead = Stead::new(setup.stead.as_deref())?;
    let result = stead.version().and_then(|_| many(setup, &mut stead, agents));
    stead.stop();
    tree::sweep();
    match result {
        Ok(row) => table.row(row),
        Err(why) => table.absent(&agents.to_string(), &why),
    }
    Ok(vec![table])
}

fn many(setup: &Setup, stead: &mut Stead, agents: u32) -> Result<[String; 6]> {
    let mut daemon = stead.serve(setup.scratch.path())?;
    let address = stead.address()?;
    await_ready(address, &mut daemon)?;
    let empty = resident(&daemon)?;
    progress(&format!("million: registering {agents} agents"));
    // One in a thousand is in another phase than all others: to be found among a million.
    let intent = |id: u32| if id.is_multiple_of(1000) { "stopped" } else { "running" };
    each(agents, |line, id| register(line, &name(id), id, intent(id)), address)?;
    progress("million: waiting until those that nobody reports for are given up");
    await_rest(address)?;
    daemon.kill()?;
    daemon.wait()?;
    // Once more, so that the next start finds nothing to recover.
    let mut daemon = stead.serve_again()?;
    await_ready(address, &mut daemon)?;
    daemon.kill()?;
    daemon.wait()?;
    progress("million: starting with all of them");
    let before = Instant::now();
    let mut daemon = stead.serve_again()?;
    let ready = await_ready(address, &mut daemon)?.since(before);
    let grown = resident(&daemon)?.saturating_sub(empty);
    let (lists, gets, rate) = read(address, agents, Duration::from_secs(if setup.short { 3 } else { 20 }))?;
    Ok([
        agents.to_string(),
        (grown / u64::from(agents)).to_string(),
        millis(ready),
        format!("{rate:.0}"),
        millis(lists.percentile(99)),
        millis(gets.percentile(99)),
    ])
}

/// A name of 20 bytes.
fn name(id: u32) -> String {
    format!("agent-{id:014}")
}

/// Waits until no agent is expected to report any more: what is measured is a fleet at rest.
fn await_rest(address: SocketAddr) -> Result<()> {
    let until = Instant::now().after(PATIENCE);
    loop {
        let (status, body) = http::get(address, "/api/v1/agents?phase=starting&limit=1")?;
        ensure!(status == 200, "the agents were listed with {status}");
        let answer: Value = serde_json::from_str(&body)?;
        let starting = answer
            .get("items")
            .and_then(Value::as_array)
            .is_some_and(|items| !items.is_empty());
        if !starting {
            return Ok(());
        }
        ensure!(Instant::now() < until, "agents still start after {PATIENCE:?}");
        thread::sleep(Duration::from_secs(1));
    }
}

/// Longer than an agent may start, and than so many take to be given up.
const PATIENCE: Duration = Duration::from_secs(600);

fn resident(daemon: &Child) -> Result<u64> {
    let pid = i32::try_from(daemon.id())?;
    procfs::pss(pid).ok_or_else(|| anyhow!("the memory of the daemon cannot be read"))
}

const READERS: u32 = 16;
/// Reads that all readers together ask for in a second.
const RATE: u32 = 5_000;

fn read(address: SocketAddr, agents: u32, window: Duration) -> Result<(Samples, Samples, f64)> {
    let started = Instant::now();
    let until = started.after(window);
    let pause = Duration::from_secs(1) * READERS / RATE;
    let read = move |reader: u32| -> Result<(Vec<Duration>, Vec<Duration>)> {
        let mut line = Line::open(address)?;
        let (mut lists, mut gets) = (Vec::new(), Vec::new());
        let mut due = Instant::now();
        let mut turn = reader;
        while due < until {
            let now = Instant::now();
            if now < due {
                thread::sleep(due.since(now));
            }
            // Counted from when it was due, so that a stall counts for all that it holds up.
            let since = due;
            let is_list = turn.is_multiple_of(5);
            let path = if is_list {
                "/api/v1/agents?phase=registered&limit=100".to_owned()
            } else {
                format!("/api/v1/agents/{}", name(turn.wrapping_mul(7_919) % agents))
            };
            let status = line.ask("GET", &path, "")?;
            ensure!(status == 200, "GET {path} was answered {status}: {}", line.body());
            let took = Instant::now().since(since);
            let times = if is_list { &mut lists } else { &mut gets };
            times.push(took);
            turn = turn.wrapping_add(READERS);
            due = due.after(pause);
        }
        Ok((lists, gets))
    };
    let (mut lists, mut gets) = (Samples::default(), Samples::default());
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|reader| scope.spawn(move || read(reader))).collect();
        readers.into_iter().try_for_each(|reader| -> Result<()> {
            let (list, get) = reader.join().map_err(|_panic| anyhow!("a reader's thread ended"))??;
            lists.merge(Samples::of(list));
            gets.merge(Samples::of(get));
            Ok(())
        })
    })?;
    let passed = Instant::now().since(started).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = (lists.len() + gets.len()) as f64 / passed;
    Ok((lists, gets, rate))
}
