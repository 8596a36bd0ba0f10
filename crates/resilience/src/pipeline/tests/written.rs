//! Pipelines from configuration: presets, hedges, and what is handed in by name.

use super::*;
use crate::{Fallback, Preset, RetryConfig, StaleCache, StaleConfig};

fn refusal(text: &str) -> String {
    NamedPipeline::build(config(text), &Virtual::new())
        .unwrap_err()
        .to_string()
}

#[test]
fn a_retry_may_name_a_preset_and_change_some_of_it() {
    let read = |text: &str| serde_json::from_str::<RetryPolicy>(text);
    for preset in Preset::ALL {
        let policy = read(&format!(r#"{{"preset": "{preset}"}}"#)).unwrap();
        let (config, meant) = (policy.config().unwrap(), RetryConfig::from(preset));
        assert_eq!((config.max_attempts, config.backoff.initial, config.backoff.max), {
            let backoff = meant.backoff;
            (meant.max_attempts, backoff.initial, backoff.max)
        });
        for n in 0..6 {
            assert_eq!(config.backoff.delay(n, 7), meant.backoff.delay(n, 7), "{preset} {n}");
        }
    }
    let changed = read(r#"{"preset": "network", "max": "5s"}"#).unwrap();
    assert_eq!((changed.max_attempts, changed.max), (5, 5 * SECOND));
    assert_eq!(read("{}").unwrap(), RetryPolicy::default());
    assert!(
        read(r#"{"preset": "netwrok"}"#)
            .unwrap_err()
            .to_string()
            .contains("netwrok")
    );
    assert!(
        read(r#"{"max_atempts": 3}"#)
            .unwrap_err()
            .to_string()
            .contains("max_atempts")
    );
}

#[tokio::test]
async fn a_hedge_from_configuration_answers_for_a_slow_call() {
    let clock = Virtual::new();
    let text = r#"{"policies": [{"kind": "hedge", "idempotent": true, "delay": "100ms"}, {"kind": "timeout", "limit": "10s"}]}"#;
    let pipeline = NamedPipeline::build(config(text), &clock).unwrap();
    assert_eq!(pipeline.findings(), []);
    let calls = AtomicU32::new(0);
    let call = pipeline.call(|| {
        let first = calls.fetch_add(1, SeqCst) == 0;
        async move {
            if first {
                core::future::pending::<()>().await;
            }
            Ok::<_, ()>("the second")
        }
    });
    let (answer, ()) = tokio::join!(call, clock.run_for(SECOND));
    assert_eq!((answer, calls.load(SeqCst)), (Ok("the second"), 2));
}

#[test]
fn a_hedge_that_does_not_say_that_it_may_is_refused() {
    for text in [
        r#"{"operation": "idempotent", "policies": [{"kind": "hedge"}]}"#,
        r#"{"operation": "idempotent", "policies": [{"kind": "hedge", "idempotent": false}]}"#,
    ] {
        assert!(refusal(text).contains("say `idempotent = true`"), "{}", refusal(text));
    }
    assert!(refusal(r#"{"policies": [{"kind": "hedge"}]}"#).contains("must be made once"));
    let none = refusal(r#"{"policies": [{"kind": "hedge", "idempotent": true, "max_hedges": 0}]}"#);
    assert!(none.contains("hedge.max_hedges = 0"), "{none}");
}

#[test]
fn a_name_that_nobody_handed_in_is_refused_and_the_error_says_which_there_are() {
    let text = r#"{"policies": [{"kind": "fallback", "name": "cannde"}]}"#;
    assert_eq!(
        refusal(text),
        r#"policy 0 of the pipeline: no fallback is called "cannde"; the program hands in none"#
    );
    let stand_ins = StandIns::<u32, &str>::new().fallback("canned", Arc::new(Fallback::new().or_value("zero", |_| 0)));
    let parts = Parts::new().with_stand_ins(stand_ins);
    let build = |text| NamedPipeline::build_with(config(text), &Virtual::new(), parts.clone());
    assert_eq!(
        build(text).unwrap_err().to_string(),
        r#"policy 0 of the pipeline: no fallback is called "cannde"; the program hands in canned"#
    );
    let other = build(r#"{"policies": [{"kind": "cache", "name": "canned"}]}"#).unwrap_err();
    assert!(other.to_string().contains("no cache is called \"canned\""), "{other}");
}

#[tokio::test]
async fn what_is_handed_in_by_name_stands_in_and_keeps_its_state_over_a_reload() {
    let clock = Virtual::new();
    let cache = StaleCache::<(), u32, _>::with(StaleConfig::default(), clock.clone(), crate::AnyError).unwrap();
    let cache = Arc::new(cache);
    let zero = Arc::new(Fallback::new().or_value("zero", |_| 0));
    let stand_ins = StandIns::<u32, &str>::new()
        .fallback("zero", Arc::clone(&zero))
        .cache("last", Arc::clone(&cache));
    let with = |threshold: u32| {
        config(&format!(
            r#"{{"policies": [{{"kind": "fallback", "name": "zero"}}, {{"kind": "cache", "name": "last"}},
                {{"kind": "breaker", "failure_threshold": {threshold}}}]}}"#
        ))
    };
    let parts = Parts::new().with_stand_ins(stand_ins);
    let pipeline = NamedPipeline::build_with(with(5), &clock, parts).unwrap();
    assert_eq!(pipeline.findings(), []);
    assert_eq!(
        pipeline.call(|| async { Err("down") }).await,
        Ok(0),
        "nothing is kept yet"
    );
    assert_eq!(pipeline.call(|| async { Ok(7) }).await, Ok(7));
    pipeline.reload(with(1)).unwrap();
    assert_eq!(
        pipeline.call(|| async { Err("down") }).await,
        Ok(7),
        "the last good answer"
    );
    assert_eq!(pipeline.breakers().next().unwrap().state(), CircuitState::Open);
    assert_eq!(pipeline.call(|| async { Ok(8) }).await, Ok(7), "an open circuit, too");
    assert_eq!((cache.snapshot().served, zero.snapshot().needed), (2, 1));
    assert!(
        pipeline
            .reload(config(r#"{"policies": [{"kind": "cache", "name": "none"}]}"#))
            .is_err()
    );
    assert_eq!(
        pipeline.call(|| async { Ok(8) }).await,
        Ok(7),
        "a refused reload changes nothing"
    );
}

#[tokio::test]
async fn a_cache_by_keys_keeps_the_last_good_answer_of_each() {
    let cache = StaleCache::<String, u32, _>::with(StaleConfig::default(), Virtual::new(), crate::AnyError).unwrap();
    let stand_ins = StandIns::<u32, &str>::new().cache("last", Arc::new(cache));
    let text = r#"{"policies": [{"kind": "cache", "name": "last"}]}"#;
    let parts = Parts::new().with_stand_ins(stand_ins);
    let pipeline = NamedPipeline::build_with(config(text), &Virtual::new(), parts).unwrap();
    for (key, answer) in [("one", 1), ("two", 2)] {
        assert_eq!(pipeline.call_for(key, || async move { Ok(answer) }).await, Ok(answer));
    }
    for (key, answer) in [("one", Ok(1)), ("two", Ok(2)), ("three", Err(Failure::Inner("down")))] {
        assert_eq!(pipeline.call_for(key, || async { Err("down") }).await, answer);
    }
    assert_eq!(
        pipeline.call(|| async { Err("down") }).await,
        Err(Failure::Inner("down"))
    );
}

#[test]
fn the_linter_knows_senseless_places_of_hedges_fallbacks_and_caches() {
    use PolicyKind::{Breaker, Bulkhead, Cache, Fallback, Hedge, Retry, Timeout};
    let gravest = |order: &[PolicyKind]| {
        let findings = lint(order, Traits::Idempotent);
        findings.iter().map(|found| found.gravity).max()
    };
    assert_eq!(
        gravest(&[Fallback, Cache, Timeout, Retry, Hedge, Breaker, Bulkhead, Timeout]),
        None
    );
    for order in [
        &[Hedge, Retry, Timeout][..],
        &[Breaker, Hedge],
        &[Bulkhead, Hedge],
        &[Cache, Fallback],
    ] {
        assert_eq!(gravest(order), Some(Gravity::Warning), "{order:?}");
    }
    for order in [&[Hedge, Cache][..], &[Retry, Fallback, Timeout], &[Breaker, Cache]] {
        assert_eq!(gravest(order), Some(Gravity::Refused), "{order:?}");
    }
}
