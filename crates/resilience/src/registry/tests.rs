use core::time::Duration;

use stead_policy::{BreakerConfig, CircuitState};

use super::*;
use crate::degrade::{Degradation, Level, Plan};
use crate::{
    AdaptiveBulkhead, AdaptiveConfig, AnyError, Budget, BudgetConfig, Bulkhead, BulkheadConfig, Chaos, ChaosConfig,
    CheckConfig, Fallback, Finding, HealthChecker, Hedge, HedgeConfig, Layer, LeakConfig, LeakDetector, Limiter,
    LimiterConfig, NamedPipeline, Parts, PipelineConfig, Retry, RetryConfig, StaleCache, StaleConfig, StandIns,
    Timeout, TimeoutConfig, Usage, Virtual,
};

fn settings(failure_threshold: u32) -> BreakerSettings {
    let config = BreakerConfig {
        failure_threshold,
        ..BreakerConfig::default()
    };
    config.try_into().expect("valid")
}

fn pipeline(text: &str) -> PipelineConfig {
    serde_json::from_str(text).unwrap()
}

fn named(text: &str) -> Arc<NamedPipeline<Virtual>> {
    Arc::new(NamedPipeline::build(pipeline(text), &Virtual::new()).unwrap())
}

fn names(registry: &Registry<Virtual>) -> Vec<(String, Option<usize>)> {
    let listed = registry.list().into_iter();
    listed.map(|listed| (listed.name, listed.place)).collect()
}

fn assert_told(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line} in\n{text}");
    }
}

