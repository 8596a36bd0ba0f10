//! Whether and when an agent that went down is started again.

use alloc::string::String;

use stead_model::journal::{Block, BlockKind};
use stead_model::spec::RestartPolicy;
use stead_model::{Condition, Exit, Happening};

use crate::abstain;
use crate::record::{Record, Timer};
use crate::step::Step;
use crate::storm;

/// What its policy says to an end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It is to be started again.
    Again,
    /// It stays down.
    Stay(Block),
}

/// What a person can do about a cause that no start can help.
pub(crate) fn mend(record: &Record) -> String {
    let name = &record.row.name;
    let mut mend = if record.spec.labels.contains_key(RUN) {
        String::from("mend the command and run it again")
    } else if record.spec.labels.get(MANAGED_BY).is_some_and(|by| by == FLEET_FILE) {
        alloc::format!("mend the file and run `stead apply FILE`, or mend the machine and run `stead start {name}`")
    } else {
        alloc::format!("give it another spec, or mend the machine and run `stead start {name}`")
    };
    if record.spec.probes.clear.is_some() {
        mend += "; its clear probe is asked meanwhile, and has it started once it succeeds";
    }
    mend
}

/// The label by which agents of a fleet file are known.
const MANAGED_BY: &str = "stead/managed-by";
const FLEET_FILE: &str = "fleet-file";
/// The label of the one command of `stead run`, which no file tells of.
const RUN: &str = "stead/run";

/// Judges an end that nobody ordered.
pub(crate) fn judge(record: &Record, exit: Exit) -> Verdict {
    let restart = &record.spec.restart;
    if let Exit::Code { code } = exit
        && restart.final_exit_codes.contains(&code)
    {
        let detail = alloc::format!(
            "exit code {code} is listed as final, so no start can help; {}",
            mend(record)
        );
        return Verdict::Stay(Block {
            kind: BlockKind::Held,
            detail,
        });
    }
    let stay = |kind, detail| Verdict::Stay(Block { kind, detail });
    match (restart.policy, exit.success()) {
        (RestartPolicy::Always, _) | (RestartPolicy::OnFailure, false) => Verdict::Again,
        (RestartPolicy::OnFailure | RestartPolicy::Never, true) => {
            stay(BlockKind::Completed, "it ended with success; its work is done".into())
        }
        (RestartPolicy::Never, false) => stay(
            BlockKind::Policy,
            alloc::format!(
                "its restart policy is never; `stead start {}` runs it again",
                record.row.name
            ),
        ),
    }
}

/// Plans the next start after a failure: at once, later, or not before somebody looked at it.
pub(crate) fn schedule(step: &mut Step, record: &mut Record) {
    let seen = record.row.recovery.failure.as_ref();
    let seen = seen.map_or_else(String::new, |failure| failure.detail.clone());
    if storm::hold(step, record, &seen) {
        return;
    }
    if abstain::down(step, record) {
        return;
    }
    match record.schedule(step.now) {
        Some(wait) if wait.is_zero() => {}
        Some(wait) => {
            record.set_timer(Timer::Restart, Some(step.now.moment.after(wait)));
            let attempt = record.streak.attempts();
            step.event(
                record,
                Happening::RestartScheduled {
                    attempt,
                    due: step.now.wall.after(wait),
                },
            );
        }
        None => {
            let intensity = &record.spec.restart.intensity;
            let detail = alloc::format!(
                "more than {} restarts within {}; `stead logs {name}` shows what it printed, `stead start {name}` tries again",
                intensity.max,
                intensity.period,
                name = record.row.name
            );
            block(
                step,
                record,
                Block {
                    kind: BlockKind::Quarantined,
                    detail,
                },
            );
        }
    }
}

/// Keeps an agent from being started until somebody clears it.
pub(crate) fn block(step: &mut Step, record: &mut Record, block: Block) {
    let condition = match block.kind {
        BlockKind::Held => Some(Condition::Held),
        BlockKind::Quarantined => Some(Condition::Quarantined),
        BlockKind::Completed | BlockKind::Policy => None,
    };
    if let Some(condition) = condition {
        let detail: String = block.detail.clone();
        step.raise(record, condition, detail);
    }
    record.row.recovery.block = Some(block);
    step.touch();
}
