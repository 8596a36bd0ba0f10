//! What comes while a runtime starts: a pause, a stop, another start, the end of the process.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use stead_agent::{Pause, Refused, Runtime, RuntimeBuilder, RuntimeConfig, RuntimeState};
use tokio::time::{Instant, sleep};

use crate::process::Process;
use crate::world::{Faulty, LONG, SECOND, ask, begin, builder};

/// How often the hook was begun and how often it came to its end, and how many ran at once at most.
#[derive(Clone, Default)]
struct Hook {
    begun: Arc<AtomicU32>,
    ended: Arc<AtomicU32>,
    now: Arc<Mutex<(u32, u32)>>,
}

/// One that runs just now; dropped with its hook.
struct There(Hook);

impl Drop for There {
    fn drop(&mut self) {
        self.0.now.lock().unwrap().0 -= 1;
    }
}

impl Hook {
    /// A runtime whose start takes three seconds.
    fn slow(&self) -> RuntimeBuilder {
        let this = self.clone();
        builder().on_start(move || {
            let this = this.clone();
            async move {
                this.begun.fetch_add(1, SeqCst);
                {
                    let mut now = this.now.lock().unwrap();
                    now.0 += 1;
                    now.1 = now.1.max(now.0);
                }
                let _there = There(this.clone());
                sleep(3 * SECOND).await;
                this.ended.fetch_add(1, SeqCst);
                Ok::<_, String>(())
            }
        })
    }

    fn counts(&self) -> (u32, u32) {
        (self.begun.load(SeqCst), self.ended.load(SeqCst))
    }

    /// How many run now, and how many ran at once at most.
    fn at_once(&self) -> (u32, u32) {
        *self.now.lock().unwrap()
    }
}

/// Begins a start and looks a second later, when its hook runs.
async fn starting(runtime: &Runtime) -> tokio::task::JoinHandle<Result<(), Refused>> {
    let this = runtime.clone();
    let start = tokio::spawn(async move { this.start().await.map(|_| ()) });
    sleep(SECOND).await;
    assert_eq!(runtime.state(), RuntimeState::Starting);
    start
}

#[tokio::test(start_paused = true)]
async fn a_pause_during_the_start_holds_once_it_is_done_and_fails_nothing() {
    let hook = Hook::default();
    let runtime = hook.slow().build().unwrap();
    let start = starting(&runtime).await;
    let short = runtime.pause(Pause::soft(SECOND / 10)).await.unwrap();
    assert_eq!(
        (short.state, short.message.as_str()),
        (RuntimeState::Starting, "pausing: it is still starting")
    );
    let paused = runtime.pause(Pause::soft(LONG)).await.unwrap();
    assert_eq!(
        (paused.state, paused.message.as_str()),
        (RuntimeState::Paused, "paused")
    );
    assert_eq!(hook.counts(), (1, 1));
    start.await.unwrap().unwrap();
    runtime.resume().await.unwrap();
    assert_eq!(runtime.state(), RuntimeState::Running);
}

