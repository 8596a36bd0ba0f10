//! One cgroup v2 per instance, where the system lets us make them.
//!
//! The hierarchy may be hybrid: v1 controllers beside a v2 mount that has none. Kill, freeze and events work there too.

mod memory;
mod place;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use std::os::fd::OwnedFd;

pub(crate) use memory::Kills;
use place::{Hierarchy, lines, own_path};

/// The keeper's own cgroup, below which each instance has one.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    path: PathBuf,
    /// Whether kills for want of memory are counted in each cgroup below.
    counts_memory: bool,
    /// Its lock, as long as this keeper lives: what nobody holds and nobody is in is that of a dead one.
    _hold: Arc<File>,
}

impl Root {
    /// Finds the v2 hierarchy and makes `stead-MARK` below the cgroup of this process; none where that is not allowed
    /// or where the kernel cannot kill a cgroup.
    pub(crate) fn find(mark: &str) -> Option<Self> {
        let (mounts, own) = place::read()?;
        let above = own_path(&mounts, &own, Hierarchy::V2)?;
        let path = above.join(format!("{PREFIX}{mark}"));
        let hold = hold(&path)?;
        remove_abandoned(&above, &path);
        // Counting kills for want of memory needs the controller; where it is not delegated, there is no count.
        let _uncounted = fs::write(path.join("cgroup.subtree_control"), "+memory");
        let controllers = fs::read_to_string(path.join("cgroup.subtree_control")).unwrap_or_default();
        let counts_memory = controllers.split_ascii_whitespace().any(|name| name == "memory");
        let usable = File::options().write(true).open(path.join("cgroup.kill")).is_ok();
        usable.then(|| Self {
            path,
            counts_memory,
            _hold: Arc::new(hold),
        })
    }

    /// Whether the kernel counts kills for want of memory in each cgroup below.
    pub(crate) const fn counts_memory(&self) -> bool {
        self.counts_memory
    }

    /// Makes the cgroup of an instance, and the keeper's own again where somebody removed it while it was empty.
    pub(crate) fn create(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        let made = match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(&path),
            made => made,
        };
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => Ok(path),
        }
    }

    /// The cgroups below, by name.
    pub(crate) fn list(&self) -> Vec<(String, PathBuf)> {
        children(&self.path)
            .into_iter()
            .filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path)))
            .collect()
    }

    /// Whether a process of a cgroup below was killed for want of memory. Where nobody counts that, to look would cost as much as all else
    /// that an end needs before it can be told.
    pub(crate) fn was_out_of_memory(&self, path: &Path) -> bool {
        let read = || fs::read_to_string(path.join("memory.events"));
        self.counts_memory && read().is_ok_and(|text| counted(&text, "oom_kill ") > Some(0))
    }

    /// Removes the keeper's own cgroup if no instance has one any more.
    pub(crate) fn remove_if_empty(&self) {
        // It has children in the usual case, and then stays.
        let _kept = fs::remove_dir(&self.path);
    }
}

/// Makes the cgroup of a keeper, if there is none, and locks it. Another keeper that just removed it, as nobody's, has it made again.
fn hold(path: &Path) -> Option<File> {
    for _ in 0..3 {
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return None,
            Ok(()) | Err(_) => {}
        }
        let Ok(dir) = File::open(path) else { continue };
        flock(&dir, FlockOperation::LockShared).ok()?;
        if path.exists() {
            return Some(dir);
        }
    }
    None
}

/// Removes what keepers left that were killed, once nobody is in it. A next start goes on where [`MOST_REMOVED`] ends this one.
fn remove_abandoned(above: &Path, own: &Path) {
    let named = |path: &Path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(PREFIX))
    };
    let mut removed = 0;
    for path in children(above) {
        if path == own || !named(&path) || is_populated(&path, None) {
            continue;
        }
        let Ok(dir) = File::open(&path) else { continue };
        if flock(&dir, FlockOperation::NonBlockingLockExclusive).is_ok() {
            removed += 1 + children(&path).len();
            // Somebody may be in it by now, and then it stays.
            let _stays = remove(&path);
        }
        if removed >= MOST_REMOVED {
            return;
        }
    }
}

/// Opens a cgroup to be born into.
pub(crate) fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// Opens what tells whether anybody is in a cgroup, to be asked again and again.
pub(crate) fn open_events(path: &Path) -> io::Result<File> {
    File::open(path.join("cgroup.events"))
}

/// Whether a cgroup has none below, which a run makes for itself.
pub(crate) fn is_plain(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.nlink() == 2)
}

/// The processes of a cgroup and those below it.
pub(crate) fn processes(path: &Path) -> Vec<i32> {
    let text = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    for child in children(path) {
        pids.extend(processes(&child));
    }
    pids
}

