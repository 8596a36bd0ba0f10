//! Measures the keeper alone: `cargo build --release -p stead-keeper --bins --examples`, then
//! `target/release/examples/measure [ROUNDS] [AGENTS]`.
//!
//! *Respawn*: from `kill -9` of an agent to the first instruction of its replacement's `main`, by the keeper and a
//! client that orders the next run at once, beside a bare loop of pidfd, wait and spawn as the floor. *Memory*: PSS of
//! the keeper with many idle agents.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use rustix::time::{ClockId, clock_gettime};
use stead_keeper::wire::{Event, Reply, Request, SpawnOrder};
use stead_keeper::{Session, answers};
use stead_model::spec::ProcessSpec;
use stead_model::{AgentId, Epoch, Incarnation, InstanceId, Namespace, Slot};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let began = now();
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("agent") => agent(began, args.get(1).map_or("", String::as_str)),
        Some("floor") => floor(args.get(1).map_or("", String::as_str)),
        rounds => {
            let rounds = rounds.and_then(|text| text.parse().ok()).unwrap_or(300);
            let agents = args.get(1).and_then(|text| text.parse().ok()).unwrap_or(1000);
            measure(rounds, agents)
        }
    }
}

/// Says when it began and who it is, then waits to be killed.
fn agent(began: u64, report: &str) -> Result<()> {
    let mut message = began.to_le_bytes().to_vec();
    message.extend(std::process::id().to_le_bytes());
    UnixDatagram::unbound()?.send_to(&message, report)?;
    loop {
        std::thread::park();
    }
}

/// The floor: nothing but a pidfd, a wait and a spawn.
fn floor(report: &str) -> Result<()> {
    let program = std::env::current_exe()?;
    loop {
        let mut child = Command::new(&program)
            .arg("agent")
            .arg(report)
            .process_group(0)
            .spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id())?).ok_or("no pid")?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        poll(&mut [PollFd::new(&pidfd.as_fd(), PollFlags::IN)], None)?;
        child.wait()?;
    }
}

fn measure(rounds: usize, agents: u64) -> Result<()> {
    let dir = std::env::temp_dir().join(format!("stead-measure-{}", std::process::id()));
    std::fs::create_dir(&dir)?;
    let report = dir.join("report");
    let socket = UnixDatagram::bind(&report)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let report = report.to_str().ok_or("not UTF-8")?.to_owned();
    let program = std::env::current_exe()?;

    let mut bare = Command::new(&program).arg("floor").arg(&report).spawn()?;
    let floor = respawns(&socket, rounds)?;
    bare.kill()?;
    bare.wait()?;
    end_last(&socket)?;

    let state = dir.join("state");
    let mut keeper = start(&program, &state)?;
    let client = {
        let (state, spec) = (state.clone(), command(&program, &["agent", &report]));
        std::thread::spawn(move || restart_for_ever(&state, &spec).map_err(|error| error.to_string()))
    };
    let kept = respawns(&socket, rounds)?;
    say(&format!("floor:  {floor}\nkeeper: {kept}"))?;
    let mut session = Session::open(&state, Epoch(2))?;
    drop(client.join());

    let first = pss(keeper.id())?;
    for number in 0..agents {
        spawn(
            &mut session,
            instance(1000 + number, 1),
            &command(Path::new("/bin/sleep"), &["100000"]),
        )?;
    }
    say(&format!(
        "memory: {first} KiB PSS with one agent, {} KiB with {agents}",
        pss(keeper.id())?
    ))?;
    let before = cpu(keeper.id())?;
    std::thread::sleep(Duration::from_secs(5));
    say(&format!("idle:   {} ticks of CPU in 5 s", cpu(keeper.id())? - before))?;
    for view in session.list()? {
        session.ask(Request::KillTree {
            instance: view.instance,
        })?;
    }
    let begun = now();
    let mut gone = 0;
    while gone <= agents {
        if matches!(session.next_event()?, Event::Exited { .. }) {
            gone += 1;
        }
    }
    say(&format!(
        "ends:   {gone} told within {} ms of the last kill",
        (now() - begun) / 1_000_000
    ))?;
    for view in session.list()? {
        session.acknowledge(view.instance)?;
    }
    session.ask(Request::Shutdown)?;
    keeper.wait()?;
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

/// Kills whoever reports, again and again, and sees when the next one begins.
fn respawns(socket: &UnixDatagram, rounds: usize) -> Result<String> {
    let mut waits = Vec::new();
    let mut message = [0; 12];
    socket.recv(&mut message)?;
    for _ in 0..rounds {
        let (_, pid) = message.split_at(8);
        let pid = i32::from_le_bytes(*pid.first_chunk().ok_or("short")?);
        std::thread::sleep(Duration::from_millis(15));
        let killed = now();
        kill_process(Pid::from_raw(pid).ok_or("no pid")?, Signal::KILL)?;
        socket.recv(&mut message)?;
        let began = u64::from_le_bytes(*message.first_chunk().ok_or("short")?);
        waits.push(began.saturating_sub(killed) / 1000);
    }
    waits.sort_unstable();
    let at = |share: usize| waits.get(waits.len() * share / 100).copied().unwrap_or(0);
    Ok(format!("median {} us, p95 {} us, p99 {} us", at(50), at(95), at(99)))
}

/// Ends the agent of a floor that is gone; it outlives it, as nobody owns its tree.
fn end_last(socket: &UnixDatagram) -> Result<()> {
    let name = socket.local_addr()?;
    let report = name.as_pathname().and_then(Path::to_str).ok_or("no name")?.to_owned();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0).skip(1);
        if words.next() == Some(b"agent") && words.next() == Some(report.as_bytes()) {
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            kill_process(pid.and_then(Pid::from_raw).ok_or("no pid")?, Signal::KILL)?;
        }
    }
    Ok(())
}

