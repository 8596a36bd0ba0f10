//! Transitions by HTTP that are on the disk when they are answered: 64 connections, 1,000 agents that nothing runs, one request for
//! one transition. Tasks are given and done in turn, so that each agent goes from online or idle to busy and back.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use super::Setup;
use crate::clock::Instant;
use crate::http::{self, Line};
use crate::peers::{Peer, Stead};
use crate::report::{Table, progress};
use crate::stats::{Samples, millis};
use crate::tree;

const CONNECTIONS: u32 = 64;

pub(crate) fn measure(setup: &Setup, peers: &[Box<dyn Peer>]) -> Result<Vec<Table>> {
    if peers.iter().all(|peer| peer.name() != "stead") {
        return Ok(Vec::new());
    }
    let (agents, secs) = (setup.agents(1000), if setup.short { 5 } else { 30 });
    let mut table = Table::new(
        "transitions",
        format!(
            "{agents} agents without a driver, {CONNECTIONS} connections, {secs} s: requests that give or take a task, each of them one \
             transition, answered once it is synced to the disk."
        ),
        &[
            "agents",
            "transitions/s",
            "p50 ms",
            "p99 ms",
            "commits/s",
            "transitions per commit",
        ],
    );
    progress(&format!("transitions: {agents} agents, {secs} s"));
    let mut stead = Stead::new(setup.stead.as_deref())?;
    let result = stead
        .version()
        .and_then(|_| load(setup, &mut stead, agents, Duration::from_secs(secs)));
    stead.stop();
    tree::sweep();
    match result {
        Ok(row) => table.row(row),
        Err(why) => table.absent(&agents.to_string(), &why),
    }
    Ok(vec![table])
}

fn load(setup: &Setup, stead: &mut Stead, agents: u32, window: Duration) -> Result<[String; 6]> {
    let mut daemon = stead.serve(setup.scratch.path())?;
    let address = stead.address()?;
    super::adopt::await_ready(address, &mut daemon)?;
    each(
        agents,
        |line, id| {
            register(line, &format!("a-{id}"), id, "running", "{}")?;
            beat(line, id)
        },
        address,
    )?;
    let before = written(address)?;
    let started = Instant::now();
    let until = started.after(window);
    let done = AtomicBool::new(false);
    let times = thread::scope(|scope| -> Result<Samples> {
        // Agents that nothing runs must give signs of life.
        let beats = scope.spawn(|| -> Result<()> {
            let mut line = Line::open(address)?;
            while !done.load(Ordering::Relaxed) {
                for id in 0..agents {
                    beat(&mut line, id)?;
                    thread::sleep(Duration::from_millis(4));
                }
            }
            Ok(())
        });
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|worker| scope.spawn(move || work(address, worker, agents, until)))
            .collect();
        let mut all = Samples::default();
        for worker in workers {
            all.merge(
                worker
                    .join()
                    .map_err(|_panic| anyhow!("a connection's thread ended"))??,
            );
        }
        done.store(true, Ordering::Relaxed);
        beats
            .join()
            .map_err(|_panic| anyhow!("the thread of the beats ended"))??;
        Ok(all)
    })?;
    let passed = Instant::now().since(started).as_secs_f64();
    let after = written(address)?;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (count, commits) = (times.len() as f64, after.saturating_sub(before) as f64);
    Ok([
        agents.to_string(),
        format!("{:.0}", count / passed),
        millis(times.median()),
        millis(times.percentile(99)),
        format!("{:.0}", commits / passed),
        format!("{:.1}", count / commits.max(1.0)),
    ])
}

/// Gives and takes tasks of the agents that fall to one connection, until the time is over.
fn work(address: SocketAddr, worker: u32, agents: u32, until: Instant) -> Result<Samples> {
    let mut line = Line::open(address)?;
    let mut times = Vec::new();
    let mut round = 0_u32;
    while Instant::now() < until {
        for id in (worker..agents).step_by(CONNECTIONS as usize) {
            let step = if round.is_multiple_of(2) { "assign" } else { "complete" };
            let before = Instant::now();
            let status = line.ask(
                "POST",
                &format!("/api/v1/agents/a-{id}/tasks/{step}"),
                r#"{"task":"t"}"#,
            )?;
            times.push(Instant::now().since(before));
            ensure!(status == 200, "{step} of a-{id} was answered {status}: {}", line.body());
        }
        round += 1;
    }
    Ok(Samples::of(times))
}

/// Does something for each agent, over all connections.
pub(super) fn each(agents: u32, work: impl Fn(&mut Line, u32) -> Result<()> + Sync, address: SocketAddr) -> Result<()> {
    thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|worker| {
                let work = &work;
                scope.spawn(move || -> Result<()> {
                    let mut line = Line::open(address)?;
                    (worker..agents)
                        .step_by(CONNECTIONS as usize)
                        .try_for_each(|id| work(&mut line, id))
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_panic| anyhow!("a connection's thread ended"))?)
    })
}

/// Makes one known that nothing runs; `health` is what is expected of its beats, as JSON.
pub(super) fn register(line: &mut Line, name: &str, id: u32, intent: &str, health: &str) -> Result<()> {
    let body = format!(
        r#"{{"name":"{name}","intent":"{intent}","spec":{{"driver":"none","labels":{{"team":"t-{}","tier":"bench"}},"health":{health}}}}}"#,
        id % 100
    );
    let status = line.ask("POST", "/api/v1/agents", &body)?;
    ensure!(status == 201, "{name} was not registered: {status} {}", line.body());
    Ok(())
}

fn beat(line: &mut Line, id: u32) -> Result<()> {
    let status = line.ask(
        "POST",
        &format!("/api/v1/agents/a-{id}/heartbeats"),
        r#"{"health":"healthy"}"#,
    )?;
    ensure!(status == 202, "a beat of a-{id} was answered {status}: {}", line.body());
    Ok(())
}

/// How many commits were synced so far.
fn written(address: SocketAddr) -> Result<u64> {
    let (status, body) = http::get(address, "/api/v1/daemon")?;
    ensure!(status == 200, "GET /api/v1/daemon was answered {status}");
    let answer: Value = serde_json::from_str(&body)?;
    answer
        .pointer("/store/flushed")
        .and_then(Value::as_u64)
        .context("the daemon does not say what its store wrote")
}
