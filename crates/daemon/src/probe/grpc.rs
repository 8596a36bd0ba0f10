//! The gRPC probe: `grpc.health.v1.Health/Check` is answered by SERVING.

mod message;
mod status;

use std::pin::pin;
use std::time::Duration;

use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, USER_AGENT};
use hyper::{Method, Request, StatusCode, Version};
use stead_model::spec::GrpcAction;

use super::attempt::{CUT, Fault};
use super::socket;

/// Asks once, on a connection of its own. The server is told that the answer is worth nothing after `patience`.
pub(super) async fn check(action: &GrpcAction, patience: Duration) -> Result<(), Fault> {
    let stream = socket::connect(None, action.port).await?;
    let mut builder = Builder::new();
    builder.max_header_list_size(HEAD).enable_push(false);
    let (sender, connection) = builder.handshake(stream).await.map_err(|error| broken(&error))?;
    let (mut exchange, connection) = (pin!(exchange(sender, action, patience)), pin!(connection));
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        // The other side is done; how it went comes out of the exchange.
        _ended = connection => exchange.await,
    }
}

async fn exchange(sender: SendRequest<Bytes>, action: &GrpcAction, patience: Duration) -> Result<(), Fault> {
    let mut sender = sender.ready().await.map_err(|error| broken(&error))?;
    let service = action.service.as_deref().unwrap_or_default();
    let request = request(action.port, patience).map_err(|error| Fault::Seen(error.to_string()))?;
    let (response, mut body) = sender.send_request(request, false).map_err(|error| broken(&error))?;
    body.send_data(message::request(service), true)
        .map_err(|error| broken(&error))?;
    let (head, mut answer) = response.await.map_err(|error| broken(&error))?.into_parts();
    if head.status != StatusCode::OK {
        return Err(Fault::Seen(format!("HTTP {}", head.status.as_u16())));
    }
    if !is_grpc(&head.headers) {
        return Err(Fault::seen("the answer is no gRPC"));
    }
    // An answer of headers alone carries the status in them.
    if head.headers.contains_key(status::HEADER) {
        return Err(Fault::Seen(status::refusal(&head.headers, service)));
    }
    let bytes = read(&mut answer).await?;
    let trailers = answer
        .trailers()
        .await
        .map_err(|error| broken(&error))?
        .unwrap_or_default();
    if !status::is_ok(&trailers) {
        return Err(Fault::Seen(status::refusal(&trailers, service)));
    }
    match message::serving_status(&bytes) {
        Some(message::SERVING) => Ok(()),
        Some(other) => Err(Fault::Seen(message::name(other))),
        None => Err(Fault::seen("the answer is no health status")),
    }
}

fn request(port: u16, patience: Duration) -> Result<Request<()>, hyper::http::Error> {
    // The protocol allows eight digits.
    let millis = patience.as_millis().min(99_999_999);
    Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri(format!("http://127.0.0.1:{port}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", format!("{millis}m"))
        .header(USER_AGENT, concat!("stead-probe/", env!("CARGO_PKG_VERSION")))
        .body(())
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

async fn read(answer: &mut RecvStream) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.data().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        if bytes.len() + chunk.len() > BODY {
            return Err(Fault::seen("the answer is no health status"));
        }
        answer
            .flow_control()
            .release_capacity(chunk.len())
            .map_err(|error| broken(&error))?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn broken(error: &h2::Error) -> Fault {
    match (error.get_io(), error.reason()) {
        (Some(error), _) => Fault::of(error, ""),
        (None, Some(Reason::FRAME_SIZE_ERROR | Reason::PROTOCOL_ERROR)) if error.is_library() => {
            Fault::seen("the answer is no HTTP/2, so no gRPC")
        }
        (None, Some(Reason::NO_ERROR)) => Fault::seen(CUT),
        (None, Some(reason)) => Fault::Seen(format!("HTTP/2 error: {}", reason.description())),
        (None, None) => Fault::Seen(error.to_string()),
    }
}

/// Longest head of an answer, in bytes.
const HEAD: u32 = 16 * 1024;

/// Longest answer, in bytes; a health status has seven.
const BODY: usize = 4 * 1024;
