//! Policies and pipelines by name: looked at, forced, reloaded and measured while calls go through them.

use core::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use stead_policy::{BreakerImage, BreakerSettings};

use crate::{Breaker, Clock, Coarse};

pub(crate) mod families;
mod inspect;
mod reload;

pub use inspect::{BreakerStatus, Force, Inspect, PolicySnapshot};
pub use reload::{NameTaken, NotReloaded, RegistryConfig, ReloadRefused, Settings};

/// Policies and pipelines by name. Breakers it makes itself; everything else is made by the program and registered.
///
/// There may be one of each kind by one name: the breaker and the bulkhead of the same service, say. Registering a breaker's
/// name again keeps the breaker, with its state and its window.
///
/// Share it in an [`Arc`]. Keep what it gives rather than asking for it with every call: a look-up takes a lock and compares
/// names.
///
/// # Examples
///
/// ```
/// use stead_resilience::{BreakerConfig, Bulkhead, BulkheadConfig, CircuitState, Force, Registry};
/// use std::sync::Arc;
///
/// let registry = Registry::new();
/// let breaker = registry.breaker("model", BreakerConfig::default().try_into()?);
/// registry.register("model", Arc::new(Bulkhead::new(BulkheadConfig::default())?))?;
///
/// assert_eq!(registry.force("model", Force::Open), 1, "a bulkhead cannot be forced");
/// assert_eq!(breaker.state(), CircuitState::ForcedOpen);
/// assert_eq!(registry.list().len(), 2);
/// assert!(registry.metrics().contains(r#"stead_bulkhead_seats{policy="model"} 10"#));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Registry<C: Clock = Coarse> {
    breakers: RwLock<BTreeMap<String, Arc<Breaker<C>>>>,
    others: RwLock<Others>,
    clock: C,
}

/// What the program has registered, by kind and name.
type Others = BTreeMap<&'static str, BTreeMap<String, Arc<dyn Inspect>>>;

/// One policy of a [`Registry`], as it was a moment ago.
#[derive(Clone, PartialEq, Debug)]
pub struct Listed {
    /// Its name, or that of its pipeline.
    pub name: String,
    /// Where it stands in its pipeline, 0 for the outermost; `None` where it stands alone.
    pub place: Option<usize>,
    /// What it is and does.
    pub is: PolicySnapshot,
}

impl Registry {
    /// An empty registry on the coarse clock.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl<C: Clock> Registry<C> {
    /// An empty registry whose breakers are on `clock`.
    pub const fn with_clock(clock: C) -> Self {
        Self {
            breakers: RwLock::new(BTreeMap::new()),
            others: RwLock::new(BTreeMap::new()),
            clock,
        }
    }

    /// The breaker of this name: a new one, or the one that is there, with these settings from now on.
    pub fn breaker(&self, name: &str, settings: BreakerSettings) -> Arc<Breaker<C>> {
        let mut breakers = write(&self.breakers);
        if let Some(breaker) = breakers.get(name).map(Arc::clone) {
            drop(breakers);
            breaker.apply(settings);
            return breaker;
        }
        let breaker = Arc::new(Breaker::with_settings(settings, self.clock.clone()));
        breakers.insert(name.to_owned(), Arc::clone(&breaker));
        breaker
    }

