//! Capabilities over HTTP: applied from a fleet file, asked, and their circuits turned.

use serde_json::{Value, json};

use super::world::{Reply, World};
use crate::capability::tests::server::{Say, Server};

async fn apply(world: &World, toml: &str) -> Value {
    let body = json!({ "toml": toml }).to_string();
    let reply = world.json("POST", "/config/apply?file=/srv/fleet.toml", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

async fn ask(world: &World, body: &str) -> Reply {
    world.json("POST", "/capabilities/do/invoke", body).await
}

fn fleet(server: &Server, more: &str) -> String {
    let url = server.url();
    format!(
        "[capabilities.do]\ndescription = 'it does'\nparameters = {{ type = 'object', required = ['n'] }}\n\
         [[capabilities.do.providers]]\nname = 'one'\nurl = '{url}'\nretry.max_attempts = 1\n{more}\n"
    )
}

#[tokio::test]
async fn a_provider_is_asked_while_its_agent_serves_and_the_answer_is_its_own() {
    let server = Server::new([]).await;
    let world = World::new();
    let toml = fleet(&server, "agent = 'web'\n[agents.web]\ncommand = ['serve']");
    apply(&world, &toml).await;
    let shown = world
        .until("/capabilities/do", |shown| shown["available"] == true)
        .await;
    assert_eq!(shown["description"], "it does");
    assert_eq!(shown["deadline"], "30s");
    let provider = &shown["providers"][0];
    assert_eq!(
        (
            &provider["level"],
            &provider["agent"],
            &provider["phase"],
            &provider["circuit_state"]
        ),
        (&json!(100), &json!("web"), &json!("online"), &json!("closed"))
    );
    let headers = [("x-request-timeout-ms", "5000"), ("idempotency-key", "mine")];
    let answer = world
        .ask("POST", "/capabilities/do/invoke", r#"{ "n" : 1.50 }"#, &headers)
        .await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, r#"{"said":200}"#));
    assert_eq!(
        (answer.header("stead-provider"), answer.header("stead-level")),
        ("one", "100")
    );
    let request = server.seen().remove(0);
    assert!(
        request.ends_with(r#"{ "n" : 1.50 }"#),
        "it is handed on as it came: {request}"
    );
    assert!(request.contains("idempotency-key: mine\r\n"), "{request}");
    let left = request
        .lines()
        .find_map(|line| line.strip_prefix("x-request-timeout-ms: "));
    assert!((1..=5000).contains(&left.unwrap().parse::<u32>().unwrap()), "{request}");

    assert!(
        world
            .json("POST", "/agents/web/lifecycle/stop", "{}")
            .await
            .status
            .is_success()
    );
    world
        .until("/capabilities/do", |shown| shown["available"] == false)
        .await;
    let refused = ask(&world, r#"{"n":1}"#).await;
    assert_eq!(refused.problem(), (503, "no-fallback-available".to_owned()));
    let reason = refused.json()["errors"][0].as_str().unwrap().to_owned();
    assert!(reason.starts_with("one (primary): web is "), "{reason}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_told_before_anybody_is_asked() {
    let server = Server::new([]).await;
    let world = World::new();
    apply(&world, &fleet(&server, "")).await;
    let mismatch = ask(&world, "{}").await;
    assert_eq!(mismatch.problem(), (422, "invalid-parameters".to_owned()));
    assert!(mismatch.json()["errors"][0].as_str().unwrap().contains("required"));
    assert_eq!(ask(&world, "").await.problem().0, 400);
    assert_eq!(ask(&world, "{").await.problem().0, 400);
    let headers = [("x-request-timeout-ms", "soon")];
    let late = world
        .ask("POST", "/capabilities/do/invoke", r#"{"n":1}"#, &headers)
        .await;
    assert_eq!(late.problem(), (400, "invalid-request".to_owned()));
    let unknown = world.json("POST", "/capabilities/nothing/invoke", "{}").await;
    assert_eq!(unknown.problem(), (404, "unknown-capability".to_owned()));
    assert_eq!(world.get("/capabilities/nothing/providers").await.problem().0, 404);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_mistake_of_the_asker_comes_back_as_the_provider_told_it() {
    let server = Server::new([Say::status(409)]).await;
    let world = World::new();
    apply(&world, &fleet(&server, "")).await;
    let answer = ask(&world, r#"{"n":1}"#).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (409, r#"{"said":409}"#));
    assert_eq!(answer.header("stead-provider"), "one");
}

#[tokio::test]
async fn a_circuit_is_turned_by_hand_and_who_did_it_is_kept() {
    let server = Server::new([]).await;
    let world = World::new();
    apply(&world, &fleet(&server, "circuit = 'llm/acme/large'")).await;
    let path = |verb: &str| format!("/circuits/llm%2Facme%2Flarge/{verb}");
    let headers = [("stead-actor", "ada")];
    let turned = world
        .ask(
            "POST",
            &path("force-open"),
            r#"{"reason":"it is being moved"}"#,
            &headers,
        )
        .await;
    assert_eq!(
        (turned.status.as_u16(), &turned.json()["state"]),
        (200, &json!("forced_open"))
    );
    let listed = world.get("/circuits").await.json();
    assert_eq!(listed["items"][0]["name"], "llm/acme/large");
    assert_eq!(listed["items"][0]["providers"], json!(["do/one"]));
    let refused = ask(&world, r#"{"n":1}"#).await;
    assert_eq!(
        refused.json()["errors"],
        json!(["one (primary): circuit llm/acme/large was opened by hand"])
    );
    let audit = world.get("/audit?verb=force-open").await.json();
    let row = &audit["items"][0];
    assert_eq!(
        (&row["kind"], &row["name"], &row["actor"], &row["reason"]),
        (
            &json!("circuit"),
            &json!("llm/acme/large"),
            &json!("ada"),
            &json!("it is being moved")
        )
    );
    assert_eq!(world.json("POST", &path("reset"), "").await.json()["state"], "closed");
    assert_eq!(
        world.json("POST", &path("force-close"), "").await.json()["state"],
        "forced_closed"
    );
    let unknown = world.json("POST", "/circuits/nobody/reset", "").await;
    assert_eq!(unknown.problem(), (404, "unknown-circuit".to_owned()));
    let kept = world.get("/audit").await.json();
    let circuits = |row: &&Value| row["kind"] == "circuit";
    assert_eq!(kept["items"].as_array().unwrap().iter().filter(circuits).count(), 3);
}

#[tokio::test]
async fn a_change_is_told_without_secrets_and_keeps_the_circuits() {
    let server = Server::new([Say::status(500)]).await;
    let world = World::new();
    let toml = |key: &str| {
        fleet(
            &server,
            &format!("breaker.failure_threshold = 1\nheaders.Authorization.secret = '{key}'"),
        )
    };
    let applied = apply(&world, &toml("hunter2")).await;
    let fields = |applied: &Value| -> Vec<String> {
        let settings = applied["settings"].as_array().unwrap();
        settings
            .iter()
            .map(|change| change["field"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(
        fields(&applied).contains(&"capabilities.do.description".to_owned()),
        "{applied}"
    );
    assert_eq!(ask(&world, r#"{"n":1}"#).await.problem().0, 503);
    let applied = apply(&world, &toml("hunter3")).await;
    assert_eq!(
        fields(&applied),
        ["capabilities.do.providers.one.headers.Authorization.secret"]
    );
    assert!(!applied.to_string().contains("hunter"), "{applied}");
    let circuit = world.get("/circuits").await.json()["items"][0].clone();
    assert_eq!((&circuit["state"], &circuit["failed"]), (&json!("open"), &json!(1)));
    let gone = apply(&world, "").await;
    assert!(!fields(&gone).is_empty());
    assert_eq!(world.get("/capabilities").await.json()["items"], json!([]));
}
