//! Ends for want of memory, where the kernel counts them for the keeper's cgroup as a whole.

use std::fs;
use std::path::PathBuf;

use stead_model::{Exit, Signal};

use crate::home::{Home, Shorthand, cgroup_of, instance, shell};
use crate::skip;

/// A memory cgroup with little room, to be removed in the end.
struct Narrow(PathBuf);

impl Narrow {
    /// None where that is not allowed or where there is no such hierarchy.
    fn make() -> Option<Self> {
        Self::of_version_1().or_else(Self::of_version_2)
    }

    fn of_version_1() -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.split_once(":memory:"))?.1.to_owned();
        let path = PathBuf::from(format!("/sys/fs/cgroup/memory{own}/stead-test-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let narrow = Self(path);
        let limit = |name| narrow.limit(name, ROOM);
        let limited = limit("memory.limit_in_bytes") && (limit("memory.memsw.limit_in_bytes") || !swaps());
        (limited && narrow.counts("memory.oom_control")).then_some(narrow)
    }

    fn of_version_2() -> Option<Self> {
        let own = cgroup_of(i32::try_from(std::process::id()).ok()?);
        let path = PathBuf::from(format!("/sys/fs/cgroup{own}/stead-test-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let narrow = Self(path);
        let limited = narrow.limit("memory.max", ROOM) && (narrow.limit("memory.swap.max", 0) || !swaps());
        (limited && narrow.counts("memory.events")).then_some(narrow)
    }

    fn limit(&self, name: &str, bytes: u64) -> bool {
        fs::write(self.0.join(name), bytes.to_string()).is_ok()
    }

    fn counts(&self, name: &str) -> bool {
        let counts = fs::read_to_string(self.0.join(name)).unwrap_or_default();
        counts.contains("oom_kill ")
    }
}

impl Drop for Narrow {
    fn drop(&mut self) {
        let _others_may_be_in_it = fs::remove_dir(&self.0);
    }
}

/// Where there is swap, it must be limited too: else everybody fits.
fn swaps() -> bool {
    fs::read_to_string("/proc/swaps").unwrap_or_default().lines().count() > 1
}

const ROOM: u64 = 96 << 20;

#[test]
fn an_agent_that_the_kernel_kills_for_want_of_memory_is_told_from_one_that_somebody_kills() {
    let Some(narrow) = Narrow::make() else {
        return skip::without_root("no memory cgroup of either version can be made here, or it does not count");
    };
    let mut home = Home::in_cgroup(&narrow.0);
    let mut session = home.session();
    let glutton = || shell(r#"exec python3 -c 'x = b"x" * (1 << 29)'"#);
    for incarnation in 1..=2 {
        session.spawn(instance(1, incarnation), glutton());
        let ended = session.end(instance(1, incarnation));
        assert_eq!(ended.exit, Exit::OutOfMemory, "{incarnation}");
        session.acknowledge(instance(1, incarnation)).unwrap();
    }
    let other = session.spawn(instance(2, 1), shell("exec sleep 1000"));
    let pid = rustix::process::Pid::from_raw(other.pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let exit = session.end(instance(2, 1)).exit;
    assert!(
        matches!(exit, Exit::Signal { signal, .. } if signal == Signal::KILL),
        "{exit:?}"
    );
    drop(session);
    drop(home);
}
