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
