//! What the gRPC probe sees, of a small server that is told what to answer.

use std::future::pending;

use h2::server::SendResponse;
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Request, Response};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::web::Web;
use super::{closed, result_of, silent};

/// What the server answers.
#[derive(Clone, Copy)]
enum Reply {
    /// A message, then trailers with a status.
    Message(&'static [u8], &'static str),
    /// A message and no trailers.
    NoTrailers(&'static [u8]),
    /// A status in the headers, with a text.
    Status(&'static str, &'static str),
    /// Something that is no gRPC, with an HTTP status.
    Page(u16),
    /// The stream is reset.
    Reset,
    /// Nothing, for ever.
    Silence,
}

const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

/// A server on a port; it ends when dropped.
struct Server {
    port: u16,
    serving: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn server(reply: Reply) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, respond))) = connection.accept().await {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            tokio::spawn(answer(reply, request, respond));
        }
    });
    Server { port, serving }
}

async fn answer(reply: Reply, mut request: Request<h2::RecvStream>, mut respond: SendResponse<Bytes>) {
    while let Some(chunk) = request.body_mut().data().await {
        let size = chunk.unwrap().len();
        request.body_mut().flow_control().release_capacity(size).unwrap();
    }
    let head = || Response::builder().header("content-type", "application/grpc");
    match reply {
        Reply::Message(message, status) => {
            let mut stream = respond.send_response(head().body(()).unwrap(), false).unwrap();
            stream.send_data(Bytes::from_static(message), false).unwrap();
            let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(status))]);
            stream.send_trailers(trailers).unwrap();
        }
        Reply::NoTrailers(message) => {
            let mut stream = respond.send_response(head().body(()).unwrap(), false).unwrap();
            stream.send_data(Bytes::from_static(message), true).unwrap();
        }
        Reply::Status(status, text) => {
            let head = head().header("grpc-status", status).header("grpc-message", text);
            respond.send_response(head.body(()).unwrap(), true).unwrap();
        }
        Reply::Page(status) => {
            let head = Response::builder().status(status).header("content-type", "text/html");
            respond.send_response(head.body(()).unwrap(), true).unwrap();
        }
        Reply::Reset => respond.send_reset(h2::Reason::INTERNAL_ERROR),
        Reply::Silence => pending().await,
    }
}

async fn check(reply: Reply) -> Result<(), String> {
    let server = server(reply).await;
    result_of(json!({ "grpc": { "port": server.port, "service": "planner" } })).await
}

#[tokio::test(start_paused = true)]
async fn serving_is_a_success() {
    assert_eq!(check(Reply::Message(SERVING, "0")).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn every_other_health_is_named() {
    let not_serving = Reply::Message(&[0, 0, 0, 0, 2, 8, 2], "0");
    assert_eq!(check(not_serving).await, Err("NOT_SERVING".to_owned()));
    assert_eq!(
        check(Reply::Message(&[0, 0, 0, 0, 0], "0")).await,
        Err("UNKNOWN".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_is_told_by_its_status() {
    for (reply, seen) in [
        (
            Reply::Status("5", "unknown service"),
            "service `planner` is not known there",
        ),
        (Reply::Status("12", ""), "grpc.health.v1.Health is not offered there"),
        (Reply::Status("14", "starting"), "gRPC status UNAVAILABLE: starting"),
        (Reply::Status("7", ""), "gRPC status PERMISSION_DENIED"),
        (Reply::Status("99", ""), "gRPC status 99"),
        (Reply::Message(SERVING, "13"), "gRPC status INTERNAL"),
        (Reply::Reset, "HTTP/2 error: unexpected internal error encountered"),
    ] {
        assert_eq!(check(reply).await, Err(seen.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_health_status_is_said_to_be_so() {
    for (reply, seen) in [
        (Reply::Message(&[1, 2, 3], "0"), "the answer is no health status"),
        (Reply::Message(&[0; 8192], "0"), "the answer is no health status"),
        (Reply::Status("0", ""), "the answer is no health status"),
        (Reply::NoTrailers(SERVING), "the answer has no gRPC status"),
        (Reply::Page(200), "the answer is no gRPC"),
        (Reply::Page(404), "HTTP 404"),
    ] {
        assert_eq!(check(reply).await, Err(seen.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_of_another_protocol_is_told_from_a_dead_one() {
    let web = Web::answering(|_| b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec()).await;
    let other = result_of(json!({ "grpc": { "port": web.port } })).await;
    assert_eq!(other, Err("the answer is no HTTP/2, so no gRPC".to_owned()));
    let web = Web::answering(|_| Vec::new()).await;
    let closing = result_of(json!({ "grpc": { "port": web.port } })).await;
    assert_eq!(
        closing,
        Err("connection closed before the answer was complete".to_owned())
    );
    let (_socket, port) = closed();
    assert_eq!(
        result_of(json!({ "grpc": { "port": port } })).await,
        Err("connection refused".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stalls_at_any_point_fails_after_the_timeout() {
    let late = Err("no answer within 1s".to_owned());
    assert_eq!(check(Reply::Silence).await, late);
    let (_listener, port) = silent().await;
    assert_eq!(result_of(json!({ "grpc": { "port": port } })).await, late);
}
