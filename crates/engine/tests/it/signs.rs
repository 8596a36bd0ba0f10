//! What beats say ahead of trouble, over the whole engine.

use stead_engine::Engine;
use stead_model::{
    Action, Activity, ActivityKind, Beat, BeatMore, BeatOf, Condition, Health, Metric, Order, Request, Span, Vitals,
};

use crate::beats::{obey, registered};
use crate::rig::{BOOT, Rig};

const INTERVAL: u64 = 5_000;

fn bare(rig: &Rig) -> Beat {
    Beat::bare(BeatOf::Id(rig.row().unwrap().id))
}

/// One beat an interval later; what follows from it is decided at once.
fn next(rig: &mut Rig, beat: Beat) -> Vec<Action> {
    rig.wait(INTERVAL);
    rig.engine.beats(rig.now, &[beat], &mut Vec::new());
    rig.wait(0)
}

fn measured(rig: &mut Rig, metric: Metric, value: f64) -> Vec<Action> {
    let mut vitals = Vitals::NONE;
    vitals.set(metric, value).unwrap();
    let beat = Beat { vitals, ..bare(rig) };
    next(rig, beat)
}

fn at(kind: ActivityKind, hash: Option<u64>, seconds: u64) -> Option<Box<BeatMore>> {
    let lasts = Some(Span::secs(seconds));
    Some(Box::new(BeatMore {
        activity: Some(Activity { kind, lasts, hash }),
        ..BeatMore::default()
    }))
}

fn progressed(rig: &mut Rig, progress: u64, more: Option<Box<BeatMore>>) -> Vec<Action> {
    let progress = Some(progress);
    let beat = Beat {
        progress,
        more,
        ..bare(rig)
    };
    next(rig, beat)
}

fn held(rig: &Rig, condition: Condition) -> Option<&str> {
    let mut held = rig.row().unwrap().conditions.iter();
    held.find(|held| held.condition == condition)
        .map(|held| held.detail.as_str())
}

/// Its health as it is shown.
fn health(rig: &Rig) -> Health {
    let id = stead_model::AgentRef::Name(crate::rig::name());
    let explained = rig.engine.explain(rig.now, &stead_model::Namespace::default(), &id);
    explained.unwrap().agent.health
}

/// Usual memory for a while, then a leak, until it is warned of it.
fn leak(rig: &mut Rig) -> (f64, Vec<Action>) {
    for n in 0..300_u32 {
        let _ = measured(rig, Metric::MemoryUsage, 0.3 + f64::from(n % 2) * 0.02);
        assert_eq!(held(rig, Condition::Warning), None, "after {n} usual samples");
    }
    let mut memory = 0.33;
    while memory < 0.85 {
        memory += 0.001;
        let orders = measured(rig, Metric::MemoryUsage, memory);
        if !orders.is_empty() || held(rig, Condition::Warning).is_some_and(|said| said.contains("without rest")) {
            return (memory, orders);
        }
    }
    panic!("its memory reached the threshold and nobody warned");
}