fn restart_for_ever(state: &Path, spec: &ProcessSpec) -> Result<()> {
    let mut session = Session::open(state, Epoch(1))?;
    let mut run = 1;
    spawn(&mut session, instance(1, run), spec)?;
    loop {
        if let Event::Exited { instance: ended, .. } = session.next_event()? {
            run += 1;
            spawn(&mut session, instance(1, run), spec)?;
            session.acknowledge(ended)?;
        }
    }
}

fn start(program: &Path, state: &Path) -> Result<Child> {
    let keeper = program
        .parent()
        .and_then(Path::parent)
        .ok_or("no directory")?
        .join("stead-keeper-alone");
    let child = Command::new(keeper)
        .args(["keeper", "--foreground", "--state-dir"])
        .arg(state)
        .stderr(Stdio::null())
        .spawn()?;
    while !answers(state) {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(child)
}

fn spawn(session: &mut Session, instance: InstanceId, spec: &ProcessSpec) -> Result<()> {
    let order = SpawnOrder {
        instance,
        name: "measured".parse()?,
        namespace: Namespace::default(),
        spec: spec.clone(),
        env: BTreeMap::new(),
    };
    match session.ask(Request::Spawn(Box::new(order)))? {
        Reply::Spawned { .. } => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

fn command(program: &Path, args: &[&str]) -> ProcessSpec {
    let program = program.to_string_lossy().into_owned();
    let args = args.iter().map(|arg| String::from(*arg));
    ProcessSpec {
        command: std::iter::once(program).chain(args).collect(),
        ..ProcessSpec::default()
    }
}

fn instance(agent: u64, incarnation: u64) -> InstanceId {
    InstanceId {
        agent: AgentId::from_bits(Slot::all().next().map_or(0, |slot| AgentId::new(slot, agent).to_bits())),
        incarnation: Incarnation(incarnation),
    }
}

fn pss(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .ok_or("no PSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn cpu(pid: u32) -> Result<u64> {
    let mut text = String::new();
    std::fs::File::open(format!("/proc/{pid}/stat"))?.read_to_string(&mut text)?;
    let fields: Vec<&str> = text.rsplit_once(')').ok_or("no stat")?.1.split_whitespace().collect();
    let field = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<u64>().ok())
            .unwrap_or(0)
    };
    Ok(field(11) + field(12))
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}
