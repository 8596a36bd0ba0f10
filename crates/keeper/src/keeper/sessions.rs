//! Connections: hello first, one session at a time, fenced by epochs.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;

use rustix::net::{SendFlags, send, sockopt::socket_peercred};
use stead_model::Epoch;

use super::Keeper;
use crate::poller::Token;
use crate::wire::{Asked, Event, Inbox, OLDEST_VERSION, Refusal, Reply, Request, Told, VERSION, encode};

/// One client.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    inbox: Inbox,
    out: Vec<u8>,
    waits_to_write: bool,
    /// Something was sent in this turn already: the rest goes with its end, in one piece.
    sent: bool,
    /// The version of the wire that is spoken with it; 0 before its hello.
    version: u32,
    link: Link,
}

/// Whether there is still somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Link {
    Open,
    /// Nothing can be told any more. What was asked before is still done.
    Deaf,
    /// Its place is freed after the turn.
    Closed,
}

impl Connection {
    fn is_open(&self) -> bool {
        self.link != Link::Closed
    }
}

/// What is told to a client that reads nothing is kept up to here; then it is given up. It reconnects and lists.
const MAX_OUT: usize = 32 << 20;
/// How much memory is kept for what is to be told while nothing is: to get it again each time costs more than to keep it.
const KEPT_OUT: usize = 64 << 10;
/// Clients that said no hello yet, and the one session.
const MAX_CONNECTIONS: usize = 16;

