//! How many instructions a call takes: a process of its own makes the calls and is stopped after each instruction, which
//! machines can do that count none themselves.

use std::error::Error;
use std::process::{Child, Command, ExitCode, Stdio};

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::{Case, named_like};

/// `instructions WANTED`: a table of the cases that are named like it.
pub(crate) fn run(wanted: &str) -> ExitCode {
    println!("| | instructions per call |\n|---|---|");
    for case in named_like(wanted) {
        let name = case.full_name();
        match per_call(&name) {
            Ok(instructions) => println!("| {name} | {instructions:.1} |"),
            Err(failed) => {
                eprintln!("{name}: {failed}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// `counted N CASE`: makes the calls, and stops before the first and after the last.
pub(crate) fn calls(n: u64, name: &str) -> ExitCode {
    let Some(case) = named_like(name).into_iter().find(|case| case.full_name() == name) else {
        return ExitCode::FAILURE;
    };
    // Whatever is made once is made.
    (case.calls)(WARM);
    let stopped = raise(Signal::SIGSTOP).and_then(|()| {
        (case.calls)(n);
        raise(Signal::SIGSTOP)
    });
    stopped.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// By how much twice as many calls are more, so that what is before and after them does not count. The fewest of a few, as a
/// bucket of time may end in between.
fn per_call(name: &str) -> Result<f64, Box<dyn Error>> {
    let (mut once, mut twice) = (u64::MAX, u64::MAX);
    for _ in 0..TIMES {
        once = once.min(counted(name, CALLS)?);
        twice = twice.min(counted(name, 2 * CALLS)?);
    }
    Ok(twice.saturating_sub(once) as f64 / CALLS as f64)
}

fn counted(name: &str, n: u64) -> Result<u64, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command.args(["counted", &n.to_string(), name]).stdout(Stdio::null()).spawn()?;
    let counted = steps(&child);
    child.kill()?;
    child.wait()?;
    counted
}

/// The instructions of its first thread between the two stops. Its other threads, a ticker's say, stay stopped meanwhile.
fn steps(child: &Child) -> Result<u64, Box<dyn Error>> {
    let pid = Pid::from_raw(child.id().try_into()?);
    match waitpid(pid, Some(WaitPidFlag::WUNTRACED))? {
        WaitStatus::Stopped(..) => {}
        other => return Err(format!("it should have stopped before the first call: {other:?}").into()),
    }
    ptrace::seize(pid, Options::empty())?;
    waitpid(pid, None)?;
    let mut steps = 0;
    loop {
        ptrace::step(pid, None)?;
        match waitpid(pid, None)? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => steps += 1,
            WaitStatus::Stopped(_, Signal::SIGSTOP) => return Ok(steps),
            other => return Err(format!("it should have stopped after an instruction: {other:?}").into()),
        }
    }
}

impl Case {
    fn full_name(&self) -> String {
        format!("{}: {}", self.group, self.name)
    }
}

const WARM: u64 = 1000;
const CALLS: u64 = 8;
const TIMES: u32 = 5;
