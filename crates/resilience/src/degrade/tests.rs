use core::time::Duration;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use stead_policy::{CircuitState, Criticality};

use super::load::{MeasureLoad, ProcLoad};
use super::{Cause, Degradation, Feature, Level, Load, Mode, Plan, Standing};
use crate::{Breaker, BreakerConfig, CheckConfig, Clock, Finding, HealthChecker, Virtual};

const SECOND: Duration = Duration::from_secs(1);

fn plan() -> Plan {
    Plan::default()
        .component("llm", Criticality::Essential)
        .component("search", Criticality::Important)
        .feature("chat", Feature::of(Criticality::Essential).requiring("llm"))
        .feature("web_search", Feature::of(Criticality::Important).requiring("search"))
        .feature("pictures", Feature::of(Criticality::Optional))
}

fn degradation() -> (Degradation<Virtual>, Virtual) {
    let clock = Virtual::new();
    (Degradation::with_clock(plan(), clock.clone()).unwrap(), clock)
}

const BUSY: Load = Load { cpu: 0.95, memory: 0.1 };

#[test]
fn callers_see_features_go_and_come_back() {
    let (degradation, _) = degradation();
    let flag = degradation.feature("web_search").unwrap();
    let mut watch = degradation.watch();
    assert!(flag.is_enabled() && degradation.feature_enabled("web_search"));
    degradation.component("search", Standing::Down);
    assert!(!flag.is_enabled() && !degradation.feature_enabled("web_search"));
    assert!(degradation.feature_enabled("chat"));
    assert_eq!(watch.get().level, Level::Moderate);
    degradation.component("search", Standing::Up);
    assert!(flag.is_enabled());
    assert_eq!(degradation.level(), Level::Full);
}

#[test]
fn a_feature_that_the_plan_does_not_have_is_off_and_has_no_flag() {
    let (degradation, _) = degradation();
    assert!(!degradation.feature_enabled("web_serach"));
    assert!(degradation.feature("web_serach").is_none());
    assert!(Degradation::new(plan().feature("x", Feature::of(Criticality::Optional).requiring("y"))).is_err());
}

#[test]
fn a_circuit_that_is_not_closed_takes_its_component_down() {
    for (state, level) in [
        (CircuitState::Open, Level::Moderate),
        (CircuitState::HalfOpen, Level::Moderate),
        (CircuitState::Isolated, Level::Moderate),
        (CircuitState::ForcedOpen, Level::Moderate),
        (CircuitState::Closed, Level::Full),
        (CircuitState::Recovering, Level::Full),
        // These say nothing, so it stays what it was.
        (CircuitState::ForcedClosed, Level::Moderate),
        (CircuitState::Disabled, Level::Moderate),
    ] {
        let (degradation, _) = degradation();
        degradation.component("search", Standing::Down);
        degradation.circuit("search", state);
        assert_eq!(degradation.level(), level, "{state:?}");
    }
}

#[test]
fn an_override_holds_until_it_is_released_and_history_says_who() {
    let (degradation, clock) = degradation();
    clock.advance(7 * SECOND);
    degradation.override_level(Level::Severe, "ann", "load test");
    degradation.component("search", Standing::Down);
    assert_eq!(degradation.level(), Level::Severe);
    degradation.release();
    degradation.component("search", Standing::Up);
    let history = degradation.history();
    let levels: Vec<_> = history.iter().map(|change| (change.from, change.to)).collect();
    let expected = [
        (Level::Full, Level::Severe),
        (Level::Severe, Level::Severe),
        (Level::Severe, Level::Moderate),
        (Level::Moderate, Level::Full),
    ];
    assert_eq!(levels, expected);
    assert_eq!(history[0].at, 7 * SECOND);
    assert_eq!(
        history[0].cause,
        Cause::Override {
            by: "ann".into(),
            why: "load test".into()
        }
    );
    assert_eq!(history[0].went_off, ["pictures".into(), "web_search".into()]);
    assert!(format!("{degradation:?}").contains("Full"));
}

