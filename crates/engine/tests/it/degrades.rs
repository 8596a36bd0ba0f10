//! Features go with what they need, and come back with it.

use std::time::Duration;

use stead_engine::Input;
use stead_model::journal::SlotState;
use stead_model::spec::ProbeKind;
use stead_model::{
    AccessRole, AgentRef, Command, ComponentStanding, DegradationCommand, DegradationLevel, DegradationRequest, Epoch,
    Happening, Namespace, Origin, Outcome, Request, Span, Wanted, WorkMode,
};
use stead_policy::Criticality::{Critical, Essential, Important, Optional};
use stead_policy::degrade::{Degrader, Feature, Level, Load, Plan, Rule, When};

use crate::fleet::Fleet;
use crate::rig::at;

const PROCESS: &str = r#"{"command":["x"],"probes":{"readiness":{"tcp_socket":{"port":1}}}}"#;
/// Where the degradation of a namespace is at home: in the slot of a name that no agent has.
const HOME: &str = "/degradation";

fn plan() -> Plan {
    Plan::default()
        .component("llm", Essential)
        .component("database", Critical)
        .component("search", Important)
        .feature("chat", Feature::of(Essential).requiring("llm"))
        .feature("history", Feature::of(Critical).requiring("database"))
        .feature("web_search", Feature::of(Important).requiring("search").or("history"))
        .feature("avatars", Feature::of(Optional))
}

fn features(fleet: &mut Fleet, plan: Plan) {
    let plan = Box::new(Degrader::new(plan).unwrap());
    fleet.step(Input::Features(Namespace::default(), plan));
}

/// A fleet of what the features need, all of it up.
fn fleet() -> Fleet {
    let mut fleet = Fleet::new(&["llm", "database", "search", HOME].map(str::to_owned));
    features(&mut fleet, plan());
    for name in ["llm", "database", "search"] {
        fleet.register(name, PROCESS);
        fleet.probe(name, ProbeKind::Readiness, true);
    }
    assert_eq!((fleet.levels.len(), level(&fleet)), (0, DegradationLevel::Full));
    fleet
}

fn level(fleet: &Fleet) -> DegradationLevel {
    fleet.shown.as_ref().unwrap().level
}

fn off(fleet: &Fleet) -> Vec<String> {
    let shown = fleet.shown.as_ref().unwrap();
    shown.off().map(|feature| feature.name.to_string()).collect()
}

fn sees(fleet: &mut Fleet, name: &str, good: bool) {
    for _ in 0..3 {
        fleet.probe(name, ProbeKind::Readiness, good);
    }
}

fn asks(fleet: &mut Fleet, request: DegradationRequest) -> Outcome {
    fleet.step(Input::Degradation(Box::new(DegradationCommand {
        origin: Origin {
            actor: "ann".into(),
            role: AccessRole::Operator,
            correlation_id: "r-7".into(),
            trace_id: None,
        },
        namespace: Namespace::default(),
        reason: Some("a drill".into()),
        request,
    })));
    fleet.answers.last().unwrap().outcome
}

fn holds(fleet: &mut Fleet, level: DegradationLevel, lasts: Option<u64>) -> Outcome {
    let lasts = lasts.map(|seconds| Span(Duration::from_secs(seconds)));
    asks(fleet, DegradationRequest::Hold { level, lasts })
}

/// The daemon ends, and the next one goes on from what is stored.
fn starts_anew(fleet: &mut Fleet) {
    let before = fleet.degradation.clone().unwrap();
    let mut state = SlotState::empty(before.id.slot(), Epoch(1));
    state.position = fleet.positions[&state.slot];
    state.agents = fleet.engine.freeze(at(fleet.millis), state.slot).unwrap();
    state.specs = state.agents.iter().map(|row| fleet.specs[&row.id].clone()).collect();
    state.degradations = vec![before];
    fleet.engine.discard(state.slot);
    let (receipt, now) = (state.receipt(), at(fleet.millis));
    let batch = fleet.engine.thaw(now, state).unwrap();
    let released = batch.release(&receipt).unwrap();
    fleet.shown = released.degradations.into_iter().next();
}

