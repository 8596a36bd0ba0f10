//! A circuit breaker that calls go through at once.
//!
//! What it does is specified by the plain machine [`stead_policy::Circuit`], and compared with it step by step. How:
//!
//! - Admission is one load of one word. Only an open breaker needs a clock.
//! - The success of a call through a healthy breaker is another load: a full window without failures is not changed by it.
//! - Whatever else happens to a window is a few exchanges on words of its own, each marked with its epoch.
//! - Every change of state, and every probe, is decided under a lock that healthy calls and rejected ones never take.

use core::fmt;
use std::sync::{Arc, OnceLock};

use stead_policy::{BreakerConfig, BreakerRefused, BreakerSettings, CircuitState, Refusal};

use crate::count::Counter;
use crate::events::{Events, Listener};
use crate::lanes::Tally;
use crate::sync::{AtomicU32, AtomicU64, Mutex, Ordering::Relaxed};
use crate::{Budget, Clock, Coarse};

mod admit;
mod call;
mod desk;
mod event;
mod image;
mod permit;
mod report;
mod rest;
mod ring;
mod shards;
mod word;

pub use call::Judged;
pub use event::{BreakerCounts, BreakerEvent, Cause};
pub use permit::{OwnedPermit, Permit};

use desk::{Desk, fresh};
use permit::{Pass, Role};
use ring::Rings;
use shards::Shards;
use word::{Kind, Shape, Word};

/// A circuit breaker. Share it by reference or in an [`Arc`]; all its methods are for many threads at once.
///
/// See [`BreakerConfig`] for the settings and their defaults. Cancelling a call, dropping its permit or panicking in it is
/// no result: the call is *abandoned*, which changes nothing but frees the place of a probe.
///
/// # Examples
///
/// ```
/// use stead_resilience::{Breaker, BreakerConfig, CircuitState, Failure};
///
/// let breaker = Breaker::new(BreakerConfig { failure_threshold: 2, ..BreakerConfig::default() })?;
/// let ask = |answer: Result<u32, &'static str>| breaker.call(|| answer);
///
/// assert_eq!(ask(Ok(7)), Ok(7));
/// assert_eq!(ask(Err("down")), Err(Failure::Inner("down")));
/// assert_eq!(ask(Err("down")), Err(Failure::Inner("down")));
/// assert_eq!(breaker.state(), CircuitState::Open);
/// assert!(matches!(ask(Ok(7)), Err(Failure::CircuitOpen { .. })));
/// # Ok::<(), stead_resilience::BreakerRefused>(())
/// ```
// In this order, so that nobody writes to the line of the cache where `state` lies while all is well, wherever the breaker
// lies: 48 bytes before it and 56 after it are hardly ever written to. Aligned to a line, it would be as large again.
#[repr(C)]
pub struct Breaker<C: Clock = Coarse> {
    desk: Mutex<Desk>,
    rare: OnceLock<Box<Rare>>,
    /// Calls that take longer are slow, in nanoseconds.
    slow_over: AtomicU64,
    hot: Hot,
    failed: Counter,
    clock: C,
    rings: Rings,
}

/// What calls read; hardly ever written while the breaker is healthy.
#[repr(C)]
struct Hot {
    state: AtomicU64,
    shape: AtomicU64,
    /// Open: until when. Half-open: until when all places are taken. On a ramp: when the step is over. In nanoseconds.
    until: AtomicU64,
    /// Percent of the rejections that are meant.
    enforce: AtomicU32,
    /// Calls that came during a step of the ramp.
    arrivals: AtomicU32,
    shards: OnceLock<Box<Shards>>,
}

/// What most breakers never count or tell, so that they are small. Made when a breaker first changes its state, at the latest.
#[derive(Default)]
struct Rare {
    /// Would-be rejections.
    refused: AtomicU64,
    /// Those beyond.
    refused_apart: Tally,
    let_through: Counter,
    slow: Counter,
    ignored: Counter,
    abandoned: Counter,
    late: Counter,
    events: Events<BreakerEvent>,
}

impl Rare {
    #[inline]
    fn refuse(&self) {
        self.refused_apart.add(&self.refused);
    }
}

impl Breaker {
    /// A closed breaker on the coarse clock.
    ///
    /// # Errors
    ///
    /// A setting makes no sense; nothing was built.
    pub fn new(config: BreakerConfig) -> Result<Self, BreakerRefused> {
        Self::with_clock(config, Coarse)
    }
}

impl<C: Clock> Breaker<C> {
    /// A closed breaker on `clock`.
    ///
    /// # Errors
    ///
    /// A setting makes no sense; nothing was built.
    pub fn with_clock(config: BreakerConfig, clock: C) -> Result<Self, BreakerRefused> {
        Ok(Self::with_settings(BreakerSettings::try_from(config)?, clock))
    }

    /// A closed breaker with settings that were checked before. Breakers that share them in one [`Arc`] are half as large.
    #[must_use]
    pub fn with_settings(settings: impl Into<Arc<BreakerSettings>>, clock: C) -> Self {
        let settings = settings.into();
        let word = fresh(Word::new(CircuitState::Closed, 0, 0), &settings);
        let shape = Shape::new(0, &settings);
        let breaker = Self {
            desk: Mutex::new(Desk::new(Arc::clone(&settings))),
            rare: OnceLock::new(),
            slow_over: AtomicU64::new(slow_over(&settings)),
            hot: Hot {
                state: AtomicU64::new(word.0),
                shape: AtomicU64::new(shape.0),
                until: AtomicU64::new(0),
                enforce: AtomicU32::new(settings.config().enforce.into()),
                arrivals: AtomicU32::new(0),
                shards: OnceLock::new(),
            },
            failed: Counter::default(),
            clock,
            rings: Rings::default(),
        };
        breaker.prepare(shape, settings.timed());
        breaker
    }

