//! Metrics for Prometheus, through the API.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;

use super::world::World;

async fn page(world: &World) -> String {
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let page = world.send(request).await;
    assert_eq!(page.status, 200, "{}", page.text);
    page.text
}

#[tokio::test]
async fn agents_are_counted_as_they_are_and_what_happens_as_it_does() {
    let world = World::new();
    let before = page(&world).await;
    assert!(
        before.contains("stead_agents_wanted{intent=\"running\"} 0\n"),
        "{before}"
    );
    world
        .json(
            "POST",
            "/agents",
            r#"{"name":"web","intent":"running","spec":{"driver":"none"}}"#,
        )
        .await;
    let ill = r#"{"health":"critical","detail":"queue"}"#;
    world.json("POST", "/agents/web/heartbeats", ill).await;
    world.until("/agents/web", |agent| agent["health"] == "critical").await;
    world.json("POST", "/agents/nobody/heartbeats", ill).await;
    let after = page(&world).await;
    for line in [
        // Nobody looks after the store of this world.
        "stead_part_up{part=\"store\"} 0",
        "stead_agents{profile=\"agent\",phase=\"online\",health=\"critical\"} 1",
        "stead_agents_wanted{intent=\"running\"} 1",
        "stead_agents_wanted{intent=\"paused\"} 0",
        "stead_agents_condition{condition=\"stuck\"} 0",
        "stead_namespaces_degraded{level=\"emergency\"} 0",
        "stead_events_total{type=\"agent_registered\"} 1",
        "stead_http_requests_total{method=\"POST\",outcome=\"unknown-agent\"} 1",
    ] {
        assert!(after.lines().any(|told| told == line), "{line}\n{after}");
    }
    let taken = after
        .lines()
        .find(|line| line.starts_with("stead_beats_total{outcome=\"accepted\"}"));
    assert_eq!(taken, Some("stead_beats_total{outcome=\"accepted\"} 1"));
}

#[tokio::test]
async fn every_metric_has_a_type_and_stands_in_the_guide_and_no_line_names_an_agent() {
    let world = World::new();
    world.json("POST", "/agents", r#"{"name":"a-name-of-its-own"}"#).await;
    let page = page(&world).await;
    assert!(!page.contains("a-name-of-its-own"), "{page}");
    let mut typed = BTreeSet::new();
    for line in page.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert!(typed.insert(name.to_owned()), "{line} stands there twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(typed.contains(name), "{line} has no type before it");
            assert!(line.rsplit(' ').next().unwrap().parse::<u64>().is_ok(), "{line}");
        }
    }
    let guide = include_str!("../../../../../docs/guides/metrics.md");
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| `stead_"));
    let told: BTreeSet<String> = rows
        .map(|row| format!("stead_{}", row.split('`').next().unwrap()))
        .collect();
    assert_eq!(told, typed);
}
