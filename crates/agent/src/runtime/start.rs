//! Start and restart: once however many ask, never after the process has begun to leave, and undone when a stop comes first.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use super::call::WindDown;
use super::control::{Found, already, change, leaves, run};
use super::drain::stop;
use super::live::Live;
use super::record::{self, PAUSE_KEY};
use super::shared::Shared;
use super::{Change, PauseView, Refused, RuntimeState};
use crate::clock;
use crate::store::whole;

/// Starts, once however many ask at once.
pub(super) async fn start(shared: &Arc<Shared>) -> Result<Change, Refused> {
    let (found, epoch) = {
        let mut book = shared.book();
        match book.state() {
            RuntimeState::Stopped => {
                let epoch = book.begin_start(clock::now())?;
                shared.tell(&book);
                (Found::Mine, epoch)
            }
            RuntimeState::Starting => (Found::Theirs, book.epoch()),
            RuntimeState::Running | RuntimeState::Paused => (Found::Already, book.epoch()),
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
            run(async move { bring_up(&this, epoch).await }).await?;
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
                RuntimeState::Stopped | RuntimeState::Starting | RuntimeState::Stopping => Err(book.not_started()),
            }
        }
        Found::Already => Ok(already(shared, "already started")),
    }
}

/// `epoch` ends when this start does: what a later one finds is not this one's to change.
async fn bring_up(shared: &Arc<Shared>, epoch: CancellationToken) -> Result<(), Refused> {
    let prepared = tokio::select! {
        biased;
        () = epoch.cancelled() => return Err(Refused::StoppedMeanwhile),
        prepared = timeout(shared.config.start_timeout, prepare(shared)) => prepared,
    };
    let prepared = prepared.unwrap_or_else(|_| {
        let took = shared.config.start_timeout;
        Err(format!("it was not done within {took:?}"))
    });
    let mut book = shared.book();
    if epoch.is_cancelled() {
        // Whoever stopped it sees to the rest.
        return Err(Refused::StoppedMeanwhile);
    }
    if let Err(why) = prepared {
        book.start_failure = Some(why.clone());
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

/// Cancelled, the hook is dropped at its next wait.
async fn prepare(shared: &Arc<Shared>) -> Result<(), String> {
    {
        // The checks run where the work does.
        let _there = shared.handle.enter();
        shared.checks.start();
    }
    shared.inherited.get_or_try_init(|| inherit(shared)).await?;
    if let Some(hook) = &shared.hooks.start {
        // One that blocks its thread outlives its start: the next waits for it.
        let alone = Arc::clone(&shared.hooked).lock_owned().await;
        let running = hook();
        let running = shared.handle.spawn(async move {
            let _alone = alone;
            running.await
        });
        let ran = AbortOnDropHandle::new(running).await;
        ran.map_err(|error| error.to_string())?
            .map_err(|error| whole(&*error))?;
    }
    Ok(())
}

/// Reads what earlier processes left behind: a pause, and work to be resumed.
async fn inherit(shared: &Arc<Shared>) -> Result<(), String> {
    // A pause or a resume that came while it starts is the later word.
    let _gate = shared.gate.lock().await;
    let kept = shared.with_store(|store| store.load()).await;
    let kept = kept.map_err(|error| format!("what was left unfinished cannot be read: {}", whole(&error)))?;
    let mut given_up = Vec::new();
    {
        let mut book = shared.book();
        for (key, bytes) in kept {
            if key == PAUSE_KEY {
                let pause: PauseView = serde_json::from_slice(&bytes)
                    .map_err(|error| format!("the pause that was left behind cannot be read: {error}"))?;
                book.pause.get_or_insert(pause);
            } else if let Some(stream) = record::stream(&key) {
                match thaw(shared, &bytes) {
                    Ok(live) if live.tries() >= live.entry.max_attempts => {
                        let (execution, tries) = (live.id, live.tries());
                        error!(%execution, tries, "WorkGivenUp: its tries end with their process");
                        book.give_up_on(&live, clock::wall());
                        given_up.push(live);
                    }
                    Ok(live) => {
                        let execution = live.id;
                        if !book.inherit(live) {
                            warn!(%execution, key, "WorkNotResumed: its stream is taken");
                        }
                    }
                    Err(why) => {
                        error!(key, why, "WorkNotResumed: its stream takes no other");
                        // Under another name nothing would take its place.
                        if let Ok(stream) = stream.parse() {
                            book.hold(stream, why);
                        }
                    }
                }
            }
        }
    }
    for live in given_up {
        let execution = live.id;
        if let Err(error) = shared.with_store(move |store| live.erase(store)).await {
            error!(%execution, error = whole(&error), "ExecutionNotRecorded: its end is not written down");
        }
    }
    Ok(())
}

/// What an earlier process wrote down of an execution, or why it cannot be resumed.
fn thaw(shared: &Shared, bytes: &[u8]) -> Result<Live, String> {
    let record = record::read(bytes).map_err(|why| format!("what is written down of it cannot be read: {why}"))?;
    let place = shared.place_of(&record.entry_point);
    let place = place.ok_or_else(|| format!("there is no entry point `{}` any more", record.entry_point))?;
    Ok(Live::thaw(record, shared.entries[place].clone(), place))
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
