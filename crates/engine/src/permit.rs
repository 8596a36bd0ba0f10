//! Transition policies against what a request is about to lead to.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use stead_model::profile::policy::{LONGEST_RATE, MOST_PER_RATE, RateSpec, TransitionPolicy};
use stead_model::{Moment, Origin, Refusal, Span, Transition};

use crate::record::Record;

/// For how long requests are remembered; no rate's period is longer.
pub(crate) const HORIZON: Duration = LONGEST_RATE;

/// The policies in force.
#[derive(Debug, Clone)]
pub(crate) struct Policies(Arc<[TransitionPolicy]>);

impl Policies {
    pub(crate) fn new(policies: Vec<TransitionPolicy>) -> Self {
        Self(policies.into())
    }

    /// Those that bind an agent.
    fn of<'p>(&'p self, record: &'p Record) -> impl Iterator<Item = &'p TransitionPolicy> {
        self.0
            .iter()
            .filter(|policy| policy.binds(&record.row.profile, &record.spec.kind))
    }

    /// Whether any binds an agent.
    pub(crate) fn bind(&self, record: &Record) -> bool {
        self.of(record).next().is_some()
    }

    /// Judges what a request led to, before anything of it is kept. `before` is the agent as it was.
    pub(crate) fn permit(
        &self,
        before: &Record,
        led_to: &[Transition],
        origin: &Origin,
        reason: Option<&str>,
        now: Moment,
    ) -> Result<(), Refusal> {
        for policy in self.of(before) {
            let covered = led_to.iter().find(|row| policy.covers(&row.from, &row.to));
            let Some(row) = covered else { continue };
            let refuse = |why: String| Refusal::Policy {
                policy: policy.name.clone(),
                edge: format!("{} -> {}", row.from, row.to),
                why,
            };
            let spec = &policy.spec;
            if spec.require_reason && reason.is_none_or(|reason| reason.trim().is_empty()) {
                return Err(refuse("a reason must be given".into()));
            }
            if let Some(least) = spec.require_role.filter(|least| origin.role < *least) {
                return Err(refuse(format!(
                    "it needs the role {least}, {} has {}",
                    origin.actor, origin.role
                )));
            }
            if !spec.require_health.is_empty() && !spec.require_health.contains(&before.health()) {
                let wanted: BTreeSet<&str> = spec.require_health.iter().map(|health| health.as_str()).collect();
                let wanted: Vec<&str> = wanted.into_iter().collect();
                return Err(refuse(format!(
                    "its health must be {}, and is {}",
                    wanted.join(" or "),
                    before.health()
                )));
            }
            if let Some(rate) = spec.rate_limit
                && let Some(retry_after) = before.asked.spent(rate, now)
            {
                return Err(Refusal::RateLimited {
                    policy: policy.name.clone(),
                    max: rate.max,
                    per: rate.per,
                    retry_after: Span(retry_after),
                });
            }
        }
        Ok(())
    }

    /// Whether requests to an agent must be remembered.
    pub(crate) fn count(&self, record: &Record) -> bool {
        self.of(record).any(|policy| policy.spec.rate_limit.is_some())
    }
}

/// The requests that moved an agent lately, as the moments at which they are forgotten, the oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Asked(pub(crate) Vec<Moment>);

impl Asked {
    pub(crate) fn note(&mut self, now: Moment) {
        self.0.retain(|due| *due > now);
        if self.0.len() >= MOST_PER_RATE as usize {
            self.0.remove(0);
        }
        self.0.push(now.after(HORIZON));
    }

    /// If a rate is spent: how long until it permits one more.
    fn spent(&self, rate: RateSpec, now: Moment) -> Option<Duration> {
        let period = rate.per.0.min(HORIZON);
        // How long each still counts within the period.
        let left = |due: &Moment| due.since(now).checked_sub(HORIZON.saturating_sub(period));
        let mut counted: Vec<Duration> = self.0.iter().filter_map(left).filter(|left| !left.is_zero()).collect();
        counted.sort_unstable();
        let max = usize::try_from(rate.max).unwrap_or(usize::MAX);
        let over = counted.len().checked_sub(max)?;
        counted.get(over).copied()
    }
}
