use super::world::World;

async fn three(world: &World) {
    for (name, team) in [("a", "red"), ("b", "red"), ("c", "blue")] {
        let spec = format!(r#"{{"command":["serve"],"labels":{{"team":"{team}"}}}}"#);
        let body = format!(r#"{{"name":"{name}","spec":{spec},"intent":"running"}}"#);
        world.json("POST", "/agents", &body).await;
        world
            .until(&format!("/agents/{name}"), |agent| agent["ready"] == true)
            .await;
    }
}

#[tokio::test]
async fn a_verb_reaches_all_whom_a_selector_takes_and_nobody_else() {
    let world = World::new();
    three(&world).await;
    let body = r#"{"verb":"stop","selector":"team=red","reason":"night"}"#;
    let asked = world.json("POST", "/agents:batch", body).await;
    assert_eq!(asked.status, 200, "{}", asked.text);
    let answer = asked.json();
    assert_eq!((&answer["selected"], &answer["refused"]), (&2.into(), &0.into()));
    assert_eq!(
        (&answer["items"][1]["name"], &answer["items"][1]["outcome"]),
        (&"b".into(), &"accepted".into())
    );
    world.until("/agents/b", |agent| agent["phase"] == "offline").await;
    assert_eq!(world.get("/agents/c").await.json()["phase"], "online");
}

#[tokio::test]
async fn one_refusal_keeps_no_other_from_being_asked() {
    let world = World::new();
    three(&world).await;
    world.json("POST", "/agents/a/lifecycle/stop", "").await;
    world.until("/agents/a", |agent| agent["phase"] == "offline").await;
    let asked = world
        .json("POST", "/agents:batch", r#"{"verb":"pause","selector":"team"}"#)
        .await
        .json();
    assert_eq!((&asked["done"], &asked["refused"]), (&2.into(), &1.into()), "{asked:#}");
    assert_eq!(asked["items"][0]["problem"]["code"], "not-possible");
}

#[tokio::test]
async fn a_selector_that_takes_nothing_or_everything_is_refused() {
    let world = World::new();
    three(&world).await;
    let nothing = world
        .json("POST", "/agents:batch", r#"{"verb":"stop","selector":"team=green"}"#)
        .await;
    assert_eq!(nothing.problem(), (404, "nothing-selected".into()));
    let elsewhere = world
        .json("POST", "/components:batch", r#"{"verb":"stop","selector":"team=red"}"#)
        .await;
    assert_eq!(elsewhere.problem(), (404, "nothing-selected".into()));
    let everything = world
        .json("POST", "/agents:batch", r#"{"verb":"delete","selector":""}"#)
        .await;
    assert_eq!(everything.problem(), (400, "invalid-request".into()));
}

#[tokio::test]
async fn a_batch_with_a_key_asks_each_once() {
    let world = World::new();
    three(&world).await;
    let key: &[(&str, &str)] = &[("idempotency-key", "k-1")];
    let body = r#"{"verb":"restart","selector":"team=red"}"#;
    world.ask("POST", "/agents:batch", body, key).await;
    world
        .until("/agents/a", |agent| agent["incarnation"] == 2 && agent["ready"] == true)
        .await;
    let again = world.ask("POST", "/agents:batch", body, key).await.json();
    assert_eq!(again["items"][0]["outcome"], "accepted");
    assert_eq!(world.get("/agents/a").await.json()["incarnation"], 2);
}