#[test]
fn registering_a_name_again_keeps_state_and_window() {
    let registry = Registry::with_clock(Virtual::new());
    let breaker = registry.breaker("model", settings(5));
    breaker.try_acquire().unwrap().failure();
    let again = registry.breaker("model", settings(2));
    assert!(Arc::ptr_eq(&breaker, &again));
    again.try_acquire().unwrap().failure();
    assert_eq!(breaker.state(), CircuitState::Open);
    registry.breaker("model", settings(9));
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[test]
fn a_second_one_of_a_kind_and_name_is_refused_and_the_first_stays() {
    let registry = Registry::new();
    let bulkhead = Arc::new(Bulkhead::new(BulkheadConfig::default()).unwrap());
    registry.register("model", Arc::clone(&bulkhead)).unwrap();
    let limiter = Arc::new(Limiter::new(LimiterConfig::default()).unwrap());
    registry.register("model", limiter).unwrap();
    let other = Arc::new(AdaptiveBulkhead::new(AdaptiveConfig::default()).unwrap());
    let refused = registry.register("model", Arc::clone(&other)).unwrap_err();
    assert_eq!((refused.kind, &*refused.name), ("bulkhead", "model"));

    assert!(Arc::ptr_eq(&bulkhead, &registry.find("model").unwrap()));
    assert!(registry.find::<AdaptiveBulkhead>("model").is_none());
    assert!(registry.find::<Limiter>("model").is_some());
    assert!(registry.take::<AdaptiveBulkhead>("model").is_none());
    assert!(registry.take::<Bulkhead>("model").is_some());
    registry.register("model", other).unwrap();
    assert!(registry.find::<Bulkhead>("model").is_none());
}

#[test]
fn asking_for_an_unknown_name_does_not_make_it() {
    let registry = Registry::new();
    assert!(registry.get("nobody").is_none());
    assert!(registry.find::<Bulkhead>("nobody").is_none());
    assert_eq!(registry.force("nobody", Force::Open), 0);
    assert_eq!(registry.list(), []);
    assert_eq!(registry.metrics(), "");
}

#[test]
fn a_reload_makes_changes_and_takes_out_and_nothing_else() {
    let registry = Registry::with_clock(Virtual::new());
    let kept = registry.breaker("kept", settings(1));
    kept.try_acquire().unwrap().failure();
    registry.breaker("gone", settings(1));
    let other = named(r#"{"policies": [{"kind": "bulkhead"}]}"#);
    registry.register("orders", other).unwrap();
    let config: RegistryConfig =
        serde_json::from_str(r#"{"breakers": {"kept": {"failure_threshold": 3}, "new": {}}}"#).unwrap();
    registry.reload(&config).unwrap();
    let expected = [("kept", None), ("new", None), ("orders", Some(0))];
    assert_eq!(names(&registry), expected.map(|(name, place)| (name.to_owned(), place)));
    assert!(Arc::ptr_eq(&kept, &registry.get("kept").unwrap()));
    assert_eq!(kept.state(), CircuitState::Open);
    assert_eq!(kept.settings().config().failure_threshold, 3);
}

#[test]
fn what_is_registered_takes_its_settings_from_configuration_and_keeps_its_state() {
    let registry = Registry::with_clock(Virtual::new());
    let (clock, seconds) = (Virtual::new(), Duration::from_secs);
    let bulkhead = Arc::new(Bulkhead::with_clock(BulkheadConfig::default(), clock.clone()).unwrap());
    let limiter = Arc::new(Limiter::with(LimiterConfig::default(), clock.clone(), AnyError).unwrap());
    let retry = Arc::new(Retry::with(RetryConfig::default(), clock.clone(), AnyError).unwrap());
    let hedge = Arc::new(Hedge::for_idempotent_with(HedgeConfig::default(), clock.clone(), AnyError).unwrap());
    let timeout = Arc::new(Timeout::with_clock(TimeoutConfig::default(), clock).unwrap());
    let orders = named(r#"{"policies": [{"kind": "breaker", "failure_threshold": 1}]}"#);
    registry.register("seats", Arc::clone(&bulkhead)).unwrap();
    registry.register("rate", Arc::clone(&limiter)).unwrap();
    registry.register("tries", Arc::clone(&retry)).unwrap();
    registry.register("beside", Arc::clone(&hedge)).unwrap();
    registry.register("time", Arc::clone(&timeout)).unwrap();
    registry.register("orders", Arc::clone(&orders)).unwrap();
    orders.breakers().next().unwrap().try_acquire().unwrap().failure();
    let _seat = bulkhead.try_acquire().unwrap();

    let text = r#"{
        "policies": {
            "seats": {"kind": "bulkhead", "max_concurrent_calls": 3},
            "rate": {"kind": "limiter", "calls": 7, "period": "1s"},
            "tries": {"kind": "retry", "max_attempts": 9},
            "beside": {"kind": "hedge", "idempotent": true, "delay": "7s"},
            "time": {"kind": "timeout", "limit": "5s"}
        },
        "pipelines": {"orders": {"policies": [{"kind": "bulkhead"}, {"kind": "breaker", "failure_threshold": 4}]}}
    }"#;
    registry.reload(&serde_json::from_str(text).unwrap()).unwrap();
    let seats = bulkhead.snapshot();
    assert_eq!((seats.max_concurrent_calls, seats.in_flight), (3, 1));
    assert_eq!(limiter.snapshot().quota.units, 7);
    assert_eq!(retry.snapshot().max_attempts, 9);
    assert_eq!(hedge.snapshot().delay, seconds(7));
    assert_eq!(timeout.snapshot().limit, Some(seconds(5)));
    let breaker = orders.breakers().next().unwrap();
    assert_eq!((breaker.state(), orders.snapshots().len()), (CircuitState::Open, 2));
    assert_eq!(breaker.settings().config().failure_threshold, 4);
}

#[test]
fn refused_settings_leave_their_own_alone_and_all_others_are_in_force() {
    let registry = Registry::with_clock(Virtual::new());
    let bulkhead = Arc::new(Bulkhead::new(BulkheadConfig::default()).unwrap());
    let adaptive = Arc::new(AdaptiveBulkhead::new(AdaptiveConfig::default()).unwrap());
    let timeout = Arc::new(Timeout::new(TimeoutConfig::default()).unwrap());
    registry.register("seats", Arc::clone(&bulkhead)).unwrap();
    registry.register("learned", adaptive).unwrap();
    registry.register("time", Arc::clone(&timeout)).unwrap();
    registry.register("orders", named(r#"{"policies": []}"#)).unwrap();
    let text = r#"{
        "policies": {
            "seats": {"kind": "bulkhead", "max_concurrent_calls": 0},
            "learned": {"kind": "bulkhead"},
            "time": {"kind": "timeout", "limit": "5s"},
            "nobody": {"kind": "retry"}
        },
        "pipelines": {"orders": {"policies": [{"kind": "retry"}, {"kind": "retry"}]}}
    }"#;
    let refused = registry.reload(&serde_json::from_str(text).unwrap()).unwrap_err();
    let text = refused.to_string();
    for part in [
        "bulkhead \"seats\" keeps its settings: bulkhead.max_concurrent_calls = 0 does not work",
        "bulkhead \"learned\" keeps its settings: bulkhead = \"bulkhead\" does not work: it takes its settings in code",
        "retry \"nobody\" keeps its settings: none is registered",
        "pipeline \"orders\" keeps its settings: refused: policies 0 and 1: tries multiply",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(refused.0.len(), 4);
    assert_eq!(bulkhead.snapshot().max_concurrent_calls, 10);
    assert_eq!(timeout.snapshot().limit, Some(Duration::from_secs(5)));
    let wrong = serde_json::from_str::<RegistryConfig>(r#"{"breaker": {}}"#).unwrap_err();
    assert!(wrong.to_string().contains("unknown field `breaker`"), "{wrong}");
}

#[test]
fn a_registry_that_was_stored_comes_back() {
    let text = r#"{"breakers": {"one": {"failure_threshold": 1}, "two": {}}}"#;
    let config: RegistryConfig = serde_json::from_str(text).unwrap();
    let registry = Registry::with_clock(Virtual::new());
    registry.reload(&config).unwrap();
    registry.get("one").unwrap().try_acquire().unwrap().failure();
    let text = serde_json::to_string(&registry.snapshot()).unwrap();
    let other = Registry::with_clock(Virtual::new());
    other.restore(&config, &serde_json::from_str(&text).unwrap());
    assert_eq!(other.snapshot(), registry.snapshot());
}

#[tokio::test]
async fn whoever_can_is_forced_and_reset_by_name() {
    let registry = Registry::with_clock(Virtual::new());
    let orders = named(
        r#"{"policies": [{"kind": "breaker"}, {"kind": "limiter", "calls": 1, "period": "1s"}, {"kind": "bulkhead"}]}"#,
    );
    let breaker = registry.breaker("orders", settings(1));
    let inside = orders.breakers().next().unwrap();
    let limiter = Arc::new(Limiter::with(LimiterConfig::default(), Virtual::new(), AnyError).unwrap());
    let degradation = Degradation::new(Plan::default()).unwrap();
    registry.register("orders", orders).unwrap();
    registry.register("rate", Arc::clone(&limiter)).unwrap();
    registry.register("all", Arc::new(degradation.clone())).unwrap();
    for (what, state) in [
        (Force::Open, CircuitState::ForcedOpen),
        (Force::Closed, CircuitState::ForcedClosed),
        (Force::Disabled, CircuitState::Disabled),
    ] {
        assert_eq!(registry.force("orders", what), 2);
        assert_eq!((breaker.state(), inside.state()), (state, state));
    }
    assert_eq!(registry.force("orders", Force::Reset), 3, "the limiter, too");
    assert_eq!(inside.state(), CircuitState::Closed);

    limiter.pause_for(Duration::from_secs(3600));
    degradation.override_level(Level::Emergency, "a person", "for a test");
    assert_eq!(
        registry.force("rate", Force::Open) + registry.force("all", Force::Open),
        0
    );
    assert!(limiter.try_acquire(1).is_err());
    assert_eq!(
        (
            registry.force("rate", Force::Reset),
            registry.force("all", Force::Reset)
        ),
        (1, 1)
    );
    assert!(limiter.try_acquire(1).is_ok());
    assert_eq!(degradation.level(), Level::Full);
}

#[test]
fn metrics_tell_state_and_counts_by_name() {
    let registry = Registry::with_clock(Virtual::new());
    let breaker = registry.breaker("a \"quoted\" name", settings(1));
    breaker.try_acquire().unwrap().failure();
    assert!(breaker.try_acquire().is_err());
    let orders = named(r#"{"policies": [{"kind": "timeout", "limit": "1500ms"}, {"kind": "breaker"}]}"#);
    registry.register("orders", Arc::clone(&orders)).unwrap();
    orders.breakers().next().unwrap().try_acquire().unwrap().failure();
    let text = registry.metrics();
    assert_told(
        &text,
        &[
            r#"stead_breaker_state{policy="a \"quoted\" name",state="open"} 1"#,
            r#"stead_breaker_rejected_calls_total{policy="a \"quoted\" name"} 1"#,
            r#"stead_breaker_failed_calls_total{policy="a \"quoted\" name"} 1"#,
            r#"stead_breaker_failed_calls_total{pipeline="orders",place="1"} 1"#,
            r#"stead_timeout_limit_seconds{pipeline="orders",place="0"} 1.5"#,
            "# TYPE stead_breaker_rejected_calls_total counter",
            "# TYPE stead_timeout_limit_seconds gauge",
        ],
    );
    let heads = text
        .lines()
        .filter(|line| line.starts_with("# TYPE stead_breaker_state "));
    assert_eq!(heads.count(), 1, "a family has one head, however many report");
}

fn held() -> std::io::Result<Usage> {
    Ok(Usage {
        threads: 3,
        ..Usage::default()
    })
}

#[tokio::test]
async fn every_kind_of_policy_is_listed_and_measured() {
    let registry = Registry::with_clock(Virtual::new());
    let budget = Arc::new(Budget::new(BudgetConfig::default()).unwrap());
    let fallback = Arc::new(Fallback::<u32, &str>::new().or_value("canned", |_| 0));
    let cache = Arc::new(StaleCache::<(), u32>::new(StaleConfig::default()).unwrap());
    let checker = HealthChecker::new();
    checker
        .add("disk", CheckConfig::default(), || async { Finding::degraded("slow") })
        .unwrap();
    checker.check_all().await;
    assert_eq!(fallback.call(|| async { Err("down") }).await, Ok(0));
    let stand_ins = StandIns::new()
        .fallback("sorry", Arc::clone(&fallback))
        .cache("last", Arc::clone(&cache));
    let text = r#"{"policies": [{"kind": "fallback", "name": "sorry"}, {"kind": "cache", "name": "last"},
        {"kind": "retry"}, {"kind": "hedge", "idempotent": true}]}"#;
    let parts = Parts::new().with_stand_ins(stand_ins);
    let orders = NamedPipeline::build_with(pipeline(text), &Virtual::new(), parts).unwrap();

    registry.breaker("a", settings(1));
    registry.register("b", budget).unwrap();
    registry.register("c", Arc::new(checker)).unwrap();
    registry
        .register("d", Arc::new(Degradation::new(Plan::default()).unwrap()))
        .unwrap();
    registry.register("e", fallback).unwrap();
    registry.register("f", cache).unwrap();
    registry
        .register("g", Arc::new(Bulkhead::new(BulkheadConfig::default()).unwrap()))
        .unwrap();
    registry
        .register("h", Arc::new(Limiter::new(LimiterConfig::default()).unwrap()))
        .unwrap();
    registry.register("i", Arc::new(orders)).unwrap();
    registry
        .register("j", Arc::new(Timeout::new(TimeoutConfig::default()).unwrap()))
        .unwrap();
    let leaks = LeakDetector::with(LeakConfig::default(), Virtual::new(), held).unwrap();
    leaks.check();
    registry.register("k", Arc::new(leaks)).unwrap();
    registry
        .register("l", Arc::new(Chaos::new(ChaosConfig::default()).unwrap()))
        .unwrap();
    assert_eq!(registry.list().len(), 11 + 4);
    assert_told(
        &registry.metrics(),
        &[
            r#"stead_breaker_state{policy="a",state="closed"} 1"#,
            r#"stead_budget_granted_calls_total{policy="b",for="probe"} 0"#,
            r#"stead_health_state{policy="c",health="degraded"} 1"#,
            r#"stead_health_check_state{policy="c",check="disk",health="degraded"} 1"#,
            r#"stead_health_check_runs_total{policy="c",check="disk"} 1"#,
            r#"stead_degradation_level{policy="d",level="full"} 1"#,
            r#"stead_fallback_provider_served_calls_total{policy="e",provider="canned"} 1"#,
            r#"stead_fallback_provider_served_calls_total{pipeline="i",place="0",provider="canned"} 1"#,
            r#"stead_cache_entries{policy="f"} 0"#,
            r#"stead_cache_entries{pipeline="i",place="1"} 0"#,
            r#"stead_bulkhead_seats{policy="g"} 10"#,
            r#"stead_limiter_free_units{policy="h"} 10"#,
            r#"stead_retry_given_up_calls_total{pipeline="i",place="2",why="attempts"} 0"#,
            r#"stead_hedge_delay_seconds{pipeline="i",place="3"} 1"#,
            r#"stead_timeout_cut_off_calls_total{policy="j"} 0"#,
            r#"stead_leak_open_handles{policy="k",resource="threads"} 3"#,
            r#"stead_chaos_struck_calls_total{policy="l"} 0"#,
        ],
    );
}
