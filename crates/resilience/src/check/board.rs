//! The checks of one checker, and the last report on them.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::HealthReport;
use super::run::Check;
use crate::{Clock, Moment, Watch};

/// The checks of one checker, by name.
pub(super) struct Board<C: Clock> {
    pub(super) clock: C,
    checks: RwLock<Vec<Arc<Check<C>>>>,
    latest: watch::Sender<Arc<HealthReport>>,
}

impl<C: Clock> Board<C> {
    pub(super) fn new(clock: C) -> Self {
        Self {
            clock,
            checks: RwLock::default(),
            latest: watch::Sender::new(Arc::new(HealthReport::of(Vec::new()))),
        }
    }

    /// Puts the check in its place; false where its name is taken.
    pub(super) fn add(&self, check: Arc<Check<C>>) -> bool {
        let mut checks = self.checks.write().unwrap_or_else(PoisonError::into_inner);
        match checks.binary_search_by(|other| other.name.cmp(&check.name)) {
            Ok(_) => false,
            Err(place) => {
                checks.insert(place, check);
                true
            }
        }
    }

    pub(super) fn remove(&self, name: &str) -> bool {
        let mut checks = self.checks.write().unwrap_or_else(PoisonError::into_inner);
        let before = checks.len();
        checks.retain(|check| &*check.name != name);
        checks.len() < before
    }

    pub(super) fn checks(&self) -> Vec<Arc<Check<C>>> {
        self.checks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<Check<C>>> {
        let checks = self.checks.read().unwrap_or_else(PoisonError::into_inner);
        checks.iter().find(|check| &*check.name == name).cloned()
    }

    pub(super) fn report(&self) -> HealthReport {
        let now = self.clock.now();
        HealthReport::of(self.checks().iter().map(|check| check.report(now)).collect())
    }

    /// Tells watchers how things stand.
    pub(super) fn publish(&self) -> Arc<HealthReport> {
        let report = Arc::new(self.report());
        self.latest.send_replace(Arc::clone(&report));
        report
    }

    pub(super) fn watch(&self) -> Watch<Arc<HealthReport>> {
        Watch::new(self.latest.subscribe())
    }

    /// Runs one check once per its interval until it is removed. A run that took longer than the interval is followed by the
    /// next at once, not by all that were missed.
    pub(super) async fn rounds_of(self: Arc<Self>, check: Arc<Check<C>>) {
        while self
            .find(&check.name)
            .is_some_and(|listed| Arc::ptr_eq(&listed, &check))
        {
            let next: Moment = self.clock.now().after(check.config.interval);
            check.begin().ended().await;
            self.publish();
            self.clock.sleep_until(next).await;
        }
    }
}
