//! The files in which Linux says how a process and its cgroup do.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder that has `proc` and `sys`; another than `/` in tests.
#[derive(Clone, Debug)]
pub(crate) struct Root(PathBuf);

/// A cgroup with a limit of its memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MemoryGroup {
    folder: PathBuf,
    files: &'static Files,
    /// In bytes.
    pub(crate) limit: u64,
}

/// What a version of cgroups calls its files.
#[derive(PartialEq, Eq, Debug)]
struct Files {
    mount: &'static str,
    limit: &'static str,
    current: &'static str,
    inactive: &'static str,
}

const ONE: Files = Files {
    mount: "sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    current: "memory.usage_in_bytes",
    inactive: "total_inactive_file ",
};

const TWO: Files = Files {
    mount: "sys/fs/cgroup",
    limit: "memory.max",
    current: "memory.current",
    inactive: "inactive_file ",
};

impl Root {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    /// A path below it.
    pub(crate) fn join(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// The text of a file.
    pub(crate) fn read(&self, path: &str) -> io::Result<String> {
        let path = self.join(path);
        fs::read_to_string(&path).map_err(|error| named(&path, &error))
    }

    /// The cgroup with the lowest limit, from that of this process up to the root, in both versions; `None` where nothing is
    /// limited. Inside a container the upper part is hidden.
    pub(crate) fn memory_group(&self) -> Option<MemoryGroup> {
        // A kernel without cgroups has no such file.
        let groups = self.read("proc/self/cgroup").unwrap_or_default();
        groups
            .lines()
            .filter_map(|line| self.lowest(line))
            .min_by_key(|group| group.limit)
    }

    fn lowest(&self, line: &str) -> Option<MemoryGroup> {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let files = match controllers {
            "" => &TWO,
            _ if controllers.split(',').any(|name| name == "memory") => &ONE,
            _ => return None,
        };
        let relative = Path::new(path.trim_start_matches('/'));
        let limited = relative.ancestors().filter_map(|group| {
            let folder = self.join(files.mount).join(group);
            let limit = number(&folder.join(files.limit))?;
            Some(MemoryGroup { folder, files, limit })
        });
        limited.min_by_key(|group| group.limit)
    }
}

impl MemoryGroup {
    /// What it uses, in bytes, without what is given back first when memory runs short.
    pub(crate) fn working_set(&self) -> Option<u64> {
        let current = number(&self.folder.join(self.files.current))?;
        let stat = fs::read_to_string(self.folder.join("memory.stat")).unwrap_or_default();
        Some(current.saturating_sub(field(&stat, self.files.inactive).unwrap_or(0)))
    }
}

/// An error that says of which file it is.
pub(crate) fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The number behind `name`, which begins a line.
pub(crate) fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The same in bytes, where it is written in KiB.
pub(crate) fn kibibytes(text: &str, name: &str) -> Option<u64> {
    field(text, name).map(|kibibytes| kibibytes.saturating_mul(1024))
}

/// A part of a whole, from 0 to 1; nothing of nothing.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
