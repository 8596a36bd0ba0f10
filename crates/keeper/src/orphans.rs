//! Processes that carry the mark of an agent and belong to nobody who lives: found over the whole machine, ended on somebody's word.
//!
//! A keeper sweeps what is left of its own. What it cannot sweep is what outlived the keeper itself and everything that would bring
//! another one: agents of a state directory that was removed, or in which nobody starts Stead again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Signal, geteuid, pidfd_send_signal};
use serde::Serialize;
use stead_model::{Bytes, InstanceId, Span};

use crate::client::answers;
use crate::dir::{fnv, parse_instance};
use crate::identity::{Stat, is_alive, open_pid};
use crate::record;
use crate::tree::{all_pids, mark_of, variable_of};

/// A process of an agent that nobody keeps.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Orphan {
    /// Its pid.
    pub pid: i32,
    /// When it was started, in ticks since the boot: with the pid, which process it is.
    pub start_time: u64,
    /// Its command line.
    pub command: String,
    /// The agent's name, by its environment.
    pub agent: String,
    /// The run that it belonged to, as `ID.NUMBER`.
    pub instance: String,
    /// The state directory that it is of, where that can be told.
    pub state_dir: Option<PathBuf>,
    /// How long it has run.
    pub age: Span,
    /// What it has of memory: its proportional share, or what is resident where that is not told.
    pub memory: Bytes,
    /// What it has used of processors.
    pub cpu: Span,
    /// Why nobody keeps it.
    pub why: Lost,
    /// Whether [`end`] will end it; what is another user's, or cannot be told apart from what is kept, is left alone.
    pub endable: bool,
}

/// Why nobody keeps a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// Its state directory is gone.
    DirectoryGone,
    /// Its state directory is there, and neither keeper nor daemon; a start there would adopt it.
    NoKeeper,
    /// Its keeper lives and knows of no such run.
    NoRun,
    /// Which state directory it is of cannot be told.
    Unknown,
}

impl core::fmt::Display for Lost {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::DirectoryGone => "its state directory is gone",
            Self::NoKeeper => "no keeper runs there; a start there adopts it",
            Self::NoRun => "its keeper knows of no such run",
            Self::Unknown => "its state directory cannot be told",
        })
    }
}

/// Finds the orphans of this machine that this user may see, the costliest first. Those of another fleet whose keeper or daemon lives are
/// none; of the fleet of `own` they are those that its keeper knows nothing of.
#[must_use]
pub fn find(own: &Path) -> Vec<Orphan> {
    let own = fs::canonicalize(own).unwrap_or_else(|_absent| own.to_owned());
    let mut look = Look {
        keepers: keepers(),
        alive: BTreeMap::new(),
        own,
        recorded: BTreeSet::new(),
    };
    let here = namespace("self", "pid");
    let mut found: Vec<Orphan> = all_pids()
        .into_iter()
        .filter(|pid| namespace(&pid.to_string(), "pid") == here)
        .filter_map(|pid| look.orphan(pid))
        .collect();
    found.sort_by_key(|orphan| std::cmp::Reverse(orphan.memory));
    found
}

/// Ends those of `orphans` that may be ended and are still the same: asks them, and after `grace` makes them. Gives those that are gone.
///
/// Each is looked at anew before each signal: by pid and start time, and for whether anybody keeps it by now.
#[must_use]
pub fn end(own: &Path, orphans: &[Orphan], grace: Duration) -> Vec<i32> {
    let wanted: BTreeSet<(i32, u64)> = orphans
        .iter()
        .filter(|orphan| orphan.endable)
        .map(|orphan| (orphan.pid, orphan.start_time))
        .collect();
    // CONT, so that one that is stopped can hear what it is asked.
    for (signals, patience) in [(&[Signal::TERM, Signal::CONT][..], grace), (&[Signal::KILL][..], LAST)] {
        for orphan in find(own) {
            if orphan.endable && wanted.contains(&(orphan.pid, orphan.start_time)) {
                signals.iter().for_each(|number| send(&orphan, *number));
            }
        }
        let begun = Instant::now();
        while wanted.iter().any(lives) && begun.elapsed() < patience {
            std::thread::sleep(STEP);
        }
    }
    wanted.iter().filter(|one| !lives(one)).map(|(pid, _)| *pid).collect()
}

/// How long what was killed may take until it is gone.
const LAST: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(10);

fn lives((pid, start_time): &(i32, u64)) -> bool {
    Stat::of(*pid).is_ok_and(|stat| !stat.zombie && stat.start_time == *start_time)
}

/// The descriptor holds on to whatever process has the pid now; only then its start time is conclusive.
fn send(orphan: &Orphan, number: Signal) {
    if let Ok(Some(pidfd)) = open_pid(orphan.pid)
        && lives(&(orphan.pid, orphan.start_time))
    {
        // It may have ended at this moment.
        let _gone = pidfd_send_signal(&pidfd, number);
    }
}

/// One look over the machine.
struct Look {
    /// The state directories of the keepers that run.
    keepers: BTreeSet<PathBuf>,
    /// Whether somebody keeps a state directory, as far as it was asked.
    alive: BTreeMap<PathBuf, bool>,
    own: PathBuf,
    /// The instances of which our own keeper has a record, as far as that was asked.
    recorded: BTreeSet<InstanceId>,
}