    /// Shares `budget`: each probe of a half-open breaker withdraws [`Extra::Probe`](crate::Extra::Probe). See
    /// [`Breaker::share_budget`].
    #[must_use]
    pub fn with_budget(self, budget: Arc<Budget>) -> Self {
        self.share_budget(budget);
        self
    }

    /// Shares `budget` from now on, in place of another. Where it does not pay for a probe, the call is rejected, the
    /// state stays, and the budget is asked again a second later, or an open period where that is shorter;
    /// [`BreakerCounts::not_granted`] and [`BudgetEvent::Refused`](crate::BudgetEvent::Refused) say so. A deliberate
    /// probe of an isolated breaker costs nothing. The breaker does not deposit: that is for the policies around it.
    pub fn share_budget(&self, budget: Arc<Budget>) {
        self.desk().trouble().budget = Some(budget);
    }

    /// Its state. An open breaker whose time is over stays open until a call comes.
    #[must_use]
    pub fn state(&self) -> CircuitState {
        self.word().mode()
    }

    /// Its settings as they are now.
    #[must_use]
    pub fn settings(&self) -> Arc<BreakerSettings> {
        Arc::clone(&self.desk().settings)
    }

    /// Counts the changes of state; only grows.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.desk().generation()
    }

    /// How often it did what costs something.
    #[must_use]
    pub fn counts(&self) -> BreakerCounts {
        let failed = self.failed.get();
        let Some(rare) = self.rare.get() else {
            return BreakerCounts {
                failed,
                ..BreakerCounts::default()
            };
        };
        let let_through = rare.let_through.get();
        let refused = rare.refused.load(Relaxed).saturating_add(rare.refused_apart.get());
        BreakerCounts {
            rejected: refused.saturating_sub(let_through),
            let_through,
            failed,
            slow: rare.slow.get(),
            ignored: rare.ignored.get(),
            abandoned: rare.abandoned.get(),
            late: rare.late.get(),
            not_granted: self.desk().not_granted(),
        }
    }

    /// Its changes of state from now on, in the order of their generations. A listener that is slow, panics, or uses the
    /// breaker itself holds up nobody.
    #[must_use]
    pub fn listen(&self) -> Listener<BreakerEvent> {
        self.rare().events.listen()
    }

    /// Asks leave for one call.
    ///
    /// # Errors
    ///
    /// The call is not admitted, and must not be made.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<'_, C>, Refusal> {
        Ok(Permit::new(self, self.pass()?))
    }

    /// Asks leave for one call; the permit may travel to other tasks and threads.
    ///
    /// # Errors
    ///
    /// The call is not admitted, and must not be made.
    pub fn try_acquire_owned(self: &Arc<Self>) -> Result<OwnedPermit<C>, Refusal> {
        let pass = self.pass()?;
        Ok(OwnedPermit::new(Arc::clone(self), pass))
    }

    /// Asks leave for a deliberate probe: as [`Breaker::try_acquire`], but an isolated breaker admits one at a time. One
    /// success ends the isolation: the breaker climbs its [`Ramp`](crate::Ramp), or closes where it has none.
    ///
    /// # Errors
    ///
    /// The call is not admitted, and must not be made.
    pub fn try_probe(&self) -> Result<Permit<'_, C>, Refusal> {
        Ok(Permit::new(self, self.probe_pass()?))
    }

    /// Opens it by hand, until [`Breaker::reset`].
    pub fn force_open(&self) {
        self.force(CircuitState::ForcedOpen, Cause::ByHand);
    }

    /// Closes it by hand: all calls are admitted, none is counted, until [`Breaker::reset`].
    pub fn force_closed(&self) {
        self.force(CircuitState::ForcedClosed, Cause::ByHand);
    }

    /// Switches it off until [`Breaker::reset`].
    pub fn disable(&self) {
        self.force(CircuitState::Disabled, Cause::ByHand);
    }

    /// Closes it with an empty window, whatever it was. Calls in flight do not count any more.
    pub fn reset(&self) {
        self.force(CircuitState::Closed, Cause::ByHand);
    }

    fn shape(&self) -> Shape {
        Shape(self.hot.shape.load(crate::sync::Ordering::Acquire))
    }

    /// Makes what a window of this shape is stored in, before anybody needs it.
    fn prepare(&self, shape: Shape, timed: bool) {
        match shape.kind() {
            Kind::Consecutive | Kind::Leaky => {}
            Kind::Count => self.rings.prepare(shape.size(), timed),
            Kind::Time => {
                self.shards();
            }
        }
    }

    #[inline]
    fn shards(&self) -> &Shards {
        self.hot.shards.get_or_init(Box::default)
    }

    #[inline]
    fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }
}

impl<C: Clock> fmt::Debug for Breaker<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("state", &self.state())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

fn slow_over(settings: &BreakerSettings) -> u64 {
    let over = settings.config().slow_calls.map(|slow| slow.over.as_nanos());
    over.and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
