//! Waits for a process without reaping it, so that its number stays its own.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The end of a child of this process that has not been reaped.
pub(super) struct Exit(AsyncFd<OwnedFd>);

impl Exit {
    pub(super) fn of(child: Pid) -> io::Result<Self> {
        let pidfd = pidfd_open(child, PidfdFlags::NONBLOCK)?;
        #[expect(
            unsafe_code,
            reason = "Tokio has no safe way to wait for a descriptor that it does not know"
        )]
        // SAFETY: an `OwnedFd` names the same open descriptor until it is dropped, which only the `AsyncFd` can do.
        let registered = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) };
        Ok(Self(registered?))
    }

    /// Returns once the child has ended. Cancel safe.
    pub(super) async fn come(&self) -> io::Result<()> {
        self.0.readable().await.map(drop)
    }
}
