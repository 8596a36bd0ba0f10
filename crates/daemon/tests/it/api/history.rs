use insta::assert_json_snapshot;
use stead_model::{AgentId, Incarnation, Namespace, Reason, Sequence, Transition};

use super::world::{NOON, World};

fn row(agent: AgentId, sequence: u64, to: &'static str) -> Transition {
    Transition {
        sequence: Sequence(sequence),
        agent,
        namespace: Namespace::default(),
        name: "web".parse().unwrap(),
        group: None,
        incarnation: Incarnation(1),
        from: "starting".into(),
        to: to.into(),
        at: NOON
            .parse::<stead_model::Wall>()
            .unwrap()
            .after(std::time::Duration::from_secs(sequence)),
        reason: Reason::NormalStartup,
        description: "it is ready".into(),
        triggered_by: "stead".into(),
        via: false,
        correlation_id: "c-1".into(),
        trace_id: None,
        metadata: serde_json::Map::new(),
    }
}

#[tokio::test]
async fn history_comes_newest_first_in_pages_and_by_filters() {
    let world = World::new();
    let id = world.agent("web").await.id;
    for number in 1..=5 {
        world.commit(
            vec![row(id, number, if number % 2 == 1 { "online" } else { "error" })],
            vec![],
        );
    }
    let first = world.get("/api/v1/agents/web/transitions?limit=2").await.json();
    assert_json_snapshot!("transitions", first);
    let (mut seen, mut path) = (vec![], "/api/v1/transitions?limit=2".to_owned());
    loop {
        let page = world.get(&path).await.json();
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["sequence"].as_u64().unwrap()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/api/v1/transitions?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    for (filter, count) in [
        ("agent=web", 5),
        ("state=online", 3),
        ("reason=startup.normal_startup", 5),
        ("reason=failure.crash", 0),
        ("since=2026-11-22T12:00:03Z", 3),
        ("until=2026-11-22T12:00:03Z", 2),
        ("since=1h", 5),
        ("namespace=blue", 0),
    ] {
        let page = world.get(&format!("/api/v1/transitions?{filter}")).await.json();
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{filter}");
    }
}

#[tokio::test]
async fn the_summary_counts_agents_by_class_and_state_and_leaves_components_out() {
    let world = World::new();
    let mut online = world.agent("a").await;
    (online.phase, online.name) = ("online".into(), "a".parse().unwrap());
    world.views.publish(online);
    world.agent("b").await;
    world.json("POST", "/api/v1/components", r#"{"name":"db"}"#).await;
    assert_json_snapshot!("summary", world.get("/api/v1/analytics/summary").await.json());
    assert_eq!(
        world.get("/api/v1/analytics/summary?namespace=blue").await.json()["total_agents"],
        0
    );
}
