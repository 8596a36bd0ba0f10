//! Very many agents: what each costs in memory, how fast the daemon is ready with all of them, and how fast it answers then.

use std::net::SocketAddr;
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use super::Setup;
use super::adopt::await_ready;
use super::transitions::{each, register};
use crate::clock::Instant;
use crate::http::Line;
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
    stead.forget();
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
    register_all(address, agents)?;
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
    progress("million: reading");
    let (lists, gets, rate) = read(address, agents, Duration::from_secs(if setup.short { 3 } else { 20 }))?;
    // Nobody needs the fleet again: its directory is thrown away, and nothing has to be stopped for that.
    daemon.kill()?;
    daemon.wait()?;
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
pub(super) fn name(id: u32) -> String {
    format!("agent-{id:014}")
}

/// Makes all of them known, none of them wanted to run: each is at rest once it is answered. One in a thousand is in another phase than all
/// others, to be found among a million.
fn register_all(address: SocketAddr, agents: u32) -> Result<()> {
    let (begun, known) = (Instant::now(), AtomicU32::new(0));
    let one = |line: &mut Line, id: u32| -> Result<()> {
        let name = name(id);
        register(line, &name, id, "stopped", "{}")?;
        if id.is_multiple_of(1000) {
            let status = line.ask("POST", &format!("/api/v1/agents/{name}/lifecycle/deploy"), "{}")?;
            ensure!(status == 202, "{name} was not deployed: {status} {}", line.body());
        }
        let known = known.fetch_add(1, Ordering::Relaxed) + 1;
        if known.is_multiple_of(REPORT) || known == agents {
            let secs = Instant::now().since(begun).as_secs_f64();
            progress(&format!("million: {known} of {agents} registered after {secs:.0} s"));
        }
        Ok(())
    };
    each(agents, one, address)
}

/// After how many it is said how many are registered.
const REPORT: u32 = 100_000;

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
                "/api/v1/agents?phase=deployed&limit=100".to_owned()
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
