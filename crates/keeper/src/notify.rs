//! The notify socket of an instance: datagrams of `NAME=value` lines, as `sd_notify` sends them.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg, sockopt};

use crate::dir::fnv;

/// One thing that a datagram said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// `READY=1`.
    Ready,
    /// `STOPPING=1`.
    Stopping,
    /// `RELOADING=1`.
    Reloading,
    /// `STATUS=`, at most [`MAX_STATUS`] characters of it.
    Status(String),
    /// `WATCHDOG=1`.
    Watchdog,
    /// `WATCHDOG=trigger`.
    WatchdogTrigger,
    /// `WATCHDOG_USEC=`, in microseconds.
    WatchdogInterval(u64),
    /// `EXTEND_TIMEOUT_USEC=`, in microseconds.
    ExtendTimeout(u64),
    /// `MAINPID=`, above 0.
    MainPid(i32),
    /// `ERRNO=`.
    Errno(i32),
    /// `BARRIER=1`.
    Barrier,
}

/// One datagram.
#[derive(Debug)]
pub(crate) enum Datagram {
    /// It said these. The descriptors that came with it are closed when this is dropped: that is what a sender of
    /// `BARRIER=1` waits for, so hold on to it until all before it is done.
    Said(Vec<Said>, Vec<OwnedFd>),
    /// It was no notification.
    Malformed,
}

/// A short name below `dir` for the socket of an instance, at which nothing lies.
pub(crate) fn free_path(dir: &Path, mark: &str) -> io::Result<PathBuf> {
    let hash = fnv(mark.as_bytes());
    let mut paths = (0..64_u64).map(|salt| dir.join(format!("n/{:07x}", hash.wrapping_add(salt) & 0x0fff_ffff)));
    let free = paths.find(|path| path.symlink_metadata().is_err());
    free.ok_or_else(|| io::Error::new(io::ErrorKind::AddrInUse, "no free name for a notify socket"))
}

/// Makes the socket again where an earlier keeper had it.
pub(crate) fn rebind(path: &Path) -> io::Result<UnixDatagram> {
    let uid = std::fs::symlink_metadata(path)
        .ok()
        .map(|meta| std::os::unix::fs::MetadataExt::uid(&meta));
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    bind_at(path, uid)
}

/// Makes a socket. Only `uid` (absent: the keeper's user) may send to it.
pub(crate) fn bind_at(path: &Path, uid: Option<u32>) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::bind(path)?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    if let Some(uid) = uid {
        std::os::unix::fs::chown(path, Some(uid), None)?;
    }
    sockopt::set_socket_passcred(&socket, true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether nothing waits to be read that was said to it.
pub(crate) fn is_silent(socket: impl AsFd) -> bool {
    let mut ready = [PollFd::new(&socket, PollFlags::IN)];
    poll(&mut ready, Some(&rustix::time::Timespec::default())) == Ok(0)
}

/// Reads the next datagram; none if there is none.
pub(crate) fn receive(socket: impl AsFd) -> io::Result<Option<Datagram>> {
    let mut text = [0_u8; MAX_DATAGRAM];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS), ScmCredentials(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut text)];
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = match recvmsg(socket, &mut parts, &mut ancillary, flags) {
        Ok(message) => message,
        Err(rustix::io::Errno::AGAIN) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut fds = Vec::new();
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            fds.extend(rights);
        }
    }
    let whole = !message.flags.contains(ReturnFlags::TRUNC);
    let said = text.get(..message.bytes).filter(|_| whole).and_then(parse);
    Ok(Some(match said {
        Some(said) => Datagram::Said(said, fds),
        None => Datagram::Malformed,
    }))
}

/// Reads a datagram's text. Names that are not known are passed over, as the protocol wants; a text without any
/// assignment, or with a value that makes no sense, is malformed as a whole.
#[must_use]
pub fn parse(text: &[u8]) -> Option<Vec<Said>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut said = Vec::new();
    let mut assigned = false;
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once('=')?;
        assigned = true;
        said.push(match (name, value) {
            ("READY", "1") => Said::Ready,
            ("STOPPING", "1") => Said::Stopping,
            ("RELOADING", "1") => Said::Reloading,
            ("STATUS", text) => Said::Status(text.chars().take(MAX_STATUS).collect()),
            ("WATCHDOG", "1") => Said::Watchdog,
            ("WATCHDOG", "trigger") => Said::WatchdogTrigger,
            ("WATCHDOG_USEC", micros) => Said::WatchdogInterval(micros.parse().ok()?),
            ("EXTEND_TIMEOUT_USEC", micros) => Said::ExtendTimeout(micros.parse().ok()?),
            ("MAINPID", pid) => Said::MainPid(pid.parse().ok().filter(|pid| *pid > 0)?),
            ("ERRNO", number) => Said::Errno(number.parse().ok()?),
            ("BARRIER", "1") => Said::Barrier,
            ("READY" | "STOPPING" | "RELOADING" | "WATCHDOG" | "BARRIER", _) => return None,
            _ => continue,
        });
    }
    assigned.then_some(said)
}

const MAX_DATAGRAM: usize = 8 * 1024;
/// The most characters of a `STATUS=` that are kept.
pub const MAX_STATUS: usize = 1024;
const MAX_FDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_says_several_things_in_their_order() {
        let said = parse(b"READY=1\nSTATUS=up = running\nX_OWN=7\nWATCHDOG_USEC=500\n").unwrap();
        let expected = [
            Said::Ready,
            Said::Status("up = running".into()),
            Said::WatchdogInterval(500),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn what_makes_no_sense_is_malformed_as_a_whole() {
        for text in [
            &b""[..],
            b"\n",
            b"READY",
            b"READY=yes",
            b"MAINPID=-4",
            b"READY=1\nMAINPID=x",
            b"\xff=1",
        ] {
            assert_eq!(parse(text), None, "{}", String::from_utf8_lossy(text));
        }
    }
}
