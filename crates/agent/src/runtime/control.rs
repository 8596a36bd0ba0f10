//! Start, stop, pause and resume: what the book decides, and the waiting between.

use std::sync::Arc;
use std::time::Duration;

use stead_model::PauseMode;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{error, info, warn};

use super::call::WindDown;
use super::live::Live;
use super::record::{self, PAUSE_KEY};
use super::shared::{Shared, left};
use super::view::CheckpointView;
use super::{Change, Pause, PauseView, Refused, RuntimeState};
use crate::clock;
use crate::store::whole;

/// What a request finds.
enum Found {
    /// It is this one's to do.
    Mine,
    /// Another does it just now.
    Theirs,
    /// It is so already.
    Already,
}

/// Starts, once however many ask at once.
pub(super) async fn start(shared: &Arc<Shared>) -> Result<Change, Refused> {
    let found = {
        let mut book = shared.book();
        match book.state() {
            RuntimeState::Stopped => {
                book.advance("start", RuntimeState::Starting, clock::now())?;
                shared.tell(&book);
                Found::Mine
            }
            RuntimeState::Starting => Found::Theirs,
            RuntimeState::Running | RuntimeState::Paused => Found::Already,
            RuntimeState::Stopping => {
                return Err(Refused::WrongState {
                    verb: "start",
                    state: RuntimeState::Stopping,
                });
            }
        }
    };
    match found {
        Found::Mine => {
            let this = Arc::clone(shared);
            run(async move { bring_up(&this).await }).await?;
            Ok(change(shared, "started"))
        }
        Found::Theirs => {
            leaves(shared, RuntimeState::Starting).await;
            let book = shared.book();
            match book.state() {
                RuntimeState::Running | RuntimeState::Paused => {
                    drop(book);
                    Ok(already(shared, "already started"))
                }
                RuntimeState::Stopped | RuntimeState::Starting | RuntimeState::Stopping => {
                    Err(Refused::StartFailed(book.start_failure.clone()))
                }
            }
        }
        Found::Already => Ok(already(shared, "already started")),
    }
}

async fn bring_up(shared: &Arc<Shared>) -> Result<(), Refused> {
    let prepared = timeout(shared.config.start_timeout, prepare(shared)).await;
    let prepared = prepared.unwrap_or_else(|_| {
        let took = shared.config.start_timeout;
        Err(format!("it was not done within {took:?}"))
    });
    let mut book = shared.book();
    if book.state() != RuntimeState::Starting {
        // Stopped meanwhile: whoever stopped it sees to the rest.
        return Err(Refused::StartFailed("it was stopped before it was up".to_owned()));
    }
    if let Err(why) = prepared {
        book.start_failure.clone_from(&why);
        book.advance("start", RuntimeState::Stopped, clock::now())?;
        shared.tell(&book);
        error!(why, "StartFailed");
        return Err(Refused::StartFailed(why));
    }
    let to = match &book.pause {
        Some(_) => RuntimeState::Paused,
        None => RuntimeState::Running,
    };
    book.advance("start", to, clock::now())?;
    shared.wind.send_replace(WindDown::No);
    shared.tell(&book);
    let to_be_resumed = book.to_be_resumed();
    drop(book);
    info!(state = %to, to_be_resumed, "RuntimeStarted");
    shared.dispatch();
    Ok(())
}

async fn prepare(shared: &Arc<Shared>) -> Result<(), String> {
    {
        // The checks run where the work does.
        let _there = shared.handle.enter();
        shared.checks.start();
    }
    shared.inherited.get_or_try_init(|| inherit(shared)).await?;
    if let Some(hook) = &shared.hooks.start {
        let ran = shared.handle.spawn(hook()).await;
        ran.map_err(|error| error.to_string())?
            .map_err(|error| whole(&*error))?;
    }
    Ok(())
}

/// Reads what earlier processes left behind: a pause, and work to be resumed.
async fn inherit(shared: &Arc<Shared>) -> Result<(), String> {
    let kept = shared.with_store(|store| store.load()).await;
    let kept = kept.map_err(|error| format!("what was left unfinished cannot be read: {}", whole(&error)))?;
    let mut book = shared.book();
    for (key, bytes) in kept {
        if key == PAUSE_KEY {
            let pause: PauseView = serde_json::from_slice(&bytes)
                .map_err(|error| format!("the pause that was left behind cannot be read: {error}"))?;
            book.pause = Some(pause);
        } else if record::is_stream(&key) {
            match record::read(&bytes) {
                Ok(record) => match shared.place_of(&record.entry_point) {
                    Some(place) => {
                        let live = Live::thaw(record, shared.entries[place].clone(), place);
                        let execution = live.id;
                        if !book.inherit(live) {
                            warn!(%execution, key, "WorkNotResumed: its stream is taken");
                        }
                    }
                    None => {
                        let (execution, entry_point) = (record.execution, record.entry_point);
                        warn!(%execution, entry_point, "WorkNotResumed: there is no such entry point any more");
                    }
                },
                Err(why) => error!(key, why, "WorkNotResumed: what is written down of it cannot be read"),
            }
        }
    }
    Ok(())
}