#[test]
fn what_is_down_takes_its_features_down_and_what_comes_back_brings_back_its_own() {
    let mut fleet = fleet();
    sees(&mut fleet, "search", false);
    assert_eq!(level(&fleet), DegradationLevel::Moderate);
    assert_eq!(off(&fleet), ["avatars", "web_search"]);
    sees(&mut fleet, "database", false);
    assert_eq!(level(&fleet), DegradationLevel::Severe);
    assert_eq!(off(&fleet), ["avatars", "history", "web_search"]);
    // One of both is back.
    sees(&mut fleet, "database", true);
    assert_eq!(level(&fleet), DegradationLevel::Moderate);
    assert_eq!(off(&fleet), ["avatars", "web_search"]);
    sees(&mut fleet, "search", true);
    assert_eq!((level(&fleet), off(&fleet).len()), (DegradationLevel::Full, 0));
    let told: Vec<_> = fleet.levels.iter().map(|change| (change.from, change.to)).collect();
    let [full, moderate, severe] = [
        DegradationLevel::Full,
        DegradationLevel::Moderate,
        DegradationLevel::Severe,
    ];
    let walk = [
        (full, moderate),
        (moderate, severe),
        (severe, moderate),
        (moderate, full),
    ];
    assert_eq!(told, walk);
    assert_eq!(fleet.events.len(), 4);
}

#[test]
fn it_says_why_and_what_is_off_and_what_does_instead() {
    let mut fleet = fleet();
    sees(&mut fleet, "search", false);
    let shown = fleet.shown.clone().unwrap();
    assert_eq!(
        (shown.cause.as_str(), shown.rule.as_deref()),
        ("search is down", Some("important_down"))
    );
    assert_eq!(shown.modes, [WorkMode::Offline]);
    assert!((shown.features_off - 0.5).abs() < 1e-9 && (shown.impact - 3.0 / 15.0).abs() < 1e-9);
    let of = |name: &str| {
        shown
            .features
            .iter()
            .find(|feature| feature.name.as_str() == name)
            .unwrap()
    };
    assert_eq!(
        of("web_search").off_because.as_deref(),
        Some("it needs search, which is down")
    );
    assert_eq!(of("web_search").serving.as_ref().unwrap().as_str(), "history");
    assert_eq!(
        of("avatars").off_because.as_deref(),
        Some("level moderate gives up what is of its importance")
    );
    let standings: Vec<_> = shown.components.iter().map(|one| one.standing).collect();
    assert_eq!(
        standings,
        [ComponentStanding::Up, ComponentStanding::Up, ComponentStanding::Down]
    );
    let Happening::DegradationChanged {
        went_off,
        came_back,
        impact,
        ..
    } = &fleet.events[0].what
    else {
        panic!("{:?}", fleet.events)
    };
    assert_eq!((went_off.len(), came_back.len()), (2, 0));
    assert!((impact - shown.impact).abs() < 1e-9);
    assert_eq!(fleet.levels[0].down, ["search".parse().unwrap()]);
}

#[test]
fn of_rules_of_equal_priority_the_most_severe_wins_and_a_higher_priority_over_it() {
    let mut fleet = fleet();
    let rule = |name: &str, level, priority| Rule {
        priority,
        ..Rule::new(name, When::AllDown(vec!["search".into()]), level)
    };
    let mild = plan()
        .rule(rule("mild", Level::Minor, 5))
        .rule(rule("stern", Level::Minimal, 5));
    features(&mut fleet, mild.clone());
    sees(&mut fleet, "search", false);
    assert_eq!(fleet.shown.as_ref().unwrap().rule.as_deref(), Some("stern"));
    features(&mut fleet, mild.rule(rule("first", Level::Full, 6)));
    assert_eq!(
        (level(&fleet), off(&fleet)),
        (DegradationLevel::Full, vec!["web_search".to_owned()])
    );
}

