//! Breakers by name: looked at, forced and reloaded while calls go through them.

use core::fmt::Write;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, Serialize};
use stead_policy::{BreakerImage, BreakerSettings, CircuitState};

use crate::{Breaker, BreakerCounts, Clock, Coarse};

/// Breakers by name. Registering a name again keeps its breaker, with its state and its window.
///
/// Share it in an [`Arc`]. Keep the breaker that [`Registry::breaker`] gives rather than asking for it with every call:
/// a look-up takes a lock and compares names.
///
/// # Examples
///
/// ```
/// use stead_resilience::{BreakerConfig, CircuitState, Registry};
///
/// let registry = Registry::new();
/// let breaker = registry.breaker("model", BreakerConfig::default().try_into()?);
/// registry.get("model").map(|breaker| breaker.force_open());
/// assert_eq!(breaker.state(), CircuitState::ForcedOpen);
/// # Ok::<(), stead_resilience::BreakerRefused>(())
/// ```
#[derive(Debug, Default)]
pub struct Registry<C: Clock = Coarse> {
    breakers: RwLock<BTreeMap<String, Arc<Breaker<C>>>>,
    clock: C,
}

/// One breaker of a [`Registry`], as it was a moment ago.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: CircuitState,
    /// How often its state changed.
    pub generation: u64,
    /// How often it did what costs something.
    pub counts: BreakerCounts,
}

/// The breakers of a registry in configuration, by name.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegistryConfig(pub BTreeMap<String, BreakerSettings>);

impl Registry {
    /// An empty registry on the coarse clock.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl<C: Clock> Registry<C> {
    /// An empty registry on `clock`.
    pub const fn with_clock(clock: C) -> Self {
        Self {
            breakers: RwLock::new(BTreeMap::new()),
            clock,
        }
    }

    /// The breaker of this name: a new one, or the one that is there, with these settings from now on.
    pub fn breaker(&self, name: &str, settings: BreakerSettings) -> Arc<Breaker<C>> {
        let mut breakers = self.write();
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
        self.read().get(name).map(Arc::clone)
    }

    /// Takes a breaker out. Whoever holds it goes on with it.
    pub fn remove(&self, name: &str) -> Option<Arc<Breaker<C>>> {
        self.write().remove(name)
    }

