//! What a registry sees of a policy, whatever it does.

use core::any::Any;
use core::hash::Hash;
use std::sync::Arc;

use stead_policy::CircuitState;

use super::reload::{ReloadRefused, Settings};
use crate::degrade::{Degradation, Degraded};
use crate::{
    AdaptiveBulkhead, Breaker, BreakerCounts, Budget, BudgetSnapshot, Bulkhead, BulkheadSnapshot, Chaos, ChaosSnapshot,
    Clock, Fallback, FallbackSnapshot, HealthChecker, HealthReport, Hedge, HedgeSnapshot, InvalidSetting, LeakDetector,
    LeakReport, Limiter, LimiterSnapshot, NamedPipeline, Nobody, PolicyConfig, Retry, RetrySnapshot, StaleCache,
    StaleSnapshot, StandIn, Timeout, TimeoutSnapshot,
};

/// What a [`Registry`](crate::Registry) can hold beside breakers, which it knows by their type.
pub trait Inspect: Any + Send + Sync {
    /// Of what kind it is: `"retry"`, say. A registry has one of each kind by one name.
    fn kind(&self) -> &'static str;

    /// What it is and does now; a pipeline says it of each of its policies, the outermost first.
    fn inspect(&self) -> Vec<PolicySnapshot>;

    /// Does what a person wants, and says how many policies did. The default is for those that cannot.
    fn force(&self, _: Force) -> usize {
        0
    }

    /// Takes other settings from configuration, and keeps its state. The default is for those that have none there.
    ///
    /// # Errors
    ///
    /// They do not work, or are not its own; it is as it was.
    fn reload(&self, settings: &Settings) -> Result<(), ReloadRefused> {
        Err(not_for(self.kind(), settings))
    }
}

/// What a person wants of the policies behind a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Force {
    /// Breakers refuse all calls, until they are reset.
    Open,
    /// Breakers admit all calls and count none, until they are reset.
    Closed,
    /// Breakers are switched off, until they are reset.
    Disabled,
    /// Breakers close with an empty window, limiters end their pause, degradation ends its override.
    Reset,
}

/// A policy at one moment. Its counters are since its making.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum PolicySnapshot {
    /// Of a [`Breaker`].
    Breaker(BreakerStatus),
    /// Of a [`Budget`].
    Budget(BudgetSnapshot),
    /// Of a [`Bulkhead`] or an [`AdaptiveBulkhead`].
    Bulkhead(BulkheadSnapshot),
    /// Of a [`StaleCache`].
    Cache(StaleSnapshot),
    /// Of [`Chaos`].
    Chaos(ChaosSnapshot),
    /// Of a [`Degradation`].
    Degradation(Arc<Degraded>),
    /// Of a [`Fallback`].
    Fallback(FallbackSnapshot),
    /// Of a [`HealthChecker`].
    Health(HealthReport),
    /// Of a [`Hedge`].
    Hedge(HedgeSnapshot),
    /// Of a [`LeakDetector`].
    Leaks(Arc<LeakReport>),
    /// Of a [`Limiter`].
    Limiter(LimiterSnapshot),
    /// Of a [`Retry`].
    Retry(RetrySnapshot),
    /// Of a [`Timeout`].
    Timeout(TimeoutSnapshot),
}

/// A breaker at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerStatus {
    /// Its state.
    pub state: CircuitState,
    /// How often its state changed.
    pub generation: u64,
    /// How often it did what costs something.
    pub counts: BreakerCounts,
}

impl<C: Clock> Breaker<C> {
    /// How it stands, and what has been. What it knows, for storing, is [`Breaker::snapshot`].
    #[must_use]
    pub fn status(&self) -> BreakerStatus {
        BreakerStatus {
            state: self.state(),
            generation: self.generation(),
            counts: self.counts(),
        }
    }

    pub(crate) fn forced(&self, what: Force) {
        match what {
            Force::Open => self.force_open(),
            Force::Closed => self.force_closed(),
            Force::Disabled => self.disable(),
            Force::Reset => self.reset(),
        }
    }
}

impl<C: Clock, K> Limiter<C, K> {
    /// Ends its pause, where that is what is wanted.
    pub(crate) fn forced(&self, what: Force) -> usize {
        match what {
            Force::Reset => {
                self.end_pause();
                1
            }
            Force::Open | Force::Closed | Force::Disabled => 0,
        }
    }
}

fn not_for(kind: &'static str, settings: &Settings) -> ReloadRefused {
    let told = match settings {
        Settings::Policy(policy) => policy.kind().to_string(),
        Settings::Pipeline(_) => "pipeline".to_owned(),
    };
    InvalidSetting::new(kind, told, "it takes its settings in code, or those of its own kind").into()
}

impl Inspect for Budget {
    fn kind(&self) -> &'static str {
        "budget"
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        vec![PolicySnapshot::Budget(self.snapshot())]
    }
}

impl<C: Clock> Inspect for Bulkhead<C> {
    fn kind(&self) -> &'static str {
        "bulkhead"
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        vec![PolicySnapshot::Bulkhead(self.snapshot())]
    }

    fn reload(&self, settings: &Settings) -> Result<(), ReloadRefused> {
        match settings {
            Settings::Policy(PolicyConfig::Bulkhead(new)) => Ok(self.reconfigure(new.config())?),
            Settings::Policy(_) | Settings::Pipeline(_) => Err(not_for(self.kind(), settings)),
        }
    }
}

