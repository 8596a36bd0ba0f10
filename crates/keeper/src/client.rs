//! A blocking client: one half sends from any thread, the other waits for what the keeper says.

mod launch;
mod renew;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use stead_model::{Epoch, InstanceId, SpawnFailure};

pub use launch::{answers, launch};

use crate::dir::socket_path;
use crate::error::ClientError;
use crate::wire::{
    Asked, Event, Inbox, InstanceView, OLDEST_VERSION, Reply, Request, SpawnOrder, Told, VERSION, Welcome, encode,
};

/// An open session with a keeper.
#[derive(Debug)]
pub struct Session {
    /// What the keeper said of itself.
    pub welcome: Welcome,
    sender: Sender,
    receiver: Receiver,
}

/// The half that asks. Clones share the connection; frames of several threads never mix.
#[derive(Clone, Debug)]
pub struct Sender(Arc<Mutex<Outgoing>>);

#[derive(Debug)]
struct Outgoing {
    stream: UnixStream,
    /// The number of the last request.
    last: u64,
    /// What the keeper has not taken yet.
    behind: VecDeque<u8>,
}

/// A request that was posted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Posted {
    /// Its number, which its answers carry.
    pub id: u64,
    /// Whether some of it waits until the keeper takes more: see [`Sender::catch_up`].
    pub behind: bool,
}

/// The half that hears.
#[derive(Debug)]
pub struct Receiver {
    stream: UnixStream,
    inbox: Inbox,
    later: VecDeque<Event>,
}

