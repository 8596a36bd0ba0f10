//! The state directory: where everything lies, who holds it, and which epochs it has seen.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use stead_model::{AgentId, Epoch, Incarnation, InstanceId};

use crate::clock;
use crate::error::Error;
use crate::identity::is_alive;

/// The longest path of a state directory, in bytes: sockets within it must fit into 108.
pub const MAX_STATE_DIR: usize = 90;

/// A state directory that exists, by its canonical path.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    mark: String,
}

/// Holds the state directory for one keeper.
#[derive(Debug)]
pub(crate) struct Lock(pub(crate) File);

impl StateDir {
    /// Makes sure that the directory and its parts exist.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let given = path;
        let fault = |source| Error::StateDir {
            path: given.to_owned(),
            source,
        };
        // Agents of other users must be able to reach their own part, hence search permission for all.
        make_dir(path, 0o711).map_err(fault)?;
        let path = fs::canonicalize(path).map_err(fault)?;
        if path.to_str().is_none() {
            // Records and frames are JSON, which holds text alone.
            return Err(fault(io::Error::new(
                io::ErrorKind::InvalidInput,
                "its path is not UTF-8",
            )));
        }
        if path.as_os_str().len() > MAX_STATE_DIR {
            return Err(Error::StateDirTooLong { path });
        }
        let dir = Self {
            mark: format!("{:016x}", fnv(path.as_os_str().as_bytes())),
            path,
        };
        for (part, mode) in [("agents", 0o711), ("instances", 0o700), ("n", 0o711)] {
            let part = dir.path.join(part);
            make_dir(&part, mode).map_err(|source| Error::StateDir { path: part, source })?;
        }
        Ok(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What tells this directory's instances from those of another.
    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    /// The value of `STEAD_INSTANCE` of an instance.
    pub(crate) fn mark_of(&self, instance: InstanceId) -> String {
        format!("{instance}@{}", self.mark)
    }

    /// Reads a value of `STEAD_INSTANCE`; none where it is not of this directory.
    pub(crate) fn instance_of(&self, mark: &str) -> Option<InstanceId> {
        let (instance, dir) = mark.split_once('@')?;
        if dir == self.mark {
            parse_instance(instance)
        } else {
            None
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("keeper.log")
    }

    pub(crate) fn agent(&self, agent: AgentId) -> PathBuf {
        agent_dir(&self.path, agent)
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.path.join("instances")
    }

    /// Takes the directory for this process.
    pub(crate) fn lock(&self) -> Result<Lock, Error> {
        let path = self.path.join("keeper.lock");
        let fault = |source| Error::StateDir {
            path: path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(fault)?;
        let begun = clock::now();
        while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(fault(error.into()));
            }
            let mut holder = String::new();
            file.rewind().map_err(fault)?;
            file.read_to_string(&mut holder).map_err(fault)?;
            let pid = holder.trim().strip_prefix("process ").and_then(|pid| pid.parse().ok());
            if pid.is_some_and(is_alive) || begun.elapsed() > RELEASE {
                return Err(Error::Held {
                    path: self.path.clone(),
                    holder: holder.trim().to_owned(),
                });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut lock = Lock(file);
        lock.sign().map_err(fault)?;
        Ok(lock)
    }

    /// The highest epoch that was ever seen here.
    pub(crate) fn epoch(&self) -> Result<Epoch, Error> {
        let path = self.path.join(EPOCH);
        match fs::read_to_string(&path) {
            Ok(text) => match text.trim().parse() {
                Ok(epoch) => Ok(Epoch(epoch)),
                Err(_) => Err(Error::Corrupt { path }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Epoch(0)),
            Err(source) => Err(Error::StateDir { path, source }),
        }
    }

    /// Remembers that `epoch` was seen, also for the next keeper.
    pub(crate) fn set_epoch(&self, epoch: Epoch) -> io::Result<()> {
        let new = self.path.join("keeper.epoch.new");
        match fs::write(&new, epoch.to_string()) {
            // A full disk has room where the old number stands.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                let _nothing = fs::remove_file(&new);
                return overwrite(&self.path.join(EPOCH), &epoch.to_string());
            }
            written => written?,
        }
        fs::rename(new, self.path.join(EPOCH))
    }
}

/// Writes a short text over another of about its length, where there is no room for a second file.
fn overwrite(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

impl Lock {
    /// Writes down who holds the directory.
    fn sign(&mut self) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.rewind()?;
        writeln!(self.0, "process {}", std::process::id())
    }

    /// Holds the directory by a descriptor that was kept over an upgrade.
    pub(crate) fn kept(file: File) -> Self {
        Self(file)
    }
}

/// The directory of an agent below a state directory: its log, and `home`, which is its `STEAD_AGENT_DIR`.
#[must_use]
pub fn agent_dir(state_dir: &Path, agent: AgentId) -> PathBuf {
    state_dir.join(format!("agents/{agent}"))
}

/// The keeper's socket below a state directory.
#[must_use]
pub fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join(SOCKET)
}

/// The highest epoch that a keeper of this state directory ever saw; 0 where that cannot be read.
///
/// Whoever holds the directory and lost count, as with the backup of a store, goes on behind it: lower ones are refused for ever.
#[must_use]
pub fn last_epoch(state_dir: &Path) -> Epoch {
    let seen = fs::read_to_string(state_dir.join(EPOCH)).ok();
    Epoch(seen.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

/// Makes a directory unless it exists; its mode is set only when it is made.
pub(crate) fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).recursive(false).create(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().mode(mode).recursive(true).create(path)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other,
    }
}

/// Reads `agt_….N`.
pub(crate) fn parse_instance(text: &str) -> Option<InstanceId> {
    let (agent, incarnation) = text.rsplit_once('.')?;
    Some(InstanceId {
        agent: agent.parse().ok()?,
        incarnation: Incarnation(incarnation.parse().ok()?),
    })
}

/// FNV-1a, 64 bits: short names that stay the same over versions.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A keeper killed while it started an agent leaves the lock with that child until it runs its program.
const RELEASE: Duration = Duration::from_secs(5);
const SOCKET: &str = "keeper.sock";
const EPOCH: &str = "keeper.epoch";