impl<C: Clock, K: Send + Sync + 'static> Inspect for AdaptiveBulkhead<C, K> {
    fn kind(&self) -> &'static str {
        "bulkhead"
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        vec![PolicySnapshot::Bulkhead(self.snapshot())]
    }
}

impl Inspect for Chaos {
    fn kind(&self) -> &'static str {
        "chaos"
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        vec![PolicySnapshot::Chaos(self.snapshot())]
    }
}

impl<C: Clock> Inspect for Degradation<C> {
    fn kind(&self) -> &'static str {
        "degradation"
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        vec![PolicySnapshot::Degradation(self.state())]
    }

    fn force(&self, what: Force) -> usize {
        match what {
            Force::Reset => {
                self.release();
                1
            }
            Force::Open | Force::Closed | Force::Disabled => 0,
        }
    }
}

impl<T: 'static, E: 'static, K: Send + Sync + 'static> Inspect for Fallback<T, E, K> {
    fn kind(&self) -> &'static str {
        "fallback"
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        vec![PolicySnapshot::Fallback(self.snapshot())]
    }
}

impl<C: Clock> Inspect for HealthChecker<C> {
    fn kind(&self) -> &'static str {
        "health"
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        vec![PolicySnapshot::Health(self.report())]
    }
}

impl<C: Clock, K: Send + Sync + 'static> Inspect for Hedge<C, K> {
    fn kind(&self) -> &'static str {
        "hedge"
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        vec![PolicySnapshot::Hedge(self.snapshot())]
    }

    fn reload(&self, settings: &Settings) -> Result<(), ReloadRefused> {
        match settings {
            Settings::Policy(PolicyConfig::Hedge(new)) => Ok(self.reconfigure(new.config()?)?),
            Settings::Policy(_) | Settings::Pipeline(_) => Err(not_for(self.kind(), settings)),
        }
    }
}

impl<C: Clock> Inspect for LeakDetector<C> {
    fn kind(&self) -> &'static str {
        "leaks"
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        vec![PolicySnapshot::Leaks(self.report())]
    }
}

impl<C: Clock, K: Send + Sync + 'static> Inspect for Limiter<C, K> {
    fn kind(&self) -> &'static str {
        "limiter"
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        vec![PolicySnapshot::Limiter(self.snapshot())]
    }

    fn force(&self, what: Force) -> usize {
        self.forced(what)
    }

    fn reload(&self, settings: &Settings) -> Result<(), ReloadRefused> {
        match settings {
            Settings::Policy(PolicyConfig::Limiter(new)) => Ok(self.reconfigure(new.config())?),
            Settings::Policy(_) | Settings::Pipeline(_) => Err(not_for(self.kind(), settings)),
        }
    }
}

impl<C: Clock, S: Inspect, K: Clone + Send + Sync + 'static> Inspect for NamedPipeline<C, S, K> {
    fn kind(&self) -> &'static str {
        super::PIPELINE
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        self.snapshots()
    }

    fn force(&self, what: Force) -> usize {
        Self::force(self, what)
    }

    fn reload(&self, settings: &Settings) -> Result<(), ReloadRefused> {
        match settings {
            Settings::Pipeline(new) => Ok(Self::reload(self, new.clone())?),
            Settings::Policy(_) => Err(not_for(Inspect::kind(self), settings)),
        }
    }
}

impl Inspect for Nobody {
    fn kind(&self) -> &'static str {
        match *self {}
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        match *self {}
    }
}

impl<C: Clock, K: Send + Sync + 'static> Inspect for Retry<C, K> {
    fn kind(&self) -> &'static str {
        "retry"
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        vec![PolicySnapshot::Retry(self.snapshot())]
    }

    fn reload(&self, settings: &Settings) -> Result<(), ReloadRefused> {
        match settings {
            Settings::Policy(PolicyConfig::Retry(new)) => Ok(self.reconfigure(new.config()?)?),
            Settings::Policy(_) | Settings::Pipeline(_) => Err(not_for(self.kind(), settings)),
        }
    }
}

impl<Q, T, C, K> Inspect for StaleCache<Q, T, C, K>
where
    Q: Hash + Eq + Clone + Send + 'static,
    T: Clone + Send + 'static,
    C: Clock,
    K: Send + Sync + 'static,
{
    fn kind(&self) -> &'static str {
        "cache"
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        vec![PolicySnapshot::Cache(self.snapshot())]
    }
}

impl<T: 'static, E: 'static> Inspect for StandIn<T, E> {
    fn kind(&self) -> &'static str {
        self.behind().kind()
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        self.behind().inspect()
    }
}

impl<C: Clock> Inspect for Timeout<C> {
    fn kind(&self) -> &'static str {
        "timeout"
    }

    fn inspect(&self) -> Vec<PolicySnapshot> {
        vec![PolicySnapshot::Timeout(self.snapshot())]
    }

    fn reload(&self, settings: &Settings) -> Result<(), ReloadRefused> {
        match settings {
            Settings::Policy(PolicyConfig::Timeout(new)) => Ok(self.reconfigure(new.config())?),
            Settings::Policy(_) | Settings::Pipeline(_) => Err(not_for(self.kind(), settings)),
        }
    }
}
