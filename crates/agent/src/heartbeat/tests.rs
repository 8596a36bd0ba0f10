use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::activity::Activity;
use crate::{Call, DegradationLevel, DegradationTold, EntryPoint, Submission, WorkMode};

mod together;

/// What a daemon heard: the path, the authorization, the beat.
type Heard = (String, Option<String>, Value);

/// A daemon that notes beats and answers as it is told to.
#[derive(Clone)]
struct Daemon {
    heard: Arc<Mutex<Vec<Heard>>>,
    answer: Arc<Mutex<Answers>>,
}

#[derive(Clone)]
enum Answers {
    With(u16, Value),
    Never,
}

async fn hear(State(daemon): State<Daemon>, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let shown = headers
        .get("authorization")
        .map(|shown| shown.to_str().unwrap().to_owned());
    for line in body.lines() {
        let beat = serde_json::from_str(line).unwrap();
        daemon
            .heard
            .lock()
            .unwrap()
            .push((uri.to_string(), shown.clone(), beat));
    }
    let answer = daemon.answer.lock().unwrap().clone();
    match answer {
        Answers::With(status, body) => (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response(),
        Answers::Never => std::future::pending().await,
    }
}

impl Daemon {
    async fn start() -> (Self, u16) {
        let daemon = Self::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        daemon.serve(listener);
        (daemon, port)
    }

    fn new() -> Self {
        Self {
            heard: Arc::default(),
            answer: Arc::new(Mutex::new(accepted(1))),
        }
    }

    fn serve(&self, listener: TcpListener) {
        let routes = Router::new().fallback(post(hear)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    }

    fn answers(&self, answer: Answers) {
        *self.answer.lock().unwrap() = answer;
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until so many beats were heard that fit.
    async fn until(&self, what: &str, fits: impl Fn(&[Heard]) -> bool) {
        let waited = async {
            while !fits(&self.heard()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_mins(1), waited).await;
        assert!(waited.is_ok(), "never: {what}; heard {:?}", self.heard());
    }
}

impl Daemon {
    /// Waits until no more beats come, for ten times as long as they would take. One may still be under way.
    async fn falls_silent(&self) {
        let quiet = async {
            loop {
                let before = self.heard().len();
                tokio::time::sleep(Duration::from_millis(500)).await;
                if self.heard().len() == before {
                    return;
                }
            }
        };
        let quiet = tokio::time::timeout(Duration::from_mins(1), quiet).await;
        assert!(quiet.is_ok(), "it beats on");
    }
}

fn accepted(incarnation: u64) -> Answers {
    Answers::With(
        202,
        json!({"outcome": "accepted", "handle": 4_294_967_296_u64, "incarnation": incarnation, "next_in": "50ms", "later": {"x": 1}}),
    )
}

fn route() -> Route {
    Route {
        path: "/".to_owned(),
        content_type: "application/json",
    }
}

fn place(port: u16, incarnation: Option<u64>) -> Place {
    Place {
        daemon: config::Daemon {
            host: "127.0.0.1".to_owned(),
            port,
            token_file: None,
        },
        whose: config::Whose {
            agent: "web".to_owned(),
            namespace: Some("team".to_owned()),
            incarnation: incarnation.map(Incarnation),
        },
    }
}

/// One that beats.
struct Beating {
    runtime: Runtime,
    gone: CancellationToken,
    superseded: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Beating {
    async fn start(place: Place, patience: Duration) -> Self {
        let work = EntryPoint::new("work", async |call: Call| {
            call.progress(2);
            call.says(Activity::tool("search", &"cats"));
            if call.input::<bool>()? {
                call.winding_down().await;
            }
            Err::<(), _>(Box::<dyn std::error::Error + Send + Sync>::from("no"))
        });
        let runtime = Runtime::builder().entry_point(work).build().unwrap();
        runtime.start().await.unwrap();
        let pulse = Pulse::begin(runtime.handle(), patience);
        let (gone, superseded) = (CancellationToken::new(), CancellationToken::new());
        let config = HeartbeatConfig {
            interval: Duration::from_millis(50),
            ..HeartbeatConfig::default()
        };
        let teller = Teller {
            place,
            config,
            runtime: runtime.clone(),
            pulse,
            gone: gone.clone(),
            superseded: superseded.clone(),
        };
        let task = tokio::spawn(teller.tell());
        Self {
            runtime,
            gone,
            superseded,
            task,
        }
    }

    async fn end(self) {
        self.gone.cancel();
        self.task.await.unwrap();
    }
}

const LONG: Duration = Duration::from_hours(1);

#[tokio::test]
async fn each_beat_says_whose_it_is_what_was_measured_and_what_it_is_at() {
    let (daemon, port) = Daemon::start().await;
    let beating = Beating::start(place(port, Some(3)), LONG).await;
    let submission = Submission::new("work", &true).unwrap();
    beating.runtime.submit(submission).await.unwrap();
    let busy = |beat: &Value| beat["activity"]["kind"] == "tool";
    daemon
        .until("two beats of one that is busy", |heard| {
            heard.iter().filter(|(_, _, beat)| busy(beat)).count() > 1
        })
        .await;
    beating.runtime.stop().await.unwrap();
    beating.end().await;
    let heard = daemon.heard();
    let first = heard[0].2["sequence"].as_u64().unwrap();
    for (number, (path, shown, beat)) in heard.iter().enumerate() {
        assert_eq!(
            (path.as_str(), shown),
            ("/api/v1/agents/web/heartbeats?namespace=team", &None)
        );
        assert_eq!(
            (&beat["incarnation"], &beat["sequence"]),
            (&json!(3), &json!(first + number as u64))
        );
    }
    let (_, _, beat) = heard.iter().find(|(_, _, beat)| busy(beat)).unwrap();
    assert_eq!(
        (&beat["progress"], &beat["metrics"]["active_streams"]),
        (&json!(2), &json!(1.0))
    );
    assert!(beat["activity"]["hash"].is_u64() && beat["activity"]["for"].is_string());
    assert!(beat["metrics"]["memory_usage"].as_f64().unwrap() > 0.0);
    // How long executions take is no latency unless they are requests.
    assert_eq!(beat["metrics"].get("request_latency"), None);
    assert!(beat["metrics"]["execution_ms"].is_f64(), "{beat}");
}

#[tokio::test]
async fn what_happened_while_beats_were_not_taken_is_told_by_the_first_that_is() {
    let (daemon, port) = Daemon::start().await;
    let not_taken = [
        Answers::With(503, json!({"code": "busy"})),
        Answers::With(
            202,
            json!({"outcome": "stale", "handle": null, "incarnation": 1, "next_in": "50ms"}),
        ),
    ];
    for answer in not_taken {
        daemon.answers(answer);
        let begun = daemon.heard().len();
        let beating = Beating::start(place(port, Some(1)), LONG).await;
        daemon.until("one before the work", |heard| heard.len() > begun).await;
        let submission = Submission::new("work", &false).unwrap();
        beating.runtime.submit(submission).await.unwrap();
        let ended = |heard: &[Heard]| heard.iter().filter(|(_, _, beat)| beat["progress"] == 3).count();
        let before = ended(&daemon.heard());
        // Others would have told of the execution that ended, and forgotten it, by now.
        daemon
            .until("three that tell of it and are not taken", |heard| {
                ended(heard) > before + 2
            })
            .await;
        let (_, _, latest) = daemon.heard().pop().unwrap();
        assert!(latest["metrics"]["execution_ms"].as_f64().unwrap() > 0.0, "{latest}");
        daemon.answers(accepted(1));
        let forgotten = |heard: &[Heard]| {
            heard
                .last()
                .is_some_and(|(_, _, beat)| beat["metrics"]["execution_ms"] == 0.0)
        };
        daemon.until("one after one that was taken", forgotten).await;
        beating.end().await;
    }
}

#[tokio::test]
async fn a_daemon_that_comes_late_is_found() {
    let daemon = Daemon::new();
    // A port that is held, and on which nobody listens yet.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let mut link = Link::new(place(port, None).daemon);
    assert!(matches!(
        link.post(&route(), Vec::new()).await,
        Err(LinkError::Absent { .. })
    ));
    let beating = Beating::start(place(port, None), LONG).await;
    daemon.serve(socket.listen(16).unwrap());
    daemon.until("a beat", |heard| !heard.is_empty()).await;
    let (_, _, first) = daemon.heard().swap_remove(0);
    assert_eq!((first.get("incarnation"), first.get("sequence")), (None, None));
    beating.end().await;
}

#[test]
fn one_that_was_not_taken_is_tried_again_within_an_interval_and_later_and_later() {
    let mut pace = Pace::new(Duration::from_secs(8));
    for (missed, from, to) in [
        (1, 1_000, 2_000),
        (2, 2_000, 4_000),
        (3, 4_000, 8_000),
        (9, 4_000, 8_000),
    ] {
        pace.missed = missed;
        let soon = pace.soon().as_millis();
        assert!((from..=to).contains(&soon), "{missed}: {soon}");
    }
}

#[tokio::test]
async fn one_that_a_later_run_has_superseded_is_told_so_and_one_that_is_merely_ahead_goes_on() {
    let (daemon, port) = Daemon::start().await;
    let fenced = |incarnation: u64| {
        Answers::With(
            202,
            json!({"outcome": "fenced", "handle": null, "incarnation": incarnation, "next_in": "50ms"}),
        )
    };
    daemon.answers(fenced(2));
    let beating = Beating::start(place(port, Some(3)), LONG).await;
    daemon.until("three beats", |heard| heard.len() > 2).await;
    assert!(!beating.superseded.is_cancelled());
    daemon.answers(fenced(4));
    let told = tokio::time::timeout(Duration::from_mins(1), beating.superseded.cancelled()).await;
    assert!(told.is_ok(), "it was not told");
    beating.task.await.unwrap();
}

#[tokio::test]
async fn answers_that_never_come_and_refusals_do_not_end_it() {
    let (daemon, port) = Daemon::start().await;
    let refusals = [
        Answers::Never,
        Answers::With(404, json!({"code": "unknown-agent"})),
        Answers::With(202, json!({"outcome": "sideways"})),
    ];
    let beating = Beating::start(place(port, Some(1)), LONG).await;
    for refusal in refusals {
        daemon.answers(refusal);
        let before = daemon.heard().len();
        daemon.until("two more beats", |heard| heard.len() > before + 1).await;
    }
    assert!(!beating.task.is_finished() && !beating.superseded.is_cancelled());
    beating.end().await;
}

#[tokio::test]
async fn the_token_is_read_from_its_file_and_read_again_where_it_was_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "first-token\n").unwrap();
    let (daemon, port) = Daemon::start().await;
    let mut place = place(port, Some(1));
    place.daemon.token_file = Some(file.clone());
    let beating = Beating::start(place, LONG).await;
    let shows = |token: &'static str| {
        move |heard: &[Heard]| {
            heard
                .last()
                .is_some_and(|(_, shown, _)| shown.as_deref() == Some(token))
        }
    };
    daemon.until("the first token", shows("Bearer first-token")).await;
    std::fs::write(&file, "second-token").unwrap();
    daemon.answers(Answers::With(401, json!({"code": "unauthorized"})));
    daemon.until("the second token", shows("Bearer second-token")).await;
    // One that is no token is not sent.
    std::fs::write(&file, "").unwrap();
    let mut link = Link::new(config::Daemon {
        host: "127.0.0.1".to_owned(),
        port,
        token_file: Some(file),
    });
    let refused = link.post(&route(), Vec::new()).await.unwrap_err().to_string();
    assert!(refused.contains("it holds no token"), "{refused}");
    beating.end().await;
}

#[tokio::test]
async fn a_token_file_that_hangs_holds_up_neither_the_thread_of_beats_nor_more_than_one_thread_and_is_read_once_it_can_be()
 {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("token");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    let (daemon, port) = Daemon::start().await;
    let mut place = place(port, Some(1));
    place.daemon.token_file = Some(pipe.clone());
    let mut link = Link::new(place.daemon);
    // Nobody writes to it: each try is told so in time, by a thread that does nothing else meanwhile.
    for _ in 0..2 {
        let hung = link.post(&route(), Vec::new()).await.unwrap_err().to_string();
        assert!(hung.contains("cannot be read within"), "{hung}");
    }
    assert_eq!(daemon.heard(), []);
    // A second thread that reads would take a second token, for which nobody is there.
    tokio::task::spawn_blocking(move || std::fs::write(pipe, "late-token\n"))
        .await
        .unwrap()
        .unwrap();
    let told = async { while link.post(&route(), b"{}".to_vec()).await.is_err() {} };
    tokio::time::timeout(Duration::from_mins(1), told).await.unwrap();
    assert_eq!(daemon.heard()[0].1.as_deref(), Some("Bearer late-token"));
}

#[test]
fn one_whose_loop_hangs_is_silent_though_its_beats_have_a_thread_of_their_own() {
    let agents = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let others = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (daemon, port) = others.block_on(Daemon::start());
    // Nobody drives the agent's own loop from here on: its pulse stands still.
    let runtime = agents.block_on(async {
        let idle = EntryPoint::new("idle", async |_: Call| Ok::<_, String>(()));
        Runtime::builder().entry_point(idle).build().unwrap()
    });
    let begun = std::time::Instant::now();
    let pulse = agents.block_on(async { Pulse::begin(runtime.handle(), Duration::from_millis(1_500)) });
    let gone = CancellationToken::new();
    let teller = Teller {
        place: place(port, Some(1)),
        config: HeartbeatConfig {
            interval: Duration::from_millis(50),
            ..HeartbeatConfig::default()
        },
        runtime,
        pulse: pulse.clone(),
        gone: gone.clone(),
        superseded: CancellationToken::new(),
    };
    let telling = others.spawn(teller.tell());
    others.block_on(async {
        daemon
            .until("a beat before it is noticed", |heard| {
                !heard.is_empty() || begun.elapsed().as_secs() > 1
            })
            .await;
        let noticed = async {
            while pulse.stopped_for().is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), noticed).await.unwrap();
        daemon.falls_silent().await;
        gone.cancel();
        telling.await.unwrap();
    });
}

#[tokio::test]
async fn one_that_has_failed_for_good_is_silent() {
    let (daemon, port) = Daemon::start().await;
    let beating = Beating::start(place(port, Some(1)), LONG).await;
    daemon.until("a beat", |heard| !heard.is_empty()).await;
    beating.runtime.fail("its disk is gone");
    daemon.falls_silent().await;
    assert!(!beating.task.is_finished());
    beating.end().await;
}

#[tokio::test]
async fn what_the_namespace_has_given_up_is_known_until_the_daemon_says_it_no_more() {
    let (daemon, port) = Daemon::start().await;
    let beating = Beating::start(place(port, Some(1)), Duration::from_mins(5)).await;
    let mut told = beating.runtime.degradations();
    assert_eq!(*told.borrow_and_update(), DegradationTold::default());
    let with = |degradation: Value| {
        let body = json!({"outcome": "accepted", "incarnation": 1, "next_in": "50ms", "degradation": degradation});
        Answers::With(202, body)
    };
    daemon.answers(with(
        json!({"level": "severe", "modes": ["offline"], "off": ["web_search"], "later": 1}),
    ));
    let changed = tokio::time::timeout(Duration::from_mins(1), told.changed()).await;
    changed.unwrap().unwrap();
    let heard = beating.runtime.degradation();
    assert_eq!(
        (heard.level, heard.modes.as_slice()),
        (DegradationLevel::Severe, [WorkMode::Offline].as_slice())
    );
    assert!(heard.is_off("web_search") && !heard.is_off("chat"));
    daemon.answers(with(json!({"level": "abysmal"})));
    let beats = daemon.heard().len();
    daemon.until("beats", |heard| heard.len() > beats + 2).await;
    assert_eq!(
        beating.runtime.degradation(),
        heard,
        "what is not understood changes nothing"
    );
    daemon.answers(accepted(1));
    let calm = told.wait_for(|told| *told == DegradationTold::default());
    let calm = tokio::time::timeout(Duration::from_mins(1), calm).await;
    assert!(calm.unwrap().is_ok());
    beating.end().await;
}
