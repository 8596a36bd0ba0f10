use axum::body::Body;
use axum::http::Request;

use super::world::{World, json};

/// Method, path, body, and the status, code and words of the refusal.
type Refused = (
    &'static str,
    &'static str,
    &'static str,
    u16,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const REFUSED: &[Refused] = &[
    // The path.
    ("GET", "/nowhere", "", 404, "not-found", "/openapi.json"),
    ("GET", "/api/v1/agents/", "", 404, "not-found", "/api/v1/agents/"),
    ("GET", "/api/v2/agents", "", 404, "not-found", ""),
    ("DELETE", "/api/v1/agents", "", 405, "method-not-allowed", "DELETE"),
    ("POST", "/health/live", "", 405, "method-not-allowed", "Allow"),
    ("GET", "/api/v1/agents/no%20name", "", 400, "invalid-request", "1 to 63"),
    ("GET", "/api/v1/agents/agt_nonsense", "", 400, "invalid-request", "agt_"),
    ("GET", "/api/v1/agents/%ff", "", 400, "invalid-request", "path"),
    ("POST", "/api/v1/agents/web/lifecycle/strat", "", 404, "not-found", "did you mean `start`"),
    ("POST", "/api/v1/agents/web/lifecycle/explode", "", 404, "not-found", "`terminate`"),
    ("POST", "/api/v1/agents/web/lifecycle/scale", "", 400, "invalid-request", "`replicas` is missing"),
    ("POST", "/api/v1/agents/web/lifecycle/stop", r#"{"timeout":"5s"}"#, 400, "invalid-request", "`drain` alone"),
    ("POST", "/api/v1/agents:batch", r#"{"verb":"scale","selector":"a"}"#, 400, "invalid-request", "unknown value `scale`"),
    ("POST", "/api/v1/agents/web/tasks/steal", r#"{"task":"t"}"#, 404, "not-found", "`assign`"),
    // The query.
    ("GET", "/api/v1/agents?limt=5", "", 400, "invalid-request", "did you mean `limit`"),
    ("GET", "/api/v1/agents?limit=0", "", 400, "invalid-request", "1 to 1000"),
    ("GET", "/api/v1/agents?limit=1001", "", 400, "invalid-request", "1 to 1000"),
    ("GET", "/api/v1/agents?limit=many", "", 400, "invalid-request", "limit"),
    ("GET", "/api/v1/agents?limit=1&limit=2", "", 400, "invalid-request", "duplicate"),
    ("GET", "/api/v1/agents?cursor=xyz", "", 400, "invalid-request", "cursor"),
    ("GET", "/api/v1/agents?cursor=2f", "", 400, "invalid-request", "not a cursor"),
    ("GET", "/api/v1/agents?selector=a=(b", "", 400, "invalid-request", "character 3"),
    ("GET", "/api/v1/agents?health=helthy", "", 400, "invalid-request", "did you mean `healthy`"),
    ("GET", "/api/v1/agents?phase=onlin", "", 400, "invalid-request", "did you mean `online`"),
    ("GET", "/api/v1/agents?profile=robot", "", 400, "invalid-request", "`component`"),
    ("GET", "/api/v1/agents?class=broken", "", 400, "invalid-request", "`operational`"),
    ("GET", "/api/v1/agents?namespace=", "", 400, "invalid-request", "namespace"),
    ("GET", "/api/v1/agents/web?verbose=1", "", 400, "invalid-request", "unknown field `verbose`"),
    ("GET", "/health/live?x=1", "", 400, "invalid-request", "unknown field"),
    ("GET", "/api/v1/transitions?since=yesterday", "", 400, "invalid-request", "such as 15m"),
    ("GET", "/api/v1/transitions?reason=crash", "", 400, "invalid-request", "failure.crash"),
    ("GET", "/api/v1/transitions?cursor=zz", "", 400, "invalid-request", "cursor"),
    ("GET", "/api/v1/transitions?agent=web&cursor=r1", "", 400, "invalid-request", "another query"),
    ("GET", "/api/v1/agents/web/transitions?agent=db", "", 400, "invalid-request", "/transitions"),
    ("GET", "/api/v1/events?type=phase_change", "", 400, "invalid-request", "did you mean `phase_changed`"),
    ("GET", "/api/v1/events?after=nonsense", "", 400, "invalid-request", "after"),
    ("GET", "/api/v1/agents/web/logs?stream=stdin", "", 400, "invalid-request", "`stdout`"),
    ("GET", "/api/v1/agents/web/logs?tail=-1", "", 400, "invalid-request", "tail"),
    ("GET", "/api/v1/agents/web/logs?tail=1000001", "", 400, "invalid-request", "1000000"),
    // The body.
    ("POST", "/api/v1/agents", "", 400, "invalid-request", "empty"),
    ("POST", "/api/v1/agents", "{\n  \"name\": web\n}", 400, "invalid-request", "line 2 column 11"),
    ("POST", "/api/v1/agents", r#"{"name":"web""#, 400, "invalid-request", "line 1 column 13"),
    ("POST", "/api/v1/agents", r#"{"name":"web"} x"#, 400, "invalid-request", "trailing"),
    ("POST", "/api/v1/agents", r#"["posit"]"#, 400, "invalid-request", "expected an object, found a list"),
    ("POST", "/api/v1/agents/web/heartbeats", " []", 400, "invalid-request", "expected an object, found a list"),
    ("POST", "/api/v1/config/validate", r#"["[agents.a]"]"#, 400, "invalid-request", "expected an object, found a list"),
    ("POST", "/api/v1/agents", r#"{"nam":"web"}"#, 400, "invalid-request", "did you mean `name`"),
    ("POST", "/api/v1/agents", r#"{"name":"web","name":"b"}"#, 400, "invalid-request", "duplicate"),
    ("POST", "/api/v1/agents", r#"{"name":"a b"}"#, 400, "invalid-request", "1 to 63"),
    ("POST", "/api/v1/agents", r#"{"name":"agt_x"}"#, 400, "invalid-request", "agt_"),
    ("POST", "/api/v1/agents", r#"{"name":"new","intent":"paused"}"#, 400, "invalid-request", "`running`"),
    ("POST", "/api/v1/agents", r#"{"name":"new","reason":""}"#, 400, "invalid-request", "reason: must be 1 to 1024"),
    ("POST", "/api/v1/agents", r#"{"name":"new","spec":{"comand":["x"]}}"#, 400, "invalid-request", "did you mean `command`"),
    ("POST", "/api/v1/agents", r#"{"name":"new","spec":{"stop":{"grace":"soon"}}}"#, 400, "invalid-request", "spec.stop.grace: "),
    ("POST", "/api/v1/agents", r#"{"name":"new","spec":{"driver":"process"}}"#, 422, "invalid-spec", "command"),
    ("POST", "/api/v1/agents", r#"{"name":"new","spec":{"type":""}}"#, 422, "invalid-spec", "`type` is empty; name the sort"),
    ("POST", "/api/v1/agents", r#"{"name":"new","spec":{"type":"","labels":{"a b":"c"}}}"#, 422, "invalid-spec", "2 values make no sense"),
    ("POST", "/api/v1/agents", r#"{"name":"new","spec":{"profile":"reviewd"}}"#, 422, "invalid-spec", "there are agent, agent-original, component"),
    ("POST", "/api/v1/agents", r#"{"name":"web"}"#, 409, "duplicate-name", "web"),
    ("POST", "/api/v1/agents", r#"{"name":"new","spec":{"command":[]}}"#, 422, "invalid-spec", "`command` is empty"),
    ("POST", "/api/v1/agents", r#"{"name":"new","spec":{"command":["x","\u0000"]}}"#, 422, "invalid-spec", "`command` holds a NUL"),
    ("POST", "/api/v1/agents", r#"{"name":"new","spec":{"command":"x"}}"#, 400, "invalid-request", "expected a list, found the text"),
    ("POST", "/api/v1/agents", r#"{"name":"new","spec":7}"#, 400, "invalid-request", "expected an object, found the number `7`"),
    ("PUT", "/api/v1/agents/web", "{}", 400, "invalid-request", "missing field `spec`"),
    ("PATCH", "/api/v1/agents/web", r#"{"comand":["x"]}"#, 400, "invalid-request", "comand"),
    ("PATCH", "/api/v1/agents/web", "[1]", 400, "invalid-request", "patched spec"),
    ("PATCH", "/api/v1/agents/web", r#"{"command":["x"]}"#, 422, "invalid-spec", "driver"),
    ("POST", "/api/v1/agents/web/lifecycle/start", r#"{"why":"x"}"#, 400, "invalid-request", "unknown field `why`"),
    ("POST", "/api/v1/agents/web/errors", r#"{"detail":""}"#, 400, "invalid-request", "1 to 4096"),
    ("POST", "/api/v1/agents/web/heartbeats", r#"{"health":"fine"}"#, 400, "invalid-request", "`healthy`"),
    ("POST", "/api/v1/daemon/shutdown", r#"{"agents":"kill"}"#, 400, "invalid-request", "`leave`"),
    ("POST", "/api/v1/config/apply", r#"{"toml":"bad"}"#, 422, "invalid-config", "fault"),
    ("POST", "/api/v1/config/apply?dry_run=maybe", r#"{"toml":"good"}"#, 400, "invalid-request", "dry_run"),
    // The agent.
    ("GET", "/api/v1/agents/nobody", "", 404, "unknown-agent", "nobody"),
    ("GET", "/api/v1/agents/agt_0000000000001", "", 404, "unknown-agent", "agt_"),
    ("GET", "/api/v1/agents/nobody/why", "", 404, "unknown-agent", "nobody"),
    ("GET", "/api/v1/agents/nobody/lifecycle", "", 404, "unknown-agent", "nobody"),
    ("GET", "/api/v1/agents/nobody/spec", "", 404, "unknown-agent", "nobody"),
    ("GET", "/api/v1/agents/nobody/logs", "", 404, "unknown-agent", "nobody"),
    ("GET", "/api/v1/agents/nobody/transitions", "", 404, "unknown-agent", "nobody"),
    ("GET", "/api/v1/transitions?agent=nobody", "", 404, "unknown-agent", "nobody"),
    ("GET", "/api/v1/events?agent=nobody", "", 404, "unknown-agent", "nobody"),
    ("GET", "/api/v1/agents/web?namespace=blue", "", 404, "unknown-agent", "web"),
    ("POST", "/api/v1/agents/nobody/lifecycle/start", "", 404, "unknown-agent", "nobody"),
    ("POST", "/api/v1/agents/nobody/heartbeats", "{}", 404, "unknown-agent", "nobody"),
    ("PUT", "/api/v1/agents/nobody", r#"{"spec":{}}"#, 404, "unknown-agent", "nobody"),
    ("PATCH", "/api/v1/agents/nobody", "{}", 404, "unknown-agent", "nobody"),
    ("DELETE", "/api/v1/agents/nobody", "", 404, "unknown-agent", "nobody"),
];

#[tokio::test]
async fn whatever_is_wrong_is_a_problem_that_says_what_and_changes_nothing() {
    let world = World::new();
    world.agent("web").await;
    for (method, path, body, status, code, words) in REFUSED {
        let reply = world.json(method, path, body).await;
        assert_eq!(
            reply.problem(),
            (*status, (*code).to_owned()),
            "{method} {path} {body}: {}",
            reply.text
        );
        assert!(
            reply.detail().contains(words),
            "{method} {path} {body}: {}",
            reply.detail()
        );
    }
    assert_eq!(world.views.count(), 1);
    assert_eq!(world.get("/api/v1/agents/web").await.header("etag"), "\"1\"");
}

#[tokio::test]
async fn headers_that_cannot_be_meant_are_refused() {
    let world = World::new();
    world.agent("web").await;
    let long = "x".repeat(256);
    for (name, value, words) in [
        ("if-match", "1", "\"7\""),
        ("if-match", "W/\"1\"", "\"7\""),
        ("if-match", "\"1\", \"2\"", "one ETag"),
        ("idempotency-key", "", "1 to 255"),
        ("idempotency-key", "two words", "1 to 255"),
        ("idempotency-key", &long, "1 to 255"),
        ("stead-actor", "", "1 to 128"),
        ("stead-actor", &long, "1 to 128"),
        ("stead-actor", "stead", "must not be `stead`"),
        ("x-correlation-id", "two words", "1 to 128"),
        ("x-correlation-id", &long, "1 to 128"),
    ] {
        let asked = json("POST", "/api/v1/agents/web/lifecycle/start")
            .header(name, value)
            .body(Body::empty())
            .unwrap();
        let reply = world.send(asked).await;
        assert_eq!(reply.problem(), (400, "invalid-request".into()), "{name}: {value}");
        assert!(reply.detail().contains(words), "{}", reply.detail());
    }
}

#[tokio::test]
async fn a_stale_version_is_refused_and_any_version_is_not() {
    let world = World::new();
    world.agent("web").await;
    for (etag, status) in [("\"9\"", 412), ("*", 202), ("\"2\"", 202)] {
        let asked = json("POST", "/api/v1/agents/web/lifecycle/start")
            .header("if-match", etag)
            .body(Body::empty())
            .unwrap();
        assert_eq!(world.send(asked).await.status, status, "{etag}");
    }
    let asked = json("PATCH", "/api/v1/agents/web")
        .header("if-match", "\"1\"")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(world.send(asked).await.problem(), (412, "stale-revision".into()));
}

#[tokio::test]
async fn a_body_of_another_kind_or_size_is_refused() {
    let world = World::new();
    let name = r#"{"name":"web"}"#;
    for (kind, status) in [
        ("application/json; charset=utf-8", 201),
        ("APPLICATION/JSON", 409),
        ("text/plain", 415),
        ("application/jsonx", 415),
    ] {
        let asked = Request::post("/api/v1/agents")
            .header("content-type", kind)
            .body(Body::from(name))
            .unwrap();
        assert_eq!(world.send(asked).await.status, status, "{kind}");
    }
    let bare = world
        .send(Request::post("/api/v1/agents").body(Body::from(name)).unwrap())
        .await;
    assert_eq!(bare.problem(), (415, "unsupported-media-type".into()));
    assert!(bare.detail().contains("no Content-Type"));

    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(1024 * 1024));
    let refused = world.json("POST", "/api/v1/agents", &large).await;
    assert_eq!(refused.problem(), (413, "too-large".into()));
    assert!(refused.detail().contains("the 1 MiB"), "{}", refused.detail());
    let fleet = format!(r#"{{"toml":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
    assert_eq!(world.json("POST", "/api/v1/config/validate", &fleet).await.status, 200);
    for (path, kind, most) in [
        ("/api/v1/config/validate", "application/toml", 8),
        ("/api/v1/heartbeats", "application/x-ndjson", 16),
    ] {
        let huge = "x".repeat(most * 1024 * 1024 + 1);
        let asked = Request::post(path).header("content-type", kind).body(Body::from(huge));
        let refused = world.send(asked.unwrap()).await;
        assert_eq!(refused.problem(), (413, "too-large".into()), "{path}");
        let said = format!("the {most} MiB");
        assert!(refused.detail().contains(&said), "{}", refused.detail());
    }
}

#[tokio::test]
async fn a_method_that_is_not_taken_names_those_that_are() {
    let reply = World::new().json("PUT", "/api/v1/agents", "{}").await;
    assert_eq!(reply.problem(), (405, "method-not-allowed".into()));
    let mut allowed: Vec<_> = reply.header("allow").split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

#[tokio::test]
async fn a_mistake_of_the_daemon_is_a_problem_and_the_daemon_goes_on() {
    let world = World::new();
    let reply = world
        .json(
            "POST",
            "/api/v1/daemon/shutdown",
            r#"{"agents":"stop","reason":"panic"}"#,
        )
        .await;
    assert_eq!(reply.problem(), (500, "internal".into()));
    assert!(!reply.text.contains("as the test wishes"), "{}", reply.text);
    assert_eq!(world.get("/health/live").await.status, 200);
}
