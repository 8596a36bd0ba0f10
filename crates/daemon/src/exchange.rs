//! One HTTP request on a connection of its own, answered in full.

use std::fmt;
use std::pin::pin;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Sends `request`, which names its `Host`, and reads at most `most` bytes of the answer. Dropping it closes the connection.
///
/// # Errors
/// What went wrong, in words: of the connection, of HTTP, or that the answer is longer.
pub(crate) async fn exchange(
    (host, port): (&str, u16),
    request: Request<Full<Bytes>>,
    most: usize,
) -> Result<Response<Bytes>, String> {
    let stream = TcpStream::connect((host, port)).await.map_err(|error| said(&error))?;
    // Requests are written whole: nothing is gained by waiting for more.
    let _as_it_is = stream.set_nodelay(true);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| said(&error))?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|error| said(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, most).collect().await;
        let body = body.map_err(|error| said(&*error))?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    let (mut exchange, connection) = (pin!(exchange), pin!(connection));
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        // The other side is done; how it went comes out of the exchange.
        _ended = connection => exchange.await,
    }
}

/// An error and what it came from, in one line, without the system's numbers.
fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = Words(String::new());
    let mut next = Some(error);
    while let Some(error) = next {
        words.add(error);
        next = error.source();
    }
    words.0
}

struct Words(String);

impl Words {
    fn add(&mut self, error: &dyn fmt::Display) {
        let text = error.to_string();
        let text = text.split(" (os error").next().unwrap_or(&text);
        // Some tell their source themselves.
        if !self.0.contains(text) {
            let colon = if self.0.is_empty() { "" } else { ": " };
            self.0.push_str(colon);
            self.0.push_str(text);
        }
    }
}
