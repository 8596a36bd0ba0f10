//! Policies around each other, the outermost first.

use core::future::Future;
use std::sync::Arc;

use crate::deadline::time_goes_on;
use crate::{Failure, Layer, Next};

mod again;
mod config;
mod lint;
mod named;
mod parts;
mod place;
mod stand_in;

pub use again::{GrowthPolicy, HedgePolicy, JitterPolicy, NamedGrowth, NamedJitter, RetryPolicy};
pub use config::{
    BulkheadPolicy, LimiterPolicy, PipelineConfig, PipelineRefused, PolicyConfig, StandInPolicy, TimeoutPolicy,
};
pub use lint::{Finding as PipelineFinding, Gravity, PolicyKind, Traits, lint};
pub use named::NamedPipeline;
pub use parts::{HandedIn, Parts};
pub use place::{Placed, Places};
pub use stand_in::{Answers, CacheKey, Nobody, StandIn, StandIns};

/// Policies nested by type: no boxes, and a call through healthy ones costs what they cost.
///
/// The first one added is the outermost: it sees the request first and the result last. A usual order is fallback, the
/// timeout of the whole request, retry, breaker, limiter, bulkhead, the timeout of one try; [`lint`] says why, and
/// [`Pipeline::findings`] whether this order does what it looks like.
///
/// # Examples
///
/// ```
/// use stead_resilience::{Breaker, BreakerConfig, Layer, Pipeline, Retry, RetryConfig, Timeout, TimeoutConfig};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn core::error::Error>> {
/// let pipeline = Pipeline::new()
///     .with(Retry::new(RetryConfig::default())?)
///     .with(Breaker::new(BreakerConfig::default())?)
///     .with(Timeout::new(TimeoutConfig::default())?);
/// let answer = pipeline.call(|| async { Ok::<_, &str>(42) }).await;
/// assert_eq!(answer, Ok(42));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Pipeline<L = Bare>(L);

/// No policy at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bare;

/// A policy that others hold too: one breaker in several pipelines, say.
#[derive(Debug)]
pub struct Shared<L>(pub Arc<L>);

/// One policy around the others that it stands outside of.
///
/// In this order in memory, so that the inner ones rarely begin where all do: of a pointer to both the compiler would make one
/// to them by copying what lies around, in one piece and right after it was written in two, which costs as much as a policy.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Around<O, I> {
    outer: O,
    inner: I,
}

/// The policies of a [`Pipeline`], from one on inwards: [`Around`] or [`Bare`].
pub trait Nested<T, E> {
    /// As [`Layer::AT_ONCE`], of the outermost of them.
    const AT_ONCE: bool = false;

    /// Runs `next` under all of them.
    fn around<'a, N: Next<Value = T, Error = E>>(&'a self, next: &'a N) -> impl Future<Output = Result<T, Failure<E>>>;
}

/// Policies inside of which another can be put.
pub trait Within<P> {
    /// Those with the other.
    type Nested;

    /// Puts `policy` inside of the innermost.
    fn within(self, policy: P) -> Self::Nested;
}

impl Pipeline {
    /// A pipeline without policies.
    #[must_use]
    pub const fn new() -> Self {
        Self(Bare)
    }
}

impl<L> Pipeline<L> {
    /// Adds a policy inside of those that are there. One that others hold too is added as a reference or as
    /// [`Shared`].
    #[must_use]
    pub fn with<I>(self, policy: I) -> Pipeline<L::Nested>
    where
        L: Within<I>,
    {
        Pipeline(self.0.within(policy))
    }
}

impl<P> Within<P> for Bare {
    type Nested = Around<P, Self>;

    fn within(self, policy: P) -> Around<P, Self> {
        Around {
            outer: policy,
            inner: self,
        }
    }
}

impl<P, O, I: Within<P>> Within<P> for Around<O, I> {
    type Nested = Around<O, I::Nested>;

    fn within(self, policy: P) -> Self::Nested {
        Around {
            outer: self.outer,
            inner: self.inner.within(policy),
        }
    }
}

impl<L: Nested<T, E>, T, E> Layer<T, E> for Pipeline<L> {
    const AT_ONCE: bool = L::AT_ONCE;

    #[inline]
    fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> impl Future<Output = Result<T, Failure<E>>> {
        async move { self.0.around(&next).await }
    }
}

impl<T, E> Nested<T, E> for Bare {
    #[inline]
    fn around<'a, N: Next<Value = T, Error = E>>(&'a self, next: &'a N) -> impl Future<Output = Result<T, Failure<E>>> {
        time_goes_on();
        next.once()
    }
}

impl<O: Layer<T, E>, I: Nested<T, E>, T, E> Nested<T, E> for Around<O, I> {
    const AT_ONCE: bool = O::AT_ONCE;

    #[inline]
    fn around<'a, N: Next<Value = T, Error = E>>(&'a self, next: &'a N) -> impl Future<Output = Result<T, Failure<E>>> {
        if !O::AT_ONCE {
            time_goes_on();
        }
        self.outer.run(Inside {
            policies: &self.inner,
            next,
        })
    }
}

/// What one policy goes around: the policies inside of it, and what they all are around. Two pointers wherever it stands, so that
/// none is found through another.
struct Inside<'a, I, N> {
    policies: &'a I,
    next: &'a N,
}

impl<I: Nested<T, E>, N: Next<Value = T, Error = E>, T, E> Next for Inside<'_, I, N> {
    type Value = T;
    type Error = E;

    const AT_ONCE: bool = I::AT_ONCE;

    #[inline]
    fn once(&self) -> impl Future<Output = Result<T, Failure<E>>> {
        self.policies.around(self.next)
    }
}

impl<L: Layer<T, E>, T, E> Layer<T, E> for &L {
    const AT_ONCE: bool = L::AT_ONCE;

    #[inline]
    fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> impl Future<Output = Result<T, Failure<E>>> {
        (**self).run(next)
    }
}

impl<L: Layer<T, E>, T, E> Layer<T, E> for Shared<L> {
    const AT_ONCE: bool = L::AT_ONCE;

    #[inline]
    fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> impl Future<Output = Result<T, Failure<E>>> {
        self.0.run(next)
    }
}

/// Runs an expression that makes a future under a policy or a pipeline: `protect!(policy, fetch(&url)).await`.
///
/// The expression is evaluated again for each try, so it must not consume what it uses.
///
/// # Examples
///
/// ```
/// use stead_resilience::{Breaker, BreakerConfig, protect};
///
/// async fn fetch(url: &str) -> Result<usize, String> {
///     Ok(url.len())
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stead_resilience::BreakerRefused> {
/// let breaker = Breaker::new(BreakerConfig::default())?;
/// let url = String::from("http://localhost");
/// assert_eq!(protect!(breaker, fetch(&url)).await, Ok(16));
/// # Ok(()) }
/// ```
#[macro_export]
macro_rules! protect {
    ($policy:expr, $operation:expr) => {
        $crate::Layer::call(&$policy, || $operation)
    };
}

#[cfg(test)]
mod tests;