#[test]
fn a_leak_is_warned_of_with_the_time_that_is_left() {
    let mut rig = registered(r#"{"driver":"none"}"#);
    let (memory, _) = leak(&mut rig);
    assert!(memory < 0.7, "it comes early: {memory}");
    let said = held(&rig, Condition::Warning).unwrap();
    assert!(said.starts_with("memory_usage of 0."), "{said}");
    assert!(said.contains("grows without rest: over 0.85 in about "), "{said}");
    assert_eq!(health(&rig), Health::Healthy, "an alert changes nothing else");
}

#[test]
fn a_warning_ends_when_there_was_no_sign_for_long_enough() {
    let mut rig = registered(r#"{"driver":"none","health":{"on_warning":"degrade"}}"#);
    for n in 0..50_u32 {
        let _ = measured(&mut rig, Metric::RequestLatency, 100.0 + f64::from(n % 5));
    }
    let _ = measured(&mut rig, Metric::RequestLatency, 1_900.0);
    let said = held(&rig, Condition::Warning).unwrap();
    assert!(
        said.starts_with("request_latency of 1900 is beyond all that it ever was"),
        "{said}"
    );
    assert_eq!(health(&rig), Health::Degraded, "so it is told");
    for n in 0..59_u32 {
        let _ = measured(&mut rig, Metric::RequestLatency, 100.0 + f64::from(n % 5));
        assert_eq!(health(&rig), Health::Degraded);
    }
    let _ = measured(&mut rig, Metric::RequestLatency, 100.0);
    assert_eq!(held(&rig, Condition::Warning), None);
    assert_eq!(health(&rig), Health::Healthy);
}

#[test]
fn what_is_new_and_far_from_its_threshold_is_no_news() {
    let mut rig = registered(r#"{"driver":"none"}"#);
    for n in 0..200_u32 {
        let _ = measured(&mut rig, Metric::RequestLatency, 10.0 + f64::from(n * 4));
    }
    assert_eq!(held(&rig, Condition::Warning), None);
}

#[test]
fn errors_that_add_up_below_their_threshold_are_warned_of() {
    let mut rig = registered(r#"{"driver":"none"}"#);
    for _ in 0..60 {
        let _ = measured(&mut rig, Metric::ErrorRate, 0.0);
    }
    for _ in 0..12 {
        let _ = measured(&mut rig, Metric::ErrorRate, 0.09);
    }
    assert!(held(&rig, Condition::Warning).is_some());
    assert_eq!(health(&rig), Health::Healthy);
}

#[test]
fn who_is_told_to_watch_for_nothing_warns_of_nothing() {
    let mut rig = registered(r#"{"driver":"none","health":{"on_warning":"nothing"}}"#);
    for n in 0..200_u32 {
        let _ = measured(&mut rig, Metric::RequestLatency, f64::from(n * 5));
    }
    assert_eq!(held(&rig, Condition::Warning), None);
}

#[test]
fn one_that_drains_at_a_warning_finishes_its_tasks_and_is_started_again() {
    let mut rig = registered(r#"{"command":["x"],"health":{"on_warning":"drain","expected":true}}"#);
    let task = "t".to_owned();
    let _ = rig.ask(Request::Assign { task: task.clone() });
    let (_, orders) = leak(&mut rig);
    assert_eq!(orders, [], "its task goes first");
    let row = rig.row().unwrap();
    assert!(row.draining && !row.ready);
    let orders = rig.ask(Request::Complete { task });
    assert!(matches!(orders[0].order, Order::Signal { .. }), "{orders:?}");
    let last = rig.history.last().unwrap();
    assert!(
        last.description.starts_with("its metrics warn: memory_usage"),
        "{}",
        last.description
    );
}

#[test]
fn one_without_tasks_that_drains_at_a_warning_is_started_again_at_once() {
    let mut rig = registered(r#"{"command":["x"],"health":{"on_warning":"drain","expected":true}}"#);
    let (_, orders) = leak(&mut rig);
    assert!(matches!(orders[0].order, Order::Signal { .. }), "{orders:?}");
}

#[test]
fn work_that_stands_still_is_stuck_and_started_again_in_the_end() {
    let mut rig = registered(r#"{"command":["x"],"health":{"stuck_after":"1m","expected":true}}"#);
    let _ = progressed(&mut rig, 7, None);
    for _ in 0..40 {
        let _ = progressed(&mut rig, 7, None);
    }
    assert_eq!(held(&rig, Condition::Stuck), None, "without work nothing has to move");
    let _ = rig.ask(Request::Assign { task: "t".into() });
    for _ in 0..11 {
        let _ = progressed(&mut rig, 7, None);
        assert_eq!(held(&rig, Condition::Stuck), None);
    }
    let _ = progressed(&mut rig, 7, None);
    let _ = progressed(&mut rig, 7, None);
    let said = held(&rig, Condition::Stuck).unwrap();
    assert!(
        said.starts_with("work is in flight, and its progress has stood at 7 for 1m"),
        "{said}"
    );
    assert_eq!(health(&rig), Health::Degraded, "alive without progress is not healthy");
    let _ = progressed(&mut rig, 8, None);
    assert_eq!((held(&rig, Condition::Stuck), health(&rig)), (None, Health::Healthy));
    let mut killed = Vec::new();
    for _ in 0..38 {
        killed.extend(progressed(&mut rig, 8, None));
    }
    assert!(matches!(killed[0].order, Order::Kill { .. }), "{killed:?}");
    let failed = rig.history.iter().find(|row| row.reason == stead_model::Reason::Stuck);
    assert!(failed.unwrap().description.contains("has stood at 8 for 3m"));
    let failure = rig.row().unwrap().recovery.failure.as_ref();
    assert_eq!(failure.unwrap().kind, stead_model::FailureKind::Stuck);
}

#[test]
fn who_waits_for_a_person_is_not_stuck() {
    let mut rig = registered(r#"{"driver":"none","health":{"stuck_after":"1m"}}"#);
    for n in 0..60 {
        let _ = progressed(&mut rig, 7, at(ActivityKind::WaitingInput, None, n * 5));
    }
    assert_eq!(held(&rig, Condition::Stuck), None);
    let mut spent = at(ActivityKind::LlmCall, None, 0).unwrap();
    for n in 0..14_u32 {
        spent.gauges.insert("tokens_used".into(), f64::from(1_000 + n * 100));
        let _ = progressed(&mut rig, 7, Some(spent.clone()));
    }
    let said = held(&rig, Condition::Stuck).unwrap();
    assert!(said.ends_with("tokens were used meanwhile"), "{said}");
}

#[test]
fn a_call_that_takes_far_longer_than_others_of_its_kind_is_stuck() {
    let mut rig = registered(r#"{"driver":"none"}"#);
    for call in 0..80 {
        let _ = progressed(&mut rig, call, at(ActivityKind::Tool, Some(call), 2));
    }
    let _ = progressed(&mut rig, 80, at(ActivityKind::Tool, Some(99), 5));
    assert_eq!(held(&rig, Condition::Stuck), None);
    let _ = progressed(&mut rig, 81, at(ActivityKind::Tool, Some(99), 15));
    let said = held(&rig, Condition::Stuck).unwrap();
    assert_eq!(said, "`tool` has been running for 15s, where 10s is long");
    let _ = progressed(&mut rig, 81, at(ActivityKind::Idle, None, 0));
    assert_eq!(held(&rig, Condition::Stuck), None);
}

#[test]
fn the_same_calls_again_and_again_are_a_loop_until_something_comes_of_them() {
    let mut rig = registered(r#"{"driver":"none","health":{"loop_rounds":4}}"#);
    let mut calls = 0;
    while held(&rig, Condition::Looping).is_none() {
        let _ = progressed(&mut rig, 1, at(ActivityKind::Tool, Some(5 + calls % 2), 0));
        calls += 1;
        assert!(calls < 20, "nobody noticed");
    }
    let said = held(&rig, Condition::Looping).unwrap();
    assert_eq!(
        said,
        "it makes the same 2 calls again and again: 4 times in a row, with no progress between"
    );
    assert_eq!(health(&rig), Health::Degraded);
    let _ = progressed(&mut rig, 2, at(ActivityKind::Tool, Some(5), 0));
    assert_eq!((held(&rig, Condition::Looping), health(&rig)), (None, Health::Healthy));
}

#[test]
fn another_run_begins_with_nothing_against_it() {
    let mut rig = registered(r#"{"command":["x"],"health":{"on_warning":"degrade","expected":true}}"#);
    let _ = leak(&mut rig);
    let orders = rig.ask(Request::Restart);
    obey(&mut rig, orders);
    let row = rig.row().unwrap();
    assert!(
        row.conditions.iter().all(|held| held.condition != Condition::Warning),
        "{row:?}"
    );
}

/// Another engine takes over what is stored.
fn thawed(rig: &mut Rig) {
    let stored = rig.stored();
    rig.engine = Engine::new(BOOT);
    let _views = rig.engine.thaw(rig.now, stored).unwrap();
}

#[test]
fn what_was_told_ends_though_the_node_was_away_meanwhile() {
    let mut rig = registered(r#"{"driver":"none","health":{"on_warning":"degrade","stuck_after":"1m"}}"#);
    let _ = leak(&mut rig);
    for n in 0..30 {
        let _ = progressed(&mut rig, 7, at(ActivityKind::LlmCall, Some(n), 0));
    }
    assert!(held(&rig, Condition::Stuck).is_some() && held(&rig, Condition::Warning).is_some());
    thawed(&mut rig);
    for n in 0..60_u32 {
        let _ = measured(&mut rig, Metric::MemoryUsage, 0.3 + f64::from(n % 2) * 0.02);
    }
    assert_eq!(held(&rig, Condition::Warning), None);
    let _ = progressed(&mut rig, 8, None);
    assert_eq!((held(&rig, Condition::Stuck), health(&rig)), (None, Health::Healthy));
}

#[test]
fn one_that_was_paused_while_stuck_is_stuck_again_when_it_goes_on_so() {
    let mut rig = registered(r#"{"driver":"none","health":{"stuck_after":"1m"}}"#);
    let work = || at(ActivityKind::LlmCall, Some(1), 0);
    for _ in 0..15 {
        let _ = progressed(&mut rig, 7, work());
    }
    assert!(held(&rig, Condition::Stuck).is_some());
    let _ = rig.ask(Request::Want(stead_model::Wanted::Maintenance));
    let _ = progressed(&mut rig, 7, work());
    assert_eq!(
        held(&rig, Condition::Stuck),
        None,
        "nothing is expected of it meanwhile"
    );
    let _ = rig.ask(Request::Want(stead_model::Wanted::Running));
    for _ in 0..15 {
        let _ = progressed(&mut rig, 7, work());
    }
    assert!(held(&rig, Condition::Stuck).is_some());
}

#[test]
fn a_beat_that_does_not_speak_of_its_work_changes_nothing_of_how_that_is_judged() {
    let mut rig = registered(r#"{"driver":"none","health":{"stuck_after":"1m"}}"#);
    let work = || at(ActivityKind::LlmCall, Some(1), 0);
    for _ in 0..15 {
        let _ = progressed(&mut rig, 7, work());
    }
    let (position, said) = (rig.position, held(&rig, Condition::Stuck).map(str::to_owned));
    assert!(said.is_some());
    for _ in 0..5 {
        let spoken = Beat {
            more: work(),
            ..bare(&rig)
        };
        let _ = next(&mut rig, spoken);
        let bare = bare(&rig);
        let _ = next(&mut rig, bare);
        let _ = progressed(&mut rig, 7, work());
    }
    assert_eq!(held(&rig, Condition::Stuck), said.as_deref());
    assert_eq!(rig.position, position, "nothing is written");
}
