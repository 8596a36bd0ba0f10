//! What an agent says of itself, and what others saw of it.

use alloc::string::String;
use core::time::Duration;

use stead_model::{Driver, Health, Reason, Report, Role};

use super::serves;
use crate::record::{Record, Timer};
use crate::step::{Step, Why};

/// How long an agent that nothing runs may be silent.
pub(crate) const SILENCE: Duration = Duration::from_secs(15);

/// How long an agent may stay in error while it lives, before it is ended.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes in an agent's report about itself.
pub(crate) fn reported(step: &mut Step, record: &mut Record, report: Report) {
    if report
        .incarnation
        .is_some_and(|incarnation| incarnation != record.row.incarnation)
    {
        return;
    }
    let claim = report.health.unwrap_or(Health::Unknown);
    let said = report
        .detail
        .unwrap_or_else(|| alloc::format!("it reports itself {claim}"));
    let repeated = record
        .row
        .evidence
        .iter()
        .any(|known| known.kind == "report" && known.detail == said);
    step.evidence(record, "report", "agent", said.clone());
    if !repeated {
        step.touch();
    }
    if record.spec.driver == Driver::None
        && (record.role().serves() || matches!(record.role(), Role::Starting | Role::Restarting | Role::Error))
    {
        record.set_timer(Timer::Silence, Some(step.now.moment.after(SILENCE)));
        serves(step, record, Reason::ReadinessComplete, "it reports");
    }
    claimed(step, record, claim, &said);
}

/// A claim can worsen health; it clears only what a claim had worsened.
fn claimed(step: &mut Step, record: &mut Record, claim: Health, said: &str) {
    if !record.role().serves() {
        return;
    }
    match claim {
        Health::Degraded | Health::Critical | Health::Failed => {
            if claim > record.row.health || record.worsened_by_claim {
                record.worsened_by_claim = true;
                step.health(record, claim, said);
            }
        }
        Health::Healthy if record.worsened_by_claim => {
            record.worsened_by_claim = false;
            step.health(record, Health::Healthy, said);
        }
        Health::Healthy | Health::Unknown | Health::Recovering => {}
    }
}

/// Somebody saw an error of it: it is in error until there is evidence that it serves, or until it is ended.
pub(crate) fn error_reported(step: &mut Step, record: &mut Record, detail: String) {
    step.evidence(record, "error", "report", detail.clone());
    step.touch();
    if record.role().serves() && step.hop(record, Role::Error, Why::new(Reason::InternalError, detail.clone())) {
        step.health(record, Health::Critical, &detail);
        if record.has_instance() {
            record.set_timer(Timer::Deadline, Some(step.now.moment.after(PATIENCE)));
        }
    }
}
