//! What agents wrote to stdout and stderr.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Method;
use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use stead_model::{AgentId, AgentRef, Namespace, ProblemCode, Wall};
pub use stead_model::{LogLine, LogStream};
use tokio_util::sync::CancellationToken;

use super::Api;
use super::agents::Kind;
use super::extract::{Read, When};
use super::find::blocking;
use super::operation::{About, Table};
use super::problem::Failure;
use super::reply::Lines;

/// Finds what agents wrote.
pub trait LogSource: Send + Sync {
    /// Opens a reader at the first line that is wanted. May touch files; called where blocking is allowed.
    ///
    /// # Errors
    /// Files that are there cannot be read. An agent that never wrote has an empty log.
    fn open(&self, request: &LogRequest) -> io::Result<Box<dyn LogReader>>;
}

/// Reads lines in the order in which they were written, across rotated files.
pub trait LogReader: Send {
    /// The next lines, at most `most`; none where nothing more is written yet, then ask again later. May touch files.
    ///
    /// # Errors
    /// The files cannot be read any more.
    fn read(&mut self, most: usize) -> io::Result<Vec<LogLine>>;
}

/// Which lines are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRequest {
    /// Whose.
    pub agent: AgentId,
    /// At most so many of the last ones.
    pub tail: usize,
    /// Only those from this time on.
    pub since: Option<Wall>,
    /// Only those of one stream.
    pub stream: Option<LogStream>,
}

pub(super) fn mount(table: &mut Table, kind: Kind) {
    let about = About::new(
        kind.id("readAgentLogs"),
        kind.tag(),
        "Reads what it wrote, oldest line first",
    )
    .more("With `follow` the answer goes on as lines come, until the client leaves.")
    .may(&[ProblemCode::UnknownAgent, ProblemCode::StoreUnavailable]);
    table.add(Method::GET, kind.path("/{agent}/logs"), about, read);
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    /// The agent's namespace. Default: `default`, or that of the agent where it is named by its id.
    namespace: Option<Namespace>,
    /// At most so many of the last lines.
    #[serde(default = "default_tail")]
    #[schemars(range(max = 1_000_000))]
    tail: usize,
    /// Only those from this time on: RFC 3339, or how long ago.
    since: Option<When>,
    /// Whether to go on as lines come. Default false.
    #[serde(default)]
    follow: bool,
    /// Only those of one stream.
    stream: Option<LogStream>,
}

const fn default_tail() -> usize {
    100
}

async fn read(api: Api, read: Read<AgentRef, LogQuery>) -> Result<Lines, Failure> {
    let asked = read.query;
    if asked.tail > MOST_TAIL {
        return Err(Failure::invalid(format!(
            "in the query: tail: must be at most {MOST_TAIL}"
        )));
    }
    let agent = api.id(asked.namespace, &read.path).await?;
    let since = asked.since.map(|since| since.resolve(api.state.ports.host.now()));
    let request = LogRequest {
        agent,
        tail: asked.tail,
        since,
        stream: asked.stream,
    };
    let logs = std::sync::Arc::clone(&api.state.ports.logs);
    let reader = blocking(move || logs.open(&request))
        .await?
        .map_err(|error| unreadable(&error))?;
    let follow = asked.follow.then(|| api.state.closing.clone());
    let lines = stream::try_unfold((reader, follow), |(reader, follow)| async move {
        let (reader, chunk) = next(reader, follow.as_ref()).await?;
        Ok::<_, io::Error>(chunk.map(|chunk| (chunk, (reader, follow))))
    });
    Ok(Lines(Body::from_stream(lines)))
}

/// What the latest run of an agent that printed anything printed last, of each stream a few lines; nothing where that cannot be read.
pub(super) async fn last_lines(api: &Api, agent: AgentId) -> Result<Vec<LogLine>, Failure> {
    let logs = std::sync::Arc::clone(&api.state.ports.logs);
    let mut lines = blocking(move || {
        let of = |stream| {
            let request = LogRequest {
                agent,
                tail: LAST_LINES,
                since: None,
                stream: Some(stream),
            };
            logs.open(&request)?.read(LAST_LINES)
        };
        let mut lines = of(LogStream::Stdout)?;
        lines.extend(of(LogStream::Stderr)?);
        io::Result::Ok(lines)
    })
    .await?
    .unwrap_or_default();
    let latest = lines.iter().map(|line| line.incarnation).max();
    lines.retain(|line| Some(line.incarnation) == latest);
    lines.sort_by_key(|line| line.at);
    Ok(lines)
}

/// The next lines as JSON; waits for them only when they are followed. `None` is the end.
async fn next(
    mut reader: Box<dyn LogReader>,
    mut follow: Option<&CancellationToken>,
) -> io::Result<(Box<dyn LogReader>, Option<Bytes>)> {
    loop {
        let (back, lines) = tokio::task::spawn_blocking(move || {
            let lines = reader.read(CHUNK);
            (reader, lines)
        })
        .await?;
        reader = back;
        let lines = lines?;
        if !lines.is_empty() {
            let mut chunk = Vec::with_capacity(lines.len() * 128);
            for line in lines {
                serde_json::to_writer(&mut chunk, &line)?;
                chunk.push(b'\n');
            }
            return Ok((reader, Some(chunk.into())));
        }
        match follow {
            None => return Ok((reader, None)),
            Some(closing) if closing.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() => {
                // What was written up to the end is still told.
                follow = None;
            }
            Some(_) => {}
        }
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(
        ProblemCode::StoreUnavailable,
        format!("the log cannot be read: {error}"),
    )
}

/// Lines that are read at once: the bound of what one reader holds.
const CHUNK: usize = 512;

/// How long a follower waits at the end of a log before it looks again.
const PAUSE: Duration = Duration::from_millis(150);

/// So many lines of each stream stand in an explanation.
const LAST_LINES: usize = 8;

const MOST_TAIL: usize = 1_000_000;