impl Keeper {
    pub(super) fn accept(&mut self) {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return crate::note(&format!("accept: {error}")),
            };
            if let Err(error) = self.take_connection(stream) {
                crate::note(&format!("a connection was turned away: {error}"));
            }
        }
    }

    fn take_connection(&mut self, stream: UnixStream) -> std::io::Result<()> {
        let peer = socket_peercred(&stream)?;
        if peer.uid != rustix::process::geteuid() && !peer.uid.is_root() {
            return Err(std::io::Error::new(ErrorKind::PermissionDenied, "it is another user's"));
        }
        if self.connections.iter().flatten().count() >= MAX_CONNECTIONS {
            return Err(std::io::Error::other("there are too many"));
        }
        stream.set_nonblocking(true)?;
        let place = self
            .connections
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.connections.len());
        let number = u32::try_from(place).map_err(std::io::Error::other)?;
        self.poller.add(&stream, Token::Connection(number))?;
        let connection = Connection {
            stream,
            inbox: Inbox::default(),
            out: Vec::new(),
            waits_to_write: false,
            sent: false,
            version: 0,
            link: Link::Open,
        };
        match self.connections.get_mut(place) {
            Some(slot) => *slot = Some(connection),
            None => self.connections.push(Some(connection)),
        }
        Ok(())
    }

    pub(super) fn connection_ready(&mut self, index: u32) {
        self.flush(index);
        let mut buffer = [0; 16 * 1024];
        loop {
            let Some(connection) = self.connection(index).filter(|connection| connection.is_open()) else {
                return;
            };
            match connection.stream.read(&mut buffer) {
                Ok(0) => return self.close(index),
                Ok(read) => connection.inbox.extend(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_broken) => return self.close(index),
            }
            if !self.take_frames(index) {
                return;
            }
            self.flush(index);
        }
    }

    /// Serves the whole frames that came; false once the connection is closed.
    fn take_frames(&mut self, index: u32) -> bool {
        loop {
            let Some(connection) = self.connection(index).filter(|connection| connection.is_open()) else {
                return false;
            };
            match connection.inbox.take_frame() {
                Ok(Some(frame)) => self.take_frame(index, &frame),
                Ok(None) => return true,
                Err(too_large) => {
                    let detail = format!("a frame of {} bytes is more than may be sent", too_large.0);
                    self.refuse_and_close(index, 0, Refusal::TooLarge, detail);
                }
            }
        }
    }

    fn take_frame(&mut self, index: u32, frame: &[u8]) {
        /// What even a frame of a later version has.
        #[derive(serde::Deserialize)]
        struct Numbered {
            id: u64,
        }
        match serde_json::from_slice::<Asked>(frame) {
            Ok(Asked {
                id,
                request: Request::Hello { version, oldest, epoch },
            }) => self.hello(index, id, (oldest, version), epoch),
            Ok(asked) if self.session == Some(index) => self.answer(index, asked.id, asked.request),
            Ok(asked) => {
                let detail = String::from("the first frame of a session is `hello`");
                self.refuse_and_close(index, asked.id, Refusal::NoHello, detail);
            }
            Err(error) => match serde_json::from_slice::<Numbered>(frame) {
                Ok(Numbered { id }) => self.refuse(index, id, Refusal::UnknownRequest, error.to_string()),
                Err(_) => self.refuse_and_close(index, 0, Refusal::Malformed, error.to_string()),
            },
        }
    }

    fn hello(&mut self, index: u32, id: u64, (oldest, newest): (u32, u32), epoch: Epoch) {
        let version = newest.min(VERSION);
        if version < oldest || version < OLDEST_VERSION {
            let detail = format!("versions {OLDEST_VERSION} to {VERSION} are spoken here, not {oldest} to {newest}");
            return self.refuse_and_close(index, id, Refusal::Version, detail);
        }
        if epoch < self.epoch {
            let detail = format!("epoch {epoch} is over: epoch {} was seen", self.epoch);
            return self.refuse_and_close(index, id, Refusal::Fenced, detail);
        }
        if let Some(other) = self.session.filter(|session| *session != index) {
            if epoch == self.epoch {
                let detail = format!("a session of epoch {epoch} is open");
                return self.refuse_and_close(index, id, Refusal::Taken, detail);
            }
            self.tell(other, &Told::Event(Event::Superseded { epoch }));
            self.close(other);
        }
        if epoch > self.epoch {
            if let Err(error) = self.dir.set_epoch(epoch) {
                let detail = format!("cannot remember epoch {epoch}: {error}");
                return self.refuse_and_close(index, id, Refusal::Failed, detail);
            }
            self.epoch = epoch;
        }
        self.session = Some(index);
        if let Some(connection) = self.connection(index) {
            connection.version = version;
        }
        self.spawner.foresee_nothing(&self.dir);
        let welcome = self.welcome();
        self.reply(index, id, Reply::Welcome(crate::wire::Welcome { version, ..welcome }));
    }

    /// Tells the session, if there is one, what happened.
    pub(super) fn happened(&mut self, event: Event) {
        if let Some(session) = self.session {
            self.tell(session, &Told::Event(event));
        }
    }

    /// Wakes whoever acts on what is about to be told. What it does not take at once is not worth to be kept.
    pub(super) fn herald(&mut self) {
        let Some(session) = self.session else { return };
        let Some(connection) = self.connection(session).filter(|known| known.link == Link::Open) else {
            return;
        };
        let idle = connection.out.is_empty() && connection.version >= 3;
        if idle && encode(&Told::Event(Event::Stirring), &mut connection.out).is_ok() {
            self.flush(session);
        }
    }

    pub(super) fn reply(&mut self, index: u32, to: u64, reply: Reply) {
        self.tell(index, &Told::Reply { to, reply });
    }

    pub(super) fn refuse(&mut self, index: u32, to: u64, code: Refusal, detail: String) {
        let newest = None;
        self.reply(index, to, Reply::Refused { code, detail, newest });
    }

    fn refuse_and_close(&mut self, index: u32, to: u64, code: Refusal, detail: String) {
        self.refuse(index, to, code, detail);
        self.close(index);
    }

    fn tell(&mut self, index: u32, told: &Told) {
        let Some(connection) = self.connection(index).filter(|known| known.link == Link::Open) else {
            return;
        };
        if let Err(error) = encode(told, &mut connection.out) {
            crate::note(&format!("not told: {error}"));
        }
        if !connection.waits_to_write && !std::mem::replace(&mut connection.sent, true) {
            self.flush(index);
        }
    }

    /// Sends what the turn has left to be sent.
    pub(super) fn flush_all(&mut self) {
        for index in 0..self.connections.len() {
            if let Some(Some(connection)) = self.connections.get_mut(index) {
                connection.sent = false;
                if !connection.waits_to_write && !connection.out.is_empty() {
                    self.flush(u32::try_from(index).unwrap_or(u32::MAX));
                }
            }
        }
    }

    /// Writes what can be written without waiting.
    fn flush(&mut self, index: u32) {
        let Some(Some(connection)) = self.connections.get_mut(index as usize) else {
            return;
        };
        let mut sent = 0;
        let mut broken = false;
        while let Some(rest) = connection.out.get(sent..).filter(|rest| !rest.is_empty()) {
            match send(&connection.stream, rest, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(bytes) => sent += bytes,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        connection.out.drain(..sent);
        if connection.out.is_empty() && connection.out.capacity() > KEPT_OUT {
            connection.out = Vec::new();
        }
        if broken {
            // The last that it asked may wait to be read.
            if connection.is_open() {
                connection.link = Link::Deaf;
            }
            connection.out = Vec::new();
        }
        let waits = !connection.out.is_empty();
        let mut unheard = connection.out.len() > MAX_OUT;
        if waits != connection.waits_to_write {
            connection.waits_to_write = waits;
            unheard |= self
                .poller
                .also_writable(&connection.stream, Token::Connection(index), waits)
                .is_err();
        }
        if unheard {
            self.close(index);
        }
    }

    /// Ends a connection; its place is freed after the turn.
    fn close(&mut self, index: u32) {
        if let Some(connection) = self.connection(index) {
            connection.link = Link::Closed;
        }
        if self.session == Some(index) {
            self.session = None;
            // What was made ready is begun by the session that had it made ready, or by none.
            self.spawner.foresee_nothing(&self.dir);
        }
    }

    pub(super) fn drop_closed_connections(&mut self) {
        for slot in &mut self.connections {
            if slot.as_ref().is_some_and(|connection| !connection.is_open()) {
                *slot = None;
            }
        }
    }

    fn connection(&mut self, index: u32) -> Option<&mut Connection> {
        self.connections.get_mut(index as usize)?.as_mut()
    }
}
