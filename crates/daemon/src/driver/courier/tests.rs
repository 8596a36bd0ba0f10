//! Words to an agent that is played by a small server on loopback.

use std::future::Future;

use stead_model::{Incarnation, Slot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

/// What was heard of which run.
type Heard = (InstanceId, Word, Result<(), String>);

/// A courier, the agent that it talks to, and what comes back.
struct Stage {
    agent: TcpListener,
    courier: Courier,
    heard: mpsc::UnboundedReceiver<Heard>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

/// A request that the agent got and has not answered.
struct Asked {
    stream: TcpStream,
    text: String,
}

impl Stage {
    async fn set() -> Self {
        let (told, heard) = mpsc::unbounded_channel();
        let sink = move |observation| {
            if let Observation::Heard { instance, word, result } = observation {
                told.send((instance, word, result)).unwrap();
            }
        };
        let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
        Self {
            agent: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            courier: Courier::new(sink, closing.clone(), tasks.clone()),
            heard,
            closing,
            tasks,
        }
    }

    fn tell(&self, run: u64, word: Word) {
        let endpoint = LifecycleSpec {
            port: self.agent.local_addr().unwrap().port(),
            host: None,
        };
        let token = EnvValue::Plain("s3cret".into());
        self.courier
            .tell(instance(run), word, Some("new disks".into()), endpoint, Some(token));
    }

    /// The next request.
    async fn asked(&self) -> Asked {
        soon(async {
            let (mut stream, _) = self.agent.accept().await.unwrap();
            let mut text = Vec::new();
            while !is_whole(&text) {
                assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0, "it broke off");
            }
            let text = String::from_utf8(text).unwrap();
            Asked { stream, text }
        })
        .await
    }

    async fn heard(&mut self) -> Heard {
        soon(self.heard.recv()).await.unwrap()
    }

    /// Waits until nothing is being said any more; then nothing more was heard.
    async fn silent(mut self) {
        self.tasks.close();
        soon(self.tasks.wait()).await;
        drop(self.courier);
        assert_eq!(soon(self.heard.recv()).await, None);
    }
}

impl Asked {
    /// Method and path.
    fn what(&self) -> &str {
        self.text.split(" HTTP/").next().unwrap()
    }

    async fn answer(mut self, status: u16, body: &str) {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        self.stream.write_all(answer.as_bytes()).await.unwrap();
    }

    /// Waits until nobody waits for its answer any more.
    async fn given_up(mut self) {
        let mut rest = Vec::new();
        soon(self.stream.read_to_end(&mut rest)).await.unwrap();
    }
}

/// Whether head and body have come.
fn is_whole(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}

fn instance(run: u64) -> InstanceId {
    InstanceId {
        agent: AgentId::new(Slot::try_from(1).unwrap(), 1),
        incarnation: Incarnation(run),
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), what)
        .await
        .expect("in time")
}

#[tokio::test]
async fn a_word_is_said_with_its_note_and_the_agents_token_and_heard_once() {
    let mut stage = Stage::set().await;
    stage.tell(1, Word::Checkpoint);
    let asked = stage.asked().await;
    assert_eq!(asked.what(), "POST /api/v1/lifecycle/pause");
    assert!(
        asked.text.to_lowercase().contains("authorization: bearer s3cret\r\n"),
        "{}",
        asked.text
    );
    assert!(
        asked.text.ends_with(r#"{"mode":"checkpoint","note":"new disks"}"#),
        "{}",
        asked.text
    );
    asked.answer(200, "{}").await;
    assert_eq!(stage.heard().await, (instance(1), Word::Checkpoint, Ok(())));
    stage.silent().await;
}

#[tokio::test]
async fn while_work_is_in_flight_the_agent_is_asked_how_it_is_until_it_stands_still() {
    let mut stage = Stage::set().await;
    stage.tell(1, Word::Pause);
    stage.asked().await.answer(202, "{}").await;
    let asked = stage.asked().await;
    assert_eq!(asked.what(), "GET /api/v1/status");
    asked.answer(200, r#"{"state":"pausing","active_streams":2}"#).await;
    let (_, _, said) = stage.heard().await;
    assert_eq!(said, Err("it is pausing, with 2 at work".to_owned()));
    // Told before: a conflict says as much, and how it is now counts.
    stage.asked().await.answer(409, "{}").await;
    stage
        .asked()
        .await
        .answer(200, r#"{"state":"paused","active_streams":0}"#)
        .await;
    assert_eq!(stage.heard().await.2, Ok(()));
    stage.silent().await;
}

#[tokio::test]
async fn a_refusal_is_told_once_and_the_word_said_again_until_it_is_heard() {
    let mut stage = Stage::set().await;
    stage.tell(1, Word::Resume);
    for _ in 0..3 {
        let asked = stage.asked().await;
        assert_eq!(asked.what(), "POST /api/v1/lifecycle/resume");
        asked.answer(401, r#"{"detail":"a token is needed"}"#).await;
    }
    stage.asked().await.answer(200, "{}").await;
    assert_eq!(stage.heard().await.2, Err("HTTP 401, a token is needed".to_owned()));
    assert_eq!(stage.heard().await.2, Ok(()));
    stage.silent().await;
}

#[tokio::test]
async fn who_gives_no_answer_is_asked_again() {
    let mut stage = Stage::set().await;
    stage.tell(1, Word::Resume);
    drop(stage.asked().await);
    let (_, _, said) = stage.heard().await;
    assert!(said.is_err(), "{said:?}");
    stage.asked().await.answer(200, "{}").await;
    assert_eq!(stage.heard().await.2, Ok(()));
    stage.silent().await;
}

#[tokio::test]
async fn a_newer_word_takes_the_place_of_one_that_waits_for_its_answer() {
    let mut stage = Stage::set().await;
    stage.tell(1, Word::Checkpoint);
    let first = stage.asked().await;
    stage.tell(1, Word::Resume);
    first.given_up().await;
    let second = stage.asked().await;
    assert_eq!(second.what(), "POST /api/v1/lifecycle/resume");
    second.answer(200, "{}").await;
    assert_eq!(stage.heard().await, (instance(1), Word::Resume, Ok(())));
    stage.silent().await;
}

#[tokio::test]
async fn a_run_that_is_hushed_for_is_told_nothing_more_and_another_run_still_is() {
    let mut stage = Stage::set().await;
    stage.tell(1, Word::Checkpoint);
    let first = stage.asked().await;
    stage.courier.hush(instance(1));
    first.given_up().await;
    stage.tell(2, Word::Resume);
    // Of a run that is over already.
    stage.courier.hush(instance(1));
    stage.asked().await.answer(200, "{}").await;
    assert_eq!(stage.heard().await, (instance(2), Word::Resume, Ok(())));
    stage.silent().await;
}

#[tokio::test]
async fn a_daemon_that_closes_says_nothing_more() {
    let stage = Stage::set().await;
    stage.tell(1, Word::Pause);
    let asked = stage.asked().await;
    stage.closing.cancel();
    asked.given_up().await;
    stage.tell(1, Word::Resume);
    stage.silent().await;
}
