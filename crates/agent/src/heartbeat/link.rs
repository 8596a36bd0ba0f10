//! The connection to the daemon: one, kept open, opened again where it broke.

use std::io;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::config::Daemon;

/// Why the daemon did not hear a beat.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// Nobody listens there, or the network is cut.
    #[error("no daemon answers at {host}:{port}: {source}")]
    Absent { host: String, port: u16, source: io::Error },
    /// The token cannot be read, or is none.
    #[error("the token file {path}: {detail}")]
    Token { path: String, detail: String },
    /// The connection broke.
    #[error("the connection to the daemon broke: {0}")]
    Broken(#[from] hyper::Error),
    /// It took too long.
    #[error("the daemon did not answer within {0:?}")]
    Late(Duration),
    /// It answered otherwise.
    #[error("the daemon answered {0}: {1}")]
    Refused(StatusCode, String),
    /// It answered what is not understood.
    #[error("the daemon's answer is not understood: {0}")]
    Unreadable(String),
}

#[derive(Debug)]
pub(super) struct Link {
    daemon: Daemon,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    sender: SendRequest<Full<Bytes>>,
    authorization: Option<String>,
}

impl Link {
    pub(super) const fn new(daemon: Daemon) -> Self {
        Self { daemon, open: None }
    }

    /// Posts JSON, and gives the answer's status and body. A kept connection that broke meanwhile is opened anew, once.
    pub(super) async fn post(&mut self, path: &str, body: Vec<u8>) -> Result<(StatusCode, Bytes), LinkError> {
        let body = Bytes::from(body);
        if let Some(open) = self.open.take_if(|open| open.sender.is_ready())
            && let Ok(answered) = self.ask(open, path, body.clone()).await
        {
            return Ok(answered);
        }
        let fresh = self.connect().await?;
        self.ask(fresh, path, body).await
    }

    /// Lets go of a connection whose answer is not waited for any more.
    pub(super) fn drop_connection(&mut self) {
        self.open = None;
    }

    async fn ask(&mut self, mut open: Open, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), LinkError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::HOST, format!("{}:{}", self.daemon.host, self.daemon.port))
            .header(header::CONTENT_TYPE, "application/json");
        let request = match &open.authorization {
            Some(shown) => request.header(header::AUTHORIZATION, shown),
            None => request,
        };
        let request = request
            .body(Full::new(body))
            .map_err(|error| LinkError::Unreadable(error.to_string()))?;
        let response = open.sender.send_request(request).await?;
        let status = response.status();
        let read = Limited::new(response.into_body(), MOST_ANSWER).collect().await;
        let body = read.map_err(|error| LinkError::Unreadable(error.to_string()))?;
        // One that was refused reads its token again.
        if status == StatusCode::ACCEPTED {
            self.open = Some(open);
        }
        Ok((status, body.to_bytes()))
    }

    async fn connect(&self) -> Result<Open, LinkError> {
        let Daemon { host, port, .. } = &self.daemon;
        let absent = |source| LinkError::Absent {
            host: host.clone(),
            port: *port,
            source,
        };
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(absent)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with its sender.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "BeatsCut");
            }
        });
        Ok(Open {
            sender,
            authorization: self.authorization()?,
        })
    }

    fn authorization(&self) -> Result<Option<String>, LinkError> {
        let Some(path) = &self.daemon.token_file else {
            return Ok(None);
        };
        let wrong = |detail: String| LinkError::Token {
            path: path.display().to_string(),
            detail,
        };
        let token = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("it holds no token".to_owned()));
        }
        Ok(Some(format!("Bearer {token}")))
    }
}

/// The most bytes of an answer.
const MOST_ANSWER: usize = 64 * 1024;