#[test]
fn what_is_held_is_not_undone_by_what_comes_and_goes() {
    let mut fleet = fleet();
    assert_eq!(holds(&mut fleet, DegradationLevel::Minimal, None), Outcome::Accepted);
    assert_eq!(off(&fleet), ["avatars", "history", "web_search"]);
    assert_eq!(holds(&mut fleet, DegradationLevel::Minimal, None), Outcome::Already);
    sees(&mut fleet, "llm", false);
    sees(&mut fleet, "llm", true);
    fleet.wait(3_600_000);
    assert_eq!(level(&fleet), DegradationLevel::Minimal);
    let shown = fleet.shown.clone().unwrap();
    assert_eq!((shown.cause.as_str(), shown.rule), ("held by ann: a drill", None));
    assert_eq!(fleet.levels[0].actor, "ann");
    assert_eq!(asks(&mut fleet, DegradationRequest::Release), Outcome::Accepted);
    assert_eq!((level(&fleet), off(&fleet).len()), (DegradationLevel::Full, 0));
    assert_eq!(asks(&mut fleet, DegradationRequest::Release), Outcome::Already);
}

#[test]
fn a_feature_whose_component_is_down_stays_off_though_somebody_holds_all_on() {
    let mut fleet = fleet();
    holds(&mut fleet, DegradationLevel::Full, None);
    sees(&mut fleet, "search", false);
    assert_eq!(
        (level(&fleet), off(&fleet)),
        (DegradationLevel::Full, vec!["web_search".to_owned()])
    );
}

#[test]
fn what_is_held_for_a_time_ends_by_itself_and_not_before() {
    let mut fleet = fleet();
    holds(&mut fleet, DegradationLevel::Severe, Some(600));
    fleet.wait(599_000);
    assert_eq!(level(&fleet), DegradationLevel::Severe);
    fleet.wait(2_000);
    assert_eq!(
        (level(&fleet), &fleet.shown.as_ref().unwrap().held),
        (DegradationLevel::Full, &None)
    );
    assert_eq!(fleet.levels.last().unwrap().actor, "stead");
}

#[test]
fn a_start_anew_goes_on_from_what_is_stored_and_tells_nothing_twice() {
    let mut fleet = fleet();
    sees(&mut fleet, "search", false);
    holds(&mut fleet, DegradationLevel::Severe, Some(600));
    let (before, told) = (fleet.degradation.clone(), fleet.levels.len());
    starts_anew(&mut fleet);
    assert_eq!(level(&fleet), DegradationLevel::Severe);
    features(&mut fleet, plan());
    assert_eq!((&fleet.degradation, fleet.levels.len()), (&before, told));
    assert_eq!(off(&fleet), ["avatars", "web_search"]);
    fleet.wait(601_000);
    assert_eq!(level(&fleet), DegradationLevel::Moderate);
    sees(&mut fleet, "search", true);
    assert_eq!(level(&fleet), DegradationLevel::Full);
    fleet.engine.check_invariants().unwrap();
}

#[test]
fn what_came_back_while_nobody_looked_is_found_at_the_start() {
    let mut fleet = fleet();
    sees(&mut fleet, "search", false);
    let stored = fleet.degradation.clone();
    sees(&mut fleet, "search", true);
    fleet.degradation = stored;
    starts_anew(&mut fleet);
    assert_eq!(level(&fleet), DegradationLevel::Moderate);
    features(&mut fleet, plan());
    assert_eq!((level(&fleet), off(&fleet).len()), (DegradationLevel::Full, 0));
}

