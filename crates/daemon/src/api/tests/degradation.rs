//! Features over HTTP: applied from a fleet file, off and on with what they need, and held by hand.

use serde_json::{Value, json};
use stead_store::{EventFilter, Store as _};

use super::world::World;

const FEATURES: &str = "[features.chat]\nrequires = ['llm']\nimportance = 'essential'\n\
    [features.web_search]\nrequires = ['search']\nfallback = 'history'\n\
    [features.history]\nimportance = 'critical'\n\
    [features.avatars]\nimportance = 'optional'\n\
    [agents.llm]\ncommand = ['llm']\ncriticality = 'essential'\n\
    [agents.search]\ncommand = ['search']\n";

async fn apply(world: &World, toml: &str, query: &str) -> Value {
    let body = json!({ "toml": toml }).to_string();
    let path = format!("/config/apply?file=/srv/fleet.toml{query}");
    let reply = world.json("POST", &path, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

/// Both agents up, and seen to be.
async fn up(toml: &str) -> World {
    let world = World::new();
    apply(&world, toml, "").await;
    world.until("/degradation", |shown| stand(shown, "up") == 2).await;
    world
}

fn stand(shown: &Value, standing: &str) -> usize {
    let components = shown["components"].as_array().into_iter().flatten();
    components.filter(|one| one["standing"] == standing).count()
}

async fn stop(world: &World, agent: &str) {
    let reply = world
        .json("POST", &format!("/agents/{agent}/lifecycle/stop"), "{}")
        .await;
    assert!(reply.status.is_success(), "{}", reply.text);
}

async fn start(world: &World, agent: &str) {
    let reply = world
        .json("POST", &format!("/agents/{agent}/lifecycle/start"), "{}")
        .await;
    assert!(reply.status.is_success(), "{}", reply.text);
}

async fn until_level(world: &World, level: &str) -> Value {
    world.until("/degradation", |shown| shown["level"] == level).await
}

#[tokio::test]
async fn what_is_down_takes_its_features_down_and_brings_them_back_and_all_of_it_is_told() {
    let world = up(FEATURES).await;
    stop(&world, "search").await;
    let shown = until_level(&world, "moderate").await;
    assert_eq!(
        (&shown["cause"], &shown["rule"]),
        (&json!("search is down"), &json!("important_down"))
    );
    assert_eq!(shown["modes"], json!(["offline"]));
    let features = world.get("/features").await.json();
    let of = |name: &str| {
        let mut items = features["items"].as_array().unwrap().iter();
        items.find(|feature| feature["name"] == name).unwrap().clone()
    };
    assert_eq!(of("web_search")["off_because"], "it needs search, which is down");
    assert_eq!(
        (&of("web_search")["serving"], &of("chat")["serving"]),
        (&json!("history"), &json!("chat"))
    );
    let why = world.get("/agents/search/why").await.json();
    assert_eq!(why["features_off"][0]["name"], "web_search");
    assert_eq!(world.get("/agents/llm/why").await.json()["features_off"], Value::Null);

    start(&world, "search").await;
    until_level(&world, "full").await;
    let history = world.get("/degradation/history?limit=1").await.json();
    assert_eq!(history["items"][0]["came_back"], json!(["avatars", "web_search"]));
    let cursor = history["next_cursor"].as_str().unwrap();
    let rest = world.get(&format!("/degradation/history?cursor={cursor}")).await.json();
    assert_eq!(
        (&rest["items"][0]["to"], &rest["next_cursor"]),
        (&json!("moderate"), &Value::Null)
    );
    assert_eq!(world.get("/degradation/history?cursor=v1").await.status, 400);
    let changes = EventFilter {
        types: vec!["degradation_changed".into()],
        ..EventFilter::default()
    };
    assert_eq!(world.store.events(None, &changes, 100).unwrap().items.len(), 2);
}

#[tokio::test]
async fn agents_are_told_with_the_answer_to_a_beat_one_by_one_and_all_at_once() {
    let world = up(FEATURES).await;
    let single = world.json("POST", "/agents/llm/heartbeats", "{}").await.json();
    assert_eq!(single["degradation"], Value::Null);
    stop(&world, "search").await;
    until_level(&world, "moderate").await;
    let told = json!({ "level": "moderate", "modes": ["offline"], "off": ["avatars", "web_search"] });
    let single = world.json("POST", "/agents/llm/heartbeats", "{}").await.json();
    assert_eq!(single["degradation"], told);
    let batch = axum::http::Request::post("/api/v1/heartbeats")
        .header("content-type", "application/x-ndjson")
        .body("{\"agent\":\"llm\"}\n".into());
    let batch = world.send(batch.unwrap()).await.json();
    assert_eq!(batch["degradation"], json!({ "default": told }));
}

#[tokio::test]
async fn a_level_is_held_until_it_is_released_and_who_did_it_is_kept() {
    let world = up(FEATURES).await;
    let hold = json!({ "level": "minimal", "reason": "a drill" }).to_string();
    let held = world.json("PUT", "/degradation/override", &hold).await.json();
    assert_eq!(
        (&held["level"], &held["override"]["reason"]),
        (&json!("minimal"), &json!("a drill"))
    );
    stop(&world, "search").await;
    world.until("/degradation", |shown| stand(shown, "down") == 1).await;
    start(&world, "search").await;
    let shown = world.until("/degradation", |shown| stand(shown, "down") == 0).await;
    assert_eq!(shown["level"], "minimal");
    let released = world.delete("/degradation/override?reason=over").await.json();
    assert_eq!(
        (&released["level"], &released["override"]),
        (&json!("full"), &Value::Null)
    );
    let audit = world.get("/audit?agent=default").await.json();
    let verbs: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (&row["verb"], &row["kind"]))
        .collect();
    let kind = json!("degradation");
    assert_eq!(verbs, [(&json!("release"), &kind), (&json!("hold"), &kind)]);
}

#[tokio::test]
async fn what_cannot_be_held_is_refused_and_says_why() {
    let world = World::new();
    for (body, says) in [
        (
            r#"{"level":"none"}"#,
            "unknown value `none`, expected one of `full`, `minor`",
        ),
        (r#"{"level":"full","for":"8785h"}"#, "366 days"),
        (r#"{"level":"full","for":"0s"}"#, "366 days"),
        (r#"{"level":"full","until":"1h"}"#, "unknown field `until`"),
        ("{}", "missing field `level`"),
    ] {
        let reply = world.json("PUT", "/degradation/override", body).await;
        assert_eq!(reply.status, 400, "{}", reply.text);
        assert!(reply.text.contains(says), "{}", reply.text);
    }
    let shown = world.get("/degradation?namespace=other").await.json();
    assert_eq!((&shown["level"], &shown["since"]), (&json!("full"), &Value::Null));
}

#[tokio::test]
async fn other_features_are_in_force_at_once_and_what_changes_is_shown_before() {
    let world = up(FEATURES).await;
    stop(&world, "search").await;
    until_level(&world, "moderate").await;
    let less = FEATURES.replace(
        "command = ['search']\n",
        "command = ['search']\ncriticality = 'optional'\n",
    );
    let dry = apply(&world, &less, "&dry_run=true").await;
    let setting = &dry["settings"][0];
    assert_eq!(
        (&setting["field"], &setting["after"]),
        (&json!("criticality.search"), &json!("\"optional\"")),
        "{dry}"
    );
    assert_eq!(world.get("/degradation").await.json()["level"], "moderate");
    apply(&world, &less, "").await;
    until_level(&world, "minor").await;
}
