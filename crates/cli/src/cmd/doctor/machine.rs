//! Checks of this machine: room, limits, cgroups, clock.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use rustix::process::{Resource, getrlimit};
use stead_keeper::{DESCRIPTORS_BESIDE, DESCRIPTORS_EACH};
use stead_model::Bytes;

use super::{fine, warning, wrong};
use crate::clock;
use crate::place;
use crate::render::{self, Check};

/// Less free room than this, and the store may soon be full.
const LEAST_ROOM: Bytes = Bytes::mib(64);
/// Less than this deserves a look.
const LITTLE_ROOM: Bytes = Bytes::mib(1024);
/// 2025-01-01: no build of this program is older.
const OLDEST: i64 = 1_735_689_600_000;

/// Looks at this machine with a state directory and a number of agents in mind.
pub(super) fn checks(state_dir: &Path, agents: u64, checks: &mut Vec<Check>) {
    checks.extend(state(state_dir));
    checks.push(descriptors(agents));
    checks.push(processes(agents));
    checks.extend(pid_max(agents));
    checks.push(capacity(agents));
    checks.push(cgroup());
    checks.push(sane_clock());
    checks.push(orphans(state_dir));
}

/// Processes of agents that nobody keeps.
fn orphans(state_dir: &Path) -> Check {
    let found = stead_keeper::orphans::find(state_dir);
    if found.is_empty() {
        return fine("orphans", "every process of an agent is kept by somebody");
    }
    let memory = found.iter().map(|orphan| orphan.memory.0).sum();
    let said = format!(
        "{} processes of agents that nobody keeps, {} of memory",
        found.len(),
        render::size(memory)
    );
    warning(
        "orphans",
        said,
        format!("`stead orphans` lists them; {}", render::advice(&found).join("; ")),
    )
}

fn state(dir: &Path) -> Vec<Check> {
    let shown = dir.display();
    let existing = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    let mut found = Vec::new();
    found.push(
        match (access(existing, Access::WRITE_OK | Access::EXEC_OK), existing == dir) {
            (Ok(()), true) if !dir.is_dir() => wrong(
                "state",
                format!("{shown} is no directory"),
                "remove it or set STEAD_STATE_DIR",
            ),
            (Ok(()), true) => permissions(dir),
            (Ok(()), false) => fine("state", format!("{shown} will be made by the first start")),
            (Err(error), _) => wrong(
                "state",
                format!("{} cannot be written: {error}", existing.display()),
                "give this user the directory, or set STEAD_STATE_DIR to another",
            ),
        },
    );
    found.extend(place::network(dir).map(|network| {
        wrong(
            "disk",
            format!("{shown} lies on {network}, where locks and syncs cannot be relied on"),
            "put it on a local disk: --state-dir or STEAD_STATE_DIR",
        )
    }));
    found.extend(
        statvfs(existing)
            .ok()
            .map(|stat| room(Bytes(stat.f_bavail.saturating_mul(stat.f_frsize)), existing)),
    );
    found
}

fn permissions(dir: &Path) -> Check {
    use std::os::unix::fs::PermissionsExt;
    let open = fs::metadata(dir).map_or(0, |meta| meta.permissions().mode() & 0o077);
    if open == 0 {
        fine("state", format!("{} is this user's alone", dir.display()))
    } else {
        warning(
            "state",
            format!("others may look into {}", dir.display()),
            format!("chmod 700 {}", dir.display()),
        )
    }
}

fn room(free: Bytes, dir: &Path) -> Check {
    let said = format!("{} MiB free at {}", free.0 / Bytes::mib(1).0, dir.display());
    if free < LEAST_ROOM {
        wrong(
            "room",
            said,
            "free some: with a full disk changes are refused and history is kept in memory only",
        )
    } else if free < LITTLE_ROOM {
        warning("room", said, "logs and history grow up to their bounds; free some soon")
    } else {
        fine("room", said)
    }
}

fn descriptors(agents: u64) -> Check {
    let needed = agents
        .saturating_mul(DESCRIPTORS_EACH)
        .saturating_add(DESCRIPTORS_BESIDE);
    let limit = getrlimit(Resource::Nofile);
    // The keeper raises the soft limit up to the hard one by itself.
    enough(
        "descriptors",
        "open files (hard limit)",
        limit.maximum,
        needed,
        agents,
        "raise it: `ulimit -Hn`, LimitNOFILE= or --ulimit nofile=",
    )
}

fn processes(agents: u64) -> Check {
    let limit = getrlimit(Resource::Nproc);
    let root = rustix::process::geteuid().is_root();
    // The limit does not hold for root.
    let bound = if root { None } else { limit.current };
    enough(
        "processes",
        "processes of this user",
        bound,
        agents.saturating_mul(2),
        agents,
        "raise it: `ulimit -u`, LimitNPROC= or --ulimit nproc=",
    )
}

