//! Which process it is: asked after its descriptor is open, so that a reused pid is never taken for it.

use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use stead_model::ProcessIdentity;

/// What all identities of this boot and pid namespace have in common.
#[derive(Clone, Debug)]
pub(crate) struct Here {
    boot: String,
    pid_namespace: u64,
}

impl Here {
    /// Asks the kernel.
    pub(crate) fn ask() -> io::Result<Self> {
        Ok(Self {
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
            pid_namespace: fs::metadata("/proc/self/ns/pid")?.ino(),
        })
    }

    /// The identity of the process that now has `pid`.
    pub(crate) fn identify(&self, pid: i32) -> io::Result<ProcessIdentity> {
        Ok(self.identity(pid, Stat::of(pid)?.start_time))
    }

    /// The identity of a process of which the rest is known.
    pub(crate) fn identity(&self, pid: i32, start_time: u64) -> ProcessIdentity {
        ProcessIdentity {
            boot: self.boot.clone(),
            pid_namespace: self.pid_namespace,
            pid,
            start_time,
        }
    }

    /// Opens a descriptor of exactly that process; none if it is gone.
    pub(crate) fn open(&self, identity: &ProcessIdentity) -> io::Result<Option<OwnedFd>> {
        if identity.boot != self.boot || identity.pid_namespace != self.pid_namespace {
            return Ok(None);
        }
        let Some(pidfd) = open_pid(identity.pid)? else {
            return Ok(None);
        };
        // The descriptor holds on to whatever process has the pid now; only then its start time is conclusive.
        match Stat::of(identity.pid) {
            Ok(stat) if stat.start_time == identity.start_time => Ok(Some(pidfd)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Opens a descriptor of the process with `pid`; none if there is none.
pub(crate) fn open_pid(pid: i32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(None) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Some(pidfd)),
        // INVAL: the pid is that of a thread.
        Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a process has this pid and has not ended.
pub(crate) fn is_alive(pid: i32) -> bool {
    Stat::of(pid).is_ok_and(|stat| !stat.zombie)
}

/// What of `/proc/PID/stat` is of use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stat {
    pub(crate) zombie: bool,
    pub(crate) session: i32,
    pub(crate) start_time: u64,
    /// What it used of processors, in ticks, threads included.
    pub(crate) cpu: u64,
}

impl Stat {
    /// Reads it.
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        // One read of what is surely shorter: the kernel writes it anew for each.
        let mut text = [0; 1024];
        let length = fs::File::open(format!("/proc/{pid}/stat"))?.read(&mut text)?;
        Self::parse(text.get(..length).unwrap_or_default())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/PID/stat is not as expected"))
    }

    /// The name in parentheses may hold anything, so fields are counted from the last parenthesis.
    fn parse(text: &[u8]) -> Option<Self> {
        let close = text.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let zombie = matches!(fields.next()?, "Z" | "X");
        let session = fields.nth(2)?.parse().ok()?;
        // Nine fields on: utime and stime, then six on: starttime.
        let user: u64 = fields.nth(7)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        let start_time = fields.nth(6)?.parse().ok()?;
        Some(Self {
            zombie,
            session,
            start_time,
            cpu: user.saturating_add(system),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_a_name_that_looks_like_fields() {
        let line = b"42 (a) S 1 2) Z 7 8 9 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.zombie, stat.session, stat.start_time), (true, 9, 98765));
    }

    #[test]
    fn a_process_of_another_boot_or_start_is_not_opened() {
        let here = Here::ask().unwrap();
        let me = here.identify(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(here.open(&me).unwrap().is_some());
        let later = ProcessIdentity {
            start_time: me.start_time + 1,
            ..me.clone()
        };
        let elsewhere = ProcessIdentity {
            boot: String::from("another"),
            ..me
        };
        assert!(here.open(&later).unwrap().is_none() && here.open(&elsewhere).unwrap().is_none());
    }
}
