//! Calls through a breaker: plain, asynchronous, and as a layer of a pipeline.

use core::future::Future;
use core::ops::Deref;

use stead_policy::Refusal;

use super::permit::Pass;
use super::{Breaker, Permit};
use crate::classify::judge;
use crate::{AnyError, Classify, Clock, Failure, Layer, Next};

impl<E> From<Refusal> for Failure<E> {
    fn from(refusal: Refusal) -> Self {
        Self::CircuitOpen {
            retry_after: refusal.retry_after,
        }
    }
}

impl<C: Clock> Breaker<C> {
    /// Runs `operation` if the breaker admits it; every error is a failure. A panic in it is an abandoned call.
    ///
    /// # Errors
    ///
    /// [`Failure::Inner`] with what the operation said, or [`Failure::CircuitOpen`]: the operation was not begun.
    #[inline]
    pub fn call<T, E>(&self, operation: impl FnOnce() -> Result<T, E>) -> Result<T, Failure<E>> {
        self.judged_by(AnyError).call(operation)
    }

    /// Awaits `operation` if the breaker admits it; every error is a failure. Dropping the future abandons the call.
    ///
    /// # Errors
    ///
    /// As [`Breaker::call`].
    #[inline]
    pub fn call_async<T, E>(
        &self,
        operation: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, Failure<E>>> {
        async move {
            let word = self.word();
            let permit = if word.admits_at_once() {
                Permit::new(self, Pass::call(word))
            } else {
                self.try_acquire()?
            };
            match operation.await {
                // Moved by itself, a value costs less than within its result.
                Ok(value) => {
                    permit.success();
                    Ok(value)
                }
                Err(error) => {
                    permit.failure();
                    Err(Failure::Inner(error))
                }
            }
        }
    }

    /// The breaker with a classifier of its own: which errors count, and which results are failures in disguise.
    pub const fn judged_by<K>(&self, classifier: K) -> Judged<&Self, K> {
        Judged::new(self, classifier)
    }
}

/// A breaker (`&Breaker` or `Arc<Breaker>`) that judges calls by a classifier of its own.
#[derive(Clone, Debug)]
pub struct Judged<B, K> {
    breaker: B,
    classifier: K,
}

impl<B, K> Judged<B, K> {
    /// `breaker`, judging by `classifier`.
    pub const fn new(breaker: B, classifier: K) -> Self {
        Self { breaker, classifier }
    }
}

impl<B, K, C> Judged<B, K>
where
    B: Deref<Target = Breaker<C>>,
    C: Clock,
{
    /// Runs `operation` if the breaker admits it. A panic in it is an abandoned call.
    ///
    /// # Errors
    ///
    /// As [`Breaker::call`].
    #[inline]
    pub fn call<T, E>(&self, operation: impl FnOnce() -> Result<T, E>) -> Result<T, Failure<E>>
    where
        K: Classify<T, E>,
    {
        let word = self.breaker.word();
        if !word.admits_at_once() {
            return match self.breaker.refuses_at_once(word) {
                Some(wait) => Err(Failure::CircuitOpen {
                    retry_after: Some(wait),
                }),
                None => self.call_watched(operation),
            };
        }
        // The healthy way is written out, so that nothing of it goes through memory.
        self.settle(Permit::new(&self.breaker, Pass::call(word)), operation())
    }

    #[inline(never)]
    fn call_watched<T, E>(&self, operation: impl FnOnce() -> Result<T, E>) -> Result<T, Failure<E>>
    where
        K: Classify<T, E>,
    {
        let permit = self.breaker.try_acquire()?;
        self.settle(permit, operation())
    }

    /// Awaits `operation` if the breaker admits it. Dropping the future abandons the call.
    ///
    /// # Errors
    ///
    /// As [`Breaker::call`].
    #[inline]
    pub fn call_async<T, E>(
        &self,
        operation: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, Failure<E>>>
    where
        K: Classify<T, E>,
    {
        async move {
            let word = self.breaker.word();
            let permit = if word.admits_at_once() {
                Permit::new(&self.breaker, Pass::call(word))
            } else {
                self.breaker.try_acquire()?
            };
            match operation.await {
                Ok(value) if self.classifier.trusts_values() => {
                    permit.success();
                    Ok(value)
                }
                result => self.settle(permit, result),
            }
        }
    }

    #[inline(always)] // else the permit goes through memory, which takes longer than all the rest
    fn settle<T, E>(&self, permit: Permit<'_, C>, result: Result<T, E>) -> Result<T, Failure<E>>
    where
        K: Classify<T, E>,
    {
        permit.report(self.classifier.classify(&result));
        result.map_err(Failure::Inner)
    }
}

impl<C: Clock> Breaker<C> {
    /// Runs `next` under it as a layer, judged by `classifier`.
    pub(crate) fn run_judged<T, E, K, N>(&self, classifier: &K, next: N) -> impl Future<Output = Result<T, Failure<E>>>
    where
        K: Classify<T, E>,
        N: Next<Value = T, Error = E>,
    {
        guarded(self, classifier, next)
    }
}

/// A try inside of a breaker: admitted, made, judged.
#[inline]
fn guarded<C, K, T, E, N>(breaker: &Breaker<C>, classifier: &K, next: N) -> impl Future<Output = Result<T, Failure<E>>>
where
    C: Clock,
    K: Classify<T, E>,
    N: Next<Value = T, Error = E>,
{
    async move {
        let word = breaker.word();
        let permit = if word.admits_at_once() {
            Permit::new(breaker, Pass::call(word))
        } else {
            breaker.try_acquire()?
        };
        let result = match next.once().await {
            // Moved by itself, a value costs less than within its result.
            Ok(value) if classifier.trusts_values() => {
                permit.success();
                return Ok(value);
            }
            result => result,
        };
        let (verdict, result) = judge(classifier, result);
        permit.report(verdict);
        result
    }
}

impl<B, K, C, T, E> Layer<T, E> for Judged<B, K>
where
    B: Deref<Target = Breaker<C>>,
    C: Clock,
    K: Classify<T, E>,
{
    const AT_ONCE: bool = true;

    #[inline]
    fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> impl Future<Output = Result<T, Failure<E>>> {
        guarded(&self.breaker, &self.classifier, next)
    }
}

impl<C: Clock, T, E> Layer<T, E> for Breaker<C> {
    const AT_ONCE: bool = true;

    #[inline]
    fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> impl Future<Output = Result<T, Failure<E>>> {
        guarded(self, &AnyError, next)
    }
}
