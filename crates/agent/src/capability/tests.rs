use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use serde_json::{Value, json};
use stead_resilience::{BreakerConfig, CircuitState};

use super::{Capabilities, Failing, Level, NotExecuted, NotRegistered, Provider};

/// A provider that counts its calls and fails while told to.
#[derive(Clone, Default)]
struct Model {
    calls: Arc<AtomicU32>,
    down: Arc<AtomicBool>,
}

impl Model {
    fn provider(&self, name: &str, level: Level) -> Provider {
        let (this, said) = (self.clone(), name.to_owned());
        let run = move |_: Value| {
            let (this, said) = (this.clone(), said.clone());
            async move {
                this.calls.fetch_add(1, SeqCst);
                if this.down.load(SeqCst) {
                    return Err("down");
                }
                Ok(said)
            }
        };
        let breaker = BreakerConfig {
            failure_threshold: 2,
            ..BreakerConfig::default()
        };
        Provider::new("ask", name, level, run).breaker(breaker)
    }
}

async fn asked(capabilities: &Capabilities) -> String {
    let done = capabilities.execute_with_fallback("ask", json!({})).await.unwrap();
    done.value.as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn the_best_that_can_is_asked_and_the_next_stands_in() {
    let capabilities = Capabilities::new();
    let (good, poor) = (Model::default(), Model::default());
    capabilities.register(poor.provider("poor", Level::EMERGENCY)).unwrap();
    capabilities.register(good.provider("good", Level::PRIMARY)).unwrap();
    assert_eq!(asked(&capabilities).await, "good");
    good.down.store(true, SeqCst);
    let done = capabilities.execute_with_fallback("ask", json!({})).await.unwrap();
    assert_eq!((done.value, done.level), (json!("poor"), Level::EMERGENCY));
    assert_eq!(
        (&*done.passed_over[0].provider, done.passed_over[0].reason.as_str()),
        ("good", "down")
    );
    // The second failure opens its circuit: from now on it is not asked.
    asked(&capabilities).await;
    asked(&capabilities).await;
    assert_eq!(good.calls.load(SeqCst), 3);
    assert_eq!(capabilities.circuit("ask", "good").unwrap().state(), CircuitState::Open);
    // Registered again, it keeps its circuit; a minute later it is tried, and is well.
    good.down.store(false, SeqCst);
    capabilities.register(good.provider("good", Level::PRIMARY)).unwrap();
    assert_eq!(asked(&capabilities).await, "poor");
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(asked(&capabilities).await, "good");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_each_says_why() {
    let capabilities = Capabilities::new();
    let down = Model::default();
    down.down.store(true, SeqCst);
    capabilities.register(down.provider("model", Level::PRIMARY)).unwrap();
    capabilities
        .register(down.provider("away", Level::FALLBACK).serves_when(|| false))
        .unwrap();
    let hangs = Provider::new("ask", "hangs", Level(20), async |_: Value| {
        std::future::pending::<Result<(), String>>().await
    });
    capabilities.register(hangs.timeout(Duration::from_secs(2))).unwrap();
    let panics = Provider::new("ask", "panics", Level(5), async |_: Value| -> Result<(), String> {
        panic!("no")
    });
    capabilities.register(panics).unwrap();
    let refused = capabilities.execute_with_fallback("ask", json!({})).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "nobody could do `ask`: model: down; away: it does not serve now; hangs: it took longer than 2s; panics: it panicked"
    );
    let unknown = capabilities.execute_with_fallback("sing", json!({})).await.unwrap_err();
    assert_eq!(unknown, NotExecuted::Unknown("sing".to_owned()));
    for provider in ["model", "away", "hangs", "panics"] {
        assert!(capabilities.remove("ask", provider));
    }
    assert!(!capabilities.remove("ask", "model"));
    let nobody = capabilities.execute_with_fallback("ask", json!({})).await.unwrap_err();
    assert_eq!(nobody, NotExecuted::Unknown("ask".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn parameters_that_do_not_fit_ask_nobody_and_count_for_no_circuit() {
    let capabilities = Capabilities::new();
    let model = Model::default();
    let schema = json!({ "type": "object", "required": ["text"], "additionalProperties": false,
        "properties": { "text": { "type": "string" } } });
    let provider = || model.provider("model", Level::PRIMARY);
    capabilities
        .register(provider().parameters(schema.clone()).description("asks"))
        .unwrap();
    for _ in 0..5 {
        let refused = capabilities
            .execute_with_fallback("ask", json!({ "txt": 1 }))
            .await
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the parameters of `ask` do not fit: `/` lacks `text`; `/txt` is not allowed"
        );
    }
    assert_eq!(model.calls.load(SeqCst), 0);
    assert_eq!(
        capabilities.circuit("ask", "model").unwrap().state(),
        CircuitState::Closed
    );
    capabilities
        .execute_with_fallback("ask", json!({ "text": "x" }))
        .await
        .unwrap();
    let other = capabilities.register(provider().parameters(json!(true))).unwrap_err();
    assert_eq!(other, NotRegistered::OtherSchema("ask".into()));
    let odd = capabilities
        .register(provider().parameters(json!({ "pattern": "x" })))
        .unwrap_err();
    assert!(matches!(odd, NotRegistered::Schema { .. }));
    let view = serde_json::to_value(capabilities.list()).unwrap();
    assert_eq!(view[0]["parameters"], schema);
    assert_eq!(
        view[0]["providers"],
        json!([{ "name": "model", "level": 100, "description": "asks", "serves": true, "circuit": "closed" }])
    );
}

#[tokio::test(start_paused = true)]
async fn a_provider_says_what_its_failure_means_to_its_circuit() {
    let capabilities = Capabilities::new();
    let fails = |name: &'static str, how: fn() -> Failing| {
        let provider = Provider::new("ask", name, Level::PRIMARY, move |_: Value| {
            std::future::ready(Err::<(), _>(how()))
        });
        capabilities.register(provider).unwrap();
    };
    fails("caller", || Failing::Caller("no such page".to_owned()));
    fails("billing", || {
        Failing::UntilSomebodyActs("the card was refused".to_owned())
    });
    for _ in 0..20 {
        capabilities.execute_with_fallback("ask", json!({})).await.unwrap_err();
    }
    let state = |name| capabilities.circuit("ask", name).unwrap().state();
    assert_eq!(state("caller"), CircuitState::Closed);
    assert_ne!(state("billing"), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_capability_whose_last_provider_is_gone_may_take_something_else() {
    let capabilities = Capabilities::new();
    let model = Model::default();
    let takes = |kind: &str| {
        model
            .provider("good", Level::PRIMARY)
            .parameters(json!({ "type": kind }))
    };
    capabilities.register(takes("object")).unwrap();
    assert!(matches!(
        capabilities.register(takes("array")),
        Err(NotRegistered::OtherSchema(_))
    ));
    assert!(capabilities.remove("ask", "good"));
    assert!(matches!(
        capabilities.execute_with_fallback("ask", json!({})).await,
        Err(NotExecuted::Unknown(_))
    ));
    capabilities.register(takes("array")).unwrap();
    capabilities.execute_with_fallback("ask", json!([])).await.unwrap();
}

#[tokio::test]
async fn whether_a_provider_serves_may_be_answered_by_looking_at_the_others() {
    let capabilities = Capabilities::new();
    let model = Model::default();
    capabilities.register(model.provider("good", Level::PRIMARY)).unwrap();
    let others = capabilities.clone();
    let stands_in = model.provider("poor", Level::FALLBACK);
    let stands_in = stands_in.serves_when(move || others.circuit("ask", "good").is_some());
    capabilities.register(stands_in).unwrap();
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || told.send(capabilities.list()));
    let shown = heard.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(shown[0].providers.iter().all(|provider| provider.serves));
}
