//! Trouble on purpose, to see what the other policies make of it: latency, errors, outcomes.
//!
//! ```text
//!              enable
//!        OFF ◄────────► ON ── a share of the calls, drawn by seed and number ──► struck
//!              disable
//! ```

use core::fmt;
use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::sync::Arc;

use stead_policy::draw;

use crate::{Clock, Coarse, Failure, Layer, Next};

/// Which calls are struck.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `rate` | 0.01 | nothing is ever put to the test | everything is out |
/// | `seed` | 0 | – | – |
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ChaosConfig {
    /// The share of calls that are struck, from 0 to 1.
    pub rate: f64,
    /// The same seed strikes the same calls, counted from the first one after the start while enabled.
    pub seed: u64,
}

impl Default for ChaosConfig {
    fn default() -> Self {
        Self { rate: 0.01, seed: 0 }
    }
}

/// A setting makes no sense. Nothing was built from it.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChaosRefused {
    /// The rate is no share.
    #[error("chaos rate {0} is not a share from 0 to 1")]
    Rate(f64),
    /// No wait lies in the range.
    #[error("chaos latency from {from:?} to {to:?} ends before it begins; turn it round")]
    Latency {
        /// Where the range begins.
        from: Duration,
        /// Where it ends.
        to: Duration,
    },
}

/// What chaos has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChaosSnapshot {
    /// Calls that passed while it was enabled.
    pub calls: u64,
    /// Those of them that were struck.
    pub struck: u64,
}

/// A die and a switch, which is off until somebody turns it on. Clones share both: one switch may stand before many policies.
///
/// # Examples
///
/// ```
/// use stead_resilience::{Chaos, ChaosConfig, Failure, Layer};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let chaos = Chaos::new(ChaosConfig { rate: 1.0, seed: 7 })?;
/// let flaky = chaos.error(|| "connection reset");
/// let call = || async { Ok::<_, Failure<&str>>(42) };
///
/// assert_eq!(flaky.run(call).await, Ok(42));
/// chaos.enable();
/// assert_eq!(flaky.run(call).await, Err(Failure::Inner("connection reset")));
/// # Ok::<(), stead_resilience::ChaosRefused>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Chaos(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: ChaosConfig,
    enabled: AtomicBool,
    calls: AtomicU64,
    struck: AtomicU64,
}

impl Chaos {
    /// Chaos that is off.
    ///
    /// # Errors
    ///
    /// The rate is not a number from 0 to 1.
    pub fn new(config: ChaosConfig) -> Result<Self, ChaosRefused> {
        if !(0.0..=1.0).contains(&config.rate) {
            return Err(ChaosRefused::Rate(config.rate));
        }
        Ok(Self(Arc::new(Shared {
            config,
            enabled: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            struck: AtomicU64::new(0),
        })))
    }

    /// Turns it on.
    pub fn enable(&self) {
        self.0.enabled.store(true, Relaxed);
    }

    /// Turns it off. Calls that were struck already stay so.
    pub fn disable(&self) {
        self.0.enabled.store(false, Relaxed);
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.0.enabled.load(Relaxed)
    }

    /// What it has done so far.
    #[must_use]
    pub fn snapshot(&self) -> ChaosSnapshot {
        ChaosSnapshot {
            calls: self.0.calls.load(Relaxed),
            struck: self.0.struck.load(Relaxed),
        }
    }

    /// Struck calls begin later, by a wait from this range, drawn evenly.
    ///
    /// # Errors
    ///
    /// The range ends before it begins.
    pub fn latency(&self, wait: RangeInclusive<Duration>) -> Result<ChaosLatency, ChaosRefused> {
        self.latency_on(Coarse, wait)
    }

    /// The same on a clock of one's own.
    ///
    /// # Errors
    ///
    /// As [`Chaos::latency`].
    pub fn latency_on<C: Clock>(
        &self,
        clock: C,
        wait: RangeInclusive<Duration>,
    ) -> Result<ChaosLatency<C>, ChaosRefused> {
        let (from, to) = (*wait.start(), *wait.end());
        if from > to {
            return Err(ChaosRefused::Latency { from, to });
        }
        let chaos = self.clone();
        Ok(ChaosLatency { chaos, clock, wait })
    }

    /// Struck calls are not made, and fail with what `error` makes.
    pub fn error<F>(&self, error: F) -> ChaosError<F> {
        let chaos = self.clone();
        ChaosError { chaos, error }
    }

    /// Struck calls are not made, and end with what `outcome` makes: a value that is wrong, say.
    pub fn outcome<F>(&self, outcome: F) -> ChaosOutcome<F> {
        let chaos = self.clone();
        ChaosOutcome { chaos, outcome }
    }

    /// The number of this call, where it is struck. Costs a load while off.
    fn strikes(&self) -> Option<u64> {
        if !self.is_enabled() {
            return None;
        }
        // Relaxed: the numbers only have to differ.
        let n = self.0.calls.fetch_add(1, Relaxed);
        let struck = unit(draw(self.0.config.seed, n)) < self.0.config.rate;
        if struck {
            self.0.struck.fetch_add(1, Relaxed);
        }
        struck.then_some(n)
    }
}

/// Makes struck calls begin later; see [`Chaos::latency`].
#[derive(Clone, Debug)]
pub struct ChaosLatency<C: Clock = Coarse> {
    chaos: Chaos,
    clock: C,
    wait: RangeInclusive<Duration>,
}

impl<C: Clock> ChaosLatency<C> {
    fn wait_of(&self, n: u64) -> Duration {
        let reach = self.wait.end().saturating_sub(*self.wait.start());
        // A seed of its own: else only short waits would strike where the rate is low.
        let by = unit(draw(!self.chaos.0.config.seed, n));
        self.wait.start().saturating_add(reach.mul_f64(by))
    }
}

impl<T, E, C: Clock> Layer<T, E> for ChaosLatency<C> {
    async fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> Result<T, Failure<E>> {
        if let Some(n) = self.chaos.strikes() {
            self.clock.sleep(self.wait_of(n)).await;
        }
        next.once().await
    }
}

/// Makes struck calls fail; see [`Chaos::error`].
#[derive(Clone)]
pub struct ChaosError<G> {
    chaos: Chaos,
    error: G,
}

impl<T, E, G: Fn() -> E> Layer<T, E> for ChaosError<G> {
    async fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> Result<T, Failure<E>> {
        match self.chaos.strikes() {
            Some(_) => Err(Failure::Inner((self.error)())),
            None => next.once().await,
        }
    }
}

/// Makes struck calls end as they should not; see [`Chaos::outcome`].
#[derive(Clone)]
pub struct ChaosOutcome<G> {
    chaos: Chaos,
    outcome: G,
}

impl<T, E, G: Fn() -> Result<T, E>> Layer<T, E> for ChaosOutcome<G> {
    async fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> Result<T, Failure<E>> {
        match self.chaos.strikes() {
            Some(_) => (self.outcome)().map_err(Failure::Inner),
            None => next.once().await,
        }
    }
}

impl<G> fmt::Debug for ChaosError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChaosError").field(&self.chaos).finish()
    }
}

impl<G> fmt::Debug for ChaosOutcome<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChaosOutcome").field(&self.chaos).finish()
    }
}

/// A number from 0 up to, not including, 1.
fn unit(draw: u64) -> f64 {
    (draw >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests;
