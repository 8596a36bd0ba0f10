use axum::body::Body;

use super::world::{World, get, token};

#[tokio::test]
async fn with_a_token_everything_but_probes_and_the_description_needs_it() {
    let world = World::with(|state| state.token = Some(token()));
    for open in [
        "/health/live",
        "/health/ready",
        "/openapi.json",
        "/docs",
        "/docs/rapidoc.js",
    ] {
        assert_eq!(world.get(open).await.status, 200, "{open}");
    }
    for (authorization, admitted) in [
        (None, false),
        (Some("Bearer 0123456789abcdef"), true),
        (Some("bearer 0123456789abcdef"), true),
        (Some("Bearer 0123456789abcdeX"), false),
        (Some("Bearer 0123456789abcde"), false),
        (Some("Bearer 0123456789abcdef0"), false),
        (Some("Bearer "), false),
        (Some("Basic 0123456789abcdef"), false),
        (Some("0123456789abcdef"), false),
    ] {
        let mut asked = get("/api/v1/agents");
        if let Some(authorization) = authorization {
            asked = asked.header("authorization", authorization);
        }
        let reply = world.send(asked.body(Body::empty()).unwrap()).await;
        if admitted {
            assert_eq!(reply.status, 200, "{authorization:?}");
        } else {
            assert_eq!(reply.problem(), (401, "unauthorized".into()), "{authorization:?}");
            assert_eq!(reply.header("www-authenticate"), "Bearer");
        }
    }
    assert_eq!(
        world.get("/api/v1/nowhere").await.problem(),
        (401, "unauthorized".into())
    );
}

#[tokio::test]
async fn who_shows_a_token_is_called_so_unless_they_say_who_they_are() {
    let world = World::with(|state| state.token = Some(token()));
    let asked = super::world::json("POST", "/api/v1/agents").header("authorization", "Bearer 0123456789abcdef");
    world.send(asked.body(Body::from(r#"{"name":"web"}"#)).unwrap()).await;
    assert_eq!(world.last_command().origin.actor, "token");
    let world = World::new();
    world.agent("web").await;
    assert_eq!(world.last_command().origin.actor, "anonymous");
}

#[tokio::test]
async fn a_web_page_from_elsewhere_cannot_command_a_daemon_on_loopback() {
    let world = World::with(|state| state.hosts = vec!["stead.example".into()]);
    for (name, value, admitted) in [
        ("host", "127.0.0.1:7878", true),
        ("host", "localhost", true),
        ("host", "LOCALHOST:1", true),
        ("host", "[::1]:7878", true),
        ("host", "127.8.9.1", true),
        ("host", "stead.example:80", true),
        ("host", "evil.example:7878", false),
        ("host", "localhost.evil.example", false),
        ("host", "10.0.0.1", false),
        ("host", "", false),
        ("origin", "http://127.0.0.1:7878", true),
        ("origin", "https://stead.example", true),
        ("origin", "https://evil.example", false),
        ("origin", "null", false),
    ] {
        let reply = world
            .send(get("/api/v1/agents").header(name, value).body(Body::empty()).unwrap())
            .await;
        if admitted {
            assert_eq!(reply.status, 200, "{name}: {value}");
        } else {
            assert_eq!(reply.problem(), (403, "foreign-origin".into()), "{name}: {value}");
        }
    }
    let open = World::with(|state| (state.listen, state.token) = ("0.0.0.0:7878".parse().unwrap(), Some(token())));
    let asked = get("/api/v1/agents")
        .header("host", "any.example")
        .header("authorization", "Bearer 0123456789abcdef");
    assert_eq!(open.send(asked.body(Body::empty()).unwrap()).await.status, 200);
}

#[tokio::test]
async fn every_answer_has_a_correlation_id_and_is_not_kept_by_caches() {
    let world = World::new();
    let reply = world.get("/api/v1/agents").await;
    assert_eq!(reply.header("x-correlation-id").len(), 32);
    assert_eq!(
        (reply.header("cache-control"), reply.header("x-content-type-options")),
        ("no-store", "nosniff")
    );
    let asked = get("/health/live")
        .header("x-correlation-id", "mine")
        .body(Body::empty())
        .unwrap();
    assert_eq!(world.send(asked).await.header("x-correlation-id"), "mine");
}

#[tokio::test]
async fn readiness_says_what_is_away_and_life_goes_on() {
    let world = World::new();
    assert_eq!(world.get("/health/ready").await.status, 200);
    world.status.update(|report| {
        let since = super::world::NOON.parse().unwrap();
        report.store = stead_daemon::Part::Away {
            since,
            detail: "no space is left".into(),
        };
    });
    let reply = world.get("/health/ready").await;
    assert_eq!(
        (reply.status.as_u16(), reply.json()["store"]["detail"].as_str()),
        (503, Some("no space is left"))
    );
    assert_eq!(world.get("/health/live").await.status, 200);
}

#[tokio::test]
async fn the_daemon_says_who_it_is_and_takes_its_orders() {
    let world = World::new();
    world.agent("web").await;
    let daemon = world.get("/api/v1/daemon").await.json();
    assert_eq!((daemon["pid"].as_u64(), daemon["agents"].as_u64()), (Some(42), Some(1)));
    assert_eq!(daemon["status"]["store"]["state"], "up");
    let reply = world
        .json(
            "POST",
            "/api/v1/daemon/shutdown",
            r#"{"agents":"leave","reason":"upgrade"}"#,
        )
        .await;
    assert_eq!(reply.status, 202);
    let seen = world.seen.lock().unwrap();
    assert_eq!(
        (seen.orders[0].agents, seen.orders[0].reason.as_deref()),
        (stead_daemon::AgentsLeft::Leave, Some("upgrade"))
    );
}

#[tokio::test]
async fn a_fleet_file_is_shown_checked_and_applied_as_text_or_json() {
    let world = World::new();
    assert_eq!(world.get("/api/v1/config").await.json()["hash"], "abc");
    for (kind, body) in [
        ("application/toml", "good"),
        ("text/plain; charset=utf-8", "good"),
        ("application/json", r#"{"toml":"good"}"#),
    ] {
        for path in ["validate", "apply", "apply?dry_run=true"] {
            let asked = axum::http::Request::post(format!("/api/v1/config/{path}")).header("content-type", kind);
            let reply = world.send(asked.body(Body::from(body)).unwrap()).await;
            assert_eq!(reply.status, 200, "{kind} {path}");
        }
    }
    let bad = world
        .json("POST", "/api/v1/config/validate", r#"{"toml":"bad"}"#)
        .await
        .json();
    assert_eq!(
        (bad["valid"].as_bool(), bad["problems"][0]["column"].as_u64()),
        (Some(false), Some(3))
    );
    let refused = world
        .json("POST", "/api/v1/config/apply", r#"{"toml":"bad"}"#)
        .await
        .json();
    assert_eq!(refused["errors"][0], "1:3: bad");
    let seen = world.seen.lock().unwrap();
    let modes: Vec<_> = seen.applied.iter().map(|(_, mode, _)| *mode).collect();
    use stead_daemon::ApplyMode::{Apply, DryRun};
    assert_eq!(modes, [Apply, DryRun, Apply, DryRun, Apply, DryRun]);
}
