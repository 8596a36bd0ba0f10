//! What a function is given of its execution, and the lease that says whether it has ended.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

use super::book::End;
use super::entry::Outcome;
use super::live::Live;
use super::shared::Shared;
use super::{ExecutionId, StreamId};
use crate::activity::Activity;
use crate::clock;
use crate::store::StoreError;

/// One try of an execution, as its function sees it.
///
/// Clones share it. The execution has ended once its function has *and* every clone is gone: give one to each thread or task that
/// works for it, and nothing else runs in its stream before they are done, whether it was cancelled or not.
#[derive(Clone)]
pub struct Call(Arc<Lease>);

/// Ends the execution when the last clone of its call goes.
pub(super) struct Lease {
    live: Arc<Live>,
    shared: Arc<Shared>,
    outcome: Mutex<Option<Outcome>>,
}

/// Why work should come to a stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WindDown {
    /// It should not.
    No,
    /// The runtime is paused: write down where you are and end, see [`Call::suspend`].
    Checkpoint,
    /// The runtime drains: finish, or write down where you are, before the drain ends.
    Stop {
        /// When what has not ended is interrupted.
        until: Instant,
    },
}

/// The end of a function that wants to go on later from what it wrote down.
#[derive(Clone, Debug)]
pub struct Suspended(pub(super) Option<String>);

impl fmt::Display for Suspended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it goes on later from its checkpoint")
    }
}

impl std::error::Error for Suspended {}

/// The input or a checkpoint is not what the function takes.
#[derive(Debug, thiserror::Error)]
#[error("the {what} is not what `{entry_point}` takes")]
pub struct Unreadable {
    what: &'static str,
    entry_point: Arc<str>,
    #[source]
    source: serde_json::Error,
}

impl Call {
    pub(super) fn new(live: Arc<Live>, shared: Arc<Shared>) -> Self {
        Self(Arc::new(Lease {
            live,
            shared,
            outcome: Mutex::new(None),
        }))
    }

    /// The execution; the same each time that it is resumed.
    #[must_use]
    pub fn execution(&self) -> ExecutionId {
        self.0.live.id
    }

    /// The stream that it runs in.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.0.live.stream
    }

    /// Which try this is: 1, and one more each time that it is resumed.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.live.attempt
    }

    /// What it was asked with.
    ///
    /// # Errors
    /// It is not of this type.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, Unreadable> {
        self.read("input", &self.0.live.input)
    }

    /// What it wrote down last, in this try or an earlier one; none if it never did.
    ///
    /// # Errors
    /// It is not of this type.
    pub fn last_checkpoint<T: DeserializeOwned>(&self) -> Result<Option<T>, Unreadable> {
        let checkpoint = self.0.live.checkpoint();
        checkpoint.map(|found| self.read("checkpoint", &found)).transpose()
    }

    /// Keeps where it is, in memory: written down at a drain, at a pause of mode `checkpoint`, or with the next [`Call::checkpoint`].
    ///
    /// # Errors
    /// It cannot be written as JSON. What was kept before still is.
    pub fn note(&self, state: &impl Serialize) -> Result<(), serde_json::Error> {
        self.0.live.note(to_raw_value(state)?.into());
        Ok(())
    }

    /// Writes down where it is, durably. Cancelled, it is written all the same.
    ///
    /// # Errors
    /// It cannot be written as JSON, or the store refused. It is kept in memory then, where it could be read.
    pub async fn checkpoint(&self, state: &impl Serialize) -> Result<(), StoreError> {
        let noted = self.note(state);
        noted.map_err(|error| StoreError::Other(format!("the state cannot be written as JSON: {error}")))?;
        self.0.shared.write(&self.0.live).await
    }

    /// Ends the function for now: `return Err(call.suspend(&state).into())`. It goes on from `state` when the runtime runs again.
    pub fn suspend(&self, state: &impl Serialize) -> Suspended {
        Suspended(self.note(state).err().map(|error| error.to_string()))
    }

    /// Whether it was told to end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.live.cancel.is_cancelled()
    }

    /// Waits until it is told to end. Cancel safe.
    ///
    /// A while later (5 s unless configured) its function is dropped at its next wait.
    pub async fn cancelled(&self) {
        self.0.live.cancel.cancelled().await;
    }

    /// Whether work should come to a stop, and why.
    #[must_use]
    pub fn wind_down(&self) -> WindDown {
        *self.0.shared.wind.borrow()
    }

    /// Waits until work should come to a stop; at once where it should. Cancel safe.
    pub async fn winding_down(&self) -> WindDown {
        let mut wind = self.0.shared.wind.subscribe();
        let told = wind.wait_for(|wind| *wind != WindDown::No).await;
        // The sender lives as long as this call's runtime does.
        told.map_or(WindDown::No, |told| *told)
    }

    /// How long it may still take, where the runtime drains.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        match self.wind_down() {
            WindDown::Stop { until } => Some(until.saturating_duration_since(clock::now())),
            WindDown::No | WindDown::Checkpoint => None,
        }
    }

    /// Says what it does just now, for those who look for what hangs or runs in circles.
    pub fn says(&self, activity: Activity) {
        self.0.live.says(activity);
    }

    /// What its namespace has given up; see [`Runtime::degradation`](crate::Runtime::degradation).
    #[must_use]
    pub fn degradation(&self) -> crate::DegradationTold {
        self.0.shared.degradation.borrow().clone()
    }

    /// Counts `steps` of useful work. What is alive and counts none while it has work is stuck.
    pub fn progress(&self, steps: u64) {
        self.0.shared.add_progress(steps);
    }

    pub(super) fn set(&self, outcome: Outcome) {
        *self.0.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    fn read<T: DeserializeOwned>(&self, what: &'static str, json: &RawValue) -> Result<T, Unreadable> {
        serde_json::from_str(json.get()).map_err(|source| Unreadable {
            what,
            entry_point: Arc::clone(&self.0.live.entry.name),
            source,
        })
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("execution", &self.0.live.id)
            .field("stream", &self.0.live.stream)
            .finish_non_exhaustive()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let outcome = self.outcome.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let cancelled = self.live.cancel.is_cancelled();
        if outcome.is_none() && !cancelled && !self.live.kill.is_cancelled() {
            // Dropped by nobody of ours: the tokio runtime goes down.
            self.shared.book().give_up();
        }
        let end = match outcome {
            Some(Outcome::Done(result)) => End::Succeeded(result.into()),
            Some(Outcome::Failed(error)) if cancelled => End::Cancelled(error),
            Some(Outcome::Failed(error)) => End::Failed(error),
            Some(Outcome::Suspended) if !cancelled => End::Interrupted,
            None if !cancelled => End::Interrupted,
            Some(Outcome::Suspended) | None => End::Cancelled("it was cancelled".to_owned()),
        };
        Shared::ended(&self.shared, Arc::clone(&self.live), end);
    }
}
