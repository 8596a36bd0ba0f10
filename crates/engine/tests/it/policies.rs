//! Transition policies and profiles of one's own.

use std::time::Duration;

use stead_engine::{Batch, Engine, Input, Reply};
use stead_model::journal::{Change, Durability, SlotState, SpecRow};
use stead_model::profile::policy::{AccessRole, TransitionPolicy};
use stead_model::profile::spec::ProfileSpec;
use stead_model::profile::{agent, agent_original};
use stead_model::{
    AgentSpec, Answer, BootClock, Command, Epoch, Health, Namespace, Observation, Origin, Profile, Refusal, Report,
    Request, Slot, Wanted,
};

use crate::rig::{BOOT, at, name};

/// An engine with one reporting agent that serves.
struct Fleet {
    engine: Engine,
    slot: Slot,
    position: stead_model::Position,
    specs: Vec<SpecRow>,
    millis: u64,
}

pub(crate) fn built(policies: &[(&str, &str)]) -> Vec<TransitionPolicy> {
    let policy =
        |(name, json): &(&str, &str)| TransitionPolicy::new(name, serde_json::from_str(json).unwrap()).unwrap();
    policies.iter().map(policy).collect()
}

impl Fleet {
    fn new(profiles: Vec<Profile>, policies: &[(&str, &str)], profile: &str) -> Self {
        let slot = Slot::home(&Namespace::default(), name().as_str());
        let mut engine = Engine::with_profiles(BOOT, profiles.clone());
        engine.configure(profiles, built(policies)).unwrap();
        let _nothing = engine.thaw(at(0), SlotState::empty(slot, Epoch(1))).unwrap();
        let mut fleet = Self {
            engine,
            slot,
            position: stead_model::Position(0),
            specs: Vec::new(),
            millis: 0,
        };
        let spec = Box::new(AgentSpec::reporting(profile));
        let wanted = Wanted::Running;
        let answer = fleet
            .ask(Request::Register { spec, wanted }, None, AccessRole::Admin)
            .unwrap();
        let report = Report {
            health: Some(Health::Healthy),
            ..Report::default()
        };
        let agent = answer.agent.id;
        fleet.step(Input::Observed(Observation::Reported { agent, report }));
        fleet
    }

    /// The same fleet in an engine that starts at its moment 0 with what this one froze.
    fn next_life(&self, boot: BootClock, policies: &[(&str, &str)]) -> Self {
        let mut engine = Engine::with_profiles(boot, vec![]);
        engine.configure(vec![], built(policies)).unwrap();
        let mut state = SlotState::empty(self.slot, Epoch(1));
        state.position = self.position;
        state.agents = self.engine.freeze(at(self.millis), self.slot).unwrap();
        state.specs.clone_from(&self.specs);
        let batch = engine.thaw(at(0), state).unwrap();
        let mut next = Self {
            engine,
            slot: self.slot,
            position: self.position,
            specs: self.specs.clone(),
            millis: 0,
        };
        next.written(batch);
        next
    }

    fn step(&mut self, input: Input) -> Option<Reply> {
        let batch = self.engine.step(at(self.millis), input).unwrap();
        self.written(batch)
    }

    fn written(&mut self, mut batch: Batch) -> Option<Reply> {
        self.engine.check_invariants().unwrap();
        let receipt = match batch.take_append() {
            Some(append) => {
                self.position = append.position;
                for change in &append.changes {
                    if let Change::Spec(row) = change {
                        self.specs.push(SpecRow::clone(row));
                    }
                }
                append.commit(Durability::Flushed)
            }
            None => {
                let mut state = SlotState::empty(self.slot, Epoch(1));
                state.position = self.position;
                state.receipt()
            }
        };
        batch.release(&receipt).unwrap().reply
    }

    fn ask(&mut self, request: Request, reason: Option<&str>, role: AccessRole) -> Result<Answer, Refusal> {
        let command = Command {
            origin: Origin {
                actor: "ann".into(),
                role,
                correlation_id: "r".into(),
                trace_id: None,
            },
            namespace: Namespace::default(),
            agent: name().as_str().parse().unwrap(),
            expected: None,
            idempotency: None,
            reason: reason.map(str::to_owned),
            request,
        };
        match self.step(Input::Command(Box::new(command))).unwrap() {
            Reply::Agent(reply) => reply.map(|answer| *answer),
            reply @ (Reply::Group(_) | Reply::Degradation(_)) => panic!("an answer about something else: {reply:?}"),
        }
    }

