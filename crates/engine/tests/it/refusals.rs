//! What is refused, and what is given back unharmed.

use stead_engine::{Batch, Engine, Input, NotOwned, Reply};
use stead_model::journal::{Durability, SlotState};
use stead_model::{
    AgentId, AgentRef, AgentSpec, Answer, Command, Epoch, Namespace, Observation, Origin, Position, Refusal, Report,
    Request, Slot, Wanted,
};

use crate::rig::{BOOT, Rig, at, name};

fn command(agent: AgentRef, request: Request) -> Input {
    let origin = Origin {
        actor: "ann".into(),
        role: stead_model::AccessRole::Admin,
        correlation_id: "r".into(),
        trace_id: None,
    };
    Input::Command(Box::new(Command {
        origin,
        namespace: Namespace::default(),
        agent,
        expected: None,
        idempotency: None,
        reason: None,
        request,
    }))
}

/// Writes a batch at once and gives its answer.
fn written(mut batch: Batch) -> Result<Answer, Refusal> {
    let needs = batch.needs();
    let receipt = match batch.take_append() {
        Some(append) => append.commit(needs),
        None => {
            let mut state = SlotState::empty(batch.slot(), Epoch(1));
            state.position = batch.position();
            state.receipt()
        }
    };
    match batch.release(&receipt).unwrap().reply.unwrap() {
        Reply::Agent(reply) => reply.map(|answer| *answer),
        reply @ (Reply::Group(_) | Reply::Degradation(_)) => panic!("an answer about something else: {reply:?}"),
    }
}

fn engine(slot: Slot) -> Engine {
    let mut engine = Engine::new(BOOT);
    let _nothing = engine.thaw(at(0), SlotState::empty(slot, Epoch(1))).unwrap();
    engine
}

fn home() -> Slot {
    Slot::home(&Namespace::default(), name().as_str())
}

fn reporting() -> Request {
    let spec = Box::new(AgentSpec::reporting("agent"));
    Request::Register {
        spec,
        wanted: Wanted::Running,
    }
}

#[test]
fn an_input_for_a_slot_of_another_node_changes_nothing() {
    let mut engine = Engine::new(BOOT);
    let refused = engine.step(at(0), command(AgentRef::Name(name()), reporting()));
    assert_eq!(refused.unwrap_err(), NotOwned(home()));
    assert!(engine.step(at(0), Input::Tick).is_err() && engine.freeze(at(0), home()).is_none());
}

#[test]
fn an_agent_has_no_more_tasks_than_it_may_have() {
    let mut engine = engine(home());
    let agent = || AgentRef::Name(name());
    let id = written(engine.step(at(0), command(agent(), reporting())).unwrap())
        .unwrap()
        .agent
        .id;
    let seen = Observation::Reported {
        agent: id,
        report: Report::default(),
    };
    let _seen = engine.step(at(0), Input::Observed(seen)).unwrap();
    for number in 0..10_000 {
        let task = format!("t{number}");
        written(engine.step(at(0), command(agent(), Request::Assign { task })).unwrap()).unwrap();
    }
    let more = Request::Assign { task: "more".into() };
    let refused = written(engine.step(at(0), command(agent(), more)).unwrap());
    assert_eq!(refused, Err(Refusal::TooManyTasks(10_000)));
}

#[test]
fn words_have_a_limit() {
    let mut engine = engine(home());
    let agent = || AgentRef::Name(name());
    let mut ask = |request| written(engine.step(at(0), command(agent(), request)).unwrap());
    ask(reporting()).unwrap();
    let task = Request::Assign { task: "t".repeat(256) };
    assert_eq!(
        ask(task),
        Err(Refusal::TooLong {
            what: "task",
            limit: 255
        })
    );
    let detail = Request::ReportError {
        detail: "e".repeat(4097),
    };
    assert_eq!(
        ask(detail),
        Err(Refusal::TooLong {
            what: "detail",
            limit: 4096
        })
    );
}