/// Drains and stops. `budget` is all the time that the work in flight has.
pub(super) async fn stop(shared: &Arc<Shared>, budget: Duration) -> Result<Change, Refused> {
    let until = clock::now() + budget;
    let found = {
        let mut book = shared.book();
        match book.state() {
            RuntimeState::Running | RuntimeState::Paused | RuntimeState::Starting => {
                book.advance("stop", RuntimeState::Stopping, clock::now())?;
                book.drain_until = Some(until);
                shared.tell(&book);
                info!(in_flight = book.in_flight(), ?budget, "DrainStarted");
                Found::Mine
            }
            RuntimeState::Stopping => Found::Theirs,
            RuntimeState::Stopped => Found::Already,
        }
    };
    match found {
        Found::Mine => {
            let this = Arc::clone(shared);
            run(async move {
                drain(&this, until).await;
                Ok(())
            })
            .await?;
            Ok(change(shared, "stopped"))
        }
        Found::Theirs => {
            leaves(shared, RuntimeState::Stopping).await;
            Ok(already(shared, "already stopping"))
        }
        Found::Already => Ok(already(shared, "already stopped")),
    }
}

/// Lets what is in flight end until `until`, and writes down the rest.
async fn drain(shared: &Arc<Shared>, until: Instant) {
    // Marked before anything else: a kill from here on loses nothing. A store that hangs is not waited for long.
    let in_flight = shared.book().live();
    let marked = timeout(left(until, MARKING), shared.write_all(&in_flight)).await;
    if marked.is_err() {
        warn!("DrainUnmarked: the store is slow; work in flight may not be written down yet");
    }
    shared.wind.send_replace(WindDown::Stop { until });
    let finished = timeout_at(until, shared.idle()).await;
    if finished.is_err() {
        let rest = shared.book().live();
        let told = timeout(FLUSH, shared.write_all(&rest)).await;
        warn!(
            in_flight = rest.len(),
            written = told.is_ok(),
            "DrainOverdue: the rest is interrupted"
        );
        for live in &rest {
            live.kill.cancel();
        }
        // What waits somewhere ends now; what blocks its thread does not, and keeps its stream.
        let _stuck = timeout(SETTLE, shared.idle()).await;
    }
    if let Some(hook) = &shared.hooks.stop {
        let ran = timeout(left(until, Duration::MAX).max(HOOK), shared.handle.spawn(hook())).await;
        match ran {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => error!(error = whole(&*error), "StopHookFailed"),
            Ok(Err(error)) => error!(%error, "StopHookFailed"),
            Err(_) => error!("StopHookFailed: it was not done in time"),
        }
    }
    let mut book = shared.book();
    if let Err(refused) = book.advance("stop", RuntimeState::Stopped, clock::now()) {
        error!(%refused, "DrainLost");
    }
    shared.tell(&book);
    info!(
        in_flight = book.in_flight(),
        to_be_resumed = book.to_be_resumed(),
        "DrainFinished"
    );
}

/// Takes no more work, and waits for what is in flight. A soft pause can become a checkpoint.
pub(super) async fn pause(shared: &Arc<Shared>, ask: Pause) -> Result<Change, Refused> {
    if let PauseMode::Freeze | PauseMode::Hibernate = ask.mode {
        let said = format!(
            "mode {} is the daemon's to do, from outside; use soft or checkpoint",
            ask.mode
        );
        return Err(Refused::Unsupported(said));
    }
    let view = PauseView {
        mode: ask.mode,
        since: clock::wall(),
        note: ask.note,
    };
    let before = {
        let mut book = shared.book();
        let is_soft = book.pause.as_ref().is_some_and(|pause| pause.mode == PauseMode::Soft);
        let sharper = book.state() == RuntimeState::Paused && is_soft && view.mode == PauseMode::Checkpoint;
        if !sharper {
            book.advance("pause", RuntimeState::Paused, clock::now())?;
        }
        let before = book.pause.replace(view.clone()).filter(|_| sharper);
        shared.tell(&book);
        info!(mode = %view.mode, in_flight = book.in_flight(), "RuntimePaused");
        before
    };
    let this = Arc::clone(shared);
    run(async move { settle(&this, (view, before), ask.wait).await }).await
}

