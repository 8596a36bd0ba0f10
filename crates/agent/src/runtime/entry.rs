//! Named async functions that can be executed.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::Call;
use super::call::Suspended;

/// What work gives: a value that becomes JSON, or an error whose words are kept.
pub type WorkResult<T = serde_json::Value> = Result<T, Box<dyn Error + Send + Sync>>;

/// A named async function that can be executed.
#[derive(Clone)]
pub struct EntryPoint {
    pub(super) name: Arc<str>,
    pub(super) max_concurrent: usize,
    pub(super) durable: bool,
    pub(super) max_attempts: u32,
    work: Arc<dyn Fn(Call) -> BoxFuture<'static, Outcome> + Send + Sync>,
}

/// How a function ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Done(Box<RawValue>),
    Failed(String),
    /// It wrote down where it is and wants to go on from there.
    Suspended,
}

impl EntryPoint {
    /// An entry point of which 64 may run at once, and which a crash of the process loses.
    ///
    /// The function runs as a task of the agent's tokio runtime. It should look at [`Call::cancelled`] and
    /// [`Call::winding_down`] in long work; it must not block its thread.
    pub fn new<F, Fut, T, E>(name: impl Into<Arc<str>>, work: F) -> Self
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Serialize,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self {
            name: name.into(),
            max_concurrent: 64,
            durable: false,
            max_attempts: 5,
            // The function itself is called inside: what it does before its first wait may panic as well.
            work: Arc::new(move |call| {
                let begun = std::panic::catch_unwind(AssertUnwindSafe(|| work(call)));
                async move {
                    match begun {
                        Ok(working) => match AssertUnwindSafe(working).catch_unwind().await {
                            Ok(ended) => judge(ended),
                            Err(panic) => panicked(&*panic),
                        },
                        Err(panic) => panicked(&*panic),
                    }
                }
                .boxed()
            }),
        }
    }

    /// How many may run at once; at least 1. One more is answered 503, to be sent again.
    #[must_use]
    pub fn max_concurrent(self, max_concurrent: usize) -> Self {
        Self { max_concurrent, ..self }
    }

    /// Has each execution written down before it is answered for, and forgotten once it has ended: a crash loses none, and the
    /// next process resumes what was under way. Costs two syncs of the disk for each.
    ///
    /// What it did outside before the crash it may do again: the id of the execution stays the same, so that others can tell.
    #[must_use]
    pub fn durable(self) -> Self {
        Self { durable: true, ..self }
    }

    /// How many tries of an execution may end with their process before it is `failed` instead of resumed: 5 unless set, 1 at
    /// least. Counted since its written checkpoint last changed; tries that a drain or a pause interrupted are not. Too few, and work is
    /// given up that others' crashes interrupted; too many, and work that ends its process does so the more often.
    #[must_use]
    pub fn max_attempts(self, max_attempts: u32) -> Self {
        Self {
            max_attempts: max_attempts.max(1),
            ..self
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn begin(&self, call: Call) -> BoxFuture<'static, Outcome> {
        (self.work)(call)
    }
}

impl fmt::Debug for EntryPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryPoint")
            .field("name", &self.name)
            .field("max_concurrent", &self.max_concurrent)
            .field("durable", &self.durable)
            .field("max_attempts", &self.max_attempts)
            .finish_non_exhaustive()
    }
}

fn judge<T: Serialize, E: Into<Box<dyn Error + Send + Sync>>>(ended: Result<T, E>) -> Outcome {
    match ended {
        Ok(value) => match to_raw_value(&value) {
            Ok(result) => Outcome::Done(result),
            Err(error) => Outcome::Failed(format!("its result cannot be written as JSON: {error}")),
        },
        Err(error) => {
            let error = error.into();
            match error.downcast_ref::<Suspended>() {
                Some(Suspended(None)) => Outcome::Suspended,
                Some(Suspended(Some(why))) => Outcome::Failed(format!("its state cannot be written as JSON: {why}")),
                None => Outcome::Failed(crate::store::whole(&*error)),
            }
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Outcome {
    let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    Outcome::Failed(format!(
        "it panicked: {}",
        said.unwrap_or_else(|| "without a message".to_owned())
    ))
}