#[test]
fn only_up_and_down_can_be_wanted_at_a_registration() {
    let mut engine = engine(home());
    for wanted in [Wanted::Paused, Wanted::Maintenance, Wanted::Terminated, Wanted::Deleted] {
        let spec = Box::new(AgentSpec::reporting("agent"));
        let request = Request::Register { spec, wanted };
        let refused = written(engine.step(at(0), command(AgentRef::Name(name()), request)).unwrap());
        assert!(
            matches!(refused, Err(Refusal::NotPossible { verb: "register", .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn an_id_that_was_given_is_gone_and_one_that_was_not_is_unknown() {
    let mut rig = Rig::new(vec![]);
    rig.ask(reporting());
    let id = rig.row().unwrap().id;
    rig.ask(Request::Want(Wanted::Deleted));
    let mut look = |id| {
        let request = Request::Want(Wanted::Running);
        written(rig.engine.step(at(0), command(AgentRef::Id(id), request)).unwrap())
    };
    assert_eq!(look(id), Err(Refusal::Gone(id)));
    let never = AgentId::new(home(), 99);
    assert_eq!(look(never), Err(Refusal::Unknown(never.to_string())));
}

#[test]
fn a_batch_is_released_by_no_receipt_but_one_that_covers_it() {
    let mut engine = engine(home());
    let mut batch = engine
        .step(at(0), command(AgentRef::Name(name()), reporting()))
        .unwrap();
    assert_eq!(
        (batch.needs(), batch.position(), batch.slot()),
        (Durability::Flushed, Position(1), home())
    );
    let early = SlotState::empty(home(), Epoch(1)).receipt();
    let append = batch.take_append().unwrap();
    let back = batch.release(&early).unwrap_err();
    assert_eq!(back.to_string(), "the receipt does not cover this batch");
    let (batch, receipt) = (back.0, append.commit(Durability::Written));
    assert!(!batch.is_covered_by(&receipt), "what was asked for must be flushed");
    assert!(batch.abandon(), "somebody waits for its answer");
}

#[test]
fn a_batch_that_was_not_handed_to_the_store_is_not_released() {
    let mut engine = engine(home());
    let batch = engine
        .step(at(0), command(AgentRef::Name(name()), reporting()))
        .unwrap();
    let mut state = SlotState::empty(home(), Epoch(1));
    state.position = Position(1);
    assert!(batch.release(&state.receipt()).is_err());
}

#[test]
fn a_stored_agent_that_makes_no_sense_is_named_and_its_slot_not_owned() {
    let mut rig = Rig::new(vec![]);
    rig.ask(reporting());
    let broken = |change: &dyn Fn(&mut SlotState)| {
        let mut state = rig.stored();
        change(&mut state);
        let mut engine = Engine::new(BOOT);
        let refused = engine.thaw(at(0), state).unwrap_err();
        assert!(engine.freeze(at(0), home()).is_none());
        refused
    };
    let phase = broken(&|state| state.agents[0].phase = "dancing".into());
    assert_eq!((phase.phase.as_str(), phase.name.as_str()), ("dancing", "default/web"));
    assert_eq!(
        broken(&|state| state.agents[0].profile = "robot".into()).profile,
        "robot"
    );
    let no_spec = broken(&|state| state.specs.clear());
    assert!(no_spec.to_string().contains("or without its spec"));
}

#[test]
fn a_slot_that_is_given_up_leaves_no_waits_behind() {
    let mut rig = Rig::new(vec![]);
    rig.ask(reporting());
    assert!(rig.engine.next_deadline().is_some());
    rig.engine.discard(home());
    assert_eq!(rig.engine.next_deadline(), None);
    rig.engine.check_invariants().unwrap();
}

#[test]
fn a_refusal_names_the_verbs_that_are_possible_in_its_place() {
    let mut engine = engine(home());
    let agent = || AgentRef::Name(name());
    let mut ask = |request| written(engine.step(at(0), command(agent(), request)).unwrap());
    ask(reporting()).unwrap();
    ask(Request::Want(Wanted::Stopped)).unwrap();
    let Err(Refusal::NotPossible { verbs, .. }) = ask(Request::Want(Wanted::Paused)) else {
        panic!("it is down");
    };
    assert_eq!(verbs, ["start", "maintenance", "terminate", "delete", "restart"]);
}

#[test]
fn an_agent_that_would_wait_for_itself_is_refused_at_first_and_later() {
    let mut engine = engine(home());
    let agent = || AgentRef::Name(name());
    let mut ask = |request| written(engine.step(at(0), command(agent(), request)).unwrap());
    let mut spec = AgentSpec::reporting("agent");
    spec.depends_on.insert(name(), stead_model::spec::Condition::Started);
    let (spec, wanted) = (Box::new(spec), Wanted::Running);
    let refused = Err(Refusal::SelfDependency(name()));
    assert_eq!(
        ask(Request::Register {
            spec: spec.clone(),
            wanted
        }),
        refused
    );
    ask(reporting()).unwrap();
    assert_eq!(ask(Request::Respec { spec }), refused);
}