    /// The breaker of this name, if there is one. Asking for a name does not make it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Breaker<C>>> {
        read(&self.breakers).get(name).map(Arc::clone)
    }

    /// Takes a breaker out. Whoever holds it goes on with it.
    pub fn remove(&self, name: &str) -> Option<Arc<Breaker<C>>> {
        write(&self.breakers).remove(name)
    }

    /// Registers anything but a breaker. What is shared by cloning (a checker, a budget in an [`Arc`]) is registered as a clone.
    ///
    /// # Errors
    ///
    /// There is one of its kind by this name, which stays.
    pub fn register<P: Inspect>(&self, name: &str, policy: Arc<P>) -> Result<(), NameTaken> {
        let kind = policy.kind();
        let mut others = write(&self.others);
        let alike = others.entry(kind).or_default();
        if alike.contains_key(name) {
            let name = name.to_owned();
            return Err(NameTaken { kind, name });
        }
        alike.insert(name.to_owned(), policy);
        Ok(())
    }

    /// What was registered by this name, if it is of this type.
    #[must_use]
    pub fn find<P: Inspect>(&self, name: &str) -> Option<Arc<P>> {
        let others = read(&self.others);
        let mut named = others.values().filter_map(|alike| alike.get(name));
        named.find_map(downcast)
    }

    /// Takes out what was registered by this name, if it is of this type. Whoever holds it goes on with it.
    pub fn take<P: Inspect>(&self, name: &str) -> Option<Arc<P>> {
        let mut others = write(&self.others);
        let found = others.values_mut().find_map(|alike| {
            let found = alike.get(name).and_then(downcast)?;
            alike.remove(name);
            Some(found)
        });
        others.retain(|_, alike| !alike.is_empty());
        found
    }

    /// How everything stands: the breakers by name, then the rest by kind and name, pipelines policy by policy.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        let breakers = self.breakers().into_iter().map(|(name, breaker)| Listed {
            name,
            place: None,
            is: PolicySnapshot::Breaker(breaker.status()),
        });
        let others = self.others().into_iter().flat_map(|(kind, name, other)| {
            let snapshots = other.inspect().into_iter().enumerate();
            snapshots.map(move |(place, is)| Listed {
                name: name.clone(),
                place: (kind == PIPELINE).then_some(place),
                is,
            })
        });
        breakers.chain(others).collect()
    }

    /// Does what a person wants with whatever has this name: breakers, those of pipelines too, limiters, degradation. Says how
    /// many policies did it: none where nothing of this name can.
    pub fn force(&self, name: &str, what: Force) -> usize {
        let breaker = self.get(name).inspect(|breaker| breaker.forced(what));
        let named = self.others().into_iter().filter(|(_, other, _)| other == name);
        let forced: usize = named.map(|(_, _, other)| other.force(what)).sum();
        forced + usize::from(breaker.is_some())
    }

    /// Makes the breakers be those of `config` (new ones are made, those that stay keep state and window under their new
    /// settings, those that are not named any more are taken out), and gives everything else its settings. What is registered and
    /// not named keeps those that it has.
    ///
    /// # Errors
    ///
    /// Settings were refused, or are for what nobody registered: those are left alone, all others are in force.
    pub fn reload(&self, config: &RegistryConfig) -> Result<(), NotReloaded> {
        write(&self.breakers).retain(|name, _| config.breakers.contains_key(name));
        for (name, settings) in &config.breakers {
            self.breaker(name, settings.clone());
        }
        let mut refused = Vec::new();
        for (name, kind, settings) in config.settings() {
            let other = read(&self.others)
                .get(&*kind)
                .and_then(|alike| alike.get(name).cloned());
            let done = other
                .ok_or(ReloadRefused::Unknown)
                .and_then(|other| other.reload(&settings));
            refused.extend(done.err().map(|why| (name.to_owned(), kind, why)));
        }
        if refused.is_empty() {
            Ok(())
        } else {
            Err(NotReloaded(refused))
        }
    }

    /// What all breakers know, for storing.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, BreakerImage> {
        let all = self.breakers().into_iter();
        all.map(|(name, breaker)| (name, breaker.snapshot())).collect()
    }

    /// Puts breakers in as they were stored, under settings that hold now. A name that is there already is left alone:
    /// what is live knows better.
    pub fn restore(&self, config: &RegistryConfig, images: &BTreeMap<String, BreakerImage>) {
        for (name, settings) in &config.breakers {
            let mut breakers = write(&self.breakers);
            if let (false, Some(image)) = (breakers.contains_key(name), images.get(name)) {
                let breaker = Breaker::restore(settings.clone(), image, self.clock.clone());
                breakers.insert(name.clone(), Arc::new(breaker));
            }
        }
    }

    /// All that is listed as Prometheus reads it. The pages of `docs/patterns` say which families there are.
    #[must_use]
    pub fn metrics(&self) -> String {
        families::render(&self.list())
    }

    fn breakers(&self) -> Vec<(String, Arc<Breaker<C>>)> {
        let breakers = read(&self.breakers);
        let all = breakers
            .iter()
            .map(|(name, breaker)| (name.clone(), Arc::clone(breaker)));
        all.collect()
    }

    /// Held by nobody's lock: what is registered may use the registry itself.
    fn others(&self) -> Vec<(&'static str, String, Arc<dyn Inspect>)> {
        let others = read(&self.others);
        let all = others.iter().flat_map(|(kind, alike)| {
            let all = alike.iter();
            all.map(|(name, other)| (*kind, name.clone(), Arc::clone(other)))
        });
        all.collect()
    }
}

impl<C: Clock> core::fmt::Debug for Registry<C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.list()).finish()
    }
}

const PIPELINE: &str = "pipeline";

fn downcast<P: Inspect>(other: &Arc<dyn Inspect>) -> Option<Arc<P>> {
    let any: Arc<dyn Any + Send + Sync> = Arc::<dyn Inspect>::clone(other);
    any.downcast().ok()
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
