//! Events as they happen: resumed where a broken connection left off, none lost, none twice.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::ACCEPT;
use serde_json::Value;
use stead_model::Event;
use tokio::time::{Instant, sleep_until, timeout_at};

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

/// What has to outlast a call of `next` that is given up stands here: nobody asks for longer than they want to wait.
enum Link {
    /// Without a word by then it is taken for dead; nothing while nobody waits for one.
    Open {
        response: Box<Response>,
        dead_at: Option<Instant>,
    },
    Broken {
        retry_at: Instant,
    },
    Opening(Opening),
}

type Opening = Pin<Box<dyn Future<Output = Result<Response, ClientError>> + Send>>;

impl Link {
    fn open(response: Response) -> Self {
        Self::Open {
            response: Box::new(response),
            dead_at: None,
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open { .. } => "Open",
            Self::Broken { .. } => "Broken",
            Self::Opening(_) => "Opening",
        })
    }
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
        let response = open(self, &filter, None).await?;
        Ok(EventStream {
            client: self.clone(),
            filter,
            cursor,
            link: Link::open(response),
            lines: Lines::default(),
            parser: Parser::default(),
            backoff: Backoff::default(),
        })
    }
}

impl EventStream {
    /// Waits for the next item. Cancel safe: no item is lost, and a wait that is given up again and again notices a dead connection, and
    /// gets a new one, as early as one that is not. It never ends by itself; after an error it is of no more use.
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
                Link::Open { response, dead_at } => {
                    let silence = self.client.timeouts.silence;
                    let dead = *dead_at.get_or_insert_with(|| Instant::now() + silence);
                    let heard = timeout_at(dead, response.chunk()).await;
                    *dead_at = None;
                    let broken = match heard {
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
                    self.link = Link::Opening(Box::pin(open(&self.client, &self.filter, self.cursor.as_deref())));
                }
                Link::Opening(opening) => match opening.await {
                    Ok(response) => self.link = Link::open(response),
                    Err(error) if may_pass(&error) => return Ok(self.interrupted(cause_of(&error))),
                    Err(error) => return Err(error),
                },
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

/// What keeps a stream from going on: of a refusal what was wrong, not that changes are refused.
pub(super) fn cause_of(error: &ClientError) -> String {
    match error {
        ClientError::Problem(problem) => problem.detail.clone(),
        ClientError::Unreachable { .. } | ClientError::Timeout { .. } | ClientError::Protocol { .. } => {
            error.to_string()
        }
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

fn open(
    client: &Client,
    filter: &EventFilter,
    cursor: Option<&str>,
) -> impl Future<Output = Result<Response, ClientError>> + Send + use<> {
    let mut request = client.http.get(client.endpoint("/events")).query(&filter.query());
    if let Some(cursor) = cursor {
        request = request.header("Last-Event-ID", cursor);
    }
    let client = client.clone();
    async move { super::logs::headers_in_time(&client, request.header(ACCEPT, "text/event-stream")).await }
}
