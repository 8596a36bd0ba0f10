//! Graceful degradation of this process: hears breakers, health checks and load, and says which features are on.
//!
//! What it decides by is [`Plan`] and [`Rule`]; the deciding itself is a plain value, [`stead_policy::degrade::Degrader`].

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stead_policy::CircuitState;
pub use stead_policy::degrade::{
    Calm, Cause, Change, Degraded, Feature, Level, Load, Mode, Name, OffBecause, Plan, PlanRefused, Rule, Standing,
    When,
};
use stead_policy::degrade::{Degrader, Signal};
use tokio::sync::{Notify, watch};

use crate::rounds::Rounds;
use crate::setting::require;
use crate::{Breaker, Clock, Coarse, Health, HealthReport, Heard, InvalidSetting, Watch};

mod load;

pub use load::{MeasureLoad, ProcLoad};

/// Says which features are on, and how work is to be done. Clones share everything.
///
/// Waits (a calm after load, see [`Calm`]) end by themselves once [`Degradation::start`] or one of the `follow` methods was
/// called; without them, at the next signal.
///
/// # Examples
///
/// ```
/// use stead_resilience::Criticality;
/// use stead_resilience::degrade::{Degradation, Feature, Level, Mode, Plan, Standing};
///
/// let plan = Plan::default()
///     .component("llm", Criticality::Essential)
///     .component("search", Criticality::Important)
///     .feature("chat", Feature::of(Criticality::Essential).requiring("llm"))
///     .feature("web_search", Feature::of(Criticality::Important).requiring("search"));
/// let degradation = Degradation::new(plan)?;
///
/// degradation.component("search", Standing::Down);
/// assert!(degradation.feature_enabled("chat") && !degradation.feature_enabled("web_search"));
/// assert_eq!(degradation.level(), Level::Moderate);
/// assert_eq!(degradation.state().mode(), Some(Mode::Offline));
///
/// degradation.component("search", Standing::Up);
/// assert!(degradation.feature_enabled("web_search"));
/// # Ok::<(), stead_resilience::degrade::PlanRefused>(())
/// ```
pub struct Degradation<C: Clock = Coarse> {
    core: Arc<Core<C>>,
    rounds: Arc<Rounds>,
}

struct Core<C: Clock> {
    clock: C,
    machine: Mutex<Machine>,
    features: BTreeMap<Name, Known>,
    latest: watch::Sender<Arc<Degraded>>,
    /// Told whenever the next deadline may have changed.
    stirred: Notify,
}

struct Machine {
    degrader: Degrader,
    history: VecDeque<Change>,
}

/// What does not change about a feature, and whether it is on.
struct Known {
    flag: FeatureFlag,
    /// Itself, and what does instead of it.
    chain: Vec<Name>,
}

/// Whether one feature is on: one load of one flag.
#[derive(Clone, Debug)]
pub struct FeatureFlag(Arc<AtomicBool>);

impl FeatureFlag {
    /// Whether the feature is on now.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        // Relaxed: the flag itself is the message.
        self.0.load(Relaxed)
    }
}

impl Degradation {
    /// A process in which all is well, on the coarse clock.
    ///
    /// # Errors
    ///
    /// The plan names what is not there, or a threshold that is none.
    pub fn new(plan: Plan) -> Result<Self, PlanRefused> {
        Self::with_clock(plan, Coarse)
    }
}

impl<C: Clock> Degradation<C> {
    /// The same on a clock of one's own.
    ///
    /// # Errors
    ///
    /// As [`Degradation::new`].
    pub fn with_clock(plan: Plan, clock: C) -> Result<Self, PlanRefused> {
        let degrader = Degrader::new(plan)?;
        let plan = degrader.plan();
        let known = |name: &Name| {
            let flag = FeatureFlag(Arc::new(AtomicBool::new(true)));
            let chain = plan.chain(name).cloned().collect();
            (Name::clone(name), Known { flag, chain })
        };
        let features = plan.features.keys().map(known).collect();
        let core = Core {
            clock,
            features,
            latest: watch::Sender::new(Arc::new(degrader.state().clone())),
            machine: Mutex::new(Machine {
                degrader,
                history: VecDeque::new(),
            }),
            stirred: Notify::new(),
        };
        Ok(Self {
            core: Arc::new(core),
            rounds: Arc::default(),
        })
    }

