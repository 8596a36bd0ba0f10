//! Serving on a socket, with limits on who may hold it and for how long.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Listens. Bound here, so that an address that is taken is told before anything starts.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until `closing`; then takes no more and gives what is under way a second. Cancel safe: dropped, all connections end.
pub(crate) async fn serve(listener: TcpListener, router: Router, closing: CancellationToken) -> io::Result<()> {
    serve_so_many(CONNECTIONS, listener, router, closing).await
}

async fn serve_so_many(
    most: usize,
    listener: TcpListener,
    router: Router,
    closing: CancellationToken,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let seats = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    loop {
        // Nobody is accepted while all seats are taken: they wait in the kernel's line.
        let accepted = async {
            let seat = Arc::clone(&seats).acquire_owned().await.map_err(io::Error::other)?;
            Ok((listener.accept().await?.0, seat))
        };
        let accepted: io::Result<_> = tokio::select! {
            accepted = accepted => accepted,
            Some(_ended) = connections.join_next(), if !connections.is_empty() => continue,
            () = closing.cancelled() => break,
        };
        match accepted {
            Ok((stream, seat)) => {
                // Answers are small and somebody waits for them. A socket that refuses this works all the same.
                let _refused = stream.set_nodelay(true);
                let (router, closing) = (router.clone(), closing.clone());
                connections.spawn(async move {
                    converse(stream, router, closing).await;
                    drop(seat);
                });
            }
            Err(error) => {
                // Out of descriptors, say: others may be closed soon.
                warn!(%error, "AcceptFailed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _late = tokio::time::timeout(GRACE, all).await;
    Ok(())
}

async fn converse(stream: tokio::net::TcpStream, router: Router, closing: CancellationToken) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "ConnectionBroke");
    }
}

/// How many connections there may be at once.
const CONNECTIONS: usize = 1_024;
/// How long the headers of a request may take, and how long a connection may be silent between two.
const HEADERS: Duration = Duration::from_secs(30);
/// How large the headers of a request may be, in bytes.
const HEADER_BYTES: usize = 64 * 1024;
/// How long answers that are under way may take once it closes.
const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::clock;

    /// One that serves so many at once, on the time of the test.
    struct Site {
        address: SocketAddr,
        closing: CancellationToken,
        serving: JoinHandle<io::Result<()>>,
    }

    impl Site {
        fn begin(most: usize) -> Self {
            let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
            let address = listener.local_addr().unwrap();
            let closing = CancellationToken::new();
            let router = Router::new().route("/", get(async || "here"));
            let serving = tokio::spawn(serve_so_many(most, listener, router, closing.clone()));
            Self {
                address,
                closing,
                serving,
            }
        }

        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }

        async fn end(self) {
            self.closing.cancel();
            self.serving.await.unwrap().unwrap();
        }
    }

    async fn ask(stream: &mut TcpStream) {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await.unwrap();
    }

    async fn answered(stream: &mut TcpStream) {
        let mut said = Vec::new();
        while !said.ends_with(b"here") {
            assert!(stream.read_buf(&mut said).await.unwrap() > 0, "it was closed");
        }
        assert!(said.starts_with(b"HTTP/1.1 200"));
    }

    /// For how long it stays open from here. Nothing else has a timer: time stands still until the connection is there.
    async fn open_for(stream: &mut TcpStream) -> Duration {
        let begun = clock::now();
        while matches!(stream.read(&mut [0; 1_024]).await, Ok(read) if read > 0) {}
        clock::now() - begun
    }

    #[tokio::test(start_paused = true)]
    async fn headers_have_thirty_seconds_to_arrive_and_so_has_the_next_request() {
        let site = Site::begin(8);
        let mut slow = site.connect().await;
        slow.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n").await.unwrap();
        assert_eq!(open_for(&mut slow).await.as_secs(), HEADERS.as_secs());
        let mut silent = site.connect().await;
        assert_eq!(open_for(&mut silent).await.as_secs(), HEADERS.as_secs());
        let mut kept = site.connect().await;
        for _ in 0..2 {
            ask(&mut kept).await;
            answered(&mut kept).await;
            tokio::time::sleep(HEADERS - Duration::from_secs(1)).await;
        }
        ask(&mut kept).await;
        answered(&mut kept).await;
        assert_eq!(open_for(&mut kept).await.as_secs(), HEADERS.as_secs());
        site.end().await;
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_when_all_seats_are_taken_waits_for_one() {
        let site = Site::begin(2);
        let (mut one, mut two) = (site.connect().await, site.connect().await);
        for stream in [&mut one, &mut two] {
            ask(stream).await;
            answered(stream).await;
        }
        let mut third = site.connect().await;
        ask(&mut third).await;
        let waits = tokio::time::timeout(Duration::from_secs(20), third.readable()).await;
        assert!(waits.is_err(), "it was answered");
        drop(one);
        answered(&mut third).await;
        site.end().await;
    }

    #[test]
    fn the_guide_states_the_limits() {
        let guide = include_str!("../../../../docs/guides/lifecycle-api.md").replace(',', "");
        for stated in [
            format!(
                "| headers | {} KiB; have {} s to arrive |",
                HEADER_BYTES / 1_024,
                HEADERS.as_secs()
            ),
            format!("| connections | {CONNECTIONS} at once; more wait |"),
        ] {
            assert!(guide.contains(&stated), "{stated}");
        }
    }
}
