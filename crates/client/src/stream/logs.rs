//! Lines of an agent's output; followed ones go on where a broken connection left off.

use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use stead_model::Wall;
use tokio::time::{Instant, sleep_until, timeout};

use super::backoff::Backoff;
use super::events::{cause_of, may_pass};
use super::lines::Lines;
use crate::{Client, ClientError, LogLine, LogQuery, Target};

/// What a stream of output brings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogItem {
    /// A line.
    Line(LogLine),
    /// The connection broke. The stream goes on behind its last line by itself.
    Interrupted {
        /// What broke it.
        cause: String,
        /// How long is waited before it is opened again.
        retry_in: Duration,
    },
}

/// The output of one agent.
#[derive(Debug)]
pub struct LogStream {
    client: Client,
    target: Target,
    query: LogQuery,
    link: Link,
    lines: Lines,
    place: Place,
    backoff: Backoff,
}

#[derive(Debug)]
enum Link {
    Open(Box<Response>),
    Broken { retry_at: Instant },
    Ended,
}

/// How far the output was given out: lines have times, not numbers, so those of the last millisecond are remembered.
#[derive(Debug, Default)]
struct Place {
    last: Option<Wall>,
    given: Vec<LogLine>,
    /// Lines of the last millisecond that come again after the stream was opened again.
    expected: Vec<LogLine>,
}

/// Enough to bridge a broken connection.
const TAIL_OF_RESUMED: u64 = 1_000_000;

impl Client {
    /// Opens the output of an agent: `GET {agent}/logs`.
    ///
    /// # Errors
    /// `unknown-agent`, and those of every request.
    pub async fn logs(&self, target: &Target, query: LogQuery) -> Result<LogStream, ClientError> {
        let response = open(self, target, &query).await?;
        Ok(LogStream {
            client: self.clone(),
            target: target.clone(),
            query,
            link: Link::Open(Box::new(response)),
            lines: Lines::default(),
            place: Place::default(),
            backoff: Backoff::default(),
        })
    }
}

impl LogStream {
    /// Waits for the next line; nothing after the last unless it follows. Cancel safe.
    ///
    /// # Errors
    /// The connection broke and the stream does not follow, or the daemon refuses to go on.
    pub async fn next(&mut self) -> Result<Option<LogItem>, ClientError> {
        loop {
            while let Some(line) = self.lines.next() {
                if line.is_empty() {
                    continue;
                }
                let line: LogLine = serde_json::from_str(&line)
                    .map_err(|error| ClientError::protocol(&self.client.url, format!("a line of a log: {error}")))?;
                self.backoff.reset();
                if self.place.is_new(&line) {
                    self.place.give(&line);
                    return Ok(Some(LogItem::Line(line)));
                }
            }
            match &mut self.link {
                Link::Open(response) => match response.chunk().await {
                    Ok(Some(bytes)) => self.lines.push(&bytes),
                    Ok(None) if self.query.follow => {
                        return Ok(Some(self.interrupted("the daemon ended the stream".to_owned())));
                    }
                    Ok(None) => self.link = Link::Ended,
                    Err(error) => {
                        let error = ClientError::transport(&self.client.url, &error);
                        if !self.query.follow {
                            self.link = Link::Ended;
                            return Err(error);
                        }
                        return Ok(Some(self.interrupted(error.to_string())));
                    }
                },
                Link::Broken { retry_at } => {
                    sleep_until(*retry_at).await;
                    let query = self.place.resume(&self.query);
                    match open(&self.client, &self.target, &query).await {
                        Ok(response) => self.link = Link::Open(Box::new(response)),
                        Err(error) if may_pass(&error) => return Ok(Some(self.interrupted(cause_of(&error)))),
                        Err(error) => return Err(error),
                    }
                }
                Link::Ended => return Ok(None),
            }
        }
    }

    fn interrupted(&mut self, cause: String) -> LogItem {
        self.lines.clear();
        let retry_in = self.backoff.next();
        self.link = Link::Broken {
            retry_at: Instant::now() + retry_in,
        };
        LogItem::Interrupted { cause, retry_in }
    }
}

impl Place {
    /// The query that asks for everything from the last millisecond on; that of the beginning when nothing came yet.
    fn resume(&mut self, first: &LogQuery) -> LogQuery {
        self.expected.clone_from(&self.given);
        match self.last {
            Some(last) => LogQuery {
                since: Some(last.to_string()),
                tail: Some(TAIL_OF_RESUMED),
                ..first.clone()
            },
            None => first.clone(),
        }
    }

    fn is_new(&mut self, line: &LogLine) -> bool {
        if Some(line.at) != self.last || self.expected.is_empty() {
            return true;
        }
        match self.expected.iter().position(|known| known == line) {
            Some(known) => {
                self.expected.remove(known);
                false
            }
            None => true,
        }
    }

    fn give(&mut self, line: &LogLine) {
        if Some(line.at) != self.last {
            self.last = Some(line.at);
            self.given.clear();
            self.expected.clear();
        }
        self.given.push(line.clone());
    }
}

async fn open(client: &Client, target: &Target, query: &LogQuery) -> Result<Response, ClientError> {
    let request = client
        .http
        .get(client.endpoint(&target.path("/logs")))
        .query(&target.query())
        .query(&query.query());
    headers_in_time(client, request).await
}

/// Sends a request whose answer may go on for ever: the time limit holds for its headers alone.
pub(super) async fn headers_in_time(client: &Client, request: RequestBuilder) -> Result<Response, ClientError> {
    match timeout(client.timeouts.request, client.send(request)).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(ClientError::Timeout {
            url: client.url.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Output;

    fn line(at: i64, text: &str) -> LogLine {
        LogLine {
            at: Wall::from_unix_millis(at),
            stream: Output::Stdout,
            incarnation: stead_model::Incarnation(1),
            line: text.into(),
        }
    }

    #[test]
    fn lines_of_the_last_millisecond_come_once_even_when_they_are_alike() {
        let mut place = Place::default();
        for given in [line(1, "a"), line(2, "b"), line(2, "b")] {
            assert!(place.is_new(&given));
            place.give(&given);
        }
        let query = place.resume(&LogQuery::default());
        assert_eq!(query.since.as_deref(), Some("1970-01-01T00:00:00.002Z"));
        let again = [line(2, "b"), line(2, "b"), line(2, "b"), line(3, "c")];
        let new: Vec<_> = again.iter().filter(|line| place.is_new(line)).collect();
        assert_eq!(new, [&line(2, "b"), &line(3, "c")]);
    }
}
