//! What beats say ahead of trouble, and what follows from it.

use alloc::string::String;

use stead_model::{Condition, FailureKind, Reason};
use stead_policy::Pacing;

use super::ill;
use crate::abstain;
use crate::beats::News;
use crate::command::{is_to_be_renewed, restart_drained};
use crate::record::Record;
use crate::step::Step;

/// Takes in what changed. Of one that does not serve it means nothing: it is judged by how it comes up.
pub(crate) fn told(step: &mut Step, record: &mut Record, news: News) {
    if !record.role().serves() || record.ending() {
        return;
    }
    record.row.correlation_id.clone_from(&step.origin.correlation_id);
    if let Some(warning) = news.warning {
        warned(step, record, warning);
    }
    if let Some(round) = news.round {
        match round {
            Some(said) => {
                step.evidence(record, "activity", "agent", said.clone());
                step.doubt(record, Condition::Looping, said);
            }
            None => step.trust(record, Condition::Looping, "its calls go round no longer"),
        }
    }
    if let Some((pacing, said)) = news.pacing {
        step.evidence(record, "progress", "agent", said.clone());
        match pacing {
            Pacing::Usual => {
                step.trust(record, Condition::Stuck, &said);
                abstain::take_back(step, record, FailureKind::Stuck, &said);
            }
            Pacing::Slow => step.doubt(record, Condition::Stuck, said),
            Pacing::Stuck => {
                step.doubt(record, Condition::Stuck, said.clone());
                if record.process().is_some() {
                    ill(step, record, Reason::Stuck, &said);
                }
            }
        }
    }
}

/// Its metrics warn of something, or do no longer.
fn warned(step: &mut Step, record: &mut Record, warning: Option<String>) {
    let Some(said) = warning else {
        step.trust(record, Condition::Warning, "its metrics warn of nothing any more");
        return;
    };
    step.evidence(record, "metric", "agent", said.clone());
    step.doubt(record, Condition::Warning, said.clone());
    // A replica's group says when it is its turn.
    if is_to_be_renewed(record) && record.row.member.is_none() {
        restart_drained(step, record, &said);
    }
}