    /// All breakers, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        let listed = self.all().into_iter().map(|(name, breaker)| Listed {
            name,
            state: breaker.state(),
            generation: breaker.generation(),
            counts: breaker.counts(),
        });
        listed.collect()
    }

    /// Makes the breakers be those of `config`: new ones are made, those that stay keep state and window under their new
    /// settings, those that are not named any more are taken out.
    pub fn reload(&self, config: &RegistryConfig) {
        self.write().retain(|name, _| config.0.contains_key(name));
        for (name, settings) in &config.0 {
            self.breaker(name, settings.clone());
        }
    }

    /// What all breakers know, for storing.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, BreakerImage> {
        let all = self.all().into_iter();
        all.map(|(name, breaker)| (name, breaker.snapshot())).collect()
    }

    /// Puts breakers in as they were stored, under settings that hold now. A name that is there already is left alone:
    /// what is live knows better.
    pub fn restore(&self, config: &RegistryConfig, images: &BTreeMap<String, BreakerImage>) {
        for (name, settings) in &config.0 {
            let mut breakers = self.write();
            if let (false, Some(image)) = (breakers.contains_key(name), images.get(name)) {
                let breaker = Breaker::restore(settings.clone(), image, self.clock.clone());
                breakers.insert(name.clone(), Arc::new(breaker));
            }
        }
    }

    /// State and counts of all breakers as Prometheus reads them.
    #[must_use]
    pub fn metrics(&self) -> String {
        let listed = self.list();
        let mut text = String::new();
        family(
            &mut text,
            "stead_breaker_state",
            "gauge",
            "1 for the state that the breaker is in",
        );
        for breaker in &listed {
            let (name, state) = (label(&breaker.name), state(breaker.state));
            line(
                &mut text,
                format_args!("stead_breaker_state{{breaker=\"{name}\",state=\"{state}\"}} 1"),
            );
        }
        for (metric, help, count) in COUNTERS {
            family(&mut text, metric, "counter", help);
            for breaker in &listed {
                let (name, count) = (label(&breaker.name), count(breaker));
                line(&mut text, format_args!("{metric}{{breaker=\"{name}\"}} {count}"));
            }
        }
        text
    }

    fn all(&self) -> Vec<(String, Arc<Breaker<C>>)> {
        let breakers = self.read();
        let all = breakers
            .iter()
            .map(|(name, breaker)| (name.clone(), Arc::clone(breaker)));
        all.collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<Breaker<C>>>> {
        self.breakers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<Breaker<C>>>> {
        self.breakers.write().unwrap_or_else(PoisonError::into_inner)
    }
}

type Count = fn(&Listed) -> u64;

const COUNTERS: &[(&str, &str, Count)] = &[
    ("stead_breaker_transitions_total", "changes of state", |breaker| {
        breaker.generation
    }),
    (
        "stead_breaker_rejected_calls_total",
        "calls that were not admitted",
        |breaker| breaker.counts.rejected,
    ),
    (
        "stead_breaker_let_through_calls_total",
        "calls that would not have been admitted were the breaker enforced",
        |breaker| breaker.counts.let_through,
    ),
    (
        "stead_breaker_failed_calls_total",
        "failures that were counted",
        |breaker| breaker.counts.failed,
    ),
    (
        "stead_breaker_slow_calls_total",
        "slow calls that were counted",
        |breaker| breaker.counts.slow,
    ),
    (
        "stead_breaker_ignored_calls_total",
        "calls that say nothing about the service",
        |breaker| breaker.counts.ignored,
    ),
    (
        "stead_breaker_abandoned_calls_total",
        "calls that never reported",
        |breaker| breaker.counts.abandoned,
    ),
    (
        "stead_breaker_late_results_total",
        "results of an earlier state, which changed nothing",
        |breaker| breaker.counts.late,
    ),
    (
        "stead_breaker_unpaid_probes_total",
        "probes that the budget did not pay for",
        |breaker| breaker.counts.not_granted,
    ),
];

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    line(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

fn line(text: &mut String, line: core::fmt::Arguments<'_>) {
    // Writing to a text does not fail.
    let _written = writeln!(text, "{line}");
}

fn label(name: &str) -> String {
    name.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

const fn state(state: CircuitState) -> &'static str {
    match state {
        CircuitState::Closed => "closed",
        CircuitState::Open => "open",
        CircuitState::HalfOpen => "half_open",
        CircuitState::Recovering => "recovering",
        CircuitState::Isolated => "isolated",
        CircuitState::ForcedOpen => "forced_open",
        CircuitState::ForcedClosed => "forced_closed",
        CircuitState::Disabled => "disabled",
    }
}

#[cfg(test)]
mod tests {
    use stead_policy::BreakerConfig;

    use super::*;
    use crate::Virtual;

    fn settings(failure_threshold: u32) -> BreakerSettings {
        let config = BreakerConfig {
            failure_threshold,
            ..BreakerConfig::default()
        };
        config.try_into().expect("valid")
    }

    #[test]
    fn registering_a_name_again_keeps_state_and_window() {
        let registry = Registry::with_clock(Virtual::new());
        let breaker = registry.breaker("model", settings(5));
        breaker.try_acquire().unwrap().failure();
        let again = registry.breaker("model", settings(2));
        assert!(Arc::ptr_eq(&breaker, &again));
        again.try_acquire().unwrap().failure();
        assert_eq!(breaker.state(), CircuitState::Open);
        registry.breaker("model", settings(9));
        assert_eq!(breaker.state(), CircuitState::Open);
    }

    #[test]
    fn asking_for_an_unknown_name_does_not_make_it() {
        let registry = Registry::new();
        assert!(registry.get("nobody").is_none());
        assert_eq!(registry.list(), []);
    }

    #[test]
    fn a_reload_makes_changes_and_takes_out_and_nothing_else() {
        let registry = Registry::with_clock(Virtual::new());
        let kept = registry.breaker("kept", settings(1));
        kept.try_acquire().unwrap().failure();
        registry.breaker("gone", settings(1));
        let config: RegistryConfig = serde_json::from_str(r#"{"kept": {"failure_threshold": 3}, "new": {}}"#).unwrap();
        registry.reload(&config);
        let names: Vec<_> = registry.list().into_iter().map(|listed| listed.name).collect();
        assert_eq!(names, ["kept", "new"]);
        assert!(Arc::ptr_eq(&kept, &registry.get("kept").unwrap()));
        assert_eq!(kept.state(), CircuitState::Open);
        assert_eq!(kept.settings().config().failure_threshold, 3);
    }

    #[test]
    fn a_registry_that_was_stored_comes_back() {
        let config: RegistryConfig = serde_json::from_str(r#"{"one": {"failure_threshold": 1}, "two": {}}"#).unwrap();
        let registry = Registry::with_clock(Virtual::new());
        registry.reload(&config);
        registry.get("one").unwrap().try_acquire().unwrap().failure();
        let text = serde_json::to_string(&registry.snapshot()).unwrap();
        let other = Registry::with_clock(Virtual::new());
        other.restore(&config, &serde_json::from_str(&text).unwrap());
        assert_eq!(other.snapshot(), registry.snapshot());
    }

    #[test]
    fn metrics_tell_state_and_counts_by_name() {
        let registry = Registry::with_clock(Virtual::new());
        let breaker = registry.breaker("a \"quoted\" name", settings(1));
        breaker.try_acquire().unwrap().failure();
        assert!(breaker.try_acquire().is_err());
        let text = registry.metrics();
        for line in [
            r#"stead_breaker_state{breaker="a \"quoted\" name",state="open"} 1"#,
            r#"stead_breaker_rejected_calls_total{breaker="a \"quoted\" name"} 1"#,
            r#"stead_breaker_failed_calls_total{breaker="a \"quoted\" name"} 1"#,
            "# TYPE stead_breaker_rejected_calls_total counter",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
