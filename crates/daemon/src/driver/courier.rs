//! Says words to agents that take them: `POST /api/v1/lifecycle/pause` and `resume` of the agent's own server, again and again until the
//! agent has done as it was told.
//!
//! One word to an agent at a time: a newer one takes the place of the one before. An agent that was told twice is asked how it is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};
use stead_model::spec::{EnvValue, LifecycleSpec};
use stead_model::{AgentId, InstanceId, Observation, Word};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exchange::exchange;

/// Says words; its tasks end when it is told so, when `closing` is cancelled, or once a word was heard.
pub(crate) struct Courier {
    words: Mutex<BTreeMap<AgentId, (InstanceId, CancellationToken)>>,
    sink: Arc<Sink>,
    closing: CancellationToken,
    tasks: TaskTracker,
    runtime: Handle,
}

type Sink = dyn Fn(Observation) + Send + Sync;

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").finish_non_exhaustive()
    }
}

impl Courier {
    /// Makes one whose tasks run on the current runtime, are counted by `tasks` and end when `closing` is cancelled; `sink` gets every
    /// answer as [`Observation::Heard`].
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub(crate) fn new(
        sink: impl Fn(Observation) + Send + Sync + 'static,
        closing: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            words: Mutex::default(),
            sink: Arc::new(sink),
            closing,
            tasks,
            runtime: Handle::current(),
        }
    }

    /// Says a word from now on until it is heard.
    pub(crate) fn tell(
        &self,
        instance: InstanceId,
        word: Word,
        note: Option<String>,
        endpoint: LifecycleSpec,
        token: Option<EnvValue>,
    ) {
        let stop = self.closing.child_token();
        let errand = Errand {
            word,
            note,
            endpoint,
            token,
        };
        let before = self.lock().insert(instance.agent, (instance, stop.clone()));
        if let Some((_, before)) = before {
            before.cancel();
        }
        let sink = Arc::clone(&self.sink);
        let saying = async move {
            let saying = errand.say(|result| sink(Observation::Heard { instance, word, result }));
            stop.run_until_cancelled(saying).await;
        };
        self.tasks.spawn_on(saying, &self.runtime);
    }

    /// Says nothing more to a run.
    pub(crate) fn hush(&self, instance: InstanceId) {
        let mut words = self.lock();
        if words.get(&instance.agent).is_some_and(|(known, _)| *known == instance)
            && let Some((_, stop)) = words.remove(&instance.agent)
        {
            stop.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AgentId, (InstanceId, CancellationToken)>> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Errand {
    word: Word,
    note: Option<String>,
    endpoint: LifecycleSpec,
    token: Option<EnvValue>,
}

impl Errand {
    /// Tries until it is heard. What is wrong is told when it changes.
    async fn say(&self, told: impl Fn(Result<(), String>)) {
        let mut wait = FIRST_WAIT;
        let mut wrong = String::new();
        loop {
            let tried = tokio::time::timeout(PATIENCE, self.try_once()).await;
            match tried.unwrap_or_else(|_late| Err(format!("no answer within {} s", PATIENCE.as_secs()))) {
                Ok(()) => return told(Ok(())),
                Err(detail) if detail != wrong => {
                    wrong.clone_from(&detail);
                    told(Err(detail));
                }
                Err(_same) => {}
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn try_once(&self) -> Result<(), String> {
        let (path, body) = match self.word {
            Word::Pause => (
                "/api/v1/lifecycle/pause",
                json!({ "mode": "soft", "note": self.note() }),
            ),
            Word::Checkpoint => (
                "/api/v1/lifecycle/pause",
                json!({ "mode": "checkpoint", "note": self.note() }),
            ),
            Word::Resume => ("/api/v1/lifecycle/resume", json!({})),
        };
        let (status, answer) = self.ask(Method::POST, path, body.to_string()).await?;
        match status {
            StatusCode::OK => Ok(()),
            // Work is still in flight, or it was told before: how it is now counts.
            StatusCode::ACCEPTED | StatusCode::CONFLICT => self.settled().await,
            _ => Err(refusal(status, &answer)),
        }
    }

    /// Whether it is as it was told to be.
    async fn settled(&self) -> Result<(), String> {
        let (status, answer) = self.ask(Method::GET, "/api/v1/status", String::new()).await?;
        if status != StatusCode::OK {
            return Err(refusal(status, &answer));
        }
        let state = answer["state"].as_str().unwrap_or("in an unknown state");
        let streams = answer["active_streams"].as_u64().unwrap_or(0);
        let done = match self.word {
            Word::Pause | Word::Checkpoint => state == "paused" && streams == 0,
            Word::Resume => state == "running",
        };
        if done {
            Ok(())
        } else {
            Err(format!("it is {state}, with {streams} at work"))
        }
    }

    /// One request on a connection of its own.
    async fn ask(&self, method: Method, path: &str, body: String) -> Result<(StatusCode, Value), String> {
        let host = self.endpoint.host.as_deref().unwrap_or("127.0.0.1");
        let authority = format!("{host}:{}", self.endpoint.port);
        let failed = |error: &dyn fmt::Display| format!("{authority}: {error}");
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &authority)
            .header(CONNECTION, "close");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(token) = self.token().await? {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| failed(&error))?;
        let answer = exchange((host, self.endpoint.port), request, MOST).await;
        let answer = answer.map_err(|error| failed(&error))?;
        let body = serde_json::from_slice(answer.body()).unwrap_or_default();
        Ok((answer.status(), body))
    }

    /// Why, as long as the agent takes it.
    fn note(&self) -> Option<String> {
        self.note.as_ref().map(|note| note.chars().take(LONGEST_NOTE).collect())
    }

    /// What it wants to be shown; a file is read each time, as it is for its environment.
    async fn token(&self) -> Result<Option<HeaderValue>, String> {
        let token = match &self.token {
            None => return Ok(None),
            Some(EnvValue::Plain(token) | EnvValue::Secret { secret: token }) => token.clone(),
            Some(EnvValue::File { file }) => tokio::fs::read_to_string(file)
                .await
                .map_err(|error| format!("{file}: {error}"))?,
        };
        let value = HeaderValue::from_str(&format!("Bearer {}", token.trim_end_matches(['\r', '\n'])));
        let mut value = value.map_err(|_unfit| "its STEAD_LIFECYCLE_TOKEN cannot be sent in a header".to_owned())?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn refusal(status: StatusCode, answer: &Value) -> String {
    let detail = answer["detail"].as_str();
    let detail = detail.map(|detail| format!(", {detail}"));
    format!("HTTP {}{}", status.as_u16(), detail.unwrap_or_default())
}

const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long one answer may take: the agent answers when nothing is in flight any more, or its own patience is over.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much of an answer is read, in bytes.
const MOST: usize = 64 * 1024;

/// Longest note that is passed on, in characters.
const LONGEST_NOTE: usize = 1024;

#[cfg(test)]
mod tests;