    fn want(&mut self, wanted: Wanted) -> Result<Answer, Refusal> {
        self.ask(Request::Want(wanted), Some("because"), AccessRole::Admin)
    }

    fn phase(&self) -> String {
        let agent = name().as_str().parse().unwrap();
        let seen = self.engine.lifecycle(&Namespace::default(), &agent).unwrap();
        seen.current_state.into_owned()
    }
}

#[test]
fn an_edge_that_needs_a_reason_is_refused_without_one_and_nothing_was_changed() {
    let policy = r#"{"edges":["* -> maintenance"],"require_reason":true}"#;
    let mut fleet = Fleet::new(vec![], &[("say-why", policy)], "agent");
    let before = fleet.position;
    for reason in [None, Some("  ")] {
        let refused = fleet
            .ask(Request::Want(Wanted::Maintenance), reason, AccessRole::Admin)
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "policy `say-why` forbids online -> maintenance: a reason must be given"
        );
    }
    assert_eq!((fleet.phase().as_str(), fleet.position), ("online", before));
    fleet.want(Wanted::Maintenance).unwrap();
    assert_eq!(fleet.phase(), "maintenance");
}

#[test]
fn an_edge_that_needs_a_role_is_refused_to_a_lesser_one() {
    let policy = r#"{"edges":["* -> maintenance"],"require_role":"operator"}"#;
    let mut fleet = Fleet::new(vec![], &[("operators", policy)], "agent");
    let refused = fleet
        .ask(Request::Want(Wanted::Maintenance), None, AccessRole::Agent)
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("it needs the role operator, ann has agent"),
        "{refused}"
    );
    fleet
        .ask(Request::Want(Wanted::Maintenance), None, AccessRole::Operator)
        .unwrap();
}

#[test]
fn a_guard_on_health_says_what_it_wants_and_what_is() {
    let policy = r#"{"edges":["online -> suspended"],"require_health":["degraded","critical"]}"#;
    let mut fleet = Fleet::new(vec![], &[("ill-only", policy)], "agent");
    let refused = fleet.want(Wanted::Paused).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("its health must be critical or degraded, and is healthy"),
        "{refused}"
    );
    assert_eq!(fleet.phase(), "online");
}

#[test]
fn requests_beyond_a_rate_are_refused_with_when_to_ask_again() {
    let policy = r#"{"rate_limit":{"max":2,"per":"1m"}}"#;
    let mut fleet = Fleet::new(vec![], &[("calm", policy)], "agent");
    fleet.want(Wanted::Paused).unwrap();
    fleet.millis = 10_000;
    fleet.want(Wanted::Running).unwrap();
    let refused = fleet.want(Wanted::Maintenance).unwrap_err();
    let Refusal::RateLimited { retry_after, .. } = refused else {
        panic!("{refused}");
    };
    assert_eq!(retry_after.0.as_secs(), 50);
    // What changes nothing counts for nothing, and what was refused neither.
    fleet.want(Wanted::Running).unwrap();
    fleet.millis = 60_000;
    fleet.want(Wanted::Maintenance).unwrap();
    fleet.want(Wanted::Running).unwrap_err();
}

#[test]
fn what_a_request_would_meet_can_be_asked_without_making_it() {
    let rate = r#"{"edges":["* -> suspended"],"rate_limit":{"max":1,"per":"1m"}}"#;
    let mut fleet = Fleet::new(vec![], &[("calm", rate)], "agent");
    fleet.want(Wanted::Paused).unwrap();
    fleet.want(Wanted::Running).unwrap();
    let policies = |json: &[&str]| {
        let policy = |json: &&str| TransitionPolicy::new("calm", serde_json::from_str(json).unwrap()).unwrap();
        json.iter().map(policy).collect::<Vec<_>>()
    };
    let command = |wanted| Command {
        origin: Origin::engine("r".into()),
        namespace: Namespace::default(),
        agent: name().as_str().parse().unwrap(),
        expected: None,
        idempotency: None,
        reason: None,
        request: Request::Want(wanted),
    };
    let (before, now) = (fleet.phase(), at(fleet.millis));
    let could = |wanted, json: &[&str]| {
        let asked = fleet.engine.could(now, vec![command(wanted)], vec![], policies(json));
        asked.map_err(|(agent, refusal)| {
            assert_eq!(agent.to_string(), name().as_str());
            refusal
        })
    };
    assert!(matches!(
        could(Wanted::Paused, &[rate]),
        Err(Refusal::RateLimited { .. })
    ));
    assert_eq!(could(Wanted::Paused, &[]), Ok(()));
    assert_eq!(could(Wanted::Maintenance, &[rate]), Ok(()));
    let reason = r#"{"edges":["* -> maintenance"],"require_reason":true}"#;
    assert!(matches!(
        could(Wanted::Maintenance, &[reason]),
        Err(Refusal::Policy { .. })
    ));
    assert_eq!(fleet.phase(), before);
    // It counted for nothing.
    fleet.want(Wanted::Maintenance).unwrap();
}