fn enough(name: &'static str, what: &str, limit: Option<u64>, needed: u64, agents: u64, help: &str) -> Check {
    match limit {
        Some(limit) if limit < needed => wrong(
            name,
            format!("{limit} {what}, {agents} agents need about {needed}"),
            help,
        ),
        Some(limit) => fine(name, format!("{limit} {what}, enough for {agents} agents")),
        None => fine(name, format!("no limit on {what}")),
    }
}

/// How many agents of one process each the limits allow, and which is the tightest.
fn capacity(agents: u64) -> Check {
    let root = rustix::process::geteuid().is_root();
    let descriptors = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let processes = getrlimit(Resource::Nproc).current.filter(|_| !root).unwrap_or(u64::MAX);
    let pids = kernel_pids().unwrap_or(u64::MAX);
    let bounds = [
        (
            descriptors.saturating_sub(DESCRIPTORS_BESIDE) / DESCRIPTORS_EACH,
            "open files",
        ),
        (processes / 2, "processes of this user"),
        (pids / 2, "process ids"),
    ];
    let (most, what) = bounds.into_iter().min().unwrap_or((u64::MAX, "nothing"));
    let said = format!("the limits allow about {most} agents (the tightest: {what})");
    if most < agents {
        wrong(
            "capacity",
            said,
            format!("raise what is told of {what} for {agents} agents"),
        )
    } else {
        fine("capacity", said)
    }
}

fn kernel_pids() -> Option<u64> {
    let text = fs::read_to_string("/proc/sys/kernel/pid_max").ok()?;
    text.trim().parse().ok()
}

fn pid_max(agents: u64) -> Option<Check> {
    let limit = kernel_pids()?;
    let needed = agents.saturating_mul(2);
    Some(enough(
        "pids",
        "process ids (kernel.pid_max)",
        Some(limit),
        needed,
        agents,
        "raise it: `sysctl kernel.pid_max=4194304`",
    ))
}

fn cgroup() -> Check {
    let without = "process groups are used instead: trees that leave their group are found by their environment";
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    match own_cgroup(&mounts, &own) {
        None => warning("cgroup", "no cgroup v2 is mounted", without),
        Some(dir) => match access(&dir, Access::WRITE_OK) {
            Ok(()) => fine("cgroup", format!("{} is writable", dir.display())),
            Err(error) => warning("cgroup", format!("{} is not writable: {error}", dir.display()), without),
        },
    }
}

/// The directory of this process's own cgroup in the v2 hierarchy.
fn own_cgroup(mountinfo: &str, cgroup: &str) -> Option<PathBuf> {
    let mount = mountinfo.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, mount) = (before.next()?, before.next()?);
        (after.split(' ').next() == Some("cgroup2")).then_some((root, mount))
    })?;
    let own = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    let (root, mount) = mount;
    // Inside a container the mount may show only a part of the hierarchy.
    let within = own.strip_prefix(root.trim_end_matches('/')).unwrap_or(own);
    Some(Path::new(mount).join(within.trim_start_matches('/')))
}

fn sane_clock() -> Check {
    let now = clock::now();
    if now.unix_millis() < OLDEST {
        wrong(
            "clock",
            format!("it says {now}"),
            "set the clock: history would carry wrong times",
        )
    } else {
        fine("clock", now.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Verdict;

    #[test]
    fn the_own_cgroup_is_found_in_hybrid_and_pure_hierarchies() {
        let hybrid = "30 1 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n31 1 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let own = "3:cpu:/x\n0::/user.slice/a\n";
        assert_eq!(
            own_cgroup(hybrid, own),
            Some("/sys/fs/cgroup/unified/user.slice/a".into())
        );
        let part = "31 1 0:27 /docker/c /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(own_cgroup(part, "0::/docker/c/b\n"), Some("/sys/fs/cgroup/b".into()));
        assert_eq!(own_cgroup("1 2 3 / /x rw - tmpfs t rw\n", own), None);
    }

    #[test]
    fn a_limit_below_the_need_is_wrong_and_says_how_much_is_needed() {
        let check = enough("descriptors", "open files", Some(256), 928, 100, "raise it");
        assert_eq!(check.verdict, Verdict::Wrong);
        assert_eq!(check.detail, "256 open files, 100 agents need about 928");
        assert_eq!(enough("d", "x", Some(928), 928, 100, "").verdict, Verdict::Fine);
        assert_eq!(enough("d", "x", None, 928, 100, "").verdict, Verdict::Fine);
    }

    #[test]
    fn a_disk_with_little_room_is_told_before_it_is_full() {
        let verdict = |mib| room(Bytes::mib(mib), Path::new("/")).verdict;
        assert_eq!(
            [verdict(10), verdict(500), verdict(5000)],
            [Verdict::Wrong, Verdict::Warning, Verdict::Fine]
        );
    }

    #[test]
    fn a_state_directory_that_others_may_read_is_told() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let verdict = |mode| {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
            permissions(dir.path()).verdict
        };
        assert_eq!([verdict(0o755), verdict(0o700)], [Verdict::Warning, Verdict::Fine]);
    }
}
