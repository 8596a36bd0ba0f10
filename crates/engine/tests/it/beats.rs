//! Signs of life, and their absence, over the whole engine.

use std::time::Duration;

use stead_engine::Input;
use stead_model::{
    Action, AgentSpec, Beat, BeatAnswer, BeatOf, BeatOutcome, Condition, Health, Incarnation, Metric, Observation,
    Order, Report, Request, Vitals, Wall, Wanted,
};

use crate::rig::{Rig, identity};

const FIXED: &str = r#"{"driver":"none","type":"api","health":{"adaptive_timeout":false}}"#;
const LEARNT: &str = r#"{"driver":"none","type":"api"}"#;

pub(crate) fn registered(spec: &str) -> Rig {
    let mut rig = Rig::new(Vec::new());
    let spec: Box<AgentSpec> = Box::new(serde_json::from_str(spec).unwrap());
    let wanted = Wanted::Running;
    let orders = rig.ask(Request::Register { spec, wanted });
    obey(&mut rig, orders);
    rig
}

/// The keeper does as it is told.
pub(crate) fn obey(rig: &mut Rig, orders: Vec<Action>) {
    for action in orders {
        let seen = match action.order {
            Order::Prepare { agent, .. } => Observation::Prepared { agent, result: Ok(()) },
            Order::Spawn { instance, .. } => Observation::Spawned {
                instance,
                result: Ok(identity()),
            },
            _ => continue,
        };
        let next = rig.step(Input::Observed(seen));
        obey(rig, next);
    }
}

fn bare(rig: &Rig) -> Beat {
    Beat::bare(BeatOf::Id(rig.row().unwrap().id))
}

/// One beat; what follows from it is decided at once.
fn beat(rig: &mut Rig, beat: Beat) -> (BeatAnswer, Vec<Action>) {
    let mut answers = Vec::new();
    rig.engine.beats(rig.now, &[beat], &mut answers);
    (answers[0], rig.wait(0))
}

fn beat_bare(rig: &mut Rig) -> BeatAnswer {
    let it = bare(rig);
    beat(rig, it).0
}

/// Beats for a while, every five seconds.
fn beating(rig: &mut Rig, times: usize) {
    for _ in 0..times {
        rig.wait(5_000);
        assert_eq!(beat_bare(rig).outcome, BeatOutcome::Accepted);
    }
}

fn seen(rig: &Rig) -> (Health, &str) {
    let row = rig.row().unwrap();
    let health = row.vital.into_iter().fold(row.health, Ord::max);
    (health, &row.phase)
}

fn with(rig: &Rig, metric: Metric, value: f64, claim: Option<Health>) -> Beat {
    let mut vitals = Vitals::NONE;
    vitals.set(metric, value).unwrap();
    Beat {
        vitals,
        claim,
        ..bare(rig)
    }
}

#[test]
fn missed_beats_degrade_then_are_critical_then_a_failure() {
    let mut rig = registered(FIXED);
    beat_bare(&mut rig);
    let interval = beat_bare(&mut rig).next_in.0;
    let mut levels = Vec::new();
    let mut passed = Duration::ZERO;
    for _ in 0..4 * 100 {
        rig.wait(50);
        passed += Duration::from_millis(50);
        let now = seen(&rig).0;
        if levels.last().is_none_or(|(level, _)| *level != now) {
            levels.push((now, passed));
        }
    }
    let beats = |times: u32| interval * times;
    let after: Vec<_> = levels.iter().map(|(level, _)| *level).collect();
    assert_eq!(
        after,
        [Health::Healthy, Health::Degraded, Health::Critical, Health::Failed]
    );
    for ((_, at), due) in levels[1..].iter().zip([beats(2), beats(3), beats(4)]) {
        assert!(
            *at >= due && *at <= due + Duration::from_millis(101),
            "{at:?} for {due:?}"
        );
    }
    assert_eq!(seen(&rig).1, "error");
}

#[test]
fn a_beat_that_changes_nothing_writes_nothing() {
    let mut rig = registered(LEARNT);
    beat_bare(&mut rig);
    let position = rig.position;
    beating(&mut rig, 500);
    assert_eq!(rig.position, position);
    assert_eq!(seen(&rig), (Health::Healthy, "online"));
    assert_eq!(rig.engine.beat_counts().accepted, 501);
}

