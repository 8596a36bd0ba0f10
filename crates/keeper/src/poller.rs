//! What the one thread waits for.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::logs::Stream;

/// Who became ready. The order is the order in which it is served: ends first, output last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Token {
    /// The main process of the instance in a place.
    Main(u32),
    Signals,
    Connection(u32),
    Listener,
    Notify(u32),
    Output(u32, Stream),
}

/// An epoll instance.
#[derive(Debug)]
pub(crate) struct Poller(OwnedFd);

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// Tells whenever something can be read.
    pub(crate) fn add(&self, fd: impl AsFd, token: Token) -> io::Result<()> {
        Ok(epoll::add(&self.0, fd, token.data(), EventFlags::IN)?)
    }

    /// Tells whenever something can be read or written.
    pub(crate) fn also_writable(&self, fd: impl AsFd, token: Token, writable: bool) -> io::Result<()> {
        let flags = if writable {
            EventFlags::IN | EventFlags::OUT
        } else {
            EventFlags::IN
        };
        Ok(epoll::modify(&self.0, fd, token.data(), flags)?)
    }

    /// Tells no more. Needed only while the descriptor stays open somewhere.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        // What was never added needs no removal.
        let _absent = epoll::delete(&self.0, fd);
    }

    /// Waits; who is ready comes sorted.
    pub(crate) fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Token>) -> io::Result<()> {
        let mut events = [const { std::mem::MaybeUninit::<Event>::uninit() }; 128];
        let timeout = timeout.and_then(|wait| rustix::time::Timespec::try_from(wait).ok());
        ready.clear();
        match epoll::wait(&self.0, &mut events, timeout.as_ref()) {
            Ok((events, _)) => ready.extend(events.iter().filter_map(|event| Token::from_data(event.data))),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.sort_unstable();
        Ok(())
    }
}

impl Token {
    fn data(self) -> EventData {
        let (kind, index) = match self {
            Self::Listener => (0, 0),
            Self::Signals => (1, 0),
            Self::Connection(index) => (2, index),
            Self::Main(index) => (3, index),
            Self::Notify(index) => (4, index),
            Self::Output(index, Stream::Out) => (5, index),
            Self::Output(index, Stream::Err) => (6, index),
        };
        EventData::new_u64(kind << 32 | u64::from(index))
    }

    fn from_data(data: EventData) -> Option<Self> {
        let data = data.u64();
        let index = u32::try_from(data & u64::from(u32::MAX)).ok()?;
        Some(match data >> 32 {
            0 => Self::Listener,
            1 => Self::Signals,
            2 => Self::Connection(index),
            3 => Self::Main(index),
            4 => Self::Notify(index),
            5 => Self::Output(index, Stream::Out),
            6 => Self::Output(index, Stream::Err),
            _ => return None,
        })
    }
}
