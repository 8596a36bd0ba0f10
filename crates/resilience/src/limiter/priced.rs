//! Calls whose cost is known only from their answer: tokens, cents, bytes.

use core::ops::Deref;

use super::Limiter;
use crate::{Classify, Clock, Failure, Layer, Next};

/// A limiter (`&Limiter` or `Arc<Limiter>`) whose calls pay what they turned out to cost. Made by [`Limiter::priced_by`].
///
/// Before a call [`LimiterConfig::cost`](crate::LimiterConfig::cost) units are taken, as expected; with its answer what it cost
/// beyond is charged, and what it did not need is given back. A call that fails or is cancelled has cost what was expected.
#[derive(Clone, Debug)]
pub struct Priced<L, P> {
    limiter: L,
    price: P,
}

impl<L, P> Priced<L, P> {
    /// `limiter`, with the units that an answer cost by `price`.
    pub const fn new(limiter: L, price: P) -> Self {
        Self { limiter, price }
    }
}

impl<C: Clock, K> Limiter<C, K> {
    /// This limiter around calls whose answers say what they cost.
    ///
    /// # Examples
    ///
    /// ```
    /// use stead_resilience::{Layer, Limiter, LimiterConfig, Quota};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stead_resilience::InvalidSetting> {
    /// let quota = Quota::per_minute(90_000); // tokens
    /// let limiter = Limiter::new(LimiterConfig { quota, cost: 500, ..LimiterConfig::default() })?;
    /// let model = limiter.priced_by(|answer: &(&str, u32)| answer.1);
    /// model.call(|| async { Ok::<_, &str>(("Yes.", 1_200)) }).await.unwrap();
    /// assert!(limiter.snapshot().free < 89_000);
    /// # Ok(()) }
    /// ```
    pub const fn priced_by<P>(&self, price: P) -> Priced<&Self, P> {
        Priced::new(self, price)
    }
}

impl<L, P, C, K, T, E> Layer<T, E> for Priced<L, P>
where
    L: Deref<Target = Limiter<C, K>>,
    P: Fn(&T) -> u32,
    C: Clock,
    K: Classify<T, E>,
{
    async fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> Result<T, Failure<E>> {
        let expected = self.limiter.cost();
        let answer = self.limiter.under(expected, next).await?;
        let cost = (self.price)(&answer);
        if cost > expected {
            self.limiter.charge(cost - expected);
        } else {
            self.limiter.refund(expected - cost);
        }
        Ok(answer)
    }
}
