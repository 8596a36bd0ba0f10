//! Counts what this process holds by Linux' `/proc` and the files of its cgroup.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use super::{Sample, Usage};
use crate::procfs::{Root, field, kibibytes, named};

/// Counts what this process holds. One sample reads `/proc/self` (a link per open file), the network's table of TCP sockets
/// where any socket is open, and the memory limits of the cgroup (version 2 and 1) and of its parents.
#[derive(Clone, Debug)]
pub struct ProcSampler {
    root: Root,
}

impl ProcSampler {
    /// A sampler of this process.
    #[must_use]
    pub fn new() -> Self {
        Self::below(Path::new("/"))
    }

    /// A sampler that finds `proc` and `sys` below `root`.
    pub(super) fn below(root: &Path) -> Self {
        Self { root: Root::new(root) }
    }

    /// Open files, and the inodes of those that are sockets.
    fn files(&self) -> io::Result<(u64, HashSet<u64>)> {
        let folder = self.root.join("proc/self/fd");
        let mut open: u64 = 0;
        let mut sockets = HashSet::new();
        for entry in fs::read_dir(&folder).map_err(|error| named(&folder, &error))? {
            open += 1;
            // A file that was closed since leads nowhere.
            if let Some(target) = fs::read_link(entry?.path()).ok().as_deref().and_then(Path::to_str) {
                let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
                sockets.extend(inode.and_then(|inode| inode.parse::<u64>().ok()));
            }
        }
        // One of them is the folder that is being read.
        Ok((open.saturating_sub(1), sockets))
    }

    /// How many of `sockets` are TCP and more than listening.
    fn connections(&self, sockets: &HashSet<u64>) -> io::Result<u64> {
        if sockets.is_empty() {
            return Ok(0);
        }
        let four = self.root.read("proc/self/net/tcp")?;
        // A kernel without IPv6 has no such file.
        let six = self.root.read("proc/self/net/tcp6").unwrap_or_default();
        let lines = four.lines().chain(six.lines());
        let ours = lines.filter_map(connected).filter(|inode| sockets.contains(inode));
        Ok(ours.count() as u64)
    }

    fn memory_limit(&self) -> io::Result<u64> {
        let host = kibibytes(&self.root.read("proc/meminfo")?, "MemTotal:").unwrap_or(u64::MAX);
        let group = self.root.memory_group();
        Ok(group.map_or(host, |group| group.limit.min(host)))
    }
}

impl Default for ProcSampler {
    fn default() -> Self {
        Self::new()
    }
}

impl Sample for ProcSampler {
    fn sample(&mut self) -> io::Result<Usage> {
        let status = self.root.read("proc/self/status")?;
        let missing = |field| io::Error::other(format!("/proc/self/status has no {field}"));
        let (file_handles, sockets) = self.files()?;
        Ok(Usage {
            memory: kibibytes(&status, "VmRSS:").ok_or_else(|| missing("VmRSS"))?,
            memory_limit: self.memory_limit()?,
            file_handles,
            connections: self.connections(&sockets)?,
            threads: field(&status, "Threads:").ok_or_else(|| missing("Threads"))?,
        })
    }
}

/// The inode of a line of `/proc/net/tcp`, unless that socket only listens (state 0A).
fn connected(line: &str) -> Option<u64> {
    let mut fields = line.split_whitespace().skip(3);
    let state = fields.next()?;
    let inode = fields.nth(5)?.parse().ok()?;
    (state != "0A").then_some(inode)
}
