//! Records what calls come to.

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::trace::{Call, Ended, header, line, lost, write_line};
use crate::classify::judge;
use crate::setting::require;
use crate::{AnyError, Classify, Clock, Coarse, Failure, InvalidSetting, Layer, Moment, Next, Verdict};

/// A layer that keeps in memory what calls came to, until somebody writes it down as a trace.
///
/// Put it inside the breaker, next to the call: outside it hears of refusals only that they were. Keeps `capacity` calls of 64
/// bytes; beyond, calls are counted as lost instead. Costs a lock and two readings of the clock per call.
///
/// # Examples
///
/// ```
/// use stead_resilience::replay::{Recorder, Trace};
/// use stead_resilience::{Failure, Layer};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let recorder = Recorder::new("search", 10_000)?;
/// recorder.run(|| async { Err::<(), _>(Failure::Inner("down")) }).await.unwrap_err();
///
/// let mut file = Vec::new();
/// recorder.drain(&mut file)?;
/// assert_eq!(Trace::read(&*file)?.calls().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Recorder<C: Clock = Coarse, K = AnyError> {
    service: String,
    clock: C,
    classify: K,
    origin: Moment,
    capacity: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    header: Header,
    calls: VecDeque<Call>,
    lost: u64,
    recorded: u64,
}

#[derive(Default, PartialEq, Eq)]
enum Header {
    #[default]
    Due,
    Written,
}

/// What a recorder holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RecorderSnapshot {
    /// Calls that it heard of.
    pub recorded: u64,
    /// Those that wait to be written.
    pub waiting: usize,
    /// Those that it had no room for since the last writing.
    pub lost: u64,
}

impl Recorder {
    /// A recorder of calls to `service` on the coarse clock, to which every error is a failure.
    ///
    /// # Errors
    ///
    /// `capacity` is nothing: every call would be lost.
    pub fn new(service: impl Into<String>, capacity: usize) -> Result<Self, InvalidSetting> {
        Self::with(service, capacity, Coarse, AnyError)
    }
}

impl<C: Clock, K> Recorder<C, K> {
    /// A recorder with a clock and a classifier of one's own.
    ///
    /// # Errors
    ///
    /// As [`Recorder::new`].
    pub fn with(service: impl Into<String>, capacity: usize, clock: C, classify: K) -> Result<Self, InvalidSetting> {
        require(
            capacity > 0,
            "recorder.capacity",
            capacity,
            "it must be at least 1, else every call is lost",
        )?;
        Ok(Self {
            service: service.into(),
            origin: clock.now(),
            clock,
            classify,
            capacity,
            kept: Mutex::default(),
        })
    }

    /// Writes what is kept, and keeps it no more. The first time the trace's first line comes before it, so that all writings one
    /// after the other are one trace. Where writing fails, the rest stays for the next time.
    ///
    /// # Errors
    ///
    /// It could not be written.
    pub fn drain(&self, mut to: impl Write) -> io::Result<()> {
        if self.kept().header == Header::Due {
            write_line(&mut to, &header(Some(self.service.clone())))?;
            self.kept().header = Header::Written;
        }
        let unheard = core::mem::take(&mut self.kept().lost);
        if unheard > 0 {
            write_line(&mut to, &lost(unheard)).inspect_err(|_| self.kept().lost += unheard)?;
        }
        loop {
            // One at a time, so that calls do not wait for the disk.
            let Some(call) = self.kept().calls.pop_front() else {
                return to.flush();
            };
            if let Err(error) = write_line(&mut to, &line(&call)) {
                self.kept().calls.push_front(call);
                return Err(error);
            }
        }
    }

    /// What it holds.
    #[must_use]
    pub fn snapshot(&self) -> RecorderSnapshot {
        let kept = self.kept();
        RecorderSnapshot {
            recorded: kept.recorded,
            waiting: kept.calls.len(),
            lost: kept.lost,
        }
    }

    fn keep(&self, begun: Moment, outcome: Ended, retry_after: Option<Duration>) {
        let call = Call {
            at: begun.since(self.origin),
            took: self.clock.now().since(begun),
            outcome,
            retry_after,
        };
        let mut kept = self.kept();
        kept.recorded = kept.recorded.saturating_add(1);
        if kept.calls.len() < self.capacity {
            kept.calls.push_back(call);
        } else {
            kept.lost = kept.lost.saturating_add(1);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, E, C: Clock, K: Classify<T, E>> Layer<T, E> for Recorder<C, K> {
    async fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> Result<T, Failure<E>> {
        let unheard = Unheard {
            recorder: self,
            begun: self.clock.now(),
        };
        let result = next.once().await;
        let begun = unheard.heard();
        let unmade = result.as_ref().is_err_and(was_not_made);
        let (verdict, result) = judge(&self.classify, result);
        let (outcome, retry_after) = match verdict {
            _ if unmade => (Ended::Rejected, None),
            Verdict::Success => (Ended::Success, None),
            Verdict::Ignored => (Ended::Ignored, None),
            Verdict::Failure { retry_after } => (Ended::Failure, retry_after),
            Verdict::Terminal => (Ended::Terminal, None),
        };
        self.keep(begun, outcome, retry_after);
        result
    }
}

/// A call whose end nobody has heard of; dropped, it is an abandoned one.
struct Unheard<'a, C: Clock, K> {
    recorder: &'a Recorder<C, K>,
    begun: Moment,
}

impl<C: Clock, K> Unheard<'_, C, K> {
    const fn heard(self) -> Moment {
        let begun = self.begun;
        core::mem::forget(self);
        begun
    }
}

impl<C: Clock, K> Drop for Unheard<'_, C, K> {
    fn drop(&mut self) {
        self.recorder.keep(self.begun, Ended::Abandoned, None);
    }
}

/// Whether a policy refused the call, so that the service was not asked. A deadline that passed may have cut off either.
const fn was_not_made<E>(failure: &Failure<E>) -> bool {
    match failure {
        Failure::CircuitOpen { .. }
        | Failure::BulkheadFull
        | Failure::BulkheadTimeout { .. }
        | Failure::RateLimited { .. } => true,
        Failure::Inner(_)
        | Failure::Timeout { .. }
        | Failure::Exhausted { .. }
        | Failure::DeadlineExceeded
        | Failure::NoFallback { .. } => false,
    }
}

impl<C: Clock, K> fmt::Debug for Recorder<C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("service", &self.service)
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}
