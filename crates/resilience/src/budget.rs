//! One budget for all the extra load that a client makes: retries, hedges, probes and fallbacks together.
//!
//! Share one among all policies around the same service. The savings are one atomic word, which a healthy client leaves
//! alone: they are full.

use stead_policy::{Amplification, Extra, Gcra, Quota};

mod purse;

pub(crate) use purse::paid;

use crate::count::Counter;
use crate::events::Events;
use crate::sync::{AtomicU64, Ordering::Relaxed};
use crate::{AnyClock, Clock, Coarse, InvalidSetting, Listener};

/// How much extra load there may be.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `ratio` | 0.1 | single failures are not tried again | a service in trouble gets a multiple of its load |
/// | `burst` | 10 | a short stall uses it up | that many tries are made before the share counts |
/// | `per_second` | 1 | a client with few calls can hardly try again | idle clients hammer a service that is down |
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BudgetConfig {
    /// Extra calls per call in the long run: a number from 0 to 10.
    pub ratio: f64,
    /// Extra calls that may be saved up, and are there at the start: at least 1.
    pub burst: u32,
    /// Extra calls per second that are there beside that, whatever else happens: 0 for none.
    pub per_second: u32,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            ratio: 0.1,
            burst: 10,
            per_second: 1,
        }
    }
}

impl BudgetConfig {
    fn rule(&self) -> Result<Amplification, InvalidSetting> {
        Amplification::new(self.ratio, self.burst).map_err(|_why| {
            InvalidSetting::new(
                "budget",
                self,
                "ratio must be a number from 0 to 10, and burst at least 1",
            )
        })
    }

    /// `None` where nothing is set aside.
    fn reserve(&self) -> Option<Gcra> {
        Gcra::try_from(Quota::per_second(self.per_second)).ok()
    }
}

/// The savings of one client, or of all clients in this process, for extra calls to one service.
///
/// # Examples
///
/// ```
/// use stead_resilience::{Budget, BudgetConfig, Extra};
///
/// let budget = Budget::new(BudgetConfig { ratio: 0.5, burst: 1, per_second: 0 })?;
/// assert!(budget.withdraw(Extra::Retry));
/// assert!(!budget.withdraw(Extra::Retry), "the savings are used up");
/// budget.deposit();
/// budget.deposit();
/// assert!(budget.withdraw(Extra::Fallback), "two calls have paid for one more");
/// # Ok::<(), stead_resilience::InvalidSetting>(())
/// ```
#[derive(Debug)]
pub struct Budget {
    /// Parts of tokens saved.
    balance: AtomicU64,
    deposit: AtomicU64,
    most: AtomicU64,
    reserve: Reserve,
    clock: AnyClock,
    granted: [Counter; Extra::ALL.len()],
    refused: [Counter; Extra::ALL.len()],
    events: Events<BudgetEvent>,
}

impl Budget {
    /// A budget on the [`Coarse`] clock.
    ///
    /// # Errors
    ///
    /// A setting does not work.
    pub fn new(config: BudgetConfig) -> Result<Self, InvalidSetting> {
        Self::with_clock(config, &Coarse)
    }

    /// A budget on a clock of one's own. The clock is asked only where the savings are used up.
    ///
    /// # Errors
    ///
    /// A setting does not work.
    pub fn with_clock<C: Clock>(config: BudgetConfig, clock: &C) -> Result<Self, InvalidSetting> {
        let rule = config.rule()?;
        Ok(Self {
            balance: AtomicU64::new(rule.most()),
            deposit: AtomicU64::new(rule.deposited()),
            most: AtomicU64::new(rule.most()),
            reserve: Reserve::new(config.reserve()),
            clock: clock.any(),
            granted: Default::default(),
            refused: Default::default(),
            events: Events::new(),
        })
    }

    /// Counts one call of the client's own. The policies that share the budget do it for each call, once however many of them
    /// are around it: what they do for the call, and what the call itself does under the same budget, is part of it.
    #[inline]
    pub fn deposit(&self) {
        let rule = self.rule();
        let mut balance = self.balance.load(Relaxed);
        while let Some(more) = rule.deposit(balance) {
            // Relaxed: the word is all there is, nothing is published with it.
            match self.balance.compare_exchange_weak(balance, more, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(other) => balance = other,
            }
        }
    }

    /// Asks for one extra call: from the savings, else from what is set aside per second. `false`: it must not be made.
    #[must_use = "an extra call that was refused must not be made"]
    pub fn withdraw(&self, extra: Extra) -> bool {
        let granted = self.take(extra);
        if !granted {
            self.tell_refused(extra);
        }
        granted
    }