#[test]
fn callers_are_told_what_does_instead() {
    let plan = plan()
        .feature(
            "web_search",
            Feature::of(Criticality::Important).requiring("search").or("titles"),
        )
        .feature("titles", Feature::of(Criticality::Critical).requiring("llm"));
    let degradation = Degradation::new(plan).unwrap();
    assert_eq!(degradation.serving("web_search").as_deref(), Some("web_search"));
    degradation.component("search", Standing::Down);
    assert_eq!(degradation.serving("web_search").as_deref(), Some("titles"));
    degradation.component("llm", Standing::Down);
    assert_eq!(degradation.serving("web_search"), None);
    assert_eq!(degradation.serving("typo"), None);
}

#[test]
fn history_is_bounded() {
    let (degradation, _) = degradation();
    for _ in 0..200 {
        degradation.component("search", Standing::Down);
        degradation.component("search", Standing::Up);
    }
    assert_eq!(degradation.history().len(), 256);
    assert_eq!(degradation.history().last().unwrap().to, Level::Full);
}

#[tokio::test]
async fn the_calm_after_load_ends_by_itself() {
    let (degradation, clock) = degradation();
    degradation.start();
    degradation.load(BUSY);
    assert_eq!(degradation.state().mode(), Some(Mode::Simplified));
    clock.run_for(100 * SECOND).await;
    degradation.load(Load::default());
    clock.run_for(29 * SECOND).await;
    assert_eq!(degradation.level(), Level::Minor);
    clock.run_for(SECOND).await;
    assert_eq!(degradation.level(), Level::Full);
    assert_eq!(degradation.history().last().unwrap().at, 130 * SECOND);
}

#[tokio::test]
async fn reports_of_a_health_checker_are_followed() {
    let (degradation, clock) = degradation();
    let checker = HealthChecker::with_clock(clock.clone());
    let wait = clock.clone();
    // Well for a minute, then out for a minute.
    let flaky = move || {
        let well = wait.now().as_nanos() / 60_000_000_000 % 2 == 0;
        core::future::ready(if well {
            Finding::healthy()
        } else {
            Finding::unhealthy("out")
        })
    };
    checker.add("search", CheckConfig::default(), flaky).unwrap();
    checker
        .add("of no component", CheckConfig::default(), || async {
            Finding::unhealthy("out")
        })
        .unwrap();
    degradation.follow_health(checker.watch());
    checker.start();
    clock.run_for(59 * SECOND).await;
    assert_eq!(degradation.level(), Level::Full);
    clock.run_for(SECOND).await;
    assert_eq!(degradation.level(), Level::Moderate);
    // Nobody looks any more: unknown is not up, and not down.
    checker.stop().await;
    clock.run_for(300 * SECOND).await;
    degradation.health(&checker.report());
    assert_eq!(degradation.level(), Level::Moderate);
    checker.start();
    clock.run_for(SECOND).await;
    assert_eq!(degradation.level(), Level::Full);
    checker.stop().await;
    drop(checker);
    clock.run_for(SECOND).await;
}

#[tokio::test]
async fn the_circuit_before_a_component_is_followed_until_its_breaker_is_gone() {
    let (degradation, clock) = degradation();
    let config = BreakerConfig {
        failure_threshold: 1,
        success_threshold: 1,
        ..BreakerConfig::default()
    };
    let breaker = Arc::new(Breaker::with_clock(config, clock.clone()).unwrap());
    breaker.force_open();
    degradation.follow_breaker("search", &breaker);
    clock.run_for(SECOND).await;
    assert_eq!(degradation.level(), Level::Moderate, "it was open before");
    breaker.reset();
    clock.run_for(SECOND).await;
    assert_eq!(degradation.level(), Level::Full);
    assert!(breaker.call(|| Err::<(), _>("down")).is_err());
    clock.run_for(SECOND).await;
    assert_eq!(degradation.level(), Level::Moderate);
    clock.run_for(60 * SECOND).await;
    assert!(breaker.call(|| Ok::<_, &str>(1)).is_ok());
    clock.run_for(SECOND).await;
    assert_eq!(degradation.level(), Level::Full);
    // More changes than are kept for a slow listener: the last is what counts.
    for _ in 0..400 {
        breaker.force_open();
        breaker.reset();
    }
    breaker.force_open();
    clock.run_for(SECOND).await;
    assert_eq!(degradation.level(), Level::Moderate);
    drop(breaker);
    clock.run_for(SECOND).await;
    assert_eq!(degradation.level(), Level::Moderate, "nobody says anything else");
}