#[test]
fn a_learnt_timeout_finds_a_regular_agent_within_two_intervals() {
    let mut rig = registered(LEARNT);
    let mut next = beat_bare(&mut rig).next_in;
    for _ in 0..100 {
        rig.wait(u64::try_from(next.0.as_millis()).unwrap());
        next = beat_bare(&mut rig).next_in;
    }
    rig.wait(u64::try_from(next.0.as_millis()).unwrap() + 2_000);
    assert_eq!(seen(&rig).0, Health::Healthy);
    rig.wait(3_000);
    assert_eq!(seen(&rig), (Health::Failed, "error"));
    let evidence = &rig.row().unwrap().evidence;
    let said = &evidence.iter().find(|seen| seen.kind == "beat").unwrap().detail;
    assert!(
        ["7s", "8s", "9s"]
            .iter()
            .any(|silence| said.starts_with(&format!("silent for {silence}"))),
        "{said}"
    );
}

#[test]
fn exactly_as_many_good_beats_as_it_takes_bring_it_back() {
    let spec = FIXED.replace("false", r#"false,"recovery_threshold":3"#);
    let mut rig = registered(&spec);
    beat_bare(&mut rig);
    rig.wait(60_000);
    assert_eq!(seen(&rig).0, Health::Failed);
    let seen: Vec<_> = (0..3)
        .map(|_| {
            rig.wait(1_000);
            beat_bare(&mut rig);
            seen(&rig).0
        })
        .collect();
    assert_eq!(seen, [Health::Recovering, Health::Recovering, Health::Healthy]);
    assert_eq!(rig.row().unwrap().phase, "online");
}

#[test]
fn bad_metrics_with_a_claim_of_health_degrade_once_in_twenty_beats_and_good_ones_restore() {
    let mut rig = registered(LEARNT);
    beat_bare(&mut rig);
    let position = rig.position;
    for n in 1..=20 {
        rig.wait(5_000);
        let bad = with(&rig, Metric::CpuUsage, 0.97, Some(Health::Healthy));
        beat(&mut rig, bad);
        let expected = if n < 3 { Health::Healthy } else { Health::Degraded };
        assert_eq!(seen(&rig).0, expected, "beat {n}");
    }
    assert_eq!(rig.position.0, position.0 + 1, "it degrades once");
    for expected in [Health::Degraded, Health::Healthy] {
        rig.wait(5_000);
        let good = with(&rig, Metric::CpuUsage, 0.90, None);
        beat(&mut rig, good);
        assert_eq!(seen(&rig).0, expected);
    }
}

#[test]
fn a_component_is_degraded_while_its_health_is_and_ready_again_with_it() {
    let mut rig = registered(r#"{"driver":"none","type":"api","profile":"component"}"#);
    beating(&mut rig, 1);
    assert_eq!(seen(&rig), (Health::Healthy, "ready"));
    for _ in 0..3 {
        rig.wait(1_000);
        let bad = with(&rig, Metric::ErrorRate, 0.5, None);
        let _ = beat(&mut rig, bad);
    }
    assert_eq!(seen(&rig), (Health::Degraded, "degraded"));
    rig.ask(Request::Assign { task: "t1".into() });
    assert_eq!(seen(&rig), (Health::Degraded, "active"));
    rig.ask(Request::Complete { task: "t1".into() });
    assert_eq!(seen(&rig), (Health::Degraded, "degraded"));
    for _ in 0..2 {
        rig.wait(1_000);
        let good = with(&rig, Metric::ErrorRate, 0.0, None);
        let _ = beat(&mut rig, good);
    }
    assert_eq!(seen(&rig), (Health::Healthy, "ready"));
}

#[test]
fn a_bare_beat_neither_restores_what_metrics_degraded_nor_makes_it_worse() {
    let mut rig = registered(LEARNT);
    beat_bare(&mut rig);
    for _ in 0..3 {
        let bad = with(&rig, Metric::RequestLatency, 1000.5, None);
        beat(&mut rig, bad);
    }
    assert_eq!(seen(&rig).0, Health::Degraded);
    beating(&mut rig, 5);
    assert_eq!(seen(&rig).0, Health::Degraded);
}

#[test]
fn what_one_beat_said_is_not_held_against_it_by_later_ones_that_say_nothing_of_it() {
    let mut rig = registered(LEARNT);
    beat_bare(&mut rig);
    let slow = with(&rig, Metric::RequestLatency, 100_000.0, None);
    beat(&mut rig, slow.clone());
    for _ in 0..20 {
        let idle = with(&rig, Metric::CpuUsage, 0.1, None);
        beat(&mut rig, idle);
    }
    assert_eq!(seen(&rig).0, Health::Healthy);
    // Nor do they excuse it: three that say so are enough, whatever comes between.
    for _ in 0..2 {
        beat(&mut rig, slow.clone());
        let idle = with(&rig, Metric::CpuUsage, 0.1, None);
        beat(&mut rig, idle);
    }
    assert_eq!(seen(&rig).0, Health::Degraded);
}

#[test]
fn old_numbers_and_other_runs_change_nothing_and_are_counted() {
    let mut rig = registered(FIXED);
    let run = beat_bare(&mut rig).incarnation;
    let numbered = |rig: &Rig, sequence, incarnation| Beat {
        sequence: Some(sequence),
        incarnation: Some(incarnation),
        claim: Some(Health::Critical),
        ..bare(rig)
    };
    let first = Beat {
        claim: None,
        ..numbered(&rig, 7, run)
    };
    assert_eq!(beat(&mut rig, first).0.outcome, BeatOutcome::Accepted);
    let before = (rig.position, rig.engine.next_deadline());
    for (sequence, incarnation, outcome) in [
        (7, run, BeatOutcome::Stale),
        (1, run, BeatOutcome::Stale),
        (8, Incarnation(run.0 + 1), BeatOutcome::Fenced),
    ] {
        let old = numbered(&rig, sequence, incarnation);
        assert_eq!(beat(&mut rig, old).0.outcome, outcome);
    }
    let nobody = Beat::bare(BeatOf::Id(stead_model::AgentId::from_bits(99)));
    assert_eq!(beat(&mut rig, nobody).0.outcome, BeatOutcome::Unknown);
    assert_eq!((rig.position, rig.engine.next_deadline()), before);
    let counts = rig.engine.beat_counts();
    assert_eq!(
        (counts.accepted, counts.stale, counts.fenced, counts.unknown),
        (2, 2, 1, 1)
    );
}

#[test]
fn reports_and_beats_without_a_number_use_up_none_of_those_that_an_agent_gives_its_own() {
    let mut rig = registered(LEARNT);
    let id = rig.row().unwrap().id;
    let numbered = |rig: &Rig, number| Beat {
        sequence: Some(number),
        ..bare(rig)
    };
    for number in 1..=20 {
        rig.wait(1_000);
        rig.step(Input::Observed(Observation::Reported {
            agent: id,
            report: Report::default(),
        }));
        assert_eq!(beat_bare(&mut rig).outcome, BeatOutcome::Accepted);
        let own = numbered(&rig, number);
        assert_eq!(beat(&mut rig, own.clone()).0.outcome, BeatOutcome::Accepted, "{number}");
        assert_eq!(beat(&mut rig, own).0.outcome, BeatOutcome::Stale, "{number} again");
    }
}

#[test]
fn a_handle_means_its_agent_until_that_is_gone() {
    let mut rig = registered(LEARNT);
    let handle = beat_bare(&mut rig).handle.unwrap();
    let by_handle = Beat::bare(BeatOf::Handle(handle));
    assert_eq!(beat(&mut rig, by_handle.clone()).0.outcome, BeatOutcome::Accepted);
    rig.ask(Request::Want(Wanted::Deleted));
    assert_eq!(rig.row(), None);
    assert_eq!(beat(&mut rig, by_handle.clone()).0.outcome, BeatOutcome::Unknown);
    let spec: Box<AgentSpec> = Box::new(serde_json::from_str(LEARNT).unwrap());
    let wanted = Wanted::Running;
    rig.ask(Request::Register { spec, wanted });
    assert_ne!(
        beat_bare(&mut rig).handle,
        Some(handle),
        "its place was given to another"
    );
    assert_eq!(beat(&mut rig, by_handle).0.outcome, BeatOutcome::Unknown);
}

#[test]
fn a_process_that_once_beat_is_killed_when_it_falls_silent_and_one_that_never_did_is_left_alone() {
    let text = r#"{"command":["x"],"type":"api","health":{"adaptive_timeout":false}}"#;
    let mut rig = registered(text);
    assert_eq!(rig.wait(600_000), []);
    beat_bare(&mut rig);
    assert!(rig.row().unwrap().instance.as_ref().unwrap().beats);
    let orders = rig.wait(30_000);
    assert!(
        orders.iter().any(|action| matches!(action.order, Order::Kill { .. })),
        "{orders:?}"
    );
    assert_eq!(seen(&rig), (Health::Failed, "error"));
}

#[test]
fn a_process_of_which_beats_are_expected_and_that_never_beats_is_found() {
    let text = r#"{"command":["x"],"type":"api","health":{"expected":true,"adaptive_timeout":false}}"#;
    let mut rig = registered(text);
    assert_eq!(rig.wait(19_000), []);
    assert_eq!(seen(&rig).0, Health::Critical);
    assert!(!rig.wait(1_100).is_empty());
    assert_eq!(seen(&rig).0, Health::Failed);
}

#[test]
fn one_that_nothing_runs_and_that_never_beats_is_found() {
    let mut rig = registered(LEARNT);
    rig.wait(61_000);
    assert_eq!(seen(&rig), (Health::Failed, "timeout"));
}

#[test]
fn a_node_that_was_away_for_a_minute_convicts_nobody_and_then_finds_who_is_silent() {
    let mut rig = registered(LEARNT);
    beat_bare(&mut rig);
    beating(&mut rig, 50);
    rig.now.moment = rig.now.moment.after(Duration::from_secs(60));
    rig.now.wall = rig.now.wall.after(Duration::from_secs(60));
    rig.engine.stalled(rig.now, Duration::from_secs(60));
    rig.wait(5_000);
    assert_eq!(seen(&rig), (Health::Healthy, "online"));
    rig.wait(10_000);
    assert_eq!(seen(&rig).0, Health::Failed);
}

#[test]
fn a_step_of_the_wall_clock_changes_nothing() {
    let mut rig = registered(LEARNT);
    beat_bare(&mut rig);
    for hours in [1, -1] {
        beating(&mut rig, 20);
        let wall = rig.now.wall.unix_millis() + hours * 3_600_000;
        rig.now.wall = Wall::from_unix_millis(wall);
        rig.step(Input::Tick);
        assert_eq!(seen(&rig), (Health::Healthy, "online"));
        rig.now.wall = Wall::from_unix_millis(wall - hours * 3_600_000);
    }
}

#[test]
fn an_announced_silence_is_granted() {
    let mut rig = registered(LEARNT);
    beat_bare(&mut rig);
    beating(&mut rig, 50);
    let quiet = Beat {
        expect_silence: Some(stead_model::Span::secs(300)),
        ..bare(&rig)
    };
    beat(&mut rig, quiet);
    rig.wait(300_000);
    assert_eq!(seen(&rig).0, Health::Healthy);
    rig.wait(30_000);
    assert_eq!(seen(&rig).0, Health::Failed);
}

#[test]
fn a_suspicion_is_raised_and_cleared_with_the_silence() {
    let mut rig = registered(FIXED);
    beat_bare(&mut rig);
    rig.wait(12_000);
    let suspect = |rig: &Rig| {
        let held = &rig.row().unwrap().conditions;
        held.iter().any(|held| held.condition == Condition::Suspect)
    };
    assert!(suspect(&rig));
    beat_bare(&mut rig);
    beat_bare(&mut rig);
    assert!(!suspect(&rig));
    assert_eq!(seen(&rig).0, Health::Healthy);
}
