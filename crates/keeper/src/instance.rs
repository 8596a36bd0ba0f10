//! One instance as the keeper holds it, and how its main process ended.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus, waitid};
use stead_model::{Exit, InstanceId, ProcessIdentity, Signal};

use crate::identity::Here;
use crate::logs::Stream;
use crate::record::{Line, Ordered};
use crate::sys;
use crate::tree::Tree;
use crate::wire::{End, InstanceState, InstanceView, Said};

/// One instance.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) ordered: Ordered,
    pub(crate) tree: Tree,
    pub(crate) phase: Phase,
    /// Our ends of its streams, until all that they held is written.
    pub(crate) fifos: Option<[OwnedFd; 2]>,
    pub(crate) said: Said,
}

/// Whether it lives.
#[derive(Debug)]
pub(crate) enum Phase {
    /// It has a main process.
    Live(Live),
    /// Its main process ended.
    Ended {
        end: End,
        /// Whether the end was taken note of.
        acknowledged: bool,
        /// Whether nothing of its tree is left.
        swept: bool,
    },
}

/// What a live instance has.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) identity: ProcessIdentity,
    pub(crate) pidfd: OwnedFd,
    pub(crate) notify: UnixDatagram,
    pub(crate) frozen: bool,
    /// Whether the keeper sent it SIGKILL.
    pub(crate) killed: bool,
    /// It ended, and until then the kernel may still tell how.
    pub(crate) undetermined: Option<Instant>,
}

/// What is known of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It runs.
    Runs,
    /// It ended.
    Ended(Exit),
    /// It ended, was another's child, and the kernel does not tell how (yet).
    Undetermined,
}

impl Instance {
    pub(crate) fn id(&self) -> InstanceId {
        self.ordered.instance
    }

    pub(crate) fn live(&self) -> Option<&Live> {
        match &self.phase {
            Phase::Live(live) => Some(live),
            Phase::Ended { .. } => None,
        }
    }

    pub(crate) fn live_mut(&mut self) -> Option<&mut Live> {
        match &mut self.phase {
            Phase::Live(live) => Some(live),
            Phase::Ended { .. } => None,
        }
    }

    pub(crate) fn fifo(&self, stream: Stream) -> Option<BorrowedFd<'_>> {
        let [out, err] = self.fifos.as_ref()?;
        Some(match stream {
            Stream::Out => out.as_fd(),
            Stream::Err => err.as_fd(),
        })
    }

    /// Whether its pipes hold something.
    pub(crate) fn has_unread(&self) -> bool {
        let left = self.fifos.iter().flatten().map(rustix::io::ioctl_fionread);
        left.into_iter().any(|left| left.is_ok_and(|left| left > 0))
    }

    /// What its record is to say.
    pub(crate) fn lines(&self, here: &Here) -> Vec<Line> {
        let first = here.identity(self.tree.session, self.tree.start_time);
        let mut lines = vec![Line::Ordered(Box::new(self.ordered.clone())), Line::Born];
        match &self.phase {
            Phase::Live(live) => {
                lines.push(Line::Spawned(first.clone()));
                if live.identity != first {
                    lines.push(Line::Main(live.identity.clone()));
                }
                if self.said.ready {
                    lines.push(Line::Ready);
                }
            }
            Phase::Ended { acknowledged: true, .. } => return Vec::new(),
            Phase::Ended { end, .. } => lines.extend([Line::Spawned(first), Line::Ended(*end)]),
        }
        lines
    }

    pub(crate) fn view(&self) -> InstanceView {
        InstanceView {
            instance: self.id(),
            name: self.ordered.name.clone(),
            namespace: self.ordered.namespace.clone(),
            epoch: self.ordered.epoch,
            state: match &self.phase {
                Phase::Live(live) => InstanceState::Live {
                    identity: live.identity.clone(),
                    said: self.said.clone(),
                    frozen: live.frozen,
                },
                Phase::Ended { end, .. } => InstanceState::Ended(*end),
            },
        }
    }
}

/// Whether and how the process behind a descriptor ended; leaves it to be reaped.
pub(crate) fn peek(pidfd: &OwnedFd) -> io::Result<Fate> {
    fate(pidfd, WaitIdOptions::NOWAIT)
}

/// Whether and how the process behind a descriptor ended; reaps it.
pub(crate) fn reap(pidfd: &OwnedFd) -> io::Result<Fate> {
    fate(pidfd, WaitIdOptions::empty())
}

fn fate(pidfd: &OwnedFd, extra: WaitIdOptions) -> io::Result<Fate> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | extra;
    match waitid(WaitId::PidFd(pidfd.as_fd()), options) {
        Ok(Some(status)) => Ok(Fate::Ended(exit_of(&status))),
        Ok(None) => Ok(Fate::Runs),
        Err(rustix::io::Errno::CHILD) => {
            let mut ready = [PollFd::new(pidfd, PollFlags::IN)];
            if poll(&mut ready, Some(&rustix::time::Timespec::default()))? == 0 {
                return Ok(Fate::Runs);
            }
            let status = sys::exit_info(pidfd.as_fd());
            Ok(status.map_or(Fate::Undetermined, |status| Fate::Ended(exit_of_status(status))))
        }
        Err(error) => Err(error.into()),
    }
}

fn exit_of(status: &WaitIdStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code { code },
        (None, Some(signal)) => by_signal(signal, status.dumped()),
        (None, None) => Exit::Unknown,
    }
}

/// Reads a status in the form of `wait(2)`.
fn exit_of_status(status: i32) -> Exit {
    match status & 0x7f {
        0 => Exit::Code {
            code: (status >> 8) & 0xff,
        },
        signal => by_signal(signal, status & 0x80 != 0),
    }
}

fn by_signal(number: i32, core: bool) -> Exit {
    let signal = u8::try_from(number)
        .ok()
        .and_then(|number| Signal::try_from(number).ok());
    signal.map_or(Exit::Unknown, |signal| Exit::Signal { signal, core })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_status_is_a_code_or_a_signal_with_or_without_a_core() {
        assert_eq!(exit_of_status(3 << 8), Exit::Code { code: 3 });
        let killed = |core| Exit::Signal {
            signal: Signal::KILL,
            core,
        };
        assert_eq!(
            (exit_of_status(9), exit_of_status(9 | 0x80)),
            (killed(false), killed(true))
        );
    }
}
