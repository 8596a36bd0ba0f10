use axum::body::Body;
use insta::assert_json_snapshot;
use stead_model::{AgentRef, Driver, PauseMode, Request, Revision, Wanted};

use super::world::{World, get, json};

#[tokio::test]
async fn an_agent_is_made_known_with_a_place_and_a_version() {
    let world = World::new();
    let spec = r#"{"command":["python3","web.py"],"labels":{"team":"a"},"env":{"KEY":{"secret":"s3cret"}}}"#;
    let body = format!(r#"{{"name":"web","spec":{spec},"intent":"running","reason":"first"}}"#);
    let made = world.json("POST", "/api/v1/agents?namespace=blue", &body).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.header("etag"), "\"1\"");
    assert_eq!(made.header("stead-outcome"), "created");
    assert_json_snapshot!("agent", made.json());
    let command = world.last_command();
    assert_eq!(
        (command.namespace.as_str(), command.reason.as_deref()),
        ("blue", Some("first"))
    );
    let Request::Register {
        spec,
        wanted: Wanted::Running,
    } = command.request
    else {
        panic!("{:?}", command.request);
    };
    assert!(matches!(spec.driver, Driver::Process(_)));
    let found = world.get(made.header("location")).await;
    assert_eq!((found.status.as_u16(), found.json()), (200, made.json()));
}

#[tokio::test]
async fn an_agent_that_has_not_changed_is_not_sent_again() {
    let world = World::new();
    world.agent("web").await;
    for (etags, status) in [
        ("\"1\"", 304),
        ("W/\"1\"", 304),
        ("\"0\", \"1\"", 304),
        ("*", 304),
        ("\"2\"", 200),
    ] {
        let asked = get("/api/v1/agents/web")
            .header("if-none-match", etags)
            .body(Body::empty())
            .unwrap();
        let reply = world.send(asked).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("etag")),
            (status, "\"1\""),
            "{etags}"
        );
        assert_eq!(reply.text.is_empty(), status == 304);
    }
}

#[tokio::test]
async fn a_change_carries_who_asks_why_and_for_which_version() {
    let world = World::new();
    world.agent("web").await;
    let asked = json("POST", "/api/v1/agents/web/lifecycle/start")
        .header("if-match", "\"1\"")
        .header("idempotency-key", "k-1")
        .header("stead-actor", "Adá")
        .header("x-correlation-id", "corr-1")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .body(Body::from(r#"{"reason":"lunch is over"}"#))
        .unwrap();
    let reply = world.send(asked).await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("stead-outcome")),
        (202, "accepted")
    );
    assert_eq!(reply.header("x-correlation-id"), "corr-1");
    let command = world.last_command();
    assert_eq!(command.origin.actor, "Adá");
    assert_eq!(command.origin.correlation_id, "corr-1");
    assert_eq!(
        command.origin.trace_id.as_deref(),
        Some("4bf92f3577b34da6a3ce929d0e0e4736")
    );
    assert_eq!(
        (command.expected, command.reason.as_deref()),
        (Some(Revision(1)), Some("lunch is over"))
    );
    assert_eq!(command.idempotency.unwrap().key, "k-1");
}

