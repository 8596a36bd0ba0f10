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
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
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