    /// Whether a feature is on. One that the plan does not have is off: ask for its flag where a typo would hurt.
    #[must_use]
    pub fn feature_enabled(&self, name: &str) -> bool {
        self.core.is_on(name)
    }

    /// The flag of one feature, for hot paths; `None` where the plan does not have it.
    #[must_use]
    pub fn feature(&self, name: &str) -> Option<FeatureFlag> {
        Some(self.core.features.get(name)?.flag.clone())
    }

    /// The feature to use where `name` was meant: itself where it is on, or the first of those that do instead
    /// ([`Feature::fallback`]) that is on. `None` where none is, or the plan does not have it.
    #[must_use]
    pub fn serving(&self, name: &str) -> Option<Name> {
        let chain = &self.core.features.get(name)?.chain;
        chain.iter().find(|name| self.core.is_on(name)).cloned()
    }

    /// How much has been given up.
    #[must_use]
    pub fn level(&self) -> Level {
        self.core.latest.borrow().level
    }

    /// What is on, what is off, and why.
    #[must_use]
    pub fn state(&self) -> Arc<Degraded> {
        Arc::clone(&self.core.latest.borrow())
    }

    /// States as they come.
    #[must_use]
    pub fn watch(&self) -> Watch<Arc<Degraded>> {
        Watch::new(self.core.latest.subscribe())
    }

    /// The last 256 changes, the oldest first; times are those of the clock, since its origin.
    #[must_use]
    pub fn history(&self) -> Vec<Change> {
        self.core.machine().history.iter().cloned().collect()
    }

    /// Hears that a component was seen up or down; one that the plan does not have is ignored.
    pub fn component(&self, name: &str, standing: Standing) {
        self.core.hear(Signal::Component(name.into(), standing));
    }

    /// Hears the state of the circuit that stands before a component: closed and recovering ones are up, half-open ones are
    /// not yet. One that is forced closed or disabled says nothing about what is behind it.
    pub fn circuit(&self, name: &str, state: CircuitState) {
        self.core.circuit(name, state);
    }

    /// Hears of all checks whose names are those of components: unhealthy ones are down, unknown ones stay what they were.
    pub fn health(&self, report: &HealthReport) {
        self.core.health(report);
    }

    /// Hears how busy the machine is.
    pub fn load(&self, load: Load) {
        self.core.hear(Signal::Load(load));
    }

    /// Holds this level, whatever rules say, until [`Degradation::release`]. What needs a component that is down stays off.
    pub fn override_level(&self, level: Level, by: &str, why: &str) {
        let (by, why) = (by.into(), why.into());
        self.core.hear(Signal::Override { level, by, why });
    }

    /// Ends the override; nothing where there is none.
    pub fn release(&self) {
        self.core.hear(Signal::Release);
    }

    /// Lets waits end by themselves, until [`Degradation::stop`] or until the last clone of this is dropped. Must be called on
    /// a tokio runtime.
    pub fn start(&self) {
        self.rounds.start([Arc::clone(&self.core).ticks()]);
    }

    /// Hears every change of the circuit that stands before a component from now on, and starts; see
    /// [`Degradation::circuit`]. Must be called on a tokio runtime.
    ///
    /// While a feature is off nobody may call through its circuit, and what nobody calls is never found well again: let a
    /// health check call through it now and then.
    pub fn follow_breaker<D: Clock>(&self, name: &str, breaker: &Arc<Breaker<D>>) {
        self.start();
        let (core, name) = (Arc::clone(&self.core), Name::from(name));
        let (mut changes, breaker) = (breaker.listen(), Arc::downgrade(breaker));
        self.rounds.join(async move {
            let now = || breaker.upgrade().map(|breaker| breaker.state());
            let mut state = now();
            loop {
                if let Some(state) = state {
                    core.circuit(&name, state);
                }
                state = match changes.next().await {
                    Some(Heard::Event(change)) => Some(change.to),
                    Some(Heard::Lost(_)) => now(),
                    None => return,
                };
            }
        });
    }

