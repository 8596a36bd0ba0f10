//! A disk that can lose power and fail to sync: the syncs of this test program go through here.
//!
//! Whatever links statically into this program, SQLite among it, calls the `fsync` and `fdatasync` below. For files of a watched
//! directory they keep aside what was synced, which is all that a disk owes after a power cut.

use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::dice::Dice;

/// A directory whose syncs are watched; ends with it.
pub(crate) struct Disk {
    directory: PathBuf,
}

#[derive(Default)]
struct Watched {
    synced: BTreeMap<PathBuf, Vec<u8>>,
    /// What files held when a sync of them failed: the kernel counts those pages as clean from then on, though no disk has them.
    forgotten: BTreeMap<PathBuf, Vec<u8>>,
    syncs: u64,
    failing: bool,
}

static WATCHED: Mutex<BTreeMap<PathBuf, Watched>> = Mutex::new(BTreeMap::new());

impl Disk {
    pub(crate) fn watch(directory: &Path) -> Self {
        let directory = directory.canonicalize().unwrap();
        with(|all| drop(all.insert(directory.clone(), Watched::default())));
        Self { directory }
    }

    /// How many syncs of files succeeded so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.of(|watched| watched.syncs)
    }

    /// Lets every sync fail with an error of the device, or no longer.
    pub(crate) fn fail_syncs(&self, failing: bool) {
        self.of(|watched| watched.failing = failing);
    }

    /// Puts into `target` what a power cut now may leave: every synced byte, and of what was written since any sectors, or none.
    pub(crate) fn cut_power(&self, target: &Path, dice: &mut Dice) {
        let synced = self.of(|watched| watched.synced.clone());
        for (path, synced) in synced {
            // The index of the log is rebuilt at the next start; nobody ever syncs it.
            let now = std::fs::read(&path).unwrap_or_default();
            std::fs::write(target.join(path.file_name().unwrap()), torn(&synced, &now, dice)).unwrap();
        }
    }

    fn of<A>(&self, look: impl FnOnce(&mut Watched) -> A) -> A {
        with(|all| look(all.get_mut(&self.directory).unwrap()))
    }
}

impl Watched {
    fn sync(&mut self, file: PathBuf) -> Result<(), rustix::io::Errno> {
        let now = std::fs::read(&file).unwrap_or_default();
        if self.failing {
            self.forgotten.insert(file, now);
            return Err(rustix::io::Errno::IO);
        }
        let reached = match self.forgotten.get(&file) {
            // A file that begins otherwise was begun anew, and written whole since.
            Some(forgotten) if forgotten.get(..HEADER) == now.get(..HEADER) => {
                without_forgotten(&now, forgotten, self.synced.get(&file))
            }
            Some(_) | None => now,
        };
        self.syncs += 1;
        self.synced.insert(file, reached);
        Ok(())
    }
}

/// What a disk has of `now` when sectors that are as they were at a failed sync were never written.
fn without_forgotten(now: &[u8], forgotten: &[u8], synced: Option<&Vec<u8>>) -> Vec<u8> {
    let mut reached = now.to_vec();
    for (index, sector) in reached.chunks_mut(SECTOR).enumerate() {
        let range = index * SECTOR..index * SECTOR + sector.len();
        if forgotten.get(range.clone()) == Some(&*sector) {
            match synced.and_then(|synced| synced.get(range)) {
                Some(old) => sector.copy_from_slice(old),
                None => sector.fill(0),
            }
        }
    }
    reached
}

impl Drop for Disk {
    fn drop(&mut self) {
        with(|all| drop(all.remove(&self.directory)));
    }
}

/// Mixes sectors of what was synced and what was only written.
fn torn(synced: &[u8], now: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut left = synced.to_vec();
    if dice.below(3) == 0 {
        return left;
    }
    if dice.below(2) == 0 {
        left.resize(now.len().max(left.len()), 0);
    }
    for (old, new) in left.chunks_mut(SECTOR).zip(now.chunks(SECTOR)) {
        if dice.below(2) == 0 {
            let length = old.len().min(new.len());
            old[..length].copy_from_slice(&new[..length]);
        }
    }
    left
}

fn with<A>(look: impl FnOnce(&mut BTreeMap<PathBuf, Watched>) -> A) -> A {
    look(&mut WATCHED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Notes what a sync makes durable, and says what the caller of the C function gets.
fn sync(fd: RawFd) -> Result<(), rustix::io::Errno> {
    let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
    with(|all| {
        let watched = match all.get_mut(&path) {
            // Of a directory: the names in it. What was removed stays so.
            Some(directory) if !directory.failing => {
                directory.synced.retain(|file, _| file.exists());
                return Ok(());
            }
            Some(directory) => Some(directory),
            None => path.parent().and_then(|parent| all.get_mut(parent)),
        };
        watched.map_or(Ok(()), |watched| watched.sync(path.clone()))
    })
}

#[expect(unsafe_code, reason = "takes the place of two functions of libc")]
mod c {
    use std::ffi::c_int;

    /// Stands in for libc's.
    #[unsafe(no_mangle)]
    extern "C" fn fsync(fd: c_int) -> c_int {
        answer(fd)
    }

    /// Stands in for libc's.
    #[unsafe(no_mangle)]
    extern "C" fn fdatasync(fd: c_int) -> c_int {
        answer(fd)
    }

    fn answer(fd: c_int) -> c_int {
        match super::sync(fd) {
            Ok(()) => 0,
            Err(error) => {
                // SAFETY: the location is this thread's own and lives as long as the thread.
                unsafe { *__errno_location() = error.raw_os_error() };
                -1
            }
        }
    }

    unsafe extern "C" {
        fn __errno_location() -> *mut c_int;
    }
}

const SECTOR: usize = 512;
/// The part of a log that differs each time it is begun.
const HEADER: usize = 32;