#[tokio::test]
async fn the_same_request_has_the_same_fingerprint_and_another_one_has_not() {
    let world = World::new();
    world.agent("web").await;
    let mut prints = vec![];
    for (path, body) in [
        ("/api/v1/agents/web/lifecycle/start", r#"{"reason":"a"}"#),
        ("/api/v1/agents/web/lifecycle/start", r#"{"reason":"a"}"#),
        ("/api/v1/agents/web/lifecycle/start", r#"{"reason":"b"}"#),
        ("/api/v1/agents/web/lifecycle/stop", r#"{"reason":"a"}"#),
        (
            "/api/v1/agents/web/lifecycle/start?namespace=default",
            r#"{"reason":"a"}"#,
        ),
    ] {
        let asked = json("POST", path)
            .header("idempotency-key", "k")
            .body(Body::from(body))
            .unwrap();
        assert_eq!(world.send(asked).await.status, 202);
        prints.push(world.last_command().idempotency.unwrap().fingerprint);
    }
    assert_eq!(prints[0], prints[1]);
    prints.sort_unstable();
    prints.dedup();
    assert_eq!(prints.len(), 4);
}

#[tokio::test]
async fn every_verb_asks_for_what_it_is_called() {
    let world = World::new();
    world.agent("web").await;
    for (verb, request) in [
        ("deploy", Request::Deploy),
        ("start", Request::Want(Wanted::Running)),
        ("stop", Request::Want(Wanted::Stopped)),
        (
            "pause",
            Request::Pause {
                mode: PauseMode::Soft,
                lasts: None,
            },
        ),
        ("suspend", Request::Want(Wanted::Paused)),
        ("resume", Request::Resume),
        ("restart", Request::Restart),
        ("terminate", Request::Want(Wanted::Terminated)),
        ("reset", Request::Reset),
    ] {
        let reply = world
            .send(
                axum::http::Request::post(format!("/api/v1/agents/web/lifecycle/{verb}"))
                    .body(Body::empty())
                    .unwrap(),
            )
            .await;
        assert_eq!(
            (reply.status.as_u16(), world.last_command().request),
            (202, request),
            "{verb}"
        );
    }
}

#[tokio::test]
async fn what_the_phase_does_not_permit_names_what_it_does() {
    let world = World::new();
    world.agent("web").await;
    let asked = json("POST", "/api/v1/agents/web/lifecycle/maintenance")
        .header("x-correlation-id", "c")
        .body(Body::empty());
    let reply = world.send(asked.unwrap()).await;
    assert_eq!(reply.problem(), (409, "not-possible".into()));
    assert_json_snapshot!("problem", reply.json());
}

#[tokio::test]
async fn a_spec_is_shown_without_secrets_replaced_and_patched_with_them() {
    let world = World::new();
    let spec = r#"{"command":["web"],"env":{"KEY":{"secret":"s3cret"},"PORT":"80"}}"#;
    world
        .json("POST", "/api/v1/agents", &format!(r#"{{"name":"web","spec":{spec}}}"#))
        .await;
    let shown = world.get("/api/v1/agents/web/spec").await;
    assert_eq!(
        (shown.json()["revision"].as_u64(), shown.text.contains("s3cret")),
        (Some(1), false)
    );

    let patch = json("PATCH", "/api/v1/agents/web")
        .body(Body::from(r#"{"env":{"PORT":null,"NEW":"1"}}"#))
        .unwrap();
    let patched = world.send(patch).await;
    assert_eq!((patched.status.as_u16(), patched.header("etag")), (200, "\"2\""));
    let command = world.last_command();
    assert_eq!(command.expected, Some(Revision(1)));
    let Request::Respec { spec } = command.request else {
        panic!()
    };
    let env = serde_json::to_value(&*spec).unwrap()["env"].clone();
    assert_eq!(env, serde_json::json!({ "KEY": { "secret": "s3cret" }, "NEW": "1" }));

    let replaced = world
        .json(
            "PUT",
            "/api/v1/agents/web",
            r#"{"spec":{"command":["other"]},"reason":"r"}"#,
        )
        .await;
    assert_eq!((replaced.status.as_u16(), replaced.header("etag")), (200, "\"3\""));
    let masked = world
        .json(
            "PUT",
            "/api/v1/agents/web",
            r#"{"spec":{"command":["web"],"env":{"KEY":{"secret":"***"}}}}"#,
        )
        .await;
    assert_eq!(masked.problem(), (422, "invalid-spec".into()));
    assert!(masked.detail().contains("env.KEY"), "{}", masked.detail());
}

#[tokio::test]
async fn a_list_is_filtered_and_comes_in_pages_that_miss_and_double_nothing() {
    let world = World::new();
    for number in 0..7 {
        let body = format!(
            r#"{{"name":"a{number}","spec":{{"labels":{{"odd":"{}"}}}}}}"#,
            number % 2
        );
        world.json("POST", "/api/v1/agents", &body).await;
    }
    world.json("POST", "/api/v1/components", r#"{"name":"db"}"#).await;
    let names = |list: &serde_json::Value| -> Vec<String> {
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|agent| agent["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let (mut seen, mut path) = (vec![], "/api/v1/agents?limit=3".to_owned());
    loop {
        let page = world.get(&path).await.json();
        seen.extend(names(&page));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/api/v1/agents?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, ["a0", "a1", "a2", "a3", "a4", "a5", "a6"]);
    for (filter, count) in [
        ("selector=odd%3D1", 3),
        ("selector=odd+in+(0,1),!even", 7),
        ("phase=registered", 7),
        ("phase=online", 0),
        ("health=unknown&intent=stopped&profile=agent", 7),
        ("class=initial", 7),
        ("class=operational", 0),
        ("namespace=blue", 0),
    ] {
        let page = world.get(&format!("/api/v1/agents?{filter}")).await;
        assert_eq!(names(&page.json()).len(), count, "{filter}: {}", page.text);
    }
    let components = world.get("/api/v1/components").await;
    assert_json_snapshot!("list", components.json());
    assert_eq!(world.get("/api/v1/agents/db").await.status, 200);
}

#[tokio::test]
async fn an_agent_named_by_its_id_needs_no_namespace() {
    let world = World::new();
    let made = world
        .json("POST", "/api/v1/agents?namespace=blue", r#"{"name":"web"}"#)
        .await
        .json();
    let id = made["id"].as_str().unwrap();
    assert_eq!(world.get(&format!("/api/v1/agents/{id}")).await.status, 200);
    assert_eq!(
        world.get(&format!("/api/v1/agents/{id}?namespace=green")).await.status,
        404
    );
    assert_eq!(world.get("/api/v1/agents/web").await.status, 404);
    let deleted = world
        .send(
            axum::http::Request::delete(format!("/api/v1/agents/{id}?reason=old"))
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    assert_eq!(deleted.status, 202);
    let command = world.last_command();
    assert_eq!(
        (command.namespace.as_str(), command.agent),
        ("blue", AgentRef::Id(id.parse().unwrap()))
    );
    assert_eq!(
        (command.request, command.reason.as_deref()),
        (Request::Want(Wanted::Deleted), Some("old"))
    );
}

#[tokio::test]
async fn an_agent_speaks_of_itself_and_of_its_tasks() {
    let world = World::new();
    world.agent("web").await;
    let beat = world
        .json(
            "POST",
            "/api/v1/agents/web/heartbeats",
            r#"{"incarnation":2,"health":"degraded","detail":"slow"}"#,
        )
        .await;
    assert_eq!(
        (beat.status.as_u16(), &beat.json()["outcome"]),
        (202, &"accepted".into())
    );
    assert_eq!(
        (&beat.json()["handle"], &beat.json()["next_in"]),
        (&1.into(), &"5s".into())
    );
    let heard = world.seen.lock().unwrap().beats[0].clone();
    assert_eq!(
        (heard.incarnation, heard.more.unwrap().detail.as_deref()),
        (Some(stead_model::Incarnation(2)), Some("slow"))
    );
    assert_eq!(
        world
            .send(
                axum::http::Request::post("/api/v1/agents/web/heartbeats")
                    .body(Body::empty())
                    .unwrap()
            )
            .await
            .status,
        202
    );
    let task = world
        .json("POST", "/api/v1/agents/web/tasks/assign", r#"{"task":"t-1"}"#)
        .await;
    assert_eq!((task.status.as_u16(), task.json()["tasks"].as_u64()), (200, Some(1)));
    assert_eq!(world.last_command().request, Request::Assign { task: "t-1".into() });
    world
        .json("POST", "/api/v1/agents/web/tasks/complete", r#"{"task":"t-1"}"#)
        .await;
    assert_eq!(world.last_command().request, Request::Complete { task: "t-1".into() });
    let error = world
        .json("POST", "/api/v1/agents/web/errors", r#"{"detail":"502 from it"}"#)
        .await;
    assert_eq!(
        (error.status.as_u16(), world.last_command().request),
        (
            202,
            Request::ReportError {
                detail: "502 from it".into()
            }
        )
    );
    assert_eq!(
        world.get("/api/v1/agents/web/lifecycle").await.json()["current_state"],
        "registered"
    );
    assert_eq!(world.get("/api/v1/agents/web/why").await.json()["verdict"], "satisfied");
}
