//! What there is to give up, and what depends on what.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Name, Rule, When};
use crate::Criticality;

/// Something that users get.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Feature {
    /// The components without which it does not work.
    pub requires: Vec<Name>,
    /// How much users depend on it: the least important features are given up first.
    pub importance: Criticality,
    /// The feature that does instead while this one is off; it may have one itself.
    pub fallback: Option<Name>,
    /// What it counts for in the impact. `None`: as its importance weighs (1, 2, 4 or 8).
    pub weight: Option<u32>,
}

impl Feature {
    /// A feature that requires nothing.
    #[must_use]
    pub const fn of(importance: Criticality) -> Self {
        Self {
            requires: Vec::new(),
            importance,
            fallback: None,
            weight: None,
        }
    }

    /// The same, requiring `component` too.
    #[must_use]
    pub fn requiring(mut self, component: impl Into<Name>) -> Self {
        self.requires.push(component.into());
        self
    }

    /// The same, with `feature` to do instead.
    #[must_use]
    pub fn or(mut self, feature: impl Into<Name>) -> Self {
        self.fallback = Some(feature.into());
        self
    }

    /// What it counts for in the impact.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight.unwrap_or_else(|| self.importance.weight())
    }
}

/// For how long a cause must have been gone before it counts as gone. It counts as there at once.
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `components` | none | features flap with a component that flaps | users wait for what works again |
/// | `load` | 30 s | giving up lowers the load, taking back raises it, and so on | as `components` |
/// | `margin` | 0.05 | load around a threshold switches at every sample | load never gets so low |
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Calm {
    /// For how long a component must be up. None by default: breakers and health checks have a calm of their own.
    pub components: Duration,
    /// For how long the load must be below a threshold, less the margin.
    pub load: Duration,
    /// By how much.
    pub margin: f64,
}

impl Default for Calm {
    fn default() -> Self {
        Self {
            components: Duration::ZERO,
            load: Duration::from_secs(30),
            margin: 0.05,
        }
    }
}

/// What there is to give up, and what depends on what.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// What features depend on, and how much hangs on each.
    pub components: BTreeMap<Name, Criticality>,
    /// What users get.
    pub features: BTreeMap<Name, Feature>,
    /// What follows from what; [`Rule::defaults`] by default.
    pub rules: Vec<Rule>,
    /// How fast things count as well again.
    pub calm: Calm,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            components: BTreeMap::new(),
            features: BTreeMap::new(),
            rules: Rule::defaults(),
            calm: Calm::default(),
        }
    }
}

impl Plan {
    /// The same with one more component.
    #[must_use]
    pub fn component(mut self, name: impl Into<Name>, criticality: Criticality) -> Self {
        self.components.insert(name.into(), criticality);
        self
    }

    /// The same with one more feature.
    #[must_use]
    pub fn feature(mut self, name: impl Into<Name>, feature: Feature) -> Self {
        self.features.insert(name.into(), feature);
        self
    }

    /// The same with one more rule.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// A feature, what does instead of it, what does instead of that, and so on.
    pub fn chain<'a>(&'a self, feature: &'a str) -> impl Iterator<Item = &'a Name> {
        let named = |name: &str| self.features.get_key_value(name);
        let next = move |(_, what): &(&'a Name, &'a Feature)| what.fallback.as_deref().and_then(named);
        core::iter::successors(named(feature), next).map(|(name, _)| name)
    }

    pub(super) fn validate(&self) -> Result<(), PlanRefused> {
        for (feature, what) in &self.features {
            if what
                .fallback
                .as_ref()
                .is_some_and(|other| !self.features.contains_key(other))
            {
                return Err(PlanRefused::NoFallback(feature.clone()));
            }
            // A chain that is longer than there are features comes back to one of them.
            if self.chain(feature).take(self.features.len() + 1).count() > self.features.len() {
                return Err(PlanRefused::Circle(feature.clone()));
            }
            if let Some(component) = self.missing(&what.requires) {
                let feature = feature.clone();
                return Err(PlanRefused::FeatureNeeds { feature, component });
            }
        }
        if !(0.0..1.0).contains(&self.calm.margin) {
            return Err(PlanRefused::Margin(self.calm.margin));
        }
        self.rules.iter().try_for_each(|rule| self.validate_rule(rule))
    }

    fn validate_rule(&self, rule: &Rule) -> Result<(), PlanRefused> {
        let name = || rule.name.clone();
        let unknown = rule
            .disable
            .iter()
            .find(|feature| !self.features.contains_key(*feature));
        if let Some(feature) = unknown {
            let feature = feature.clone();
            return Err(PlanRefused::RuleDisables { rule: name(), feature });
        }
        match &rule.when {
            When::AllDown(components) => {
                if let Some(component) = self.missing(components) {
                    return Err(PlanRefused::RuleNeeds {
                        rule: name(),
                        component,
                    });
                }
                if components.is_empty() {
                    return Err(PlanRefused::Always(name()));
                }
            }
            When::Down { count: 0, .. } => return Err(PlanRefused::Always(name())),
            When::CpuOver(share) | When::MemoryOver(share) => {
                if !(*share > 0.0 && *share < 1.0) {
                    return Err(PlanRefused::Share {
                        rule: name(),
                        share: *share,
                    });
                }
            }
            When::Down { .. } | When::AnyDown => {}
        }
        Ok(())
    }

    fn missing(&self, components: &[Name]) -> Option<Name> {
        let unknown = |component: &&Name| !self.components.contains_key(*component);
        components.iter().find(unknown).cloned()
    }
}

/// A plan that makes no sense. Nothing was built from it.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum PlanRefused {
    /// A feature needs what is not there.
    #[error("feature {feature:?} requires component {component:?}, which the plan does not have")]
    FeatureNeeds {
        /// The feature.
        feature: Name,
        /// What it needs.
        component: Name,
    },
    /// What is to do instead of a feature is not there.
    #[error("the fallback of feature {0:?} is a feature that the plan does not have")]
    NoFallback(Name),
    /// Features that are to do instead of each other.
    #[error("the fallbacks of feature {0:?} go in a circle")]
    Circle(Name),
    /// A rule waits for what is not there.
    #[error("rule {rule:?} is about component {component:?}, which the plan does not have")]
    RuleNeeds {
        /// The rule.
        rule: Name,
        /// What it waits for.
        component: Name,
    },
    /// A rule turns off what is not there.
    #[error("rule {rule:?} disables feature {feature:?}, which the plan does not have")]
    RuleDisables {
        /// The rule.
        rule: Name,
        /// What it turns off.
        feature: Name,
    },
    /// A rule would apply always.
    #[error("rule {0:?} would always apply: name a component, or a count of at least one")]
    Always(Name),
    /// A threshold that load cannot be over, or always is.
    #[error("rule {rule:?}: threshold {share} is not a share between 0 and 1")]
    Share {
        /// The rule.
        rule: Name,
        /// The threshold.
        share: f64,
    },
    /// A margin that load could not get below.
    #[error("calm margin {0} is not a share from 0 up to 1")]
    Margin(f64),
}