/// Whether any process is in a cgroup or below, by its events where they are open already. One that is gone has none.
pub(crate) fn is_populated(path: &Path, events: Option<&File>) -> bool {
    // Asked at each end, while somebody waits for it: one read of what is surely shorter, instead of a string of unknown length.
    let mut text = [0; 64];
    let read = match events {
        Some(events) => events.read_at(&mut text, 0),
        None => open_events(path).and_then(|events| events.read_at(&mut text, 0)),
    };
    read.is_ok_and(|length| lines(text.get(..length).unwrap_or_default()).any(|line| line == b"populated 1"))
}

/// Kills all processes of a cgroup and below.
pub(crate) fn kill(path: &Path) -> io::Result<()> {
    fs::write(path.join("cgroup.kill"), "1")
}

/// Freezes or thaws all processes of a cgroup and below. Returns before all of them stand still.
pub(crate) fn freeze(path: &Path, frozen: bool) -> io::Result<()> {
    fs::write(path.join("cgroup.freeze"), if frozen { "1" } else { "0" })
}

/// Whether it was told to stand still.
pub(crate) fn is_frozen(path: &Path) -> bool {
    fs::read_to_string(path.join("cgroup.freeze")).is_ok_and(|text| text.trim() == "1")
}

/// Removes a cgroup and those below. False while processes are in it.
pub(crate) fn remove(path: &Path) -> bool {
    for child in children(path) {
        if !remove(&child) {
            return false;
        }
    }
    match fs::remove_dir(path) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn children(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// The number behind a name at the beginning of a line.
fn counted(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.parse().ok())
}

/// What the names of keepers' cgroups begin with.
const PREFIX: &str = "stead-";

/// After how many cgroups, those of instances counted, a keeper that starts lets the rest be, so that this takes milliseconds.
const MOST_REMOVED: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_for_want_of_memory_are_counted_by_the_kernel() {
        assert_eq!(
            counted("low 0\noom 3\noom_kill 2\noom_group_kill 0\n", "oom_kill "),
            Some(2)
        );
        assert_eq!(counted("low 0\n", "oom_kill "), None);
    }

    #[test]
    fn a_run_was_out_of_memory_where_its_own_cgroup_counts_a_kill_and_nobody_is_asked_who_does_not_count() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("stead-own");
        let counting = Root {
            _hold: Arc::new(hold(&path).unwrap()),
            path,
            counts_memory: true,
        };
        let run = counting.create("agt_1.1").unwrap();
        let count = |kills: u64| {
            let text = format!("low 0\nhigh 0\nmax 7\noom 2\noom_kill {kills}\noom_group_kill 0\n");
            fs::write(run.join("memory.events"), text).unwrap();
        };
        assert!(!counting.was_out_of_memory(&run), "there is no count");
        count(0);
        assert!(
            !counting.was_out_of_memory(&run),
            "the limit was met, and nobody killed"
        );
        count(1);
        assert!(counting.was_out_of_memory(&run));
        let other = counting.create("agt_2.1").unwrap();
        assert!(!counting.was_out_of_memory(&other));
        let uncounted = Root {
            counts_memory: false,
            ..counting.clone()
        };
        assert!(!uncounted.was_out_of_memory(&run));
    }

    #[test]
    fn what_a_dead_keeper_left_is_removed_and_what_is_held_or_lived_in_stays() {
        let above = tempfile::tempdir().unwrap();
        let at = |name: &str| above.path().join(name);
        for name in ["stead-own", "stead-dead/agt_1.1", "stead-lived-in", "another"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("stead-lived-in/cgroup.events"), "populated 1\nfrozen 0\n").unwrap();
        let held = hold(&at("stead-held")).unwrap();
        let left = || {
            remove_abandoned(above.path(), &at("stead-own"));
            let mut names: Vec<_> = children(above.path())
                .iter()
                .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
                .collect();
            names.sort();
            names
        };
        assert_eq!(left(), ["another", "stead-held", "stead-lived-in", "stead-own"]);
        drop(held);
        assert_eq!(left(), ["another", "stead-lived-in", "stead-own"]);
    }

    #[test]
    fn a_start_removes_a_share_and_the_next_ones_the_rest() {
        let above = tempfile::tempdir().unwrap();
        for keeper in 0..MOST_REMOVED {
            fs::create_dir_all(above.path().join(format!("stead-{keeper}/agt_1.1"))).unwrap();
        }
        let left = || {
            remove_abandoned(above.path(), Path::new("none"));
            children(above.path()).len()
        };
        assert_eq!((left(), left()), (MOST_REMOVED / 2, 0));
    }

    #[test]
    fn a_keeper_whose_cgroup_was_removed_makes_it_again_with_the_next_instance() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("stead-own");
        let root = Root {
            _hold: Arc::new(hold(&path).unwrap()),
            path: path.clone(),
            counts_memory: false,
        };
        fs::remove_dir(&path).unwrap();
        assert_eq!(root.create("agt_1.1").unwrap(), path.join("agt_1.1"));
        assert!(path.join("agt_1.1").is_dir());
    }
}
