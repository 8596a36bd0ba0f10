//! Counts over all of them, through the API.

use super::world::World;

/// Registers one that only reports, and beats once for it.
async fn beating(world: &World, name: &str, labels: &str, beat: &str) {
    let agent = format!(r#"{{"name":"{name}","intent":"running","spec":{{"driver":"none","labels":{labels}}}}}"#);
    world.json("POST", "/agents", &agent).await;
    world.json("POST", &format!("/agents/{name}/heartbeats"), beat).await;
    world
        .until(&format!("/agents/{name}"), |agent| agent["ready"] == true)
        .await;
}

#[tokio::test]
async fn health_is_counted_with_metrics_and_the_worst_come_first() {
    let world = World::new();
    let well = r#"{"health":"healthy","metrics":{"cpu_usage":0.2}}"#;
    beating(&world, "well", r#"{"team":"a"}"#, well).await;
    let claims = |level: &str| format!(r#"{{"health":"{level}","detail":"queue","metrics":{{"cpu_usage":0.6}}}}"#);
    beating(&world, "slow", r#"{"team":"a"}"#, &claims("degraded")).await;
    beating(&world, "worse", r#"{"team":"b"}"#, &claims("critical")).await;

    let all = world.get("/analytics/health").await.json();
    assert_eq!(
        (&all["total"], &all["troubled_total"]),
        (&3.into(), &2.into()),
        "{all:#}"
    );
    let levels = &all["levels"];
    assert_eq!(levels["healthy"], 1, "{all:#}");
    assert_eq!((&levels["degraded"], &levels["critical"]), (&1.into(), &1.into()));
    assert_eq!(levels["failed"], 0, "every level is there");
    let cpu = &all["metrics"]["cpu_usage"];
    assert_eq!(cpu["agents"], 3);
    assert!((cpu["mean"].as_f64().unwrap() - 1.4 / 3.0).abs() < 1e-6, "{cpu}");
    let names = |summary: &serde_json::Value| -> Vec<String> {
        let troubled = summary["troubled"].as_array().unwrap();
        troubled
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&all), ["worse", "slow"]);
    assert_eq!(all["troubled"][0]["detail"], "queue");

    let some = world.get("/analytics/health?selector=team%3Da").await.json();
    assert_eq!((&some["total"], names(&some)), (&2.into(), vec!["slow".to_owned()]));
    let few = world.get("/analytics/health?limit=1").await.json();
    assert_eq!(
        (&few["troubled_total"], names(&few)),
        (&2.into(), vec!["worse".to_owned()])
    );
    let elsewhere = world.get("/analytics/health?namespace=other").await.json();
    assert_eq!(elsewhere["total"], 0);
}

#[tokio::test]
async fn lists_flags_and_counts_of_each_class_agree() {
    let world = World::new();
    world
        .json("POST", "/agents", r#"{"name":"new","intent":"stopped"}"#)
        .await;
    for name in ["up", "busy", "kept", "ill"] {
        beating(&world, name, "{}", r#"{"health":"healthy"}"#).await;
    }
    world.json("POST", "/agents/busy/tasks/assign", r#"{"task":"t"}"#).await;
    world.json("POST", "/agents/kept/lifecycle/maintenance", "{}").await;
    world.json("POST", "/agents/ill/errors", r#"{"detail":"500"}"#).await;
    for (name, phase) in [("busy", "busy"), ("kept", "maintenance"), ("ill", "error")] {
        world
            .until(&format!("/agents/{name}"), |agent| agent["phase"] == phase)
            .await;
    }
    let summary = world.get("/analytics/summary").await.json();
    assert_eq!(summary["total_agents"], 5, "{summary:#}");
    let classes = [
        (
            "operational",
            "is_operational",
            "operational_agents",
            vec!["busy", "up"],
        ),
        ("available", "is_available_for_tasks", "available_agents", vec!["up"]),
        ("error", "is_in_error_state", "error_agents", vec!["ill"]),
        ("maintenance", "is_in_maintenance", "maintenance_agents", vec!["kept"]),
    ];
    for (class, flag, count, expected) in classes {
        let listed = world.get(&format!("/agents?class={class}")).await.json();
        let listed = listed["items"].as_array().unwrap();
        let names: Vec<_> = listed.iter().map(|agent| agent["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{class}");
        assert_eq!(summary[count], names.len(), "{class}: {summary:#}");
        for name in ["busy", "ill", "kept", "new", "up"] {
            let lifecycle = world.get(&format!("/agents/{name}/lifecycle")).await.json();
            assert_eq!(lifecycle[flag], names.contains(&name), "{name}, {flag}: {lifecycle:#}");
        }
    }
}
