//! A new agent.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use stead_model::journal::{AgentRow, Change, MemberRow, RecoveryRow, SpecRow};
use stead_model::{
    AgentId, AgentName, AgentSpec, Happening, Health, Incarnation, Intent, Namespace, Refusal, Request, Revision,
    Sequence, Wanted,
};

use super::{MAX_REASON, bounded};
use crate::depend;
use crate::plan::plan;
use crate::record::Record;
use crate::slot::Cell;
use crate::step::{INCARNATION_BLOCK, Step};

/// How many agents one slot may have, tombstones left out.
const MOST_AGENTS: usize = 16_384;

/// Makes an agent known, and goes as far towards what is wanted of it as can be gone now.
pub(crate) fn register(
    step: &mut Step,
    cell: &Cell,
    (namespace, name): (Namespace, AgentName),
    spec: Box<AgentSpec>,
    wanted: Wanted,
    reason: Option<String>,
    member: Option<MemberRow>,
) -> Result<Box<Record>, Refusal> {
    bounded("reason", reason.as_deref(), MAX_REASON)?;
    if spec.depends_on.contains_key(&name) {
        return Err(Refusal::SelfDependency(name));
    }
    let profile = step
        .profiles
        .get(&spec.profile)
        .ok_or_else(|| Refusal::UnknownProfile(spec.profile.clone()))?;
    if !matches!(wanted, Wanted::Running | Wanted::Stopped) {
        let initial = profile.initial();
        return Err(Refusal::NotPossible {
            verb: "register",
            phase: profile.name_of(initial).into(),
            possible: profile.next(initial).map(|to| profile.name_of(to).into()).collect(),
            verbs: [Wanted::Running, Wanted::Stopped]
                .map(|wanted| Request::Want(wanted).verb())
                .into(),
        });
    }
    if cell.agents.len() >= MOST_AGENTS {
        return Err(Refusal::Full(cell.agents.len()));
    }
    let id = AgentId::new(step.slot, step.position.0);
    let row = AgentRow {
        id,
        namespace,
        name,
        boot: step.boot.boot,
        profile: spec.profile.clone(),
        revision: Revision(0),
        phase: profile.name_of(profile.initial()).into(),
        phase_since: step.now.wall,
        sequence: Sequence(0),
        intent: Intent {
            wanted,
            actor: step.origin.actor.clone(),
            at: step.now.wall,
            reason,
            correlation_id: step.origin.correlation_id.clone(),
            pause: None,
        },
        health: Health::Unknown,
        claim: None,
        vital: None,
        health_since: step.now.wall,
        ready: false,
        conditions: Vec::new(),
        evidence: Vec::new(),
        spec_revision: 1,
        incarnation: Incarnation(0),
        incarnations_reserved: Incarnation(INCARNATION_BLOCK),
        instance: None,
        last_exit: None,
        restarts: 0,
        restart_wanted: false,
        halted: false,
        halt_reason: None,
        renewal: None,
        recovery: RecoveryRow::default(),
        deadline: None,
        tasks: Vec::new(),
        correlation_id: step.origin.correlation_id.clone(),
        expiry: None,
        frozen: false,
        word: None,
        asked: Vec::new(),
        member,
        draining: false,
        drain: None,
        removed: false,
    };
    step.put(Change::Spec(Box::new(SpecRow {
        agent: id,
        revision: 1,
        actor: step.origin.actor.clone(),
        at: step.now.wall,
        spec: (*spec).clone(),
    })));
    let mut record = Box::new(Record::new(row, Arc::from(spec), profile));
    step.event(
        &record,
        Happening::AgentRegistered {
            profile: record.row.profile.clone(),
        },
    );
    step.send(depend::subscriptions(&record));
    step.set_deadline(&mut record);
    plan(step, &mut record);
    Ok(record)
}