#[test]
fn a_rate_is_not_forgotten_by_a_freeze() {
    let policies = [("calm", r#"{"rate_limit":{"max":1,"per":"1m"}}"#)];
    let mut fleet = Fleet::new(vec![], &policies, "agent");
    fleet.want(Wanted::Paused).unwrap();
    fleet.millis = 10_000;
    let later = BootClock {
        at_start: BOOT.at_start + Duration::from_secs(30),
        ..BOOT
    };
    let another = BootClock {
        boot: BOOT.boot + 1,
        at_start: Duration::ZERO,
    };
    // In the same boot the minute went on while nobody was there; of another boot it is not known how long that was.
    for (boot, left) in [(later, 30), (another, 50)] {
        let mut next = fleet.next_life(boot, &policies);
        let refused = next.want(Wanted::Running).unwrap_err();
        let Refusal::RateLimited { retry_after, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!(retry_after.0.as_secs(), left, "{boot:?}");
        assert_eq!(next.phase(), "suspended");
        next.millis = left * 1000;
        next.want(Wanted::Running).unwrap();
    }
}

#[test]
fn a_policy_that_binds_others_changes_nothing() {
    let policies = [
        ("a", r#"{"profile":"component","require_role":"admin"}"#),
        ("b", r#"{"type":"database","require_role":"admin"}"#),
    ];
    let mut fleet = Fleet::new(vec![], &policies, "agent");
    fleet
        .ask(Request::Want(Wanted::Paused), None, AccessRole::Viewer)
        .unwrap();
}

#[test]
fn a_forbidden_edge_is_none_and_the_refusal_says_where_else_it_may_go() {
    let spec: ProfileSpec = serde_json::from_str(r#"{"base":"agent","forbidden":["online -> maintenance"]}"#).unwrap();
    let own = spec.build("own", |_| Some(agent())).unwrap();
    let mut fleet = Fleet::new(vec![own], &[], "own");
    let refused = fleet.want(Wanted::Maintenance).unwrap_err();
    let Refusal::NotPossible { possible, .. } = refused else {
        panic!("{refused}");
    };
    assert!(possible.iter().any(|state| state == "suspended") && !possible.iter().any(|state| state == "maintenance"));
}

#[test]
fn a_state_that_an_agent_is_in_cannot_be_taken_away_and_others_can() {
    let spec: ProfileSpec = serde_json::from_str(
        r#"{"base":"agent","states":{"resting":{"role":"suspended","next":["online","offline"]}},
            "extra":["online -> resting"],"forbidden":["online -> suspended"]}"#,
    )
    .unwrap();
    let own = spec.build("own", |_| Some(agent())).unwrap();
    let mut fleet = Fleet::new(vec![own.clone()], &[], "own");
    fleet.want(Wanted::Paused).unwrap();
    assert_eq!(fleet.phase(), "resting");
    let plain = ProfileSpec {
        base: Some("agent".into()),
        ..ProfileSpec::default()
    };
    let plain = plain.build("own", |_| Some(agent())).unwrap();
    let refused = fleet.engine.configure(vec![plain.clone()], vec![]).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("agent default/web is resting by profile `own`"),
        "{refused}"
    );
    fleet.engine.configure(vec![], vec![]).unwrap_err();
    fleet.want(Wanted::Running).unwrap();
    fleet.engine.configure(vec![plain], vec![]).unwrap();
    fleet.want(Wanted::Paused).unwrap();
    assert_eq!(fleet.phase(), "suspended");
}

#[test]
fn the_original_table_stays_selectable_and_knows_no_way_into_scaling() {
    assert_eq!((agent_original().edge_count(), agent().edge_count()), (66, 69));
    let mut fleet = Fleet::new(vec![], &[], "agent-original");
    let refused = fleet
        .ask(Request::Scale { replicas: 3 }, None, AccessRole::Admin)
        .unwrap_err();
    assert!(matches!(refused, Refusal::NotPossible { .. }), "{refused}");
}
