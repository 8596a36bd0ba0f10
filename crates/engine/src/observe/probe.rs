//! Results of probes, counted as Kubernetes does.

use alloc::format;
use alloc::string::String;

use stead_model::spec::{ProbeKind, ReadinessSource};
use stead_model::{Condition, Health, Reason, Role, Wanted};

use super::{ill, serves};
use crate::plan;
use crate::record::Record;
use crate::recovery;
use crate::step::{Step, Why};

/// Takes in one result.
pub(crate) fn probed(step: &mut Step, record: &mut Record, kind: ProbeKind, result: Result<(), String>) {
    let Some(probe) = record.spec.probes.get(kind) else {
        return;
    };
    let threshold = if result.is_ok() {
        probe.success_threshold
    } else {
        probe.failure_threshold
    };
    let failures = probe.failure_threshold;
    let counted = record.count_probe(kind, result.is_ok());
    let said = match &result {
        Ok(()) => format!("{kind} probe succeeded"),
        Err(detail) if counted > failures => format!("{kind} probe still fails: {detail}"),
        Err(detail) => format!("{kind} probe failed ({counted} of {failures}): {detail}"),
    };
    step.evidence(record, evidence_kind(kind), "prober", said.clone());
    if counted < threshold || record.ending() {
        return;
    }
    let waits_for_readiness = record.spec.probes.readiness.is_some();
    if record.process().is_none() {
        outside(step, record, kind, result.is_ok(), &said);
        return;
    }
    let up = record.role().serves() || record.spec.readiness() == ReadinessSource::Probe;
    match (kind, result.is_ok()) {
        (ProbeKind::Startup, true) if waits_for_readiness => {}
        // One that says READY=1 itself has not come up before it did.
        (ProbeKind::Startup | ProbeKind::Readiness, true) if !up => {}
        (ProbeKind::Startup | ProbeKind::Readiness, true) => {
            serves(step, record, Reason::ReadinessComplete, &said);
            if record.role().serves() {
                step.health(record, Health::Healthy, &said);
                recovery::look(step, record, &said);
            }
        }
        (ProbeKind::Startup, false) => ill(step, record, Reason::InitializationError, &said),
        (ProbeKind::Readiness, false) => {
            if record.role().serves() {
                step.ready(record, false, &said);
                step.health(record, Health::Degraded, &said);
            }
        }
        (ProbeKind::Liveness, true) => {
            let doubtful = matches!(
                record.row.health,
                Health::Unknown | Health::Recovering | Health::Critical
            );
            if record.role().serves() && !waits_for_readiness {
                if doubtful {
                    step.ready(record, true, &said);
                    step.health(record, Health::Healthy, &said);
                }
                step.clear(record, Condition::Unverified);
            }
        }
        // Of one that is held; see `clear`.
        (ProbeKind::Clear, _) => {}
        (ProbeKind::Liveness, false) => ill(step, record, Reason::Deadlock, &said),
    }
}

/// Takes in what a probe found of one that nothing here runs: there is nothing to end, and it may come back by itself.
fn outside(step: &mut Step, record: &mut Record, kind: ProbeKind, good: bool, said: &str) {
    let waits_for_readiness = record.spec.probes.readiness.is_some();
    match (kind, good) {
        (ProbeKind::Startup | ProbeKind::Liveness, true) if waits_for_readiness => {}
        (ProbeKind::Startup | ProbeKind::Liveness | ProbeKind::Readiness, true) => found_up(step, record, said),
        (ProbeKind::Readiness, false) => {
            if record.role().serves() {
                step.ready(record, false, said);
                step.health(record, Health::Degraded, said);
            }
        }
        (ProbeKind::Startup | ProbeKind::Liveness, false) => found_down(step, record, said),
        (ProbeKind::Clear, _) => {}
    }
}

/// Whether its liveness probe says that it is not there, which no other probe can outdo.
fn is_lost(record: &Record) -> bool {
    let failures = record.probes[ProbeKind::Liveness as usize].min(0).unsigned_abs();
    let liveness = record.spec.probes.liveness.as_ref();
    liveness.is_some_and(|probe| failures >= probe.failure_threshold)
}

fn found_up(step: &mut Step, record: &mut Record, said: &str) {
    if is_lost(record) {
        return;
    }
    let comes = plan::awaits_report(record.role()) && plan::wanted(record) == Wanted::Running;
    if comes && matches!(record.role(), Role::Failed | Role::TimedOut) {
        plan::found_again(step, record, said);
    }
    if comes || record.role().is_up() {
        serves(step, record, Reason::ReadinessComplete, said);
    }
}

fn found_down(step: &mut Step, record: &mut Record, said: &str) {
    let down = match record.role() {
        Role::Ready | Role::Busy | Role::Idle | Role::Impaired | Role::Updating | Role::Scaling => Role::Error,
        Role::Starting | Role::Restarting => Role::Failed,
        Role::Maintenance | Role::Suspended => {
            plan::go_down(step, record, &Why::new(Reason::CommunicationFailure, said));
            step.health(record, Health::Failed, said);
            return;
        }
        Role::Initial
        | Role::Preparing
        | Role::Prepared
        | Role::Stopping
        | Role::Error
        | Role::Failed
        | Role::TimedOut
        | Role::Offline
        | Role::Retired
        | Role::Gone => return,
    };
    step.hop(record, down, Why::new(Reason::CommunicationFailure, said));
    step.health(record, Health::Failed, said);
    plan::plan(step, record);
}

const fn evidence_kind(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Startup => "probe.startup",
        ProbeKind::Liveness => "probe.liveness",
        ProbeKind::Readiness => "probe.readiness",
        ProbeKind::Clear => "probe.clear",
    }
}
