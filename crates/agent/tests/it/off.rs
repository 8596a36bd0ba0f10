//! One that nobody told to answer does not listen, and works all the same.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::process::{Process, built};

/// How many sockets of a process somebody could connect to, by what the kernel says.
fn listening(pid: u32) -> usize {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let held: BTreeSet<String> = fds
        .filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let tables =
        ["tcp", "tcp6"].map(|table| std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default());
    let sockets = tables.iter().flat_map(|table| table.lines().skip(1));
    // The fourth field is the state, of which 0A is that of listeners, the tenth the inode.
    let listens = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields[3] == "0A" && held.contains(fields[9])
    };
    sockets.filter(listens).count()
}

#[test]
fn without_a_word_of_it_an_agent_listens_nowhere_and_with_one_at_one_place() {
    let dir = tempfile::tempdir().unwrap();
    let answers = Process::spawn_with("agent_complete", &dir.path().join("answers"), &[]);
    assert_eq!(listening(answers.pid()), 1);
    let mut silent = Command::new(built("agent_complete"))
        .env_clear()
        .env("STEAD_AGENT_DIR", dir.path().join("silent"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(silent.stderr.take().unwrap());
    // Whoever listens does so before the start.
    let mut lines = log.lines().map(Result::unwrap);
    let started = lines.find(|line| line.contains("loading what the reporter needs"));
    let found = started.map(|_| listening(silent.id()));
    let pid = Pid::from_raw(i32::try_from(silent.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    lines.for_each(drop);
    assert_eq!((found, silent.wait().unwrap().code()), (Some(0), Some(0)));
}
