//! Kills for want of memory, where the kernel does not count them for each instance: under cgroup v1, or where the controller of v2 is not
//! delegated to us.
//!
//! To put each instance into a cgroup of v1 would take milliseconds at each birth, since nobody can be born into one. So the cgroup is asked
//! in which, as far as memory goes, all of them live: the keeper's. Its count says that somebody there was killed so, not who. The end of a
//! main process by SIGKILL, which nobody asked the keeper for, is put down to it where the count has risen.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::place::{self, Hierarchy, own_path};

/// The count of the keeper's own cgroup.
#[derive(Debug)]
pub(crate) struct Kills {
    counter: File,
    /// How many of them are put down to somebody, or were before.
    accounted: u64,
}

impl Kills {
    /// Finds the count; none without a memory controller, or with one that does not count, as before Linux 4.13.
    pub(crate) fn find() -> Option<Self> {
        let (mounts, own) = place::read()?;
        let of = |hierarchy, name| Self::of(&own_path(&mounts, &own, hierarchy)?.join(name));
        of(Hierarchy::Memory, V1).or_else(|| of(Hierarchy::V2, V2))
    }

    fn of(counter: &Path) -> Option<Self> {
        let counter = File::open(counter).ok()?;
        let accounted = read(&counter)?;
        Some(Self { counter, accounted })
    }

    /// Whether somebody was killed so of whom it was not told yet. Each is told once.
    pub(crate) fn take(&mut self) -> bool {
        let risen = read(&self.counter).is_some_and(|count| count > self.accounted);
        self.accounted += u64::from(risen);
        risen
    }
}

const V1: &str = "memory.oom_control";
const V2: &str = "memory.events";

fn read(counter: &File) -> Option<u64> {
    // Asked at each end by SIGKILL, while somebody waits for it.
    let mut text = [0; 256];
    let length = counter.read_at(&mut text, 0).ok()?;
    let text = std::str::from_utf8(text.get(..length)?).ok()?;
    super::counted(text, "oom_kill ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kill_of_the_keeper_s_cgroup_is_told_once_and_earlier_ones_never() {
        let cgroup = tempfile::tempdir().unwrap();
        for (name, before) in [
            (V1, "oom_kill_disable 0\nunder_oom 0\n"),
            (V2, "low 0\nhigh 0\nmax 9\noom 4\n"),
        ] {
            let file = cgroup.path().join(name);
            let count = |count: u64| std::fs::write(&file, format!("{before}oom_kill {count}\n")).unwrap();
            count(3);
            let mut kills = Kills::of(&file).unwrap();
            assert!(!kills.take());
            count(5);
            assert_eq!([kills.take(), kills.take(), kills.take()], [true, true, false]);
        }
    }

    #[test]
    fn a_kernel_that_does_not_count_is_not_asked() {
        let cgroup = tempfile::tempdir().unwrap();
        let file = cgroup.path().join(V1);
        assert!(Kills::of(&file).is_none());
        std::fs::write(&file, "oom_kill_disable 0\nunder_oom 0\n").unwrap();
        assert!(Kills::of(&file).is_none());
    }
}
