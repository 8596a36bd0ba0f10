//! One file per key in a directory that one process has at a time.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use super::{CheckpointStore, StoreError};

/// Keeps each document as a file: written beside, synced, renamed into place, and the directory synced.
///
/// The directory is locked while this exists, so that no two processes resume the same work.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
    /// Holds the directory open: synced after each change, and locked.
    held: File,
}

impl Files {
    /// Opens a directory, made where it is missing (mode 0700 within what the umask permits).
    ///
    /// # Errors
    /// It cannot be made or opened, or another process has it.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let dir = dir.into();
        let mut make = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(make.recursive(true), 0o700);
        make.create(&dir).map_err(failed("make the directory", &dir))?;
        let held = File::open(&dir).map_err(failed("open the directory", &dir))?;
        match flock(&held, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { dir, held }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse(dir.display().to_string())),
            Err(error) => Err(failed("lock", &dir)(error.into())),
        }
    }

    /// Where it keeps its files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.held.sync_all().map_err(failed("sync the directory", &self.dir))
    }

    fn write(&self, beside: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let write = || {
            let mut file = File::create(beside)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(failed("write", beside))
    }
}

impl CheckpointStore for Files {
    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let place = self.dir.join(key);
        // One key is written by one thread at a time, so the name beside it is not shared.
        let beside = self.dir.join(format!(".{key}.new"));
        self.write(&beside, bytes)?;
        fs::rename(&beside, &place).map_err(failed("rename into place", &place))?;
        self.sync()
    }

    fn remove(&self, key: &str) -> Result<(), StoreError> {
        let place = self.dir.join(key);
        match fs::remove_file(&place) {
            Ok(()) => self.sync(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("remove", &place)(error)),
        }
    }

    fn load(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let unreadable = || failed("read the directory", &self.dir);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(unreadable())? {
            let entry = entry.map_err(unreadable())?;
            let Ok(key) = entry.file_name().into_string() else {
                continue;
            };
            let path = entry.path();
            // What begins with a dot was never finished, or is not ours.
            if !key.starts_with('.') && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                found.push((key, fs::read(&path).map_err(failed("read", &path))?));
            }
        }
        found.sort();
        Ok(found)
    }

    fn check(&self) -> Result<(), StoreError> {
        let probe = self.dir.join(".probe");
        self.write(&probe, b"1")
    }
}

fn failed(what: &'static str, place: &Path) -> impl Fn(io::Error) -> StoreError + use<> {
    let place = place.display().to_string();
    move |source| StoreError::Io {
        what,
        place: place.clone(),
        source: Arc::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_there_for_the_next_process_and_what_was_removed_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = Files::open(dir.path().join("deep/er")).unwrap();
        store.put("stream-a", b"1").unwrap();
        store.put("stream-a", b"2").unwrap();
        store.put("stream-b", b"3").unwrap();
        store.remove("stream-b").unwrap();
        store.remove("never").unwrap();
        store.check().unwrap();
        let path = store.dir().to_owned();
        drop(store);
        let again = Files::open(path).unwrap();
        assert_eq!(again.load().unwrap(), [("stream-a".to_owned(), b"2".to_vec())]);
    }

    #[test]
    fn a_directory_has_one_owner() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Files::open(dir.path()).unwrap();
        assert!(matches!(Files::open(dir.path()), Err(StoreError::InUse(_))));
    }

    #[test]
    fn a_file_that_was_never_finished_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let store = Files::open(dir.path()).unwrap();
        fs::write(dir.path().join(".stream-a.new"), b"ha").unwrap();
        assert_eq!(store.load().unwrap(), []);
    }

    #[test]
    fn a_directory_that_is_gone_is_told_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let store = Files::open(dir.path().join("x")).unwrap();
        fs::remove_dir_all(dir.path().join("x")).unwrap();
        let error = super::super::whole(&store.put("a", b"1").unwrap_err());
        assert!(error.contains("/x/.a.new") && error.contains("No such file"), "{error}");
        assert!(store.check().is_err());
    }
}
