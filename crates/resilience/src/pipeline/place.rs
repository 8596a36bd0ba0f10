//! What policies are by their types, for the linter.

use super::lint::{Finding, Gravity, PolicyKind, Traits, lint};
use super::{Around, Bare, PipelineRefused, Shared};
use crate::{
    AdaptiveBulkhead, Breaker, Bulkhead, ChaosError, ChaosLatency, ChaosOutcome, Clock, Fallback, Hedge, Judged,
    Limiter, Pipeline, Priced, Retry, StaleAt, Timeout, replay,
};

/// A [`Layer`](crate::Layer) of which the linter knows what it does.
///
/// One's own need say nothing: then they are [`PolicyKind::Other`], which the linter does not judge.
pub trait Placed {
    /// What it does, or what it consists of.
    const PLACES: Places = Places::One(PolicyKind::Other);
}

/// The policies of a layer.
#[derive(Clone, Copy, Debug)]
pub enum Places {
    /// None.
    Bare,
    /// Itself.
    One(PolicyKind),
    /// Those of the first one around those of the second.
    Around(&'static Self, &'static Self),
}

impl Places {
    /// Their kinds, the outermost first.
    #[must_use]
    pub fn order(&self) -> Vec<PolicyKind> {
        match self {
            Self::Bare => Vec::new(),
            Self::One(kind) => vec![*kind],
            Self::Around(outer, inner) => [outer.order(), inner.order()].concat(),
        }
    }
}

impl<L: Placed> Pipeline<L> {
    /// What the linter has to say of the order, as it does of one from configuration. Places count from 0, the outermost first.
    #[must_use]
    pub fn findings(&self, operation: Traits) -> Vec<Finding> {
        lint(&L::PLACES.order(), operation)
    }

    /// This pipeline, unless its order cannot work as meant: what is refused in configuration is refused here.
    ///
    /// # Errors
    ///
    /// [`PipelineRefused::Order`]: which two policies, what happens, and what to do.
    ///
    /// # Examples
    ///
    /// ```
    /// use stead_resilience::{Pipeline, Retry, RetryConfig, Traits};
    ///
    /// # fn main() -> Result<(), stead_resilience::InvalidSetting> {
    /// let retry = || Retry::new(RetryConfig::default());
    /// let twice = Pipeline::new().with(retry()?).with(retry()?);
    /// let refused = twice.checked(Traits::Idempotent).unwrap_err();
    /// assert!(refused.to_string().contains("tries multiply"));
    /// # Ok(()) }
    /// ```
    pub fn checked(self, operation: Traits) -> Result<Self, PipelineRefused> {
        let findings = self.findings(operation);
        let refused = findings.into_iter().find(|finding| finding.gravity == Gravity::Refused);
        refused.map_or(Ok(self), |finding| Err(PipelineRefused::Order(finding)))
    }
}

impl<L: Placed> Placed for Pipeline<L> {
    const PLACES: Places = L::PLACES;
}

impl Placed for Bare {
    const PLACES: Places = Places::Bare;
}

impl<O: Placed, I: Placed> Placed for Around<O, I> {
    const PLACES: Places = Places::Around(&O::PLACES, &I::PLACES);
}

impl<L: Placed> Placed for &L {
    const PLACES: Places = L::PLACES;
}

impl<L: Placed> Placed for Shared<L> {
    const PLACES: Places = L::PLACES;
}

impl<T, E, K> Placed for Fallback<T, E, K> {
    const PLACES: Places = Places::One(PolicyKind::Fallback);
}

impl<Q, T, C, K> Placed for StaleAt<'_, Q, T, C, K> {
    const PLACES: Places = Places::One(PolicyKind::Cache);
}

impl<C: Clock> Placed for Timeout<C> {
    const PLACES: Places = Places::One(PolicyKind::Timeout);
}

impl<C: Clock, K> Placed for Retry<C, K> {
    const PLACES: Places = Places::One(PolicyKind::Retry);
}

impl<C: Clock, K> Placed for Hedge<C, K> {
    const PLACES: Places = Places::One(PolicyKind::Hedge);
}

impl<C: Clock> Placed for Breaker<C> {
    const PLACES: Places = Places::One(PolicyKind::Breaker);
}

impl<B, K> Placed for Judged<B, K> {
    const PLACES: Places = Places::One(PolicyKind::Breaker);
}

impl<C: Clock, K> Placed for Limiter<C, K> {
    const PLACES: Places = Places::One(PolicyKind::Limiter);
}

impl<L, P> Placed for Priced<L, P> {
    const PLACES: Places = Places::One(PolicyKind::Limiter);
}

impl<C: Clock> Placed for Bulkhead<C> {
    const PLACES: Places = Places::One(PolicyKind::Bulkhead);
}

impl<C: Clock, K> Placed for AdaptiveBulkhead<C, K> {
    const PLACES: Places = Places::One(PolicyKind::Bulkhead);
}

impl<C: Clock> Placed for ChaosLatency<C> {}

impl<G> Placed for ChaosError<G> {}

impl<G> Placed for ChaosOutcome<G> {}

impl<C: Clock, K> Placed for replay::Recorder<C, K> {}
