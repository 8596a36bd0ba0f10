//! The directory that a daemon's state lives in, and its lock: one daemon at a time.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use stead_model::Wall;

/// Who runs in a state directory; written into its lock file as JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Where it listens, once it does.
    pub listen: Option<String>,
    /// When it started.
    pub started_at: Wall,
    /// Since when the store is away, or was when a daemon here ended: what happened from then on may be missing in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away_since: Option<Wall>,
}

/// A state directory that is ours. The lock is the kernel's: it ends with the process, however that ends.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    lock: File,
    holder: Mutex<Holder>,
}

impl StateDir {
    /// Makes the directory if it is not there, for its owner alone, and locks it. What an earlier holder noted of a store that was away
    /// is kept.
    ///
    /// # Errors
    /// `Held` if another daemon runs in it; `Unusable` if it cannot be made or written to. Nothing else was changed.
    pub fn lock(path: &Path, holder: &Holder) -> Result<Self, LockError> {
        let unusable = |source| LockError::Unusable {
            path: path.to_owned(),
            source,
        };
        let is_new = !path.exists();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(unusable)?;
        if is_new {
            // Whatever the umask said.
            std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(unusable)?;
        }
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(unusable)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(LockError::Held {
                    path: path.to_owned(),
                    holder: read(&mut lock),
                });
            }
            Err(error) => return Err(unusable(error.into())),
        }
        let before = read(&mut lock).and_then(|before| before.away_since);
        let dir = Self {
            path: path.to_owned(),
            lock,
            holder: Mutex::new(Holder {
                away_since: holder.away_since.or(before),
                ..holder.clone()
            }),
        };
        dir.announce(|_| {}).map_err(unusable)?;
        Ok(dir)
    }

    /// Says anew who holds the directory, such as when it is known where it listens.
    ///
    /// # Errors
    /// When the lock file cannot be written; the lock stays held.
    pub fn announce(&self, change: impl FnOnce(&mut Holder)) -> io::Result<()> {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut holder);
        // Of about the length that it had, so that a full disk has room for it.
        let text = serde_json::to_vec(&*holder)?;
        let mut lock = &self.lock;
        lock.seek(SeekFrom::Start(0))?;
        lock.write_all(&text)?;
        lock.set_len(text.len() as u64)
    }

    /// Since when the store has been away without a note of it in the store itself.
    #[must_use]
    pub fn away_since(&self) -> Option<Wall> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner).away_since
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of its store.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        // A child between fork and exec has a copy of the descriptor, which would keep the lock for as long. Should this fail, closing
        // the last copy still ends it.
        let _ended = flock(&self.lock, FlockOperation::Unlock);
    }
}

/// Why a state directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// A daemon runs in it.
    #[error("{} is in use{}", path.display(), describe(holder.as_ref()))]
    Held {
        /// The directory.
        path: PathBuf,
        /// Who, if the lock file can be read.
        holder: Option<Holder>,
    },
    /// It cannot be made, read or written.
    #[error("cannot use the state directory {}", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

fn describe(holder: Option<&Holder>) -> String {
    match holder {
        None => String::new(),
        Some(Holder {
            pid,
            listen: None,
            started_at,
            ..
        }) => format!(" by process {pid}, started at {started_at}"),
        Some(Holder {
            pid,
            listen: Some(listen),
            started_at,
            ..
        }) => format!(" by process {pid}, which listens on {listen}, started at {started_at}"),
    }
}

/// What the holder wrote; nothing if it is writing just now.
fn read(lock: &mut File) -> Option<Holder> {
    let mut text = Vec::new();
    lock.read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

const LOCK: &str = "lock";
const DATABASE: &str = "stead.db";

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(listen: Option<&str>) -> Holder {
        Holder {
            pid: 42,
            listen: listen.map(str::to_owned),
            started_at: Wall::from_unix_millis(0),
            away_since: None,
        }
    }

    #[test]
    fn a_second_daemon_is_told_who_runs() {
        let scratch = tempfile::tempdir().unwrap();
        let first = StateDir::lock(scratch.path(), &holder(None)).unwrap();
        first
            .announce(|holder| holder.listen = Some("http://127.0.0.1:7878".into()))
            .unwrap();
        let refused = StateDir::lock(scratch.path(), &holder(None)).unwrap_err();
        let told = refused.to_string();
        assert!(
            told.contains("process 42, which listens on http://127.0.0.1:7878, started at 1970-01-01T00:00:00.000Z"),
            "{told}"
        );
        first.announce(|holder| holder.listen = None).unwrap();
        let refused = StateDir::lock(scratch.path(), &holder(None)).unwrap_err();
        assert!(matches!(refused, LockError::Held { holder: Some(who), .. } if who == holder(None)));
    }

    #[test]
    fn the_directory_is_free_again_when_its_holder_is_gone() {
        let scratch = tempfile::tempdir().unwrap();
        drop(StateDir::lock(scratch.path(), &holder(None)).unwrap());
        assert!(StateDir::lock(scratch.path(), &holder(None)).is_ok());
    }

    #[test]
    fn that_the_store_is_away_is_remembered_until_it_is_taken_back() {
        let scratch = tempfile::tempdir().unwrap();
        let away = Some(Wall::from_unix_millis(7));
        let first = StateDir::lock(scratch.path(), &holder(None)).unwrap();
        assert_eq!(first.away_since(), None);
        first.announce(|holder| holder.away_since = away).unwrap();
        drop(first);
        for _ in 0..2 {
            let next = StateDir::lock(scratch.path(), &holder(Some("elsewhere"))).unwrap();
            assert_eq!(next.away_since(), away);
        }
        let last = StateDir::lock(scratch.path(), &holder(None)).unwrap();
        last.announce(|holder| holder.away_since = None).unwrap();
        drop(last);
        assert_eq!(
            StateDir::lock(scratch.path(), &holder(None)).unwrap().away_since(),
            None
        );
    }

    #[test]
    fn a_new_directory_and_its_lock_are_for_their_owner_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("deep/state");
        let dir = StateDir::lock(&path, &holder(None)).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(dir.path()), mode(&path.join("lock"))), (0o700, 0o600));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let refused = StateDir::lock(&file.join("state"), &holder(None)).unwrap_err();
        assert!(refused.to_string().contains("file/state"), "{refused}");
    }
}
