use super::world::World;

#[tokio::test]
async fn attempts_are_listed_newest_first_with_what_they_were_for_and_filtered() {
    let world = World::new();
    let listed = world
        .get("/recoveries?strategy=restart&failure=process_exit&state=running&agent=a")
        .await;
    assert_eq!(listed.status, 200, "{}", listed.text);
    assert_eq!(listed.json()["items"], serde_json::json!([]));
    for wrong in ["?cursor=x", "?failure=tired", "?state=maybe", "?strategy=pray"] {
        let refused = world.get(&format!("/recoveries{wrong}")).await;
        assert_eq!(refused.problem(), (400, "invalid-request".into()), "{wrong}");
    }
}

#[tokio::test]
async fn what_would_be_done_is_told_and_not_done() {
    let world = World::new();
    let agent = |name: &str, mode: &str| {
        format!(r#"{{"name":"{name}","intent":"running","spec":{{"command":["x"],"recovery":{{"mode":"{mode}"}}}}}}"#)
    };
    for (name, mode) in [("web", "act"), ("shy", "observe")] {
        world.json("POST", "/agents", &agent(name, mode)).await;
        world
            .until(&format!("/agents/{name}"), |agent| agent["pid"].is_number())
            .await;
    }
    let foreseen = world.get("/recoveries/what-if?agent=web&failure=stuck").await.json();
    assert_eq!(
        (&foreseen["would"], &foreseen["after"]),
        (&"restart".into(), &"0s".into()),
        "{foreseen:#}"
    );
    assert_eq!(foreseen["why"], "restart 1 of 5 within 10m");
    let foreseen = world.get("/recoveries/what-if?agent=shy&failure=stuck").await.json();
    assert_eq!(foreseen["would"], "nothing", "{foreseen:#}");
    let attempts = world.get("/recoveries").await.json();
    assert_eq!(attempts["items"], serde_json::json!([]), "nothing was done");
    let unknown = world.get("/recoveries/what-if?agent=nobody&failure=stuck").await;
    assert_eq!(unknown.problem(), (404, "unknown-agent".into()));
    let unnamed = world.get("/recoveries/what-if?failure=stuck").await;
    assert_eq!(unnamed.problem(), (400, "invalid-request".into()));
}
