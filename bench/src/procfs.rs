//! What `/proc` tells of processes: parents, programs, memory, time on a CPU.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// All processes that descend from `root`, zombies excepted; parents before children.
pub(crate) fn descendants(root: i32) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for pid in pids() {
        if let Some((parent, state)) = parent_and_state(pid)
            && state != "Z"
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        next += 1;
        found.extend(children.remove(pid).unwrap_or_default());
    }
    found.split_off(1)
}

/// Whether a process exists and runs this program.
pub(crate) fn runs(pid: i32, program: &Path) -> bool {
    fs::read_link(of(pid, "exe")).is_ok_and(|exe| exe == program)
}

/// Proportional share of memory in bytes; none for a process that is gone.
pub(crate) fn pss(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(of(pid, "smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Time that a process was on a CPU, in ticks of 10 ms, threads that ended included.
pub(crate) fn ticks(pid: i32) -> Option<u64> {
    let fields = stat(pid)?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent_and_state(pid: i32) -> Option<(i32, String)> {
    let fields = stat(pid)?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?.to_owned();
    Some((fields.next()?.parse().ok()?, state))
}

/// The fields of `/proc/PID/stat` from the third, the state; the second may hold spaces.
fn stat(pid: i32) -> Option<String> {
    let text = fs::read_to_string(of(pid, "stat")).ok()?;
    Some(text.rsplit_once(')')?.1.to_owned())
}

fn of(pid: i32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}
