//! Low descriptors through which children get theirs.
//!
//! A keeper of a thousand agents has thousands of descriptors. A child that were given a copy of all of them would have
//! to close them all again before its program runs, which takes longer than everything else about its birth. So it shares
//! them, and its first act is to take for itself only those below a number: these few, where its own have been put.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::{DupFlags, dup3, fcntl_dupfd_cloexec};

use crate::sys;

/// Descriptors with low numbers.
#[derive(Debug)]
pub(crate) struct Doors {
    null: OwnedFd,
    out: OwnedFd,
    err: OwnedFd,
    birth: OwnedFd,
}

impl Doors {
    /// Reserves them; none where the kernel (before 5.9) knows no such first act.
    pub(crate) fn open(null: &OwnedFd) -> io::Result<Option<Self>> {
        if !sys::can_take_few() {
            return Ok(None);
        }
        let low = || fcntl_dupfd_cloexec(null, 3);
        Ok(Some(Self {
            null: low()?,
            out: low()?,
            err: low()?,
            birth: low()?,
        }))
    }

    /// Puts the descriptors of a child there.
    pub(crate) fn put(&mut self, [out, err]: [BorrowedFd<'_>; 2], birth: BorrowedFd<'_>) -> io::Result<()> {
        dup3(out, &mut self.out, DupFlags::CLOEXEC)?;
        dup3(err, &mut self.err, DupFlags::CLOEXEC)?;
        dup3(birth, &mut self.birth, DupFlags::CLOEXEC)?;
        Ok(())
    }

    /// Lets go of what was put there.
    pub(crate) fn clear(&mut self) {
        for door in [&mut self.out, &mut self.err] {
            // It stays until the next child's takes its place.
            let _stays = dup3(self.null.as_fd(), door, DupFlags::CLOEXEC);
        }
    }

    /// Standard input, output and error of the child.
    pub(crate) fn stdio(&self) -> [RawFd; 3] {
        [&self.null, &self.out, &self.err].map(AsRawFd::as_raw_fd)
    }

    /// Where the child says that it is born.
    pub(crate) fn birth(&self) -> RawFd {
        self.birth.as_raw_fd()
    }

    /// The lowest number that a child need not have.
    pub(crate) fn end(&self) -> u32 {
        let doors = [&self.null, &self.out, &self.err, &self.birth].map(AsRawFd::as_raw_fd);
        doors
            .into_iter()
            .max()
            .map_or(u32::MAX, |highest| highest.unsigned_abs() + 1)
    }
}
