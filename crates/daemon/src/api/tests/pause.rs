use serde_json::Value;

use super::world::{World, new_group};

async fn web(world: &World) {
    let body = r#"{"name":"web","spec":{"command":["serve"],"labels":{"team":"a"}},"intent":"running"}"#;
    world.json("POST", "/agents", body).await;
    world.until("/agents/web", |agent| agent["ready"] == true).await;
}

#[tokio::test]
async fn a_pause_says_its_mode_its_end_by_whom_and_why() {
    let world = World::new();
    web(&world).await;
    let body = r#"{"mode":"freeze","for":"2h","note":"new disks"}"#;
    let paused = world.json("POST", "/agents/web/lifecycle/pause", body).await;
    assert_eq!(paused.status, 202, "{}", paused.text);
    let agent = world.get("/agents/web").await.json();
    let pause = &agent["pause"];
    assert_eq!(
        (&agent["phase"], &agent["intent"]),
        (&"suspended".into(), &"paused".into())
    );
    assert_eq!(
        (&pause["mode"], &pause["note"]),
        (&"freeze".into(), &"new disks".into())
    );
    assert!(pause["until"].as_str() > pause["at"].as_str(), "{pause}");
    assert!(pause["by"].as_str().is_some_and(|by| !by.is_empty()), "{pause}");
    let next = world.get("/agents/web/why").await.json()["next"].clone();
    assert_eq!(
        (&next[0]["at"], next.as_array().map(Vec::len)),
        (&pause["until"], Some(1))
    );

    world.json("POST", "/agents/web/lifecycle/resume", "").await;
    let agent = world.get("/agents/web").await.json();
    assert_eq!((&agent["phase"], &agent["pause"]), (&"online".into(), &Value::Null));
}

#[tokio::test]
async fn a_pause_that_is_not_offered_or_cannot_be_read_changes_nothing() {
    let world = World::new();
    web(&world).await;
    world.json("POST", "/agents", r#"{"name":"outside"}"#).await;
    let refusals = [
        ("web", "pause", r#"{"mode":"hibernate"}"#, 409, "not-offered"),
        ("web", "pause", r#"{"mode":"checkpoint"}"#, 409, "not-offered"),
        ("outside", "pause", r#"{"mode":"freeze"}"#, 409, "not-offered"),
        ("web", "pause", r#"{"mode":"hard"}"#, 400, "invalid-request"),
        ("web", "pause", r#"{"for":"0s"}"#, 400, "invalid-request"),
        ("web", "pause", r#"{"for":"400d"}"#, 400, "invalid-request"),
        ("web", "pause", r#"{"note":"a","reason":"b"}"#, 400, "invalid-request"),
        ("web", "stop", r#"{"note":"a"}"#, 400, "invalid-request"),
        ("web", "resume", r#"{"for":"1h"}"#, 400, "invalid-request"),
    ];
    for (agent, verb, body, status, code) in refusals {
        let path = format!("/agents/{agent}/lifecycle/{verb}");
        let refused = world.json("POST", &path, body).await;
        assert_eq!(refused.problem(), (status, code.to_owned()), "{body}: {}", refused.text);
    }
    assert_eq!(world.get("/agents/web").await.json()["phase"], "online");
}

#[tokio::test]
async fn whom_a_selector_takes_and_whole_groups_are_paused_in_a_mode() {
    let world = World::new();
    web(&world).await;
    world.json("POST", "/groups", &new_group("many", 2, "serve")).await;
    world.until("/groups/many", |group| group["ready"] == 2).await;
    let body = r#"{"verb":"pause","selector":"team=a","mode":"freeze","note":"night"}"#;
    assert_eq!(world.json("POST", "/agents:batch", body).await.json()["done"], 1);
    assert_eq!(world.get("/agents/web").await.json()["pause"]["note"], "night");
    let stray = r#"{"verb":"stop","selector":"team=a","mode":"freeze"}"#;
    assert_eq!(world.json("POST", "/agents:batch", stray).await.status, 400);

    let body = r#"{"mode":"freeze","for":"1h","note":"night"}"#;
    let paused = world.json("POST", "/groups/many/lifecycle/pause", body).await;
    assert_eq!(paused.status, 202, "{}", paused.text);
    let group = world.get("/groups/many").await.json();
    assert_eq!(
        (&group["pause"]["mode"], &group["pause"]["note"]),
        (&"freeze".into(), &"night".into())
    );
    for replica in ["many-1", "many-2"] {
        let pause = world.get(&format!("/agents/{replica}")).await.json()["pause"].clone();
        assert_eq!(
            (&pause["mode"], &pause["until"]),
            (&"freeze".into(), &group["pause"]["until"])
        );
    }
    let stray = world
        .json("POST", "/groups/many/lifecycle/stop", r#"{"for":"1h"}"#)
        .await;
    assert_eq!(stray.problem(), (400, "invalid-request".into()));
    world.json("POST", "/groups/many/lifecycle/resume", "").await;
    let group = world.until("/groups/many", |group| group["ready"] == 2).await;
    assert_eq!(group["pause"], Value::Null);
}
