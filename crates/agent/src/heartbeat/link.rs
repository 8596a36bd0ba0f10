//! The connection to the daemon: one, kept open, opened again where it broke.

use std::io;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use stead_model::BeatOutcome;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::config::Daemon;

/// Why the daemon did not hear a beat.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// Nobody listens there, or the network is cut.
    #[error("no daemon answers at {host}:{port}: {source}; is it up? STEAD_HEARTBEATS=false has this agent not beat")]
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
    #[error("the daemon answered {status}: {said}")]
    Refused {
        status: StatusCode,
        said: String,
        /// When it wishes to be asked again.
        retry_after: Option<Duration>,
    },
    /// It heard the beat and did not take it.
    #[error("the daemon says that it is {0}")]
    NotTaken(BeatOutcome),
    /// It answered what is not understood.
    #[error("the daemon's answer is not understood: {0}")]
    Unreadable(String),
}

impl LinkError {
    /// When the daemon wishes to be asked again, where it said so.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Absent { .. }
            | Self::Token { .. }
            | Self::Broken(_)
            | Self::Late(_)
            | Self::NotTaken(_)
            | Self::Unreadable(_) => None,
        }
    }
}

/// What is asked with: a path, and what the body is.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) path: String,
    pub(super) content_type: &'static str,
}

#[derive(Debug)]
pub(super) struct Link {
    daemon: Daemon,
    open: Option<Open>,
    /// Reads the token, on a thread of its own: a file may hang, as one of a network that is gone or a pipe that nobody writes to.
    reading: Option<JoinHandle<io::Result<String>>>,
}

#[derive(Debug)]
struct Open {
    sender: SendRequest<Full<Bytes>>,
    authorization: Option<String>,
}

impl Link {
    pub(super) const fn new(daemon: Daemon) -> Self {
        Self {
            daemon,
            open: None,
            reading: None,
        }
    }

    /// Posts beats, and gives the answer where they were accepted, within `patience`. A kept connection that broke meanwhile is opened
    /// anew, once.
    pub(super) async fn tell<A: DeserializeOwned>(
        &mut self,
        route: &Route,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<A, LinkError> {
        let asked = tokio::time::timeout(patience, self.post(route, body)).await;
        let answered = asked.unwrap_or_else(|_late| {
            // Its answer is not waited for any more.
            self.open = None;
            Err(LinkError::Late(patience))
        })?;
        serde_json::from_slice(&answered).map_err(|error| LinkError::Unreadable(error.to_string()))
    }

    pub(super) async fn post(&mut self, route: &Route, body: Vec<u8>) -> Result<Bytes, LinkError> {
        let body = Bytes::from(body);
        if let Some(open) = self.open.take_if(|open| open.sender.is_ready()) {
            match self.ask(open, route, body.clone()).await {
                Err(LinkError::Broken(_)) => {}
                answered => return answered,
            }
        }
        let fresh = self.connect().await?;
        self.ask(fresh, route, body).await
    }

    async fn ask(&mut self, mut open: Open, route: &Route, body: Bytes) -> Result<Bytes, LinkError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&route.path)
            .header(header::HOST, format!("{}:{}", self.daemon.host, self.daemon.port))
            .header(header::CONTENT_TYPE, route.content_type);
        let request = match &open.authorization {
            Some(shown) => request.header(header::AUTHORIZATION, shown),
            None => request,
        };
        let request = request
            .body(Full::new(body))
            .map_err(|error| LinkError::Unreadable(error.to_string()))?;
        let response = open.sender.send_request(request).await?;
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        let read = Limited::new(response.into_body(), MOST_ANSWER).collect().await;
        let body = read
            .map_err(|error| LinkError::Unreadable(error.to_string()))?
            .to_bytes();
        if status.is_success() {
            self.open = Some(open);
            return Ok(body);
        }
        // It is let go of: the next one reads the token again.
        Err(LinkError::Refused {
            status,
            said: String::from_utf8_lossy(&body).into_owned(),
            retry_after: retry_after.map(Duration::from_secs),
        })
    }

    async fn connect(&mut self) -> Result<Open, LinkError> {
        let authorization = self.authorization().await?;
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
        Ok(Open { sender, authorization })
    }

    /// What is shown: the token as it is now. A file that hangs is waited for by one thread, however often it is asked for; what comes of
    /// it late is for the next who asks.
    async fn authorization(&mut self) -> Result<Option<String>, LinkError> {
        let Some(path) = &self.daemon.token_file else {
            return Ok(None);
        };
        let wrong = |detail: String| LinkError::Token {
            path: path.display().to_string(),
            detail,
        };
        let reading = self.reading.get_or_insert_with(|| {
            let path = path.clone();
            tokio::task::spawn_blocking(move || std::fs::read_to_string(path))
        });
        let Ok(read) = tokio::time::timeout(TOKEN_PATIENCE, reading).await else {
            return Err(wrong(format!("it cannot be read within {TOKEN_PATIENCE:?}")));
        };
        self.reading = None;
        let token = read.map_err(io::Error::other).flatten();
        let token = token.map_err(|error| wrong(error.to_string()))?;
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("it holds no token".to_owned()));
        }
        Ok(Some(format!("Bearer {token}")))
    }
}

/// How long a token is waited for: less than the shortest patience with a beat, so that it is said what was late.
const TOKEN_PATIENCE: Duration = Duration::from_millis(800);
/// The most bytes of an answer.
const MOST_ANSWER: usize = 1024 * 1024;