impl Session {
    /// Connects to the keeper of a state directory and opens a session under `epoch`.
    ///
    /// # Errors
    ///
    /// No keeper answers, or it refuses: the epoch is over, a session is open, or no version is spoken by both.
    pub fn open(state_dir: &Path, epoch: Epoch) -> Result<Self, ClientError> {
        let path = socket_path(state_dir);
        let stream = UnixStream::connect(&path).map_err(|source| ClientError::Absent { path, source })?;
        let reading = stream.try_clone().map_err(ClientError::Broken)?;
        let sender = Sender::new(stream);
        let mut receiver = Receiver {
            stream: reading,
            inbox: Inbox::default(),
            later: VecDeque::new(),
        };
        let hello = Request::Hello {
            version: VERSION,
            oldest: OLDEST_VERSION,
            epoch,
        };
        let id = sender.send(hello)?;
        match receiver.answer(id)? {
            Reply::Welcome(welcome) => Ok(Self {
                welcome,
                sender,
                receiver,
            }),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks and waits for the answer. What happens meanwhile is kept for [`Session::next_event`].
    ///
    /// # Errors
    ///
    /// The connection broke, or the keeper refused.
    pub fn ask(&mut self, request: Request) -> Result<Reply, ClientError> {
        let id = self.sender.send(request)?;
        self.receiver.answer(id)
    }

    /// All instances that live, and all ends that are not acknowledged.
    ///
    /// # Errors
    ///
    /// As [`Session::ask`].
    pub fn list(&mut self) -> Result<Vec<InstanceView>, ClientError> {
        let id = self.sender.send(Request::List)?;
        let mut views = Vec::new();
        loop {
            match self.receiver.answer(id)? {
                Reply::Instance(view) => views.push(*view),
                Reply::Listed { .. } => return Ok(views),
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Says that the end of an instance is written down.
    ///
    /// # Errors
    ///
    /// As [`Session::ask`]; an instance that lives is refused.
    pub fn acknowledge(&mut self, instance: InstanceId) -> Result<(), ClientError> {
        match self.ask(Request::Acknowledge { instance })? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks whether a process could be started.
    ///
    /// # Errors
    ///
    /// As [`Session::ask`]; that it could not is no error of this kind.
    pub fn prepare(&mut self, spec: stead_model::spec::ProcessSpec) -> Result<Result<(), SpawnFailure>, ClientError> {
        match self.ask(Request::Prepare { spec: Box::new(spec) })? {
            Reply::Done => Ok(Ok(())),
            Reply::Unfit { failure } => Ok(Err(failure)),
            other => Err(unexpected(&other)),
        }
    }

    /// Has what an order to start needs made ready, and begins nothing: see [`Request::Foresee`]. There is no answer.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub fn foresee(&self, order: SpawnOrder) -> Result<(), ClientError> {
        self.sender.send(Request::Foresee(Box::new(order))).map(drop)
    }

    /// Waits for the next event that tells something: [`Event::Stirring`] is passed over.
    ///
    /// # Errors
    ///
    /// The connection broke; also with `WouldBlock` after a time set by [`Session::set_patience`].
    pub fn next_event(&mut self) -> Result<Event, ClientError> {
        loop {
            if let Some(event) = self.receiver.later.pop_front() {
                return Ok(event);
            }
            match self.receiver.hear()? {
                Told::Event(Event::Stirring) | Told::Reply { .. } => {}
                Told::Event(event) => return Ok(event),
            }
        }
    }

    /// Sets how long reads wait; absent: for ever. A frame that was cut by it breaks the session.
    ///
    /// # Errors
    ///
    /// The system refuses the time; zero is refused.
    pub fn set_patience(&self, patience: Option<std::time::Duration>) -> io::Result<()> {
        self.receiver.stream.set_read_timeout(patience)
    }

    /// Takes the halves apart, for a thread that hears and others that ask.
    #[must_use]
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }
}

impl Sender {
    fn new(stream: UnixStream) -> Self {
        Self(Arc::new(Mutex::new(Outgoing {
            stream,
            last: 0,
            behind: VecDeque::new(),
        })))
    }

    /// Sends a request and returns its number, which its answers carry. Waits while the keeper reads nothing, at most 1 s.
    ///
    /// # Errors
    ///
    /// The connection broke, the keeper took nothing for too long, or the request is longer than a frame may be. A frame that was
    /// cut breaks the session: close it.
    pub fn send(&self, request: Request) -> Result<u64, ClientError> {
        let mut outgoing = self.outgoing();
        let (id, frame) = outgoing.number(request)?;
        outgoing.behind.extend(frame);
        while !outgoing.catch_up()? {
            outgoing.wait()?;
        }
        Ok(id)
    }

    /// Sends a request and never waits: what the keeper does not take at once is kept, up to [`MOST_BEHIND`] bytes, and sent by
    /// [`Sender::catch_up`].
    ///
    /// # Errors
    ///
    /// The connection broke, too much is kept already, or the request is longer than a frame may be. The request was not sent; the
    /// session is whole only in the last case: else close it.
    pub fn post(&self, request: Request) -> Result<Posted, ClientError> {
        let mut outgoing = self.outgoing();
        let (id, frame) = outgoing.number(request)?;
        if outgoing.behind.len() + frame.len() > MOST_BEHIND {
            return Err(ClientError::Behind {
                bytes: outgoing.behind.len(),
            });
        }
        outgoing.behind.extend(frame);
        let behind = !outgoing.catch_up()?;
        Ok(Posted { id, behind })
    }

    /// Sends what was kept, as far as the keeper takes it now; true once nothing is left.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub fn catch_up(&self) -> Result<bool, ClientError> {
        self.outgoing().catch_up()
    }

    /// Ends the session; the [`Receiver`] hears that the connection broke.
    pub fn close(&self) {
        // The other side may have ended it first.
        let _ended = self.outgoing().stream.shutdown(Shutdown::Both);
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outgoing {
    /// The next number, and the frame of a request with it.
    fn number(&mut self, request: Request) -> Result<(u64, Vec<u8>), ClientError> {
        let id = self.last + 1;
        let mut frame = Vec::new();
        encode(&Asked { id, request }, &mut frame).map_err(ClientError::Protocol)?;
        self.last = id;
        Ok((id, frame))
    }

    /// Sends without waiting, whether or not the descriptor is set to wait; true once nothing is left.
    fn catch_up(&mut self) -> Result<bool, ClientError> {
        while !self.behind.is_empty() {
            let (rest, _) = self.behind.as_slices();
            match send(&self.stream, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(length) => drop(self.behind.drain(..length)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(ClientError::Broken(error.into())),
            }
        }
        if self.behind.capacity() > READ {
            self.behind = VecDeque::new();
        }
        Ok(true)
    }

    /// Waits until the keeper may take more, at most [`SEND_PATIENCE`].
    fn wait(&self) -> Result<(), ClientError> {
        let mut taking = [PollFd::new(&self.stream, PollFlags::OUT)];
        match poll(&mut taking, Some(&SEND_PATIENCE)) {
            Ok(0) => Err(ClientError::Broken(ErrorKind::TimedOut.into())),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(ClientError::Broken(error.into())),
        }
    }
}

impl Receiver {
    /// Waits for the next thing that the keeper says.
    ///
    /// # Errors
    ///
    /// The connection broke, or what came is not understood.
    pub fn hear(&mut self) -> Result<Told, ClientError> {
        loop {
            if let Some(told) = self.heard()? {
                return Ok(told);
            }
            let mut buffer = [0; READ];
            match self.stream.read(&mut buffer) {
                Ok(length) => self.take(buffer.get(..length).unwrap_or_default())?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(ClientError::Broken(error)),
            }
        }
    }

    /// The next thing that the keeper said, if there is one already. Never waits, whatever the descriptor is set to.
    ///
    /// # Errors
    ///
    /// As [`Receiver::hear`].
    pub fn hear_now(&mut self) -> Result<Option<Told>, ClientError> {
        loop {
            if let Some(told) = self.heard()? {
                return Ok(Some(told));
            }
            let mut buffer = [0; READ];
            match recv(&self.stream, &mut buffer, RecvFlags::DONTWAIT).map(|(length, _)| length) {
                Ok(length) => self.take(buffer.get(..length).unwrap_or_default())?,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(ClientError::Broken(error.into())),
            }
        }
    }

    /// Another descriptor of the connection, on which a poller waits until [`Receiver::hear_now`] may have something.
    ///
    /// It is set not to wait, and so is the connection: [`Receiver::hear`] and whatever waits for an answer fail from here on.
    ///
    /// # Errors
    ///
    /// There is no descriptor left.
    pub fn pollable(&self) -> io::Result<UnixStream> {
        let stream = self.stream.try_clone()?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        if bytes.is_empty() {
            return Err(ClientError::Broken(ErrorKind::UnexpectedEof.into()));
        }
        self.inbox.extend(bytes);
        Ok(())
    }

    /// The next whole frame of what came.
    fn heard(&mut self) -> Result<Option<Told>, ClientError> {
        let frame = self.inbox.take_frame();
        let frame = frame.map_err(|long| ClientError::Protocol(format!("a frame of {} bytes", long.0)))?;
        frame
            .map(|frame| serde_json::from_slice(&frame).map_err(|error| ClientError::Protocol(error.to_string())))
            .transpose()
    }

    fn answer(&mut self, id: u64) -> Result<Reply, ClientError> {
        loop {
            match self.hear()? {
                Told::Reply {
                    reply: Reply::Refused { code, detail, .. },
                    to,
                } if to == id || to == 0 => return Err(ClientError::Refused { code, detail }),
                Told::Reply { to, reply } if to == id => return Ok(reply),
                Told::Reply { .. } => {}
                // It says that something is about to be told, to those who can make use of that.
                Told::Event(Event::Stirring) => {}
                Told::Event(event) => self.later.push_back(event),
            }
        }
    }
}

fn unexpected(reply: &Reply) -> ClientError {
    ClientError::Protocol(format!("{reply:?} answers nothing that was asked"))
}

/// How long sending waits for a keeper that takes nothing.
const SEND_PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// How many bytes are kept for a keeper that takes nothing: thousands of orders.
pub const MOST_BEHIND: usize = 8 << 20;
/// How much is read at once.
const READ: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn pair() -> (UnixStream, Receiver) {
        let (keeper, stream) = UnixStream::pair().unwrap();
        let (inbox, later) = (Inbox::default(), VecDeque::new());
        (keeper, Receiver { stream, inbox, later })
    }

    #[test]
    fn hearing_without_waiting_takes_whole_frames_only_and_tells_the_end() {
        let (mut keeper, mut receiver) = pair();
        assert!(receiver.hear_now().unwrap().is_none());
        let said = Told::Reply {
            to: 7,
            reply: Reply::Done,
        };
        let mut frame = Vec::new();
        encode(&said, &mut frame).unwrap();
        let (first, rest) = frame.split_at(9);
        keeper.write_all(first).unwrap();
        assert!(receiver.hear_now().unwrap().is_none());
        keeper.write_all(rest).unwrap();
        keeper.write_all(&frame).unwrap();
        assert_eq!(receiver.hear_now().unwrap(), Some(said.clone()));
        assert_eq!(receiver.hear_now().unwrap(), Some(said));
        drop(keeper);
        assert!(matches!(receiver.hear_now(), Err(ClientError::Broken(_))));
    }

    #[test]
    fn a_request_that_the_socket_cannot_hold_is_sent_whole_though_the_connection_does_not_wait() {
        let (keeper, receiver) = pair();
        let _pollable = receiver.pollable().unwrap();
        let reader = std::thread::spawn(move || requests(keeper, 1));
        Sender::new(receiver.stream).send(long()).unwrap();
        assert_eq!(reader.join().unwrap(), [long()]);
    }

    #[test]
    fn posting_waits_for_nobody_and_what_was_kept_is_sent_in_its_order() {
        let (keeper, receiver) = pair();
        let sender = Sender::new(receiver.stream.try_clone().unwrap());
        let mut posted = vec![sender.post(long()).unwrap()];
        while !posted.last().unwrap().behind {
            posted.push(sender.post(long()).unwrap());
        }
        posted.push(sender.post(Request::List).unwrap());
        assert!(posted.last().unwrap().behind && !sender.catch_up().unwrap());
        let count = posted.len();
        let reader = std::thread::spawn(move || requests(keeper, count));
        while !sender.catch_up().unwrap() {
            sender.outgoing().wait().unwrap();
        }
        let read = reader.join().unwrap();
        assert_eq!((read.len(), read.last()), (count, Some(&Request::List)));
    }

    #[test]
    fn what_is_posted_beyond_the_bound_is_refused() {
        let (_keeper, receiver) = pair();
        let sender = Sender::new(receiver.stream);
        let refused = (0..=2 * MOST_BEHIND / LONG).find_map(|_| sender.post(long()).err());
        assert!(matches!(refused, Some(ClientError::Behind { bytes }) if bytes + LONG > MOST_BEHIND));
    }

    /// Reads so many requests.
    fn requests(mut stream: UnixStream, count: usize) -> Vec<Request> {
        let mut inbox = Inbox::default();
        let mut requests = Vec::new();
        while requests.len() < count {
            let mut buffer = [0; READ];
            let length = stream.read(&mut buffer).unwrap();
            inbox.extend(&buffer[..length]);
            while let Some(frame) = inbox.take_frame().unwrap() {
                requests.push(serde_json::from_slice::<Asked>(&frame).unwrap().request);
            }
        }
        requests
    }

    fn long() -> Request {
        Request::Upgrade {
            program: Some("x".repeat(LONG)),
        }
    }

    /// More than a socket holds.
    const LONG: usize = 900 << 10;
}
