//! What a program hands to a pipeline from configuration, as it cannot be written there.

use core::fmt;
use std::sync::Arc;

use super::config::{PipelineRefused, PolicyConfig};
use super::stand_in::{Nobody, StandIn, StandIns};
use crate::{AnyError, Budget};

/// What counts as a failure, a budget, fallbacks and caches.
///
/// | as set up | default |
/// |---|---|
/// | classifier | every error is a failure, and none says when to come back |
/// | budget | none: tries are limited by their number alone |
/// | stand-ins | none: a configuration that names one is refused |
///
/// # Examples
///
/// ```
/// use stead_resilience::{Budget, BudgetConfig, Coarse, NamedPipeline, Parts, PipelineConfig, Verdict};
/// use std::sync::Arc;
///
/// let config: PipelineConfig = serde_json::from_str(r#"{"policies": [{"kind": "retry"}, {"kind": "breaker"}]}"#)?;
/// let judge = |result: &Result<String, u16>| match result {
///     Ok(_) => Verdict::Success,
///     Err(401 | 403) => Verdict::Terminal,
///     Err(_) => Verdict::FAILURE,
/// };
/// let budget = Arc::new(Budget::new(BudgetConfig::default())?);
/// let parts = Parts::new().judged_by(judge).with_budget(budget);
/// let pipeline = NamedPipeline::build_with(config, &Coarse, parts)?;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Parts<K = AnyError, H = ()> {
    pub(super) classifier: K,
    pub(super) budget: Option<Arc<Budget>>,
    pub(super) stand_ins: H,
}

impl Parts {
    /// Nothing handed in.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            classifier: AnyError,
            budget: None,
            stand_ins: (),
        }
    }
}

impl Default for Parts {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, H> Parts<K, H> {
    /// Has retries, hedges, breakers and limiters judge by `classifier`; fallbacks and caches have their own.
    #[must_use]
    pub fn judged_by<J>(self, classifier: J) -> Parts<J, H> {
        Parts {
            classifier,
            budget: self.budget,
            stand_ins: self.stand_ins,
        }
    }

    /// Has retries, hedges and the probes of breakers share `budget`; fallbacks share theirs as they were made.
    #[must_use]
    pub fn with_budget(mut self, budget: Arc<Budget>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Hands in fallbacks and caches by name.
    #[must_use]
    pub fn with_stand_ins<T, E>(self, stand_ins: StandIns<T, E>) -> Parts<K, StandIns<T, E>> {
        Parts {
            classifier: self.classifier,
            budget: self.budget,
            stand_ins,
        }
    }
}

/// Who finds fallbacks and caches: [`StandIns`], or `()`, who knows none.
pub trait HandedIn {
    /// What it finds.
    type StandIn;

    /// Finds what `policy` names.
    ///
    /// # Errors
    ///
    /// Nothing of its kind has that name.
    #[doc(hidden)]
    fn find(&self, place: usize, policy: &PolicyConfig) -> Result<Self::StandIn, PipelineRefused>;
}

impl HandedIn for () {
    type StandIn = Nobody;

    fn find(&self, place: usize, policy: &PolicyConfig) -> Result<Nobody, PipelineRefused> {
        Err(unknown(place, policy, Vec::new()))
    }
}

impl<T, E> HandedIn for StandIns<T, E> {
    type StandIn = StandIn<T, E>;

    fn find(&self, place: usize, policy: &PolicyConfig) -> Result<StandIn<T, E>, PipelineRefused> {
        let kind = policy.kind();
        let found = policy.stand_in().and_then(|name| self.named(kind, name));
        found.ok_or_else(|| unknown(place, policy, self.names(kind)))
    }
}

fn unknown(place: usize, policy: &PolicyConfig, known: Vec<String>) -> PipelineRefused {
    PipelineRefused::Unknown {
        place,
        kind: policy.kind(),
        name: policy.stand_in().unwrap_or_default().to_owned(),
        known,
    }
}

impl<K, H> fmt::Debug for Parts<K, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
