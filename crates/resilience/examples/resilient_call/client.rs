//! A plain HTTP call, and what its results mean.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use stead_resilience::Verdict;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Why a call gave no answer.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The server could not be reached.
    Io(io::ErrorKind),
    /// It answered with an error.
    Status { code: u16, retry_after: Option<Duration> },
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(kind) => write!(f, "the server cannot be reached: {kind}"),
            Self::Status { code, .. } => write!(f, "the server answers {code}"),
        }
    }
}

impl Error for CallError {}

/// One request, one answer.
pub(crate) async fn get(address: SocketAddr) -> Result<String, CallError> {
    let answer = exchange(address).await.map_err(|error| CallError::Io(error.kind()))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    if code == 200 {
        return Ok(body.to_owned());
    }
    let seconds = head
        .lines()
        .find_map(|line| line.strip_prefix("retry-after: ")?.parse().ok());
    let retry_after = seconds.map(Duration::from_secs);
    Err(CallError::Status { code, retry_after })
}

async fn exchange(address: SocketAddr) -> io::Result<String> {
    let mut connection = TcpStream::connect(address).await?;
    connection
        .write_all(b"GET / HTTP/1.1\r\nhost: loopback\r\n\r\n")
        .await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// What a result says about the server.
pub(crate) fn judge(result: &Result<String, CallError>) -> Verdict {
    match result {
        Ok(_) => Verdict::Success,
        Err(CallError::Io(_)) => Verdict::FAILURE,
        Err(CallError::Status { code: 401..=403, .. }) => Verdict::Terminal,
        Err(CallError::Status {
            code: 429 | 500..,
            retry_after,
        }) => Verdict::Failure {
            retry_after: *retry_after,
        },
        // Our own mistake.
        Err(CallError::Status { .. }) => Verdict::Ignored,
    }
}
