//! What an agent says of itself, and what others saw of it.

use alloc::string::String;
use core::time::Duration;

use stead_model::{Health, Reason, Report, Role, Wanted};

use super::serves;
use crate::abstain;
use crate::cause;
use crate::pack::SIGN_OF_LIFE;
use crate::plan;
use crate::record::{Record, Timer};
use crate::step::{Step, Why};
use crate::storm;

/// How long an agent that nothing runs is waited for once the node is back.
pub(crate) const SILENCE: Duration = Duration::from_secs(15);

/// How long an agent may stay in error while it lives, before it is ended.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes in an agent's report about itself.
pub(crate) fn reported(step: &mut Step, record: &mut Record, report: Report) {
    let claim = report.health.unwrap_or(Health::Unknown);
    // A bare sign of life says nothing new: what it said last stands.
    let last = record.row.evidence.iter().find(|known| known.kind == "report");
    let said = match (report.detail, report.health, last) {
        (Some(detail), _, _) => detail,
        (None, Some(claim), _) => alloc::format!("it reports itself {claim}"),
        (None, None, Some(last)) => last.detail.clone(),
        (None, None, None) => SIGN_OF_LIFE.into(),
    };
    let repeated = record
        .row
        .evidence
        .iter()
        .any(|known| known.kind == "report" && known.detail == said);
    step.evidence(record, "report", "agent", said.clone());
    if !repeated {
        step.touch();
    }
    // A claim can worsen health; a better one clears only what a claim had worsened.
    match claim {
        Health::Degraded | Health::Critical | Health::Failed => step.claim(record, Some(claim), &said),
        Health::Healthy => step.claim(record, None, &said),
        Health::Unknown | Health::Recovering => {}
    }
}

/// A sign of life of an agent that nothing runs.
pub(crate) fn heard(step: &mut Step, record: &mut Record) {
    let comes = plan::awaits_report(record.role()) && plan::wanted(record) == Wanted::Running;
    if comes && matches!(record.role(), Role::Failed | Role::TimedOut) {
        plan::come_back(step, record);
    }
    let changes = matches!(record.role(), Role::Updating | Role::Scaling);
    if comes || changes || record.role().is_up() {
        serves(step, record, Reason::ReadinessComplete, "it reports");
    }
    record.heard |= record.role().is_up();
}

/// Somebody saw an error of it: it is in error until there is evidence that it serves, or until it is ended.
pub(crate) fn error_reported(step: &mut Step, record: &mut Record, detail: String) {
    step.evidence(record, "error", "report", detail.clone());
    step.touch();
    if storm::shelter(step, record, &detail) {
        return;
    }
    cause::note_reason(step, record, Reason::InternalError, &detail);
    if abstain::up(step, record, &detail) {
        return;
    }
    if record.role().serves() && step.hop(record, Role::Error, Why::new(Reason::InternalError, detail.clone())) {
        step.health(record, Health::Critical, &detail);
        if record.has_instance() {
            record.set_timer(Timer::Deadline, Some(step.now.moment.after(PATIENCE)));
        } else {
            // No end will follow that has it planned.
            plan::plan(step, record);
        }
    }
}