    /// As [`Budget::withdraw`], for who holds a lock: a refusal is to be told afterwards.
    pub(crate) fn take(&self, extra: Extra) -> bool {
        let granted = self.take_savings(extra) || (extra != Extra::Hedge && self.reserve.take(&self.clock));
        let counters = if granted { &self.granted } else { &self.refused };
        if let Some(counter) = counters.get(extra.index()) {
            counter.add();
        }
        granted
    }

    pub(crate) fn tell_refused(&self, extra: Extra) {
        self.events.tell(|| BudgetEvent::Refused { extra });
    }

    /// Changes the settings in place. The savings stay, as far as the new burst holds them.
    ///
    /// # Errors
    ///
    /// A setting does not work; everything is as before.
    pub fn reconfigure(&self, config: BudgetConfig) -> Result<(), InvalidSetting> {
        let rule = config.rule()?;
        self.deposit.store(rule.deposited(), Relaxed);
        self.most.store(rule.most(), Relaxed);
        self.reserve.set(config.reserve());
        Ok(())
    }

    /// What is saved, and what has been.
    #[must_use]
    pub fn snapshot(&self) -> BudgetSnapshot {
        let (rule, balance) = (self.rule(), self.balance.load(Relaxed));
        let count = |counters: &[Counter; 4], extra: Extra| counters.get(extra.index()).map_or(0, Counter::get);
        let uses = |counters| ExtraCounts {
            retry: count(counters, Extra::Retry),
            hedge: count(counters, Extra::Hedge),
            probe: count(counters, Extra::Probe),
            fallback: count(counters, Extra::Fallback),
        };
        BudgetSnapshot {
            saved: balance.min(rule.most()) / Amplification::TOKEN,
            burst: rule.most() / Amplification::TOKEN,
            granted: uses(&self.granted),
            refused: uses(&self.refused),
        }
    }

    /// Hears what happens from now on.
    pub fn events(&self) -> Listener<BudgetEvent> {
        self.events.listen()
    }

    fn take_savings(&self, extra: Extra) -> bool {
        let rule = self.rule();
        let mut balance = self.balance.load(Relaxed);
        while let Some(less) = rule.withdraw(balance, extra) {
            match self.balance.compare_exchange_weak(balance, less, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(other) => balance = other,
            }
        }
        false
    }

    fn rule(&self) -> Amplification {
        Amplification::from_parts(self.deposit.load(Relaxed), self.most.load(Relaxed))
    }
}

/// Extra calls that are there every second, whatever was saved.
#[derive(Debug)]
struct Reserve {
    full: AtomicU64,
    /// Nanoseconds per extra call; 0 where there are none.
    per_unit: AtomicU64,
    reach: AtomicU64,
}

impl Reserve {
    fn new(rule: Option<Gcra>) -> Self {
        Self {
            full: AtomicU64::new(0),
            per_unit: AtomicU64::new(rule.map_or(0, Gcra::per_unit)),
            reach: AtomicU64::new(rule.map_or(0, Gcra::reach)),
        }
    }

    fn set(&self, rule: Option<Gcra>) {
        self.per_unit.store(rule.map_or(0, Gcra::per_unit), Relaxed);
        self.reach.store(rule.map_or(0, Gcra::reach), Relaxed);
    }

    fn take(&self, clock: &AnyClock) -> bool {
        let per_unit = self.per_unit.load(Relaxed);
        if per_unit == 0 {
            return false;
        }
        let rule = Gcra::from_parts(per_unit, self.reach.load(Relaxed));
        let now = clock.now().as_nanos();
        let mut full = self.full.load(Relaxed);
        while let Ok(next) = rule.take(full, now, 1) {
            match self.full.compare_exchange_weak(full, next, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(other) => full = other,
            }
        }
        false
    }
}

/// A budget at one moment. The counters are since its making.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BudgetSnapshot {
    /// Whole extra calls saved.
    pub saved: u64,
    /// Extra calls that may be saved.
    pub burst: u64,
    /// Extra calls that were granted.
    pub granted: ExtraCounts,
    /// Extra calls that were not.
    pub refused: ExtraCounts,
}

/// A number per kind of extra call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExtraCounts {
    /// [`Extra::Retry`].
    pub retry: u64,
    /// [`Extra::Hedge`].
    pub hedge: u64,
    /// [`Extra::Probe`].
    pub probe: u64,
    /// [`Extra::Fallback`].
    pub fallback: u64,
}

/// What happens at a budget beside deposits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BudgetEvent {
    /// An extra call was not granted.
    Refused {
        /// For what it was to be.
        extra: Extra,
    },
}

#[cfg(test)]
mod tests;
