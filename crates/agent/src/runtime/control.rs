//! Pause and resume, and what all of the runtime's verbs share.

use std::sync::Arc;
use std::time::Duration;

use stead_model::PauseMode;
use tokio::time::{Instant, timeout_at};
use tracing::info;

use super::book::Book;
use super::call::WindDown;
use super::record::PAUSE_KEY;
use super::shared::Shared;
use super::view::CheckpointView;
use super::{Change, Pause, PauseView, Refused, RuntimeState};
use crate::clock;

/// What a request finds.
pub(super) enum Found {
    /// It is this one's to do.
    Mine,
    /// Another does it just now.
    Theirs,
    /// It is so already.
    Already,
}

/// Takes no more work, and waits for what is in flight. A soft pause can become a checkpoint. One that comes during a start holds
/// from the start's end on: what is half started runs nothing either way.
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
        let starting = book.state() == RuntimeState::Starting;
        if !sharper && !starting {
            book.advance("pause", RuntimeState::Paused, clock::now())?;
        }
        let before = book.pause.replace(view.clone()).filter(|_| sharper || starting);
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
    if let Some(change) = started_by(shared, until).await? {
        return Ok(change);
    }
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

/// Waits until a start that is under way has come to its end; gives the answer where that takes longer.
async fn started_by(shared: &Shared, until: Instant) -> Result<Option<Change>, Refused> {
    if shared.book().state() != RuntimeState::Starting {
        return Ok(None);
    }
    if timeout_at(until, leaves(shared, RuntimeState::Starting)).await.is_err() {
        return Ok(Some(change(shared, "pausing: it is still starting")));
    }
    let book = shared.book();
    match book.state() {
        RuntimeState::Stopped | RuntimeState::Stopping => Err(book.not_started()),
        RuntimeState::Starting | RuntimeState::Running | RuntimeState::Paused => Ok(None),
    }
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
    {
        let mut book = shared.book();
        if let RuntimeState::Paused | RuntimeState::Starting = book.state() {
            book.pause = before;
        }
        if book.state() == RuntimeState::Paused && book.pause.is_none() {
            book.advance("resume", RuntimeState::Running, clock::now())?;
            shared.tell(&book);
        }
    }
    shared.dispatch();
    Err(error.into())
}

/// Takes work again, and goes on with what was interrupted; or, while it starts, takes back a pause that would hold after it.
pub(super) async fn resume(shared: &Arc<Shared>) -> Result<Change, Refused> {
    is_paused(&shared.book())?;
    let this = Arc::clone(shared);
    run(async move {
        let _gate = this.gate.lock().await;
        this.with_store(|store| store.remove(PAUSE_KEY)).await?;
        {
            let mut book = this.book();
            is_paused(&book)?;
            book.pause = None;
            if book.state() == RuntimeState::Paused {
                book.advance("resume", RuntimeState::Running, clock::now())?;
                this.wind.send_replace(WindDown::No);
                this.tell(&book);
            }
        }
        info!("RuntimeResumed");
        this.dispatch();
        Ok(())
    })
    .await?;
    Ok(change(shared, "resumed"))
}

/// Refuses where there is nothing to resume from.
fn is_paused(book: &Book) -> Result<(), Refused> {
    match book.state() {
        RuntimeState::Paused => Ok(()),
        RuntimeState::Starting if book.pause.is_some() => Ok(()),
        state @ (RuntimeState::Starting | RuntimeState::Running | RuntimeState::Stopping | RuntimeState::Stopped) => {
            Err(Refused::WrongState { verb: "resume", state })
        }
    }
}

/// Runs on a task of its own, so that it comes to its end though whoever asked goes away.
pub(super) async fn run<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refused>> + Send + 'static,
) -> Result<T, Refused> {
    let ran = tokio::spawn(work).await;
    ran.unwrap_or_else(|error| Err(Refused::Internal(error.to_string())))
}

/// Waits until the runtime is no longer in a state.
pub(super) async fn leaves(shared: &Shared, state: RuntimeState) {
    let mut changes = shared.changes.subscribe();
    // The sender lives as long as the runtime.
    let _gone = changes.wait_for(|now| *now != state).await;
}

pub(super) fn change(shared: &Shared, message: &str) -> Change {
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

pub(super) fn already(shared: &Shared, message: &str) -> Change {
    Change {
        already: true,
        ..change(shared, message)
    }
}