#[test]
fn a_component_on_its_first_way_up_takes_nothing_down_and_one_that_does_not_come_up_does() {
    let mut fleet = Fleet::new(&["llm", HOME].map(str::to_owned));
    features(&mut fleet, Plan::default().component("llm", Essential));
    fleet.register("llm", PROCESS);
    let standing = |fleet: &Fleet| fleet.shown.as_ref().unwrap().components[0].standing;
    assert_eq!(
        (level(&fleet), standing(&fleet)),
        (DegradationLevel::Full, ComponentStanding::Unknown)
    );
    fleet.exit("llm");
    assert_eq!(
        (level(&fleet), standing(&fleet)),
        (DegradationLevel::Emergency, ComponentStanding::Down)
    );
    fleet.wait(5_000);
    assert_eq!(
        level(&fleet),
        DegradationLevel::Emergency,
        "its next start is no proof yet"
    );
    fleet.probe("llm", ProbeKind::Readiness, true);
    assert_eq!(
        (level(&fleet), standing(&fleet)),
        (DegradationLevel::Full, ComponentStanding::Up)
    );
}

#[test]
fn a_fleet_that_goes_down_as_a_whole_gives_nothing_up() {
    let mut fleet = fleet();
    let ask = |fleet: &mut Fleet, name: &str, request: Request| {
        fleet.step(Input::Command(Box::new(Command {
            origin: Origin::engine("r".into()),
            namespace: Namespace::default(),
            agent: AgentRef::Name(name.parse().unwrap()),
            expected: None,
            idempotency: None,
            reason: None,
            request,
        })));
    };
    for name in ["llm", "database", "search"] {
        ask(&mut fleet, name, Request::Halt);
    }
    fleet.wait(60_000);
    assert_eq!((level(&fleet), fleet.levels.len()), (DegradationLevel::Full, 0));
    for name in ["llm", "database", "search"] {
        ask(&mut fleet, name, Request::Lift);
        fleet.probe(name, ProbeKind::Readiness, true);
    }
    assert_eq!((level(&fleet), fleet.levels.len()), (DegradationLevel::Full, 0));
    // One that somebody stops does take its features down.
    ask(&mut fleet, "search", Request::Want(Wanted::Stopped));
    fleet.wait(60_000);
    assert_eq!(level(&fleet), DegradationLevel::Moderate);
}

#[test]
fn load_changes_how_work_is_done_until_it_has_been_low_for_a_while() {
    let mut fleet = fleet();
    let load = |cpu| Input::Load(Namespace::default(), Load { cpu, memory: 0.1 });
    fleet.step(load(0.95));
    let shown = fleet.shown.clone().unwrap();
    assert_eq!(
        (shown.level, &shown.modes[..]),
        (DegradationLevel::Minor, &[WorkMode::Simplified][..])
    );
    starts_anew(&mut fleet);
    features(&mut fleet, plan());
    assert_eq!(
        level(&fleet),
        DegradationLevel::Minor,
        "that the machine was busy is remembered"
    );
    fleet.step(load(0.5));
    fleet.wait(29_000);
    assert_eq!(level(&fleet), DegradationLevel::Minor);
    fleet.wait(2_000);
    assert_eq!(level(&fleet), DegradationLevel::Full);
}

#[test]
fn other_features_are_in_force_at_once_and_none_at_all_give_nothing_up() {
    let mut fleet = fleet();
    sees(&mut fleet, "search", false);
    features(&mut fleet, Plan::default().component("search", Optional));
    assert_eq!(level(&fleet), DegradationLevel::Minor);
    features(&mut fleet, Plan::default());
    assert_eq!((level(&fleet), off(&fleet).len()), (DegradationLevel::Full, 0));
    sees(&mut fleet, "search", true);
    sees(&mut fleet, "search", false);
    assert_eq!(level(&fleet), DegradationLevel::Full);
}

#[test]
fn a_level_can_be_held_where_nothing_is_configured() {
    let mut fleet = Fleet::new(&[HOME.to_owned()]);
    features(&mut fleet, Plan::default());
    assert_eq!(fleet.shown, None, "nothing is made of nothing");
    holds(&mut fleet, DegradationLevel::Moderate, Some(60));
    assert_eq!(level(&fleet), DegradationLevel::Moderate);
    fleet.wait(61_000);
    assert_eq!(level(&fleet), DegradationLevel::Full);
    fleet.engine.check_invariants().unwrap();
}
