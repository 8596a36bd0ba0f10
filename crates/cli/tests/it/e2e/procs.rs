//! Processes as the kernel shows them: those of one state directory, found by their environment.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Every process of a state directory: daemon, keeper, agents and what they started.
pub(crate) fn of(state: &Path) -> Vec<i32> {
    let (host, agent) = (host_mark(state), agent_mark(state));
    all_with(|word| word == host.as_bytes() || word.starts_with(agent.as_bytes()))
}

/// The agents' processes among them, and what they started.
pub(crate) fn agents_of(state: &Path) -> Vec<i32> {
    let agent = agent_mark(state);
    all_with(|word| word.starts_with(agent.as_bytes()))
}

/// What only daemon and keeper have in their environment; agents are not told.
fn host_mark(state: &Path) -> String {
    format!("STEAD_STATE_DIR={}", state.display())
}

fn agent_mark(state: &Path) -> String {
    format!("STEAD_AGENT_DIR={}/", state.display())
}

/// Every process with such a word in its environment.
fn all_with(wanted: impl Fn(&[u8]) -> bool) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let has = |pid: &i32| {
        let words = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(&wanted)
    };
    pids.filter(has).collect()
}

/// Whether a process runs; one that ended and was not yet reaped does not.
pub(crate) fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.trim_start().chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Sends a signal; one who is gone needs none.
pub(crate) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _gone = kill_process(pid, signal);
    }
}

pub(crate) fn kill(pid: i32) {
    signal(pid, Signal::KILL);
}

/// Waits until something is there; says what was missing if it does not come.
#[track_caller]
pub(crate) fn until<T>(what: &str, bound: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < bound, "not within {bound:?}: {what}");
        std::thread::sleep(LOOK);
    }
}

const LOOK: Duration = Duration::from_millis(10);
