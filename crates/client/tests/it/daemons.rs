//! Daemons for one test each.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use stead_client::{Client, Settings, Timeouts};
use stead_model::{Problem, ProblemCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Serves until the test's runtime ends.
pub(crate) async fn serve(router: Router) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(&listener);
    tokio::spawn(async move { axum::serve(listener, router).await });
    client
}

pub(crate) fn client_of(listener: &TcpListener) -> Client {
    client_at(&format!("http://{}", listener.local_addr().unwrap()))
}

pub(crate) fn client_at(url: &str) -> Client {
    Client::new(&Settings {
        url: url.to_owned(),
        token: Some("sesame-opens-the-door".into()),
        actor: Some("ann".into()),
        timeouts: Timeouts {
            request: Duration::from_secs(5),
            ..Timeouts::default()
        },
    })
    .unwrap()
}

/// A connection that a test answers by hand.
pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        Self(stream)
    }

    /// Reads one request whole, head and body.
    pub(crate) async fn request(&mut self) -> String {
        let mut text = String::new();
        let mut buffer = [0; 4096];
        loop {
            let read = self.0.read(&mut buffer).await.unwrap();
            assert_ne!(read, 0, "the request broke off: {text}");
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
                if body.len() >= length {
                    return text;
                }
            }
        }
    }

    pub(crate) async fn answer(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }
}

/// The value of a header in the text of a request.
pub(crate) fn header(request: &str, name: &str) -> Option<String> {
    let fields = request.lines().filter_map(|line| line.split_once(": "));
    let mut named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.to_owned())
}

/// A whole answer with a JSON body, after which the connection ends.
pub(crate) fn json_answer(status: &str, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// The agent of that name, doing well.
pub(crate) fn agent(name: &str) -> Value {
    json!({
        "id": "agt_0000000000001", "name": name, "namespace": "default", "profile": "agent", "type": "worker",
        "phase": "online", "since": "2026-01-01T00:00:00Z", "health": "healthy", "ready": true, "intent": "running",
        "incarnation": 1, "pid": 42, "restarts": 0, "tasks": 0, "revision": 7, "spec_revision": 1, "labels": {},
        "evidence": [], "next": null
    })
}

pub(crate) fn problem(code: ProblemCode, detail: &str) -> Response {
    let status = StatusCode::from_u16(code.status()).unwrap();
    let body = serde_json::to_string(&Problem::new(code, detail)).unwrap();
    (status, [("content-type", "application/problem+json")], body).into_response()
}
