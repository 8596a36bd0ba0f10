//! Stop: what is in flight ends in time, or is written down.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use tracing::{error, info, warn};

use super::call::WindDown;
use super::control::{Found, already, change, leaves, run};
use super::shared::{Shared, left};
use super::{Change, Refused, RuntimeState};
use crate::clock;
use crate::store::whole;

/// Drains and stops. `budget` is all the time that the work in flight has; of several who ask, the shortest.
pub(super) async fn stop(shared: &Arc<Shared>, budget: Duration) -> Result<Change, Refused> {
    let until = clock::now() + budget;
    let found = {
        let mut book = shared.book();
        match book.state() {
            RuntimeState::Running | RuntimeState::Paused | RuntimeState::Starting => {
                book.advance("stop", RuntimeState::Stopping, clock::now())?;
                book.drain_until = Some(until);
                shared.deadline.send_replace(until);
                shared.tell(&book);
                info!(in_flight = book.in_flight(), ?budget, "DrainStarted");
                Found::Mine
            }
            RuntimeState::Stopping => {
                if book.drain_until.is_none_or(|before| until < before) {
                    book.drain_until = Some(until);
                    shared.deadline.send_replace(until);
                    shared.wind.send_if_modified(|wind| match wind {
                        WindDown::Stop { until: told } => {
                            *told = until;
                            true
                        }
                        WindDown::No | WindDown::Checkpoint => false,
                    });
                    info!(in_flight = book.in_flight(), ?budget, "DrainShortened");
                }
                Found::Theirs
            }
            RuntimeState::Stopped => Found::Already,
        }
    };
    match found {
        Found::Mine => {
            let this = Arc::clone(shared);
            run(async move {
                drain(&this).await;
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

/// Lets what is in flight end until the deadline, and writes down the rest.
async fn drain(shared: &Arc<Shared>) {
    // Marked before anything else: a kill from here on loses nothing. A store that hangs is not waited for long.
    let in_flight = shared.book().live();
    let marking = left(*shared.deadline.borrow(), MARKING);
    let marked = timeout(marking, shared.write_all(&in_flight)).await;
    if marked.is_err() {
        warn!("DrainUnmarked: the store is slow; work in flight may not be written down yet");
    }
    {
        // Under the lock, so that a deadline that comes nearer just now is not told as it was.
        let _book = shared.book();
        let until = *shared.deadline.borrow();
        shared.wind.send_replace(WindDown::Stop { until });
    }
    if in_time(shared, Duration::ZERO, shared.idle()).await.is_none() {
        let rest = shared.book().live();
        for live in &rest {
            live.spare();
        }
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
    // A start that this stop cut short may have its hook still.
    let _hooked = timeout(SETTLE, shared.hooked.lock()).await;
    if let Some(hook) = &shared.hooks.stop {
        let ran = in_time(shared, HOOK, shared.handle.spawn(hook())).await;
        match ran {
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => error!(error = whole(&*error), "StopHookFailed"),
            Some(Err(error)) => error!(%error, "StopHookFailed"),
            None => error!("StopHookFailed: it was not done in time"),
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

/// Waits for `work` until the deadline, which may come nearer meanwhile, and for `least` in any case.
async fn in_time<T>(shared: &Shared, least: Duration, work: impl Future<Output = T>) -> Option<T> {
    let least = clock::now() + least;
    let mut deadline = shared.deadline.subscribe();
    tokio::pin!(work);
    loop {
        let until: Instant = *deadline.borrow_and_update();
        tokio::select! {
            biased;
            done = work.as_mut() => return Some(done),
            () = sleep_until(until.max(least)) => return None,
            // The sender lives as long as the runtime.
            _nearer = deadline.changed() => {}
        }
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
