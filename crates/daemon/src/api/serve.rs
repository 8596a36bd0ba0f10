//! Serving on a socket until told to stop.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves until `closing` is cancelled; then takes no more, ends all streams, and gives what is under way five seconds.
///
/// `closing` must be that of the [`ApiState`](super::ApiState), or a parent of it: streams end with that one.
///
/// # Errors
/// The listener broke.
pub async fn serve(listener: TcpListener, router: Router, closing: CancellationToken) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Answers are small and somebody waits for them. A socket that refuses this works all the same.
        let _refused = stream.set_nodelay(true);
    });
    let serving = axum::serve(listener, router).with_graceful_shutdown(closing.clone().cancelled_owned());
    tokio::select! {
        served = serving => served,
        () = async { closing.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

/// How long answers that are under way may take once the daemon goes down.
const GRACE: Duration = Duration::from_secs(5);
