//! All processes of an instance: its cgroup, or else its session and whoever carries its mark.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process_group, pidfd_send_signal};

use crate::cgroup;
use crate::identity::{Stat, open_pid};

/// The tree of one instance.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// Its cgroup, if it has one.
    pub(crate) cgroup: Option<PathBuf>,
    /// What tells whether anybody is in it, if that is open.
    pub(crate) events: Option<Arc<File>>,
    /// Pid of the first process, which is also the id of its session and of its process group.
    pub(crate) session: i32,
    /// When that process was started: a later one with its pid leads a session of others.
    pub(crate) start_time: u64,
    /// Value of `STEAD_INSTANCE` in its environment.
    pub(crate) mark: String,
    /// Where its orphans go.
    pub(crate) orphans: Orphans,
}

/// Where the processes go whose parent in the tree ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Orphans {
    /// To this process, as its subreaper.
    Here,
    /// To somebody else: an earlier keeper started the tree, so some of it may have been orphaned meanwhile.
    Anywhere,
}

impl Tree {
    /// The processes that are in it now.
    pub(crate) fn processes(&self) -> Vec<i32> {
        match (&self.cgroup, self.orphans) {
            (Some(path), _) => cgroup::processes(path),
            (None, Orphans::Here) => {
                let mut pids = vec![self.session];
                pids.extend(
                    own_children()
                        .into_iter()
                        .filter(|pid| *pid != self.session && self.owns(*pid)),
                );
                with_descendants(pids)
                    .into_iter()
                    .filter(|pid| self.owns(*pid))
                    .collect()
            }
            (None, Orphans::Anywhere) => all_pids().into_iter().filter(|pid| self.owns(*pid)).collect(),
        }
    }

    /// Whether the process with this pid belongs to it.
    pub(crate) fn owns(&self, pid: i32) -> bool {
        match &self.cgroup {
            Some(path) => cgroup::processes(path).contains(&pid),
            None => match Stat::of(pid) {
                Ok(stat) if stat.zombie => false,
                Ok(stat) => {
                    (stat.session == self.session && self.has_its_session())
                        || mark_of(pid).as_deref() == Some(&self.mark)
                }
                Err(_gone) => false,
            },
        }
    }

    /// A session's id is not given away while anybody is in it, so only another leader says that it is another's.
    fn has_its_session(&self) -> bool {
        Stat::of(self.session).map_or(true, |leader| leader.start_time == self.start_time)
    }

    /// Sends a signal to every process of it; returns to how many.
    pub(crate) fn signal(&self, signal: Signal) -> u32 {
        if let (Signal::KILL, Some(path)) = (signal, &self.cgroup) {
            // Nobody left is the usual case at an end, and one look tells it.
            if !cgroup::is_populated(path, self.events.as_deref()) {
                return 0;
            }
            let count = cgroup::processes(path).len();
            if cgroup::kill(path).is_ok() {
                return u32::try_from(count).unwrap_or(u32::MAX);
            }
        }
        self.signal_each(self.processes(), signal)
    }

    fn signal_each(&self, pids: Vec<i32>, signal: Signal) -> u32 {
        let mut count = 0;
        for pid in pids {
            // Between the look and the open the pid may have become another's: it must belong here afterwards.
            let Ok(Some(pidfd)) = open_pid(pid) else { continue };
            if self.owns(pid) && pidfd_send_signal(&pidfd, signal).is_ok() {
                count += 1;
            }
        }
        count
    }

    /// Kills what is left when the leader has ended but is not reaped yet, so that its pid is still its own.
    ///
    /// Without a cgroup this reaches the process group; strangers that were re-parented to the keeper, and whatever
    /// left the group, are found by [`Tree::sweep`] afterwards.
    pub(crate) fn kill_group_of_ended_leader(&self) {
        if let (None, Some(group)) = (&self.cgroup, Pid::from_raw(self.session)) {
            // Nobody else in the group is the usual case.
            let _alone = kill_process_group(group, Signal::KILL);
        }
    }

    /// Kills every process that is left of it; returns how many were.
    pub(crate) fn sweep(&self) -> u32 {
        self.signal(Signal::KILL)
    }

    /// Freezes or thaws the whole tree.
    pub(crate) fn freeze(&self, frozen: bool) -> io::Result<()> {
        match &self.cgroup {
            Some(path) => cgroup::freeze(path, frozen),
            None if frozen => {
                self.stop();
                Ok(())
            }
            None => {
                self.signal(Signal::CONT);
                Ok(())
            }
        }
    }

    /// Stops every process, those that are born meanwhile included: looks until a look finds nobody new.
    fn stop(&self) {
        let mut stopped = BTreeSet::new();
        for _ in 0..MOST_LOOKS {
            let new: Vec<i32> = self
                .processes()
                .into_iter()
                .filter(|pid| stopped.insert(*pid))
                .collect();
            if new.is_empty() {
                return;
            }
            self.signal_each(new, Signal::STOP);
        }
    }
}

/// How often a tree is looked at for those who were born while it is stopped. One that is stopped bears nobody, so the second look finds
/// nobody new unless the tree is a fork bomb.
const MOST_LOOKS: usize = 32;

/// Who carries a `STEAD_INSTANCE`, by pid.
pub(crate) fn marked() -> Vec<(i32, String)> {
    all_pids()
        .into_iter()
        .filter_map(|pid| Some((pid, mark_of(pid)?)))
        .collect()
}

/// The value of `STEAD_INSTANCE` in a process' environment.
pub(crate) fn mark_of(pid: i32) -> Option<String> {
    variable_of(pid, "STEAD_INSTANCE=")
}

/// The value behind `prefix` (a name and `=`) in a process' environment.
pub(crate) fn variable_of(pid: i32, prefix: &str) -> Option<String> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = environ
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(prefix.as_bytes()))?;
    String::from_utf8(value.to_vec()).ok()
}

/// The children of this process, which has one thread.
fn own_children() -> Vec<i32> {
    let own = std::process::id();
    read_children(Path::new(&format!("/proc/{own}/task/{own}/children")))
}

fn with_descendants(mut pids: Vec<i32>) -> Vec<i32> {
    let mut next = 0;
    while let Some(pid) = pids.get(next).copied() {
        next += 1;
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for thread in threads.filter_map(Result::ok) {
            pids.extend(read_children(&thread.path().join("children")));
        }
    }
    pids
}

fn read_children(path: &Path) -> Vec<i32> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

pub(crate) fn all_pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}
