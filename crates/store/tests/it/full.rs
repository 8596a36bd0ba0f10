//! A disk that is full: commits fail, reads go on, and it works again once there is space.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use stead_model::journal::Durability;
use stead_store::{Completion, LateStore, Options, SqliteStore, Store, StoreError, TransitionQuery};

use crate::conformance::{PATIENCE, lock, open, sink};
use crate::sample::{agent, moving, node, slot, unending};

/// A small file system of its own, gone with the value.
struct SmallDisk {
    at: tempfile::TempDir,
}

impl SmallDisk {
    /// Nothing if this process may not mount.
    fn mount() -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "stead-test"])
            .arg(at.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { at }),
            refused => {
                let why = format!("mount was refused: {refused:?}");
                let _unseen = writeln!(std::io::stderr(), "\nSKIPPED, and so not tested: {why}");
                let in_ci = ["CI", "STEAD_CI"].iter().any(|name| std::env::var_os(name).is_some());
                assert!(
                    !(in_ci && rustix::process::geteuid().is_root()),
                    "CI runs every test, but: {why}"
                );
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.at.path()
    }

    /// Takes all space that is left; what was given back since it did so last, too.
    fn fill(&self) -> PathBuf {
        let ballast = self.path().join("ballast");
        let mut file = File::options().create(true).append(true).open(&ballast).unwrap();
        let error = file.write_all(&vec![1; 2 << 20]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

/// The kernel gives the space of a file that is gone back a moment later, now and then.
fn until_it_works(store: &dyn Store) {
    let begun = Instant::now();
    while let Err(error) = store.probe() {
        assert_eq!(error, StoreError::Full);
        assert!(begun.elapsed() < PATIENCE, "there is room for long");
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_refuses_commits_lets_reads_go_on_and_recovers_when_space_returns() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let (store, completions) = open(disk.path());
    let (home, id) = (slot(1), agent(slot(1), 1));
    let epoch = store.take(&[home], &node("me"), unending()).unwrap()[0].1;
    let write = |position| {
        store.submit(moving(id, "web", epoch, position, Durability::Flushed));
        completions.recv_timeout(PATIENCE).unwrap()
    };
    assert!(matches!(write(1), Completion::Committed(_)));
    let ballast = disk.fill();

    // What the log has room for already may still fit.
    let mut position = 1;
    let refused = loop {
        match write(position + 1) {
            Completion::Committed(_) => position += 1,
            Completion::Failed { error, .. } | Completion::Damaged { error } => break error,
        }
        assert!(position < 1_000, "it never got full");
    };
    assert_eq!(refused, StoreError::Full);
    assert_eq!(store.load(home).unwrap().position.0, position);
    assert_eq!(store.probe(), Err(StoreError::Full));
    let query = TransitionQuery {
        agent: Some(id),
        limit: 1_000,
        ..TransitionQuery::default()
    };
    assert_eq!(store.transitions(&query).unwrap().items.len() as u64, position);

    std::fs::remove_file(ballast).unwrap();
    until_it_works(&store);
    assert!(matches!(write(position + 1), Completion::Committed(_)));
    assert_eq!(store.load(home).unwrap().position.0, position + 1);
    drop(store);
    let (store, _completions) = open(disk.path());
    assert_eq!(store.load(home).unwrap().position.0, position + 1);
}

#[test]
fn a_store_that_is_opened_on_a_full_disk_is_read_meanwhile_and_opened_once_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let (home, id) = (slot(1), agent(slot(1), 1));
    let (store, completions) = open(disk.path());
    let epoch = store.take(&[home], &node("me"), unending()).unwrap()[0].1;
    store.submit(moving(id, "web", epoch, 1, Durability::Flushed));
    completions.recv_timeout(PATIENCE).unwrap();
    drop(store);
    // What was closed gives its space back a moment later than it says so, now and then.
    let begun = Instant::now();
    let (ballast, error) = loop {
        let ballast = disk.fill();
        let opened = SqliteStore::open(lock(disk.path()), Options::default(), sink().0);
        if let Err(error) = opened {
            break (ballast, error);
        }
        assert!(begun.elapsed() < PATIENCE, "there is still room");
    };
    assert!(error.full(), "{error:?}");
    let (sink, completions) = sink();
    let claim = (vec![home], node("me"), unending());
    let store = LateStore::new(lock(disk.path()).into(), Options::default(), claim, sink);
    let state = store.load(home).unwrap();
    assert_eq!((state.position.0, state.epoch), (1, epoch.next()));
    disk.fill();
    store.submit(moving(id, "web", state.epoch, 2, Durability::Flushed));
    let failed = completions.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(
        failed,
        Completion::Failed {
            error: StoreError::Full,
            ..
        }
    ));
    disk.fill();
    assert_eq!(store.probe(), Err(StoreError::Full));

    std::fs::remove_file(ballast).unwrap();
    until_it_works(&store);
    assert_eq!(
        store.load(home).unwrap().epoch,
        state.epoch,
        "it is held as it was told"
    );
    store.submit(moving(id, "web", state.epoch, 2, Durability::Flushed));
    let written = completions.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(written, Completion::Committed(_)), "{written:?}");
}
