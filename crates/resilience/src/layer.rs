//! How policies stand around each other.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::Failure;

/// What a policy goes around: makes one try each time it is asked.
///
/// A closure that makes a future is one, and so is whatever stands inside of a policy in a [`Pipeline`](crate::Pipeline). The future
/// is no parameter of its own: types would name it beside what makes it, and grow fourfold with each policy.
pub trait Next {
    /// What a try gives.
    type Value;
    /// How it fails by itself.
    type Error;

    /// As [`Layer::AT_ONCE`], of the policy that is the next; not so where the operation is.
    const AT_ONCE: bool = false;

    /// Makes one try.
    fn once(&self) -> impl Future<Output = Result<Self::Value, Failure<Self::Error>>>;
}

impl<T, E, F, Fut> Next for F
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, Failure<E>>>,
{
    type Value = T;
    type Error = E;

    #[inline]
    fn once(&self) -> impl Future<Output = Result<T, Failure<E>>> {
        self()
    }
}

/// A policy around an operation, so that policies nest without boxes: what it runs may itself be a policy's doing.
///
/// `next` makes one try each time it is asked. Dropping the returned future cancels the try in flight and gives back
/// whatever the policy held for it.
pub trait Layer<T, E> {
    /// Whether in the poll in which it begins nothing that could take its time runs before it asks `next`: then those inside of
    /// it need not look at the clock again where a timeout outside of it did just now. Unset, they look, which is always right.
    const AT_ONCE: bool = false;

    /// Runs `next` under this policy.
    fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> impl Future<Output = Result<T, Failure<E>>>;

    /// Runs a plain operation under this policy.
    fn call<F, Fut>(&self, operation: F) -> impl Future<Output = Result<T, Failure<E>>>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.run(move || inner(operation()))
    }
}

/// Hides its type from whoever asks whether a call may be sent to another thread: seen, it would have to hold for every
/// lifetime in the operation's result.
#[inline]
fn inner<T, E, Fut: Future<Output = Result<T, E>>>(tried: Fut) -> impl Future<Output = Result<T, Failure<E>>> {
    Inner { tried }
}

pin_project! {
    /// A plain operation under way, which fails as the policies' inner one. By hand: an `async` block would keep the
    /// operation twice, once as it was captured and once as it is awaited.
    struct Inner<Fut> {
        #[pin]
        tried: Fut,
    }
}

impl<T, E, Fut: Future<Output = Result<T, E>>> Future for Inner<Fut> {
    type Output = Result<T, Failure<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().tried.poll(context).map_err(Failure::Inner)
    }
}
