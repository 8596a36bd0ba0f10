//! How policies stand around each other.

use core::future::Future;

use crate::Failure;

/// A policy around an operation, so that policies nest without boxes: what it runs may itself be a policy's doing.
///
/// `next` makes one try each time it is called. Dropping the returned future cancels the try in flight and gives back
/// whatever the policy held for it.
pub trait Layer<T, E> {
    /// Runs `next` under this policy.
    fn run<F, Fut>(&self, next: F) -> impl Future<Output = Result<T, Failure<E>>>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, Failure<E>>>;

    /// Runs a plain operation under this policy.
    fn call<F, Fut>(&self, operation: F) -> impl Future<Output = Result<T, Failure<E>>>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.run(move || {
            let tried = operation();
            async move { tried.await.map_err(Failure::Inner) }
        })
    }
}
