use super::world::World;

async fn agent(world: &World, name: &str) {
    let body = format!(r#"{{"name":"{name}","spec":{{"command":["serve"]}},"intent":"running"}}"#);
    let made = world.json("POST", "/agents", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    world
        .until(&format!("/agents/{name}"), |agent| agent["ready"] == true)
        .await;
}

#[tokio::test]
async fn an_update_puts_another_spec_in_force_at_once() {
    let world = World::new();
    agent(&world, "web").await;
    let body = r#"{"spec":{"command":["other"]},"reason":"new"}"#;
    let updated = world.json("POST", "/agents/web/lifecycle/update", body).await;
    assert_eq!(updated.status, 202, "{}", updated.text);
    let now = world
        .until("/agents/web", |agent| {
            agent["incarnation"] == 2 && agent["ready"] == true
        })
        .await;
    assert_eq!((&now["spec_revision"], &now["restarts"]), (&2.into(), &0.into()));
    world.json("POST", "/agents/web/lifecycle/update", "").await;
    world.until("/agents/web", |agent| agent["incarnation"] == 3).await;
}

#[tokio::test]
async fn a_single_process_cannot_be_scaled_and_what_runs_elsewhere_can() {
    let world = World::new();
    agent(&world, "web").await;
    let refused = world
        .json("POST", "/agents/web/lifecycle/scale", r#"{"replicas":2}"#)
        .await;
    assert_eq!(refused.problem(), (409, "not-scalable".into()));
    world
        .json("POST", "/agents", r#"{"name":"far","intent":"running"}"#)
        .await;
    world
        .json("POST", "/agents/far/heartbeats", r#"{"health":"healthy"}"#)
        .await;
    world.until("/agents/far", |agent| agent["ready"] == true).await;
    let scaled = world
        .json("POST", "/agents/far/lifecycle/scale", r#"{"replicas":2}"#)
        .await;
    assert_eq!(scaled.json()["phase"], "scaling", "{}", scaled.text);
}

#[tokio::test]
async fn a_drain_waits_for_the_last_task_and_takes_no_new_one() {
    let world = World::new();
    agent(&world, "web").await;
    let task = r#"{"task":"t-1"}"#;
    world.json("POST", "/agents/web/tasks/assign", task).await;
    let drained = world
        .json("POST", "/agents/web/lifecycle/drain", r#"{"timeout":"1h"}"#)
        .await;
    let view = drained.json();
    assert_eq!(
        (&view["phase"], &view["ready"]),
        (&"busy".into(), &false.into()),
        "{view:#}"
    );
    assert!(
        view["next"]["what"].as_str().unwrap().contains("1 task in flight"),
        "{view:#}"
    );
    let refused = world
        .json("POST", "/agents/web/tasks/assign", r#"{"task":"t-2"}"#)
        .await;
    assert_eq!(refused.problem(), (409, "not-possible".into()));
    world.json("POST", "/agents/web/tasks/complete", task).await;
    world.until("/agents/web", |agent| agent["phase"] == "offline").await;
}

#[tokio::test]
async fn a_replica_is_told_what_to_be_by_its_group_alone() {
    let world = World::new();
    world.group("web", 1, "serve").await;
    let refused = world
        .json("PUT", "/agents/web-1", r#"{"spec":{"command":["other"]}}"#)
        .await;
    assert_eq!(refused.problem(), (409, "part-of-group".into()));
}

#[tokio::test]
async fn the_spec_of_an_agent_that_is_shown_can_be_given_back_and_changes_nothing() {
    let world = World::new();
    let spec = r#"{"command":["serve"],"env":{"KEY":{"secret":"s3cret"},"MODE":"fast"},"stop":{"grace":"3s"}}"#;
    let made = world
        .json("POST", "/agents", &format!(r#"{{"name":"one","spec":{spec}}}"#))
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let before = world.get("/agents/one").await;
    let shown = world.get("/agents/one/spec").await;
    assert!(shown.text.contains("***"), "{}", shown.text);
    let back = world.json("PUT", "/agents/one", &shown.text).await;
    assert_eq!(
        (back.status.as_u16(), back.header("stead-outcome")),
        (200, "already"),
        "{}",
        back.text
    );
    assert_eq!(world.get("/agents/one").await.text, before.text);
    let mut edited = shown.json();
    edited["spec"]["env"]["MODE"] = serde_json::json!("slow");
    let put = world.json("PUT", "/agents/one", &edited.to_string()).await;
    assert_eq!((put.status.as_u16(), put.header("stead-outcome")), (200, "accepted"));
    let same = world
        .json("PATCH", "/agents/one", r#"{"env":{"KEY":{"secret":"s3cret"}}}"#)
        .await;
    assert_eq!(same.header("stead-outcome"), "already", "{}", same.text);
    let late = world.json("PUT", "/agents/one", &shown.text).await;
    assert_eq!(late.problem(), (412, "stale-revision".into()), "{}", late.text);
    let new = r#"{"spec":{"command":["serve"],"env":{"OTHER":{"secret":"***"}}}}"#;
    let unknown = world.json("PUT", "/agents/one", new).await;
    assert_eq!(unknown.problem(), (422, "invalid-spec".into()), "{}", unknown.text);
}
