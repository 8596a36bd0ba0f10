//! The agent as the harness sees it: a program to lay down, and reports that come back through a FIFO.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use rustix::io::retry_on_intr;

use crate::clock::Instant;

/// What an agent says with its first instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) at: Instant,
    pub(crate) pid: i32,
    pub(crate) id: u32,
}

impl Report {
    const SIZE: usize = 16;

    fn decode(bytes: [u8; Self::SIZE]) -> Self {
        let [t0, t1, t2, t3, t4, t5, t6, t7, p0, p1, p2, p3, i0, i1, i2, i3] = bytes;
        Self {
            at: Instant(u64::from_ne_bytes([t0, t1, t2, t3, t4, t5, t6, t7])),
            pid: i32::from_ne_bytes([p0, p1, p2, p3]),
            id: u32::from_ne_bytes([i0, i1, i2, i3]),
        }
    }
}

/// The reading end of the agents' FIFO.
#[derive(Debug)]
pub(crate) struct Inbox(File);

impl Inbox {
    /// Makes the FIFO. It is open for writing too, so that it never ends between two agents.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)?;
        let flags = i32::try_from(OFlags::NONBLOCK.bits())?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(path)?;
        Ok(Self(file))
    }

    /// The next report; `None` when none came until then.
    pub(crate) fn next(&mut self, until: Instant) -> Result<Option<Report>> {
        let mut bytes = [0; Report::SIZE];
        loop {
            match self.0.read_exact(&mut bytes) {
                Ok(()) => return Ok(Some(Report::decode(bytes))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("reading what agents report"),
            }
            let left = until.since(Instant::now());
            if left == Duration::ZERO {
                return Ok(None);
            }
            let wait = Timespec {
                tv_sec: i64::try_from(left.as_secs())?,
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            retry_on_intr(|| poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&wait)))?;
        }
    }
}

/// Writes the agent's program to `path`.
pub(crate) fn install(path: &Path) -> Result<()> {
    fs::write(path, include_bytes!(concat!(env!("OUT_DIR"), "/agent")))?;
    fs::set_permissions(path, Permissions::from_mode(0o755))?;
    Ok(())
}