/// `before` is the pause that this one takes the place of.
async fn settle(
    shared: &Arc<Shared>,
    (view, before): (PauseView, Option<PauseView>),
    wait: Duration,
) -> Result<Change, Refused> {
    let until = clock::now() + wait;
    let mode = view.mode;
    write_down(shared, &view, before).await?;
    let before = shared.book().live();
    if mode == PauseMode::Checkpoint && shared.book().state() == RuntimeState::Paused {
        shared.wind.send_replace(WindDown::Checkpoint);
    }
    let settled = timeout_at(until, shared.idle()).await.is_ok();
    let missing = shared.book().live();
    let checkpoint = (mode == PauseMode::Checkpoint).then(|| CheckpointView {
        token: format!("ckp_{}", uuid::Uuid::now_v7().simple()),
        acknowledged: before.len().saturating_sub(missing.len()),
        missing: missing.iter().map(|live| live.stream.clone()).collect(),
    });
    if checkpoint.is_some() {
        shared.write_all(&missing).await;
    }
    let said = if settled {
        "paused".to_owned()
    } else {
        format!("pausing: {} still in flight", missing.len())
    };
    Ok(Change {
        checkpoint,
        ..change(shared, &said)
    })
}

async fn write_down(shared: &Arc<Shared>, view: &PauseView, before: Option<PauseView>) -> Result<(), Refused> {
    let bytes = serde_json::to_vec(view).map_err(|error| Refused::Internal(error.to_string()))?;
    let _gate = shared.gate.lock().await;
    if shared.book().pause.as_ref() != Some(view) {
        return Ok(()); // resumed meanwhile
    }
    let Err(error) = shared.with_store(move |store| store.put(PAUSE_KEY, &bytes)).await else {
        return Ok(());
    };
    // It would end with the process, unsaid: rather not at all.
    let mut book = shared.book();
    if book.state() == RuntimeState::Paused {
        book.pause = before;
    }
    if book.state() == RuntimeState::Paused && book.pause.is_none() {
        book.advance("resume", RuntimeState::Running, clock::now())?;
        shared.tell(&book);
    }
    Err(error.into())
}

/// Takes work again, and goes on with what was interrupted.
pub(super) async fn resume(shared: &Arc<Shared>) -> Result<Change, Refused> {
    let state = shared.book().state();
    if state != RuntimeState::Paused {
        return Err(Refused::WrongState { verb: "resume", state });
    }
    let this = Arc::clone(shared);
    run(async move {
        let _gate = this.gate.lock().await;
        this.with_store(|store| store.remove(PAUSE_KEY)).await?;
        {
            let mut book = this.book();
            let state = book.state();
            if state != RuntimeState::Paused {
                return Err(Refused::WrongState { verb: "resume", state });
            }
            book.advance("resume", RuntimeState::Running, clock::now())?;
            book.pause = None;
            this.wind.send_replace(WindDown::No);
            this.tell(&book);
        }
        info!("RuntimeResumed");
        this.dispatch();
        Ok(())
    })
    .await?;
    Ok(change(shared, "resumed"))
}

/// Stops and starts; what is down is started.
pub(super) async fn restart(shared: &Arc<Shared>, budget: Duration) -> Result<Change, Refused> {
    let state = shared.book().state();
    if let RuntimeState::Starting | RuntimeState::Stopping = state {
        return Err(Refused::WrongState { verb: "restart", state });
    }
    let this = Arc::clone(shared);
    run(async move {
        stop(&this, budget).await?;
        start(&this).await
    })
    .await?;
    Ok(change(shared, "restarted"))
}

/// Runs on a task of its own, so that it comes to its end though whoever asked goes away.
async fn run<T: Send + 'static>(work: impl Future<Output = Result<T, Refused>> + Send + 'static) -> Result<T, Refused> {
    let ran = tokio::spawn(work).await;
    ran.unwrap_or_else(|error| Err(Refused::Internal(error.to_string())))
}

/// Waits until the runtime is no longer in a state.
async fn leaves(shared: &Shared, state: RuntimeState) {
    let mut changes = shared.changes.subscribe();
    // The sender lives as long as the runtime.
    let _gone = changes.wait_for(|now| *now != state).await;
}

fn change(shared: &Shared, message: &str) -> Change {
    let book = shared.book();
    Change {
        state: book.state(),
        message: message.to_owned(),
        already: false,
        in_flight: book.in_flight(),
        to_be_resumed: book.to_be_resumed(),
        checkpoint: None,
    }
}

fn already(shared: &Shared, message: &str) -> Change {
    Change {
        already: true,
        ..change(shared, message)
    }
}

/// How long a drain waits for the store before it tells the work to end.
const MARKING: Duration = Duration::from_secs(1);
/// How long the last checkpoints may take once the budget is spent.
const FLUSH: Duration = Duration::from_secs(1);
/// How long interrupted work may take to let go.
const SETTLE: Duration = Duration::from_millis(50);
/// What the stop hook has at least.
const HOOK: Duration = Duration::from_secs(1);
