//! The end of an instance.

use alloc::format;
use alloc::string::{String, ToString};

use stead_model::journal::{Block, BlockKind, ExitRow};
use stead_model::spec::ReadinessSource;
use stead_model::{Exit, Health, Reason, Role, Wanted};

use crate::cause;
use crate::plan::{self, Verdict, plan};
use crate::record::{Record, Timer};
use crate::step::{Step, Why};

/// Takes in the end of the current instance.
pub(crate) fn exited(step: &mut Step, record: &mut Record, exit: Exit, swept: u32) {
    let Some(instance) = record.row.instance.take() else {
        return;
    };
    step.touch();
    record.row.frozen = false;
    record.row.last_exit = Some(ExitRow {
        incarnation: instance.incarnation,
        exit,
        at: step.now.wall,
    });
    if let (Exit::Unknown, Some(member)) = (exit, &mut record.row.member) {
        // It may have been the end of the whole machine; no revision is judged by that.
        member.restarts = member.restarts.saturating_add(1);
    }
    let told = describe(exit, swept, record.row.tasks.len(), instance.ending);
    record.row.tasks.clear();
    step.claim(record, None, "it ended");
    for timer in [Timer::Kill, Timer::Settle, Timer::Silence] {
        record.set_timer(timer, None);
    }
    Step::forget_evidence(record, &[]);
    step.evidence(record, "exit", "keeper", told.clone());
    if !instance.ending && !exit.success() {
        let cause = cause::of_exit(exit, &record.spec.restart.final_exit_codes);
        cause::note(step, record, cause, &told);
    }
    if !instance.ending {
        record.row.correlation_id.clone_from(&step.origin.correlation_id);
    }
    let why = Why::new(reason_of(exit), told)
        .with("exit", exit.to_string())
        .with("swept", swept);
    let again = plan::wanted(record) == Wanted::Running;
    match record.role() {
        Role::Updating if instance.ending && again => replaced(step, record, why),
        Role::Ready | Role::Busy | Role::Idle | Role::Impaired | Role::Updating | Role::Scaling => {
            crashed(step, record, exit, why);
        }
        Role::Starting | Role::Restarting if again && !instance.ending => ended_early(step, record, exit, why),
        // It was ended on somebody's word while it came up, or nobody wants it to serve any more: no failure.
        Role::Starting | Role::Restarting => {
            let reason = if instance.ending { Reason::Request } else { why.reason };
            let why = Why { reason, ..why };
            while plan::go_down(step, record, &why) {}
            step.health(record, Health::Unknown, "it is down");
        }
        Role::Error | Role::Failed | Role::TimedOut => {
            // It was ended because it failed; its policy says what follows.
            if again {
                let verdict = plan::judge(record, if exit.success() { Exit::Unknown } else { exit });
                settle(step, record, verdict);
                if record.role() == Role::Error {
                    let at_once = plan::obstacle(step.surveyed, record).is_none();
                    step.hop(record, Role::Failed, if at_once { why.via() } else { why });
                }
            }
        }
        Role::Maintenance | Role::Suspended => {
            let reason = if instance.ending { Reason::Request } else { why.reason };
            step.hop(record, Role::Offline, Why { reason, ..why });
            step.health(record, Health::Unknown, "it is down");
        }
        Role::Initial
        | Role::Preparing
        | Role::Prepared
        | Role::Stopping
        | Role::Offline
        | Role::Retired
        | Role::Gone => {
            step.health(record, Health::Unknown, "it is down");
        }
    }
    plan(step, record);
}

/// It was ended on account of an update: the next one is started in its place, at once where nothing stands against it.
fn replaced(step: &mut Step, record: &mut Record, why: Why) {
    if plan::obstacle(step.surveyed, record).is_none() {
        plan::launch(step, record, false);
    } else {
        let why = Why {
            reason: Reason::ConfigUpdate,
            ..why
        };
        if !step.hop(record, Role::Failed, why.clone()) {
            while plan::go_down(step, record, &why) {}
        }
        step.health(record, Health::Unknown, "it is between two processes");
    }
}

/// It ended while it came up, unasked.
fn ended_early(step: &mut Step, record: &mut Record, exit: Exit, why: Why) {
    match plan::judge(record, exit) {
        Verdict::Stay(block) if block.kind == BlockKind::Completed => {
            if record.spec.readiness() == ReadinessSource::Spawn {
                // That it ended tells that it had been started, which is all that was to be seen of it.
                step.hop(record, Role::Ready, why.clone().via());
            }
            completed(step, record, why, block);
        }
        verdict @ (Verdict::Again | Verdict::Stay(_)) => {
            step.health(record, Health::Failed, &why.description);
            settle(step, record, verdict);
            let at_once = plan::obstacle(step.surveyed, record).is_none();
            step.hop(record, Role::Failed, if at_once { why.via() } else { why });
        }
    }
}

/// It ended with success and is not wanted again.
fn completed(step: &mut Step, record: &mut Record, why: Why, block: Block) {
    let why = Why {
        reason: Reason::Completed,
        ..why
    };
    while plan::go_down(step, record, &why) {}
    step.health(record, Health::Unknown, "its work is done");
    plan::block(step, record, block);
}

/// It ended while it served, unasked.
fn crashed(step: &mut Step, record: &mut Record, exit: Exit, why: Why) {
    let verdict = if plan::wanted(record) == Wanted::Running {
        plan::judge(record, exit)
    } else {
        Verdict::Again
    };
    match verdict {
        Verdict::Stay(block) if block.kind == BlockKind::Completed => {
            completed(step, record, why, block);
        }
        Verdict::Stay(block) => {
            step.health(record, Health::Failed, &why.description);
            step.hop(record, Role::Error, why.clone().via());
            step.hop(record, Role::Offline, why);
            plan::block(step, record, block);
        }
        Verdict::Again => {
            step.health(record, Health::Failed, &why.description);
            step.hop(record, Role::Error, why.clone().via());
            if plan::wanted(record) == Wanted::Running {
                plan::schedule(step, record);
                let at_once = plan::obstacle(step.surveyed, record).is_none();
                step.hop(record, Role::Failed, if at_once { why.via() } else { why });
            }
        }
    }
}

fn settle(step: &mut Step, record: &mut Record, verdict: Verdict) {
    match verdict {
        Verdict::Again => plan::schedule(step, record),
        Verdict::Stay(block) => plan::block(step, record, block),
    }
}

const fn reason_of(exit: Exit) -> Reason {
    match exit {
        Exit::OutOfMemory => Reason::OutOfMemory,
        Exit::Code { .. } | Exit::Signal { .. } | Exit::Unknown => Reason::Crash,
    }
}

fn describe(exit: Exit, swept: u32, tasks: usize, ordered: bool) -> String {
    let mut told = if ordered {
        format!("{exit}, as Stead ordered")
    } else {
        exit.to_string()
    };
    if swept > 0 {
        told += &format!("; {swept} left of its tree were swept");
    }
    match tasks {
        0 => {}
        1 => told += "; 1 task was in flight",
        many => told += &format!("; {many} tasks were in flight"),
    }
    told
}
