//! Very many agents that beat: what it costs to hear them all, and how soon one that falls silent is found.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use super::Setup;
use super::adopt::await_ready;
use super::million::name;
use super::transitions::{each, register};
use crate::clock::{Instant, sleep_until};
use crate::http::Line;
use crate::peers::{Peer, Stead};
use crate::procfs;
use crate::report::{Table, progress};
use crate::stats::{Samples, millis};
use crate::tree;

/// How far the beats of one agent lie apart.
const INTERVAL: Duration = Duration::from_secs(10);
/// What is expected of each: so that it is known from outside when a silence means something.
const HEALTH: &str = r#"{"interval":"10s","timeout":"30s","adaptive_timeout":false}"#;
/// Beats go out in so many batches in an interval, each with its share of the agents.
const BATCHES: usize = 1000;
/// Agents that fall silent.
const SILENT: u32 = 200;

pub(crate) fn measure(setup: &Setup, peers: &[Box<dyn Peer>]) -> Result<Vec<Table>> {
    if peers.iter().all(|peer| peer.name() != "stead") {
        return Ok(Vec::new());
    }
    let agents = setup.agents(if setup.short { 20_000 } else { 1_000_000 });
    let mut table = Table::new(
        "beats",
        format!(
            "{agents} agents without a driver, each beating every {INTERVAL:?} with four metrics, in batches of binary records. CPU: the \
             daemon's share of one core while all of them do well. Bytes: growth of the daemon's PSS per agent, from before the first \
             one to after a restart, all of them heard. Found: from when {SILENT} that fell silent were due to be missed, told from \
             the answer to their last beat, to the event that says so, over HTTP."
        ),
        &[
            "agents",
            "beats/s",
            "CPU % of a core",
            "bytes each",
            "batch p50 ms",
            "batch p99 ms",
            "found p50 ms",
            "found worst ms",
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

fn many(setup: &Setup, stead: &mut Stead, agents: u32) -> Result<[String; 8]> {
    let mut daemon = stead.serve(setup.scratch.path())?;
    let address = stead.address()?;
    await_ready(address, &mut daemon)?;
    let empty = resident(&daemon)?;
    let handles = Handles::default();
    // Those that came first go on beating while the others are made known.
    handles.beating(address, || register_all(address, agents, &handles))?;
    daemon.kill()?;
    daemon.wait()?;
    progress("beats: starting with all of them");
    let mut daemon = stead.serve_again()?;
    await_ready(address, &mut daemon)?;
    handles.renew(address, agents)?;
    let (window, settle) = if setup.short { (10, 2) } else { (60, 15) };
    let mut found = Samples::default();
    let mut shown = None;
    let answers = handles.beating(address, || {
        progress("beats: all of them beat");
        thread::sleep(Duration::from_secs(settle));
        let (before, since) = (ticks(&daemon)?, Instant::now());
        thread::sleep(Duration::from_secs(window));
        let spent = Duration::from_millis(TICK_MS * (ticks(&daemon)? - before));
        let cpu = spent.as_secs_f64() / Instant::now().since(since).as_secs_f64();
        let bytes = resident(&daemon)?.saturating_sub(empty) / u64::from(agents);
        shown = Some((cpu, bytes));
        progress("beats: some fall silent");
        found = silence(address, agents, &handles)?;
        Ok(())
    })?;
    daemon.kill()?;
    daemon.wait()?;
    let (cpu, bytes) = shown.context("nothing was measured")?;
    Ok([
        agents.to_string(),
        (u64::from(agents) / INTERVAL.as_secs()).to_string(),
        format!("{:.1}", cpu * 100.0),
        bytes.to_string(),
        millis(answers.median()),
        millis(answers.percentile(99)),
        millis(found.median()),
        millis(found.max()),
    ])
}

/// The handles of all agents that beat by batches, each at the place of its number; 0 for one that does not.
#[derive(Debug, Default)]
struct Handles(Mutex<Vec<u64>>);

impl Handles {
    fn set(&self, id: u32, handle: u64) {
        let mut handles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = id as usize;
        if handles.len() <= at {
            handles.resize(at + 1, 0);
        }
        if let Some(place) = handles.get_mut(at) {
            *place = handle;
        }
    }

    /// Has all of them beat while `work` lasts; gives how long each batch took to be answered, from when it was due.
    fn beating(&self, address: SocketAddr, work: impl FnOnce() -> Result<()>) -> Result<Samples> {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let sender = scope.spawn(|| self.send(address, &done));
            let worked = work();
            done.store(true, Ordering::Relaxed);
            let sent = sender
                .join()
                .map_err(|_panic| anyhow!("the thread of the beats ended"))?;
            worked.and(sent)
        })
    }

    fn send(&self, address: SocketAddr, done: &AtomicBool) -> Result<Samples> {
        let mut line = Line::open(address)?;
        let mut times = Vec::new();
        let mut due = Instant::now();
        let mut batch = Vec::new();
        for turn in 0_usize.. {
            if done.load(Ordering::Relaxed) {
                break;
            }
            sleep_until(due);
            let beats = self.records(turn, &mut batch);
            if beats > 0 {
                let status = line.send("POST", "/api/v1/heartbeats", BINARY, &batch)?;
                ensure!(status == 200, "a batch was answered {status}: {}", line.body());
                let answer: Value = serde_json::from_str(&line.body())?;
                let accepted = answer.get("accepted").and_then(Value::as_u64);
                ensure!(accepted == Some(beats), "of {beats} beats not all were taken: {answer}");
                times.push(Instant::now().since(due));
            }
            due = due.after(INTERVAL / u32::try_from(BATCHES)?);
        }
        Ok(Samples::of(times))
    }

    /// Writes down the beats of those whose turn it is; gives how many.
    fn records(&self, turn: usize, batch: &mut Vec<u8>) -> u64 {
        batch.clear();
        batch.extend(b"SBT1\0\0\0\0");
        let handles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut beats = 0;
        for &handle in handles.iter().skip(turn % BATCHES).step_by(BATCHES) {
            if handle == 0 {
                continue;
            }
            // Metrics that wander and mean nothing.
            let wander = u16::try_from((handle ^ turn as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54).unwrap_or(0);
            batch.extend(handle.to_le_bytes());
            // No incarnation, no sequence: what nothing runs has no runs.
            batch.extend([0; 8]);
            batch.extend(u64::MAX.to_le_bytes());
            batch.extend((3000 + wander).to_le_bytes());
            batch.extend((4000 + wander).to_le_bytes());
            batch.extend(100_u16.to_le_bytes());
            batch.extend((200 + wander / 8).to_le_bytes());
            beats += 1;
        }
        beats
    }

    /// Asks for all handles once more, by name: those of before a restart are good no more.
    fn renew(&self, address: SocketAddr, agents: u32) -> Result<()> {
        let mut line = Line::open(address)?;
        let ids: Vec<u32> = (0..agents).collect();
        for some in ids.chunks(10_000) {
            let lines: String = some
                .iter()
                .map(|id| format!("{{\"agent\":\"{}\"}}\n", name(*id)))
                .collect();
            let status = line.send("POST", "/api/v1/heartbeats?handles=true", LINES, lines.as_bytes())?;
            ensure!(status == 200, "a batch was answered {status}: {}", line.body());
            let answer: Value = serde_json::from_str(&line.body())?;
            let told = answer.get("handles").and_then(Value::as_array).context("no handles")?;
            ensure!(
                told.len() == some.len(),
                "{} of {} beats were taken",
                told.len(),
                some.len()
            );
            for (id, told) in some.iter().zip(told) {
                self.set(*id, handle(told)?);
            }
        }
        Ok(())
    }
}

fn handle(answer: &Value) -> Result<u64> {
    answer.get("handle").and_then(Value::as_u64).context("no handle")
}

/// Makes all of them known, and beats once for each.
fn register_all(address: SocketAddr, agents: u32, handles: &Handles) -> Result<()> {
    let (begun, known) = (Instant::now(), AtomicU32::new(0));
    let one = |line: &mut Line, id: u32| -> Result<()> {
        register(line, &name(id), id, "running", HEALTH)?;
        handles.set(id, handle(&beat(line, id)?)?);
        let known = known.fetch_add(1, Ordering::Relaxed) + 1;
        if known.is_multiple_of(100_000) || known == agents {
            let secs = Instant::now().since(begun).as_secs_f64();
            progress(&format!("beats: {known} of {agents} beat after {secs:.0} s"));
        }
        Ok(())
    };
    each(agents, one, address)
}

fn beat(line: &mut Line, id: u32) -> Result<Value> {
    let status = line.ask("POST", &format!("/api/v1/agents/{}/heartbeats", name(id)), "{}")?;
    ensure!(
        status == 202,
        "a beat of {} was answered {status}: {}",
        name(id),
        line.body()
    );
    Ok(serde_json::from_str(&line.body())?)
}

/// Has some fall silent, and waits until each is said to be degraded: how long after it was due.
fn silence(address: SocketAddr, agents: u32, handles: &Handles) -> Result<Samples> {
    let silent = SILENT.min(agents / 100).max(1);
    let mut events = Events::open(address)?;
    let mut line = Line::open(address)?;
    let mut due = Vec::new();
    for nth in 0..silent {
        let id = nth * (agents / silent);
        handles.set(id, 0);
        let before = Instant::now();
        let answer = beat(&mut line, id)?;
        let next = answer.get("next_in").and_then(Value::as_str).context("no next_in")?;
        // Missed one interval beyond the beat that it was told to give; spans are told in whole milliseconds, rounded up.
        let next = span(next)?.saturating_sub(Duration::from_millis(1));
        due.push((name(id), before.after(next * 2)));
    }
    let mut late = Samples::default();
    let until = Instant::now().after(INTERVAL * 6);
    while !due.is_empty() {
        let (who, at) = events.next(until)?;
        if let Some(place) = due.iter().position(|(name, _)| *name == who) {
            let (_, deadline) = due.swap_remove(place);
            ensure!(
                at >= deadline,
                "{who} was found {:?} before it was due",
                deadline.since(at)
            );
            late.add(at.since(deadline));
        }
    }
    Ok(late)
}

/// Whose health changed, as it is told.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(address: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(INTERVAL * 6))?;
        let request = format!("GET /api/v1/events?type=health_changed HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        // Behind the head the stream is open: from here on nothing is missed.
        while !matches!(line.as_str(), "\r\n") {
            line.clear();
            ensure!(reader.read_line(&mut line)? > 0, "the stream of events was closed");
        }
        Ok(Self(reader))
    }

    fn next(&mut self, until: Instant) -> Result<(String, Instant)> {
        let mut line = String::new();
        loop {
            line.clear();
            ensure!(self.0.read_line(&mut line)? > 0, "the stream of events was closed");
            let at = Instant::now();
            ensure!(at < until, "not all that fell silent were found");
            if let Some(event) = line.strip_prefix("data: ") {
                let event: Value = serde_json::from_str(event)?;
                let who = event
                    .get("name")
                    .and_then(Value::as_str)
                    .context("an event without a name")?;
                return Ok((who.to_owned(), at));
            }
        }
    }
}

/// A span as it is told: `10s 250ms`.
fn span(text: &str) -> Result<Duration> {
    let mut whole = Duration::ZERO;
    for part in text.split(' ') {
        let (number, unit) = part.split_at(part.find(char::is_alphabetic).unwrap_or(part.len()));
        let number: u64 = number.parse().with_context(|| format!("{text} is no span"))?;
        whole += match unit {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_mins(number),
            _ => return Err(anyhow!("{text} is no span of seconds")),
        };
    }
    Ok(whole)
}

fn resident(daemon: &Child) -> Result<u64> {
    procfs::pss(i32::try_from(daemon.id())?).context("the memory of the daemon cannot be read")
}

fn ticks(daemon: &Child) -> Result<u64> {
    procfs::ticks(i32::try_from(daemon.id())?).context("the time of the daemon cannot be read")
}

const BINARY: &str = "application/vnd.stead.beats";
const LINES: &str = "application/x-ndjson";
/// `/proc` counts in hundredths of a second on every architecture that this runs on.
const TICK_MS: u64 = 10;
