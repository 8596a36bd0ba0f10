//! What is counted, and by whom.

use std::io;

use core::fmt;

/// What a process can hold too much of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Resource {
    /// Resident memory.
    Memory,
    /// Open file descriptors.
    FileHandles,
    /// Connected TCP sockets.
    Connections,
    /// Threads.
    Threads,
    /// Something that only this program knows of, by its name: leases, temporary files, browser tabs.
    Custom(&'static str),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::FileHandles => "file handles",
            Self::Connections => "connections",
            Self::Threads => "threads",
            Self::Custom(name) => name,
        })
    }
}

/// What a process holds at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Resident memory in bytes.
    pub memory: u64,
    /// What the cgroup or the host allows, in bytes; the lower of the two.
    pub memory_limit: u64,
    /// Open file descriptors.
    pub file_handles: u64,
    /// Connected TCP sockets.
    pub connections: u64,
    /// Threads.
    pub threads: u64,
}

impl Usage {
    /// Resident memory over its limit.
    #[must_use]
    pub fn memory_ratio(&self) -> f64 {
        crate::procfs::share(self.memory, self.memory_limit)
    }
}

/// Counts what a process holds. [`ProcSampler`](crate::ProcSampler) does it for this one; tests feed series of their own.
pub trait Sample: Send + 'static {
    /// Counts once.
    ///
    /// # Errors
    ///
    /// The system did not say. The detector tells so, and tries again at its next look.
    fn sample(&mut self) -> io::Result<Usage>;
}

impl<F: FnMut() -> io::Result<Usage> + Send + 'static> Sample for F {
    fn sample(&mut self) -> io::Result<Usage> {
        self()
    }
}