#[tokio::test(start_paused = true)]
async fn a_resume_during_the_start_takes_the_pause_back_and_starts_nothing_early() {
    let hook = Hook::default();
    let runtime = hook.slow().build().unwrap();
    let start = starting(&runtime).await;
    assert!(matches!(runtime.resume().await, Err(Refused::WrongState { .. })));
    runtime.pause(Pause::soft(Duration::ZERO)).await.unwrap();
    let resumed = runtime.resume().await.unwrap();
    assert_eq!((resumed.state, hook.counts()), (RuntimeState::Starting, (1, 0)));
    assert!(matches!(
        runtime.submit(ask("echo", 1)).await,
        Err(Refused::NotRunning(_))
    ));
    start.await.unwrap().unwrap();
    assert_eq!((runtime.state(), hook.counts()), (RuntimeState::Running, (1, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_pause_during_the_start_that_cannot_be_written_down_is_none() {
    let store = Faulty::default();
    let refuses = Arc::clone(&store.refuses);
    let runtime = Hook::default().slow().store(store).build().unwrap();
    let start = starting(&runtime).await;
    refuses.store(true, SeqCst);
    assert!(matches!(runtime.pause(Pause::soft(LONG)).await, Err(Refused::Store(_))));
    start.await.unwrap().unwrap();
    assert_eq!((runtime.state(), runtime.paused()), (RuntimeState::Running, None));
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_the_start_ends_the_hook_and_whoever_started_or_paused_it_is_told() {
    let hook = Hook::default();
    let runtime = hook.slow().build().unwrap();
    let start = starting(&runtime).await;
    let this = runtime.clone();
    let pause = tokio::spawn(async move { this.pause(Pause::soft(LONG)).await });
    sleep(SECOND).await;
    runtime.stop().await.unwrap();
    assert_eq!(hook.at_once().0, 0);
    assert!(matches!(start.await.unwrap(), Err(Refused::StoppedMeanwhile)));
    assert!(matches!(pause.await.unwrap(), Err(Refused::StoppedMeanwhile)));
    sleep(LONG).await;
    assert_eq!((runtime.state(), hook.counts()), (RuntimeState::Stopped, (1, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_start_after_a_stop_during_a_start_is_up_only_once_its_own_hook_is_done() {
    let hook = Hook::default();
    let runtime = hook.slow().build().unwrap();
    let first = starting(&runtime).await;
    sleep(SECOND).await;
    runtime.stop().await.unwrap();
    let begun = Instant::now();
    runtime.start().await.unwrap();
    assert!(Instant::now() - begun >= 3 * SECOND);
    assert!(matches!(first.await.unwrap(), Err(Refused::StoppedMeanwhile)));
    assert_eq!((hook.counts(), hook.at_once()), ((2, 1), (0, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_takes_too_long_leaves_no_hook_behind() {
    let hook = Hook::default();
    let config = RuntimeConfig {
        start_timeout: SECOND,
        ..RuntimeConfig::default()
    };
    let runtime = hook.slow().config(config).build().unwrap();
    assert!(matches!(runtime.start().await, Err(Refused::StartFailed(_))));
    sleep(LONG).await;
    assert_eq!((hook.counts(), hook.at_once()), ((1, 0), (0, 1)));
}

#[tokio::test(start_paused = true)]
async fn of_two_stops_the_earlier_deadline_holds_whichever_came_first() {
    for (first, second) in [(3_600, 2), (2, 3_600)] {
        let runtime = crate::world::started(builder()).await;
        begin(&runtime, "sleep", 600_000).await;
        let this = runtime.clone();
        let long = tokio::spawn(async move { this.stop_within(first * SECOND).await });
        tokio::task::yield_now().await;
        let begun = Instant::now();
        runtime.stop_within(second * SECOND).await.unwrap();
        let took = Instant::now() - begun;
        assert!((2 * SECOND..3 * SECOND).contains(&took), "{took:?}");
        assert_eq!(long.await.unwrap().unwrap().to_be_resumed, 1);
    }
}

/// A process that is in its start, which `hold` in its directory holds up.
fn held(dir: &std::path::Path) -> Process {
    std::fs::write(dir.join("hold"), "").unwrap();
    let process = Process::spawn_with("agent_hangs", dir, &[("HANGS_IN", dir.to_str().unwrap())]);
    process.until("it starts", |_| starts(dir) == 1);
    process
}

fn starts(dir: &std::path::Path) -> usize {
    std::fs::read_to_string(dir.join("starts")).map_or(0, |starts| starts.lines().count())
}

fn is(process: &Process, state: &str) -> bool {
    process
        .ask("GET", "/api/v1/status", "")
        .1
        .contains(&format!(r#""state":"{state}""#))
}

#[test]
fn a_process_that_is_paused_while_it_starts_stays_and_is_paused_then() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = held(dir.path());
    let paused = process.ask("POST", "/api/v1/lifecycle/pause", r#"{"wait": 0}"#);
    assert_eq!(paused.0, 202, "{}", paused.1);
    std::fs::remove_file(dir.path().join("hold")).unwrap();
    process.until("it is paused", |process| is(process, "paused"));
    assert_eq!(process.ask("POST", "/api/v1/lifecycle/resume", "").0, 200);
    assert!(is(&process, "running"));
    process.signal(Signal::TERM);
    assert_eq!(process.ended().code(), Some(0));
}

#[test]
fn a_process_that_is_stopped_while_it_starts_stays_and_can_be_started() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = held(dir.path());
    let stopped = process.ask("POST", "/api/v1/lifecycle/stop", "");
    assert_eq!(stopped.0, 200, "{}", stopped.1);
    assert_eq!(process.ask("GET", "/health/live", "").0, 200);
    assert!(is(&process, "stopped"));
    std::fs::remove_file(dir.path().join("hold")).unwrap();
    assert_eq!(process.ask("POST", "/api/v1/lifecycle/start", "").0, 200);
    assert!(is(&process, "running"));
    process.signal(Signal::TERM);
    assert_eq!(process.ended().code(), Some(0));
}

#[test]
fn a_process_that_is_ended_while_it_restarts_does_not_start_again() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().to_str().unwrap();
    let mut process = Process::spawn_with("agent_hangs", dir.path(), &[("HANGS_IN", here)]);
    process.until("it runs", |process| is(process, "running"));
    process.begin("hang", "600000", "bees");
    let address = process.address();
    let restart = std::thread::spawn(move || {
        crate::process::http(address, "POST", "/api/v1/lifecycle/restart", r#"{"timeout": 3600}"#)
    });
    process.until("it drains", |process| is(process, "stopping"));
    // The drain of an hour is cut to the three seconds of a signal.
    process.signal(Signal::TERM);
    assert_eq!(process.ended().code(), Some(0));
    assert_eq!(starts(dir.path()), 1);
    drop(restart.join());
}