    /// Hears every report of a health checker from now on, and starts. Must be called on a tokio runtime.
    pub fn follow_health(&self, mut reports: Watch<Arc<HealthReport>>) {
        self.start();
        let core = Arc::clone(&self.core);
        self.rounds.join(async move {
            core.health(&reports.get());
            while let Some(report) = reports.changed().await {
                core.health(&report);
            }
        });
    }

    /// Measures the load now and then `every` so often, and starts. A measurement that fails changes nothing. Must be called on
    /// a tokio runtime, on whose thread `source` measures.
    ///
    /// # Errors
    ///
    /// `every` is nothing: it would measure and do nothing else. Nobody is followed.
    pub fn follow_load(&self, mut source: impl MeasureLoad, every: Duration) -> Result<(), InvalidSetting> {
        require(
            !every.is_zero(),
            "follow_load.every",
            every,
            "it must be more than nothing; a second or more is usual",
        )?;
        self.start();
        let core = Arc::clone(&self.core);
        self.rounds.join(async move {
            loop {
                if let Ok(load) = source.measure() {
                    core.hear(Signal::Load(load));
                }
                core.clock.sleep(every).await;
            }
        });
        Ok(())
    }

    /// Stops following and ticking, and waits for it; what is off stays off. Nothing where there is nothing to stop.
    pub async fn stop(&self) {
        self.rounds.stop().await;
    }
}

impl<C: Clock> Core<C> {
    fn hear(&self, signal: Signal) {
        let mut machine = self.machine();
        let now = Duration::from_nanos(self.clock.now().as_nanos());
        if let Some(change) = machine.degrader.hear(now, signal) {
            let state = Arc::new(machine.degrader.state().clone());
            for (name, known) in &self.features {
                known.flag.0.store(state.why_off(name).is_none(), Relaxed);
            }
            if machine.history.len() == HISTORY {
                machine.history.pop_front();
            }
            machine.history.push_back(change);
            // Under the lock, so that states are told in their order.
            self.latest.send_replace(state);
        }
        drop(machine);
        self.stirred.notify_one();
    }

    fn is_on(&self, name: &str) -> bool {
        self.features.get(name).is_some_and(|known| known.flag.is_enabled())
    }

    fn circuit(&self, name: &str, state: CircuitState) {
        let standing = match state {
            CircuitState::Closed | CircuitState::Recovering => Standing::Up,
            CircuitState::Open | CircuitState::HalfOpen | CircuitState::Isolated | CircuitState::ForcedOpen => {
                Standing::Down
            }
            CircuitState::ForcedClosed | CircuitState::Disabled => return,
        };
        self.hear(Signal::Component(name.into(), standing));
    }

    fn health(&self, report: &HealthReport) {
        for check in &report.checks {
            let standing = match check.health {
                Health::Healthy | Health::Degraded => Standing::Up,
                Health::Unhealthy => Standing::Down,
                Health::Unknown => continue,
            };
            self.hear(Signal::Component(Arc::clone(&check.name), standing));
        }
    }

    async fn ticks(self: Arc<Self>) {
        loop {
            let deadline = self.machine().degrader.next_deadline();
            match deadline.map(|at| self.clock.sleep_until(crate::Moment::default().after(at))) {
                None => self.stirred.notified().await,
                Some(wait) => tokio::select! {
                    () = self.stirred.notified() => {}
                    () = wait => self.hear(Signal::Tick),
                },
            }
        }
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Clock> Clone for Degradation<C> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            rounds: Arc::clone(&self.rounds),
        }
    }
}

impl<C: Clock> fmt::Debug for Degradation<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Degradation")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// Changes that are remembered.
const HISTORY: usize = 256;

#[cfg(test)]
mod tests;