impl Look {
    fn orphan(&mut self, pid: i32) -> Option<Orphan> {
        let mark = mark_of(pid)?;
        let stat = Stat::of(pid).ok().filter(|stat| !stat.zombie)?;
        let (instance, dir_mark) = mark.split_once('@')?;
        let dir = self.dir_of(pid, dir_mark);
        let why = match &dir {
            None => Lost::Unknown,
            Some(dir) if self.is_kept(dir) => {
                if *dir != self.own || self.is_recorded(instance) {
                    return None;
                }
                Lost::NoRun
            }
            Some(dir) if dir.exists() => Lost::NoKeeper,
            Some(_) => Lost::DirectoryGone,
        };
        let same_mounts = namespace(&pid.to_string(), "mnt") == namespace("self", "mnt");
        let cost = Cost::of(pid, &stat);
        Some(Orphan {
            pid,
            start_time: stat.start_time,
            command: command(pid),
            agent: variable_of(pid, "STEAD_AGENT=").unwrap_or_default(),
            instance: instance.to_owned(),
            endable: why != Lost::Unknown && same_mounts && is_ours(pid, dir.as_deref()),
            state_dir: dir,
            age: cost.age,
            memory: cost.memory,
            cpu: cost.cpu,
            why,
        })
    }

    /// The state directory that a process is of: what its environment says, if that fits its mark.
    fn dir_of(&self, pid: i32, mark: &str) -> Option<PathBuf> {
        let fits = |dir: &Path| format!("{:016x}", fnv(dir.as_os_str().as_bytes())) == mark;
        let told = variable_of(pid, "STEAD_AGENT_DIR=").map(PathBuf::from);
        // DIR/agents/ID/home
        let told = told.as_deref().and_then(|home| home.ancestors().nth(3));
        told.filter(|dir| fits(dir))
            .or_else(|| Some(self.own.as_path()).filter(|own| fits(own)))
            .map(Path::to_owned)
    }

    /// Whether the keeper of our own directory has a record of an instance. What cannot be looked at is taken for kept.
    fn is_recorded(&mut self, instance: &str) -> bool {
        let Some(instance) = parse_instance(instance) else {
            return true;
        };
        if !self.recorded.contains(&instance) {
            // What was started since the last look is in there now.
            match record::known(&self.own.join("instances")) {
                Ok(recorded) => self.recorded = recorded,
                Err(_unread) => return true,
            }
        }
        self.recorded.contains(&instance)
    }

    /// Whether a keeper or a daemon lives that has to do with a state directory.
    fn is_kept(&mut self, dir: &Path) -> bool {
        if let Some(known) = self.alive.get(dir) {
            return *known;
        }
        let kept = self.keepers.contains(dir) || answers(dir) || is_locked(dir);
        self.alive.insert(dir.to_owned(), kept);
        kept
    }
}

/// The state directories of all keepers that run, by their command lines: also of those whose directory was removed under them.
fn keepers() -> BTreeSet<PathBuf> {
    let dir_of = |pid: i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let flag = words.iter().position(|word| *word == b"--state-dir")?;
        let dir = PathBuf::from(std::ffi::OsStr::from_bytes(words.get(flag + 1)?));
        is_alive(pid).then(|| fs::canonicalize(&dir).unwrap_or(dir))
    };
    all_pids().into_iter().filter_map(dir_of).collect()
}

/// Whether somebody holds one of the locks of a state directory. Asked of the kernel's list: to try a lock would keep a start from it.
fn is_locked(dir: &Path) -> bool {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let held: BTreeSet<u64> = locks
        .lines()
        .filter_map(|line| {
            line.split_ascii_whitespace()
                .find(|word| word.matches(':').count() == 2)
        })
        .filter_map(|place| place.rsplit(':').next()?.parse().ok())
        .collect();
    LOCKS
        .iter()
        .filter_map(|name| fs::metadata(dir.join(name)).ok())
        .any(|file| held.contains(&file.ino()))
}

/// The locks of keeper and daemon.
const LOCKS: [&str; 2] = ["keeper.lock", "lock"];

/// Whether a process is of this user's fleet: its state directory is, or where there is none the process itself.
fn is_ours(pid: i32, dir: Option<&Path>) -> bool {
    let owner = dir
        .and_then(|dir| fs::metadata(dir).ok())
        .or_else(|| fs::metadata(format!("/proc/{pid}")).ok());
    owner.is_some_and(|file| file.uid() == geteuid().as_raw())
}

fn namespace(process: &str, kind: &str) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{process}/ns/{kind}")).ok()
}

fn command(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    words
        .join(" ")
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// What a process costs.
struct Cost {
    age: Span,
    memory: Bytes,
    cpu: Span,
}

impl Cost {
    fn of(pid: i32, stat: &Stat) -> Self {
        let since_boot = fs::read_to_string("/proc/uptime").unwrap_or_default();
        let up: f64 = since_boot
            .split(' ')
            .next()
            .and_then(|secs| secs.parse().ok())
            .unwrap_or_default();
        let up = Duration::try_from_secs_f64(up).unwrap_or_default();
        Self {
            age: Span(up.saturating_sub(ticks(stat.start_time))),
            memory: memory(pid),
            cpu: Span(ticks(stat.cpu)),
        }
    }
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count.saturating_mul(1000) / TICKS_PER_SECOND)
}

/// `USER_HZ`: what programs are told is in hundredths of a second on every architecture that this runs on.
const TICKS_PER_SECOND: u64 = 100;

/// Its proportional share of memory; what is resident where the kernel does not tell the share.
fn memory(pid: i32) -> Bytes {
    let line = |file: &str, key: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    };
    let kib = line("smaps_rollup", "Pss:").or_else(|| line("status", "VmRSS:"));
    Bytes(kib.unwrap_or(0).saturating_mul(1024))
}
