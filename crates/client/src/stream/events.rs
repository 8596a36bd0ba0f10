//! Events as they happen: resumed where a broken connection left off, none lost, none twice.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::ACCEPT;
use serde_json::Value;
use stead_model::Event;
use tokio::time::{Instant, sleep_until, timeout};

use super::backoff::Backoff;
use super::lines::Lines;
use super::sse::{Parsed, Parser};
use crate::{Client, ClientError, EventFilter};

/// What a stream of events brings.
#[derive(Clone, PartialEq, Debug)]
pub enum EventItem {
    /// Something happened.
    Event(Box<Event>),
    /// Things happened that are no longer kept; the oldest kept events follow.
    Gap {
        /// Why.
        detail: String,
    },
    /// Something happened that this version has no word for.
    Other {
        /// Its type.
        kind: String,
        /// What it says.
        data: Value,
    },
    /// The connection broke. The stream goes on behind its last event by itself.
    Interrupted {
        /// What broke it.
        cause: String,
        /// How long is waited before it is opened again.
        retry_in: Duration,
    },
}

/// Events from one daemon, for as long as anybody asks for the next.
#[derive(Debug)]
pub struct EventStream {
    client: Client,
    filter: EventFilter,
    cursor: Option<String>,
    link: Link,
    lines: Lines,
    parser: Parser,
    backoff: Backoff,
}

#[derive(Debug)]
enum Link {
    Open(Box<Response>),
    Broken { retry_at: Instant },
}

/// An event is far smaller; a line that grows beyond this is none.
const LONGEST_LINE: usize = 4 * 1024 * 1024;

impl Client {
    /// Opens a stream of events: `GET /events`.
    ///
    /// # Errors
    /// `unknown-agent`, `unknown-group`, and those of every request.
    pub async fn events(&self, filter: EventFilter) -> Result<EventStream, ClientError> {
        let cursor = filter.after.clone();
        let response = open(self, &filter, cursor.as_deref()).await?;
        Ok(EventStream {
            client: self.clone(),
            filter,
            cursor,
            link: Link::Open(Box::new(response)),
            lines: Lines::default(),
            parser: Parser::default(),
            backoff: Backoff::default(),
        })
    }
}

impl EventStream {
    /// Waits for the next item. Cancel safe. It never ends by itself; after an error it is of no more use.
    ///
    /// # Errors
    /// The daemon refuses to go on.
    pub async fn next(&mut self) -> Result<EventItem, ClientError> {
        loop {
            while let Some(line) = self.lines.next() {
                let parsed = self.parser.line(&line);
                if let Some(item) = self.take(parsed)? {
                    return Ok(item);
                }
            }
            match &mut self.link {
                Link::Open(response) => {
                    let silence = self.client.timeouts.silence;
                    let broken = match timeout(silence, response.chunk()).await {
                        Ok(Ok(Some(bytes))) if self.lines.len() + bytes.len() <= LONGEST_LINE => {
                            self.lines.push(&bytes);
                            continue;
                        }
                        Ok(Ok(Some(_))) => "a line without end came".to_owned(),
                        Ok(Ok(None)) => "the daemon ended the stream".to_owned(),
                        Ok(Err(error)) => ClientError::transport(&self.client.url, &error).to_string(),
                        Err(_silent) => format!("nothing came for {} s", silence.as_secs()),
                    };
                    return Ok(self.interrupted(broken));
                }
                Link::Broken { retry_at } => {
                    sleep_until(*retry_at).await;
                    match open(&self.client, &self.filter, self.cursor.as_deref()).await {
                        Ok(response) => self.link = Link::Open(Box::new(response)),
                        Err(error) if may_pass(&error) => return Ok(self.interrupted(error.to_string())),
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }

    /// Where the stream stands: what `EventFilter::after` takes to go on behind the last event that was given out.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    fn take(&mut self, parsed: Parsed) -> Result<Option<EventItem>, ClientError> {
        let (cursor, kind, data) = match parsed {
            Parsed::Nothing => return Ok(None),
            Parsed::Cursor(cursor) => {
                self.cursor = Some(cursor);
                return Ok(None);
            }
            Parsed::Event { cursor, kind, data } => (cursor, kind, data),
        };
        self.backoff.reset();
        if cursor.is_some() {
            self.cursor = cursor;
        }
        if let Ok(event) = serde_json::from_str(&data) {
            return Ok(Some(EventItem::Event(Box::new(event))));
        }
        match serde_json::from_str::<Value>(&data) {
            Ok(data) if kind == "gap" => {
                let detail = data.get("detail").and_then(Value::as_str).unwrap_or_default();
                Ok(Some(EventItem::Gap {
                    detail: detail.to_owned(),
                }))
            }
            Ok(data) => Ok(Some(EventItem::Other { kind, data })),
            Err(error) => Err(ClientError::protocol(
                &self.client.url,
                format!("an event is no JSON: {error}"),
            )),
        }
    }

    fn interrupted(&mut self, cause: String) -> EventItem {
        self.lines.clear();
        self.parser.clear();
        let retry_in = self.backoff.next();
        self.link = Link::Broken {
            retry_at: Instant::now() + retry_in,
        };
        EventItem::Interrupted { cause, retry_in }
    }
}

/// Whether a stream may be opened again later although it could not be now.
pub(super) fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::Timeout { .. } => true,
        ClientError::Problem(problem) => problem.status == 503,
        ClientError::Protocol { .. } => false,
    }
}

async fn open(client: &Client, filter: &EventFilter, cursor: Option<&str>) -> Result<Response, ClientError> {
    let mut request = client.http.get(client.endpoint("/events")).query(&filter.query());
    if let Some(cursor) = cursor {
        request = request.header("Last-Event-ID", cursor);
    }
    super::logs::headers_in_time(client, request.header(ACCEPT, "text/event-stream")).await
}
