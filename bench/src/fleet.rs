//! One system's share of a run: a directory of its own, how many agents it runs, and where they report.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What a supervisor is asked to run: agents 0 … count-1, each as `agent FIFO ID`.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    /// For the supervisor's own files; exists and is empty.
    pub(crate) dir: PathBuf,
    /// The agent's program.
    pub(crate) agent: PathBuf,
    /// Its first argument; the second is the id.
    pub(crate) fifo: PathBuf,
    pub(crate) count: u32,
}

impl Fleet {
    /// Lays out a directory in which nothing of an earlier fleet is left.
    pub(crate) fn lay(scratch: &Path, name: &str, agent: &Path, count: u32) -> Result<Self> {
        let home = scratch.join(name);
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        let dir = home.join("files");
        fs::create_dir_all(&dir)?;
        Ok(Self {
            dir,
            agent: agent.to_owned(),
            fifo: home.join("reports"),
            count,
        })
    }

    pub(crate) fn ids(&self) -> std::ops::Range<u32> {
        0..self.count
    }

    /// A path as text, for configuration files.
    pub(crate) fn text(path: &Path) -> Result<&str> {
        path.to_str()
            .with_context(|| format!("{} is not UTF-8", path.display()))
    }

    /// Writes a file into the supervisor's directory and says where it is.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.dir.join(name);
        fs::write(&path, content)?;
        Ok(path)
    }
}