#[tokio::test]
async fn load_that_is_measured_without_a_pause_is_refused() {
    let (degradation, _clock) = degradation();
    let refused = degradation.follow_load(|| Ok(BUSY), Duration::ZERO).unwrap_err();
    assert_eq!(refused.setting, "follow_load.every");
}

#[tokio::test]
async fn load_is_followed_until_stopped_and_a_failed_measurement_changes_nothing() {
    let (degradation, clock) = degradation();
    let mut loads = VecDeque::from([
        Ok(BUSY),
        Err(io::Error::other("no /proc")),
        Ok(BUSY),
        Ok(Load::default()),
    ]);
    let source = move || loads.pop_front().unwrap_or_else(|| Ok(Load::default()));
    degradation.follow_load(source, 10 * SECOND).unwrap();
    for level in [Level::Minor, Level::Minor, Level::Minor, Level::Minor] {
        clock.run_for(9 * SECOND).await;
        assert_eq!(degradation.level(), level);
        clock.run_for(SECOND).await;
    }
    clock.run_for(20 * SECOND).await;
    assert_eq!(degradation.level(), Level::Full);
    degradation.stop().await;
    degradation.load(BUSY);
    degradation.load(Load::default());
    clock.run_for(100 * SECOND).await;
    assert_eq!(degradation.level(), Level::Minor, "nobody ticks");
    degradation.clone().component("search", Standing::Up);
    assert_eq!(degradation.level(), Level::Full, "any signal settles what is over");
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn load_is_what_was_busy_since_the_measurement_before_and_the_fuller_memory() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    write(root, "proc/stat", "cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 1 1 1\n");
    write(root, "proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 400 kB\n");
    let mut load = ProcLoad::below(root.to_str().unwrap());
    let near = |load: Load, cpu: f64, memory: f64| (load.cpu - cpu).abs() < 1e-9 && (load.memory - memory).abs() < 1e-9;
    assert!(near(load.measure().unwrap(), 0.2, 0.6));
    write(root, "proc/stat", "cpu  160 10 110 710 110 0 0 0 50 0\n");
    assert!(near(load.measure().unwrap(), 0.8, 0.6));
    assert!(near(load.measure().unwrap(), 0.0, 0.6), "no time has passed");
    // A cgroup that is fuller than the host, once what is given back first is taken off.
    write(root, "proc/self/cgroup", "0::/agent\n");
    write(root, "sys/fs/cgroup/agent/memory.max", "1000\n");
    write(root, "sys/fs/cgroup/agent/memory.current", "950\n");
    assert!(near(load.measure().unwrap(), 0.0, 0.95));
    write(root, "sys/fs/cgroup/agent/memory.stat", "anon 1\ninactive_file 50\n");
    assert!(near(load.measure().unwrap(), 0.0, 0.9));
}

#[test]
fn what_the_system_does_not_say_is_named() {
    let root = tempfile::tempdir().unwrap();
    let mut load = ProcLoad::below(root.path().to_str().unwrap());
    assert!(load.measure().unwrap_err().to_string().contains("proc/stat"));
    write(root.path(), "proc/stat", "intr 1\n");
    assert!(
        load.measure()
            .unwrap_err()
            .to_string()
            .contains("no line of all processors")
    );
    write(root.path(), "proc/stat", "cpu  1 1 1 1 1 1 1 1\n");
    write(root.path(), "proc/meminfo", "MemTotal: 1 kB\n");
    assert!(load.measure().unwrap_err().to_string().contains("no MemAvailable"));
}

#[test]
fn this_machine_is_measured() {
    let load = ProcLoad::default().measure().unwrap();
    assert!(load.cpu > 0.0 && load.cpu <= 1.0, "{load:?}");
    assert!(load.memory > 0.0 && load.memory <= 1.0, "{load:?}");
}
