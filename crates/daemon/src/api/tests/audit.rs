use super::world::{World, new_group};

async fn verbs(world: &World, query: &str) -> Vec<String> {
    let listed = world.get(&format!("/audit{query}")).await;
    assert_eq!(listed.status, 200, "{}", listed.text);
    let listed = listed.json();
    let items = listed["items"].as_array().unwrap().iter();
    items.map(|row| row["verb"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_change_is_told_with_who_and_why_and_nothing_else_is() {
    let world = World::new();
    let ada: &[(&str, &str)] = &[("stead-actor", "ada"), ("x-correlation-id", "c-1")];
    let register = r#"{"name":"a","reason":"new"}"#;
    world.ask("POST", "/agents", register, ada).await;
    world
        .ask(
            "POST",
            "/agents/a/lifecycle/start",
            r#"{"reason":"morning"}"#,
            &[("stead-actor", "bob")],
        )
        .await;
    // What is so already, what is refused and what is work is no change.
    world.json("POST", "/agents/a/lifecycle/start", "").await;
    world.json("POST", "/agents", register).await;
    world.json("POST", "/agents/a/errors", r#"{"detail":"x"}"#).await;
    assert_eq!(verbs(&world, "").await, ["start", "register"]);
    assert_eq!(verbs(&world, "?actor=ada").await, ["register"]);
    assert_eq!(
        verbs(&world, "?correlation_id=c-1&verb=register&agent=a").await,
        ["register"]
    );
    assert_eq!(verbs(&world, "?agent=b").await, [""; 0]);
    let row = &world.get("/audit?limit=1").await.json()["items"][0];
    assert_eq!(
        (&row["actor"], &row["reason"], &row["name"], &row["kind"]),
        (&"bob".into(), &"morning".into(), &"a".into(), &"agent".into())
    );
}

#[tokio::test]
async fn groups_and_configurations_are_told_of_page_by_page() {
    let world = World::new();
    world.json("POST", "/groups", &new_group("web", 2, "serve")).await;
    let fleet = axum::http::Request::post("/api/v1/config/apply?file=/srv/fleet.toml&reason=why")
        .header("content-type", "application/toml")
        .body("[agents.x]\ndriver = 'none'\n".into())
        .unwrap();
    let applied = world.send(fleet).await;
    assert_eq!(applied.status, 200, "{}", applied.text);
    let config = world.get("/audit?verb=apply").await.json();
    assert_eq!(
        (&config["items"][0]["kind"], &config["items"][0]["reason"]),
        (&"config".into(), &"why".into())
    );
    let first = world.get("/audit?limit=1").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = verbs(&world, &format!("?cursor={cursor}")).await;
    assert_eq!(rest.last().map(String::as_str), Some("create"), "{rest:?}");
    let wrong = world.get("/audit?cursor=x").await;
    assert_eq!(wrong.problem(), (400, "invalid-request".into()));
}
