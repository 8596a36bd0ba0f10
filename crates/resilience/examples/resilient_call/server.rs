//! A real HTTP server on loopback whose mood can be changed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// How the server does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Mood {
    /// Answers at once.
    Well,
    /// Every third answer is an error, every tenth never comes.
    Flaky,
    /// Every third answer never comes.
    Mute,
    /// Every answer is an error.
    Down,
    /// Answers, but takes its time.
    Slow,
    /// Says that it is asked too often, and when to come back.
    Busy,
}

impl Mood {
    const ALL: [Self; 6] = [Self::Well, Self::Flaky, Self::Mute, Self::Down, Self::Slow, Self::Busy];
}

/// The server; it ends with this handle.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Default)]
struct Shared {
    mood: AtomicU8,
    requests: AtomicU64,
}

impl Server {
    /// Listens on a free port of loopback.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, shared) = (listener.local_addr()?, Arc::<Shared>::default());
        let task = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { address, shared, task })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn be(&self, mood: Mood) {
        self.shared.mood.store(mood as u8, Relaxed);
    }

    /// Requests that reached it.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((connection, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // A connection that its client gave up is of no interest.
        tokio::spawn(async move { answer(connection, &shared).await.ok() });
    }
}

/// Answers one request and closes.
async fn answer(mut connection: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut request = [0; 1024];
    let _read = connection.read(&mut request).await?;
    let number = shared.requests.fetch_add(1, Relaxed) + 1;
    let mood = Mood::ALL[usize::from(shared.mood.load(Relaxed))];
    let (status, header, wait) = match mood {
        Mood::Well => ("200 OK", "", 1),
        Mood::Flaky if number.is_multiple_of(10) => ("200 OK", "", 60_000),
        Mood::Mute if number.is_multiple_of(3) => ("200 OK", "", 60_000),
        Mood::Flaky if number.is_multiple_of(3) => ("503 Service Unavailable", "", 1),
        Mood::Flaky | Mood::Mute => ("200 OK", "", 1),
        Mood::Down => ("503 Service Unavailable", "", 1),
        Mood::Slow => ("200 OK", "", 80),
        Mood::Busy => ("429 Too Many Requests", "retry-after: 1\r\n", 1),
    };
    tokio::time::sleep(Duration::from_millis(wait)).await;
    let body = format!("answer {number}");
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{header}content-length: {length}\r\nconnection: close\r\n\r\n");
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(body.as_bytes()).await
}
