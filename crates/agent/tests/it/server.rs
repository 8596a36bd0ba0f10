//! Every route, with its statuses and its words.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use stead_agent::{CheckConfig, EntryPoint, Finding, Reach, Server, Token};

use crate::web::{get, lifecycle, post, send, site, statuses};
use crate::world::{LONG, SECOND, Stuck, begin, builder, started, stream};

#[tokio::test(start_paused = true)]
async fn ready_is_200_only_while_running_and_live_always() {
    let runtime = builder().build().unwrap();
    let site = site(&runtime);
    assert_eq!(statuses(&site).await, (200, 503));
    lifecycle(&site, "start").await;
    assert_eq!(statuses(&site).await, (200, 200));
    begin(&runtime, "sleep", 2_000).await;
    let (paused, ()) = tokio::join!(lifecycle(&site, "pause"), async {
        tokio::task::yield_now().await;
        assert_eq!(statuses(&site).await, (200, 503));
    });
    assert_eq!(
        (paused.status, paused.json()["state"].as_str()),
        (StatusCode::OK, Some("paused"))
    );
    assert_eq!(statuses(&site).await, (200, 503));
    lifecycle(&site, "resume").await;
    assert_eq!(statuses(&site).await, (200, 200));
    begin(&runtime, "sleep", 2_000).await;
    let (stopped, ()) = tokio::join!(lifecycle(&site, "stop"), async {
        tokio::task::yield_now().await;
        assert_eq!(statuses(&site).await, (200, 503));
        let ready = get(&site, "/health/ready").await.json();
        assert_eq!(ready["reason"], "draining: 1 in flight");
    });
    assert_eq!(
        (stopped.status, stopped.json()["state"].as_str()),
        (StatusCode::OK, Some("stopped"))
    );
    assert_eq!(statuses(&site).await, (200, 503));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_can_never_work_again_is_not_live() {
    let runtime = started(builder()).await;
    let site = site(&runtime);
    runtime.fail("the licence has run out");
    assert_eq!(statuses(&site).await, (503, 503));
    let live = get(&site, "/health/live").await.json();
    assert_eq!(
        (live["status"].as_str(), live["reason"].as_str()),
        (Some("dead"), Some("the licence has run out"))
    );
}

#[tokio::test(start_paused = true)]
async fn starting_and_stopping_twice_is_200_already() {
    let site = site(&builder().build().unwrap());
    for (verb, message) in [
        ("stop", "already stopped"),
        ("start", "started"),
        ("start", "already started"),
        ("restart", "restarted"),
        ("stop", "stopped"),
        ("stop", "already stopped"),
        ("restart", "restarted"),
    ] {
        let answer = lifecycle(&site, verb).await;
        assert_eq!(
            (answer.status, answer.json()["message"].as_str()),
            (StatusCode::OK, Some(message))
        );
        assert_eq!(answer.json()["already"], message.starts_with("already"));
    }
}

#[tokio::test(start_paused = true)]
async fn pause_and_resume_from_a_wrong_state_are_409_with_what_is_possible() {
    let site = site(&builder().build().unwrap());
    let refused = async |verb, possible: Value| {
        let answer = lifecycle(&site, verb).await;
        assert_eq!(answer.problem(), (409, "wrong-state".to_owned()));
        assert_eq!(answer.json()["possible"], possible);
    };
    refused("pause", json!(["starting"])).await;
    refused("resume", json!(["starting"])).await;
    lifecycle(&site, "start").await;
    refused("resume", json!(["paused", "stopping"])).await;
    lifecycle(&site, "pause").await;
    refused("pause", json!(["running", "stopping"])).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_says_what_is_in_flight_and_new_work_is_told_when_to_come_back() {
    let runtime = started(builder()).await;
    let site = site(&runtime);
    begin(&runtime, "sleep", 60_000).await;
    let body = r#"{"mode": "soft", "note": "new keys", "wait": 1}"#;
    let paused = post(&site, "/api/v1/lifecycle/pause", body).await;
    assert_eq!(
        (paused.status, paused.json()["in_flight"].as_u64()),
        (StatusCode::ACCEPTED, Some(1))
    );
    let refused = post(&site, "/api/v1/executions", r#"{"entry_point": "echo"}"#).await;
    assert_eq!(refused.problem(), (503, "paused".to_owned()));
    assert_eq!(refused.headers["retry-after"], "5");
    assert!(refused.json()["detail"].as_str().unwrap().contains("new keys"));
    assert_eq!(get(&site, "/health/ready").await.json()["reason"], "paused: new keys");
    let freeze = post(&site, "/api/v1/lifecycle/resume", "").await;
    assert_eq!(freeze.status, StatusCode::OK);
    let freeze = post(&site, "/api/v1/lifecycle/pause", r#"{"mode": "freeze"}"#).await;
    assert_eq!(freeze.problem(), (409, "not-offered".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn status_has_its_keys_and_true_numbers() {
    let check = || async { Finding::degraded("slow") };
    let hangs = || std::future::pending::<Finding>();
    let often = CheckConfig {
        timeout: SECOND,
        ..CheckConfig::default()
    };
    let runtime = builder()
        .check("llm", CheckConfig::default(), check)
        .check("tools", often, hangs);
    let runtime = started(runtime).await;
    let site = site(&runtime);
    // What depends on a check that hangs is answered at once, and says that nothing is known.
    let begun = tokio::time::Instant::now();
    let first = get(&site, "/api/v1/status").await.json();
    assert_eq!(
        (first["health"]["tools"].as_str(), begun),
        (Some("unknown"), tokio::time::Instant::now())
    );
    assert_eq!(get(&site, "/health/ready").await.status, StatusCode::OK);
    runtime
        .submit(crate::world::ask("sleep", 60_000).in_stream(stream("mail")))
        .await
        .unwrap();
    let failed = begin(&runtime, "fail", 0).await;
    runtime.wait(failed.id, LONG).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let status = get(&site, "/api/v1/status").await.json();
    assert_eq!(
        status,
        json!({
            "state": "running", "uptime_seconds": 3, "active_streams": 1, "total_executions": 2, "failed_executions": 1,
            "entry_points": ["sleep", "echo", "fail", "panic"],
            "health": { "storage": "healthy", "llm": "degraded", "tools": "unhealthy" },
        })
    );
    let streams = get(&site, "/api/v1/status/streams").await.json();
    let item = streams["items"][0].as_object().unwrap();
    let keys: Vec<_> = item.keys().map(String::as_str).collect();
    assert_eq!(keys, ["entry_point", "execution_id", "id", "started_at", "state"]);
    assert_eq!(
        (item["id"].as_str(), item["state"].as_str()),
        (Some("mail"), Some("running"))
    );
}

#[tokio::test(start_paused = true)]
async fn an_execution_is_taken_in_waited_for_shown_and_cancelled() {
    let runtime = started(builder()).await;
    let site = site(&runtime);
    let taken = post(
        &site,
        "/api/v1/executions",
        r#"{"entry_point": "sleep", "input": 60000}"#,
    )
    .await;
    assert_eq!(
        (taken.status, taken.json()["status"].as_str()),
        (StatusCode::ACCEPTED, Some("running"))
    );
    let place = taken.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(
        place,
        format!("/api/v1/executions/{}", taken.json()["id"].as_str().unwrap())
    );
    let body = r#"{"entry_point": "echo", "input": {"a": [1, null]}, "wait": "2s", "stream": "mail"}"#;
    let ended = post(&site, "/api/v1/executions", body).await;
    let shown = ended.json();
    assert_eq!(
        (ended.status, &shown["status"], &shown["result"]),
        (StatusCode::OK, &json!("succeeded"), &json!({"a": [1, null]}))
    );
    assert!(shown["started_at"].is_string() && shown["ended_at"].is_string() && shown["stream"] == "mail");
    let delete = || Request::delete(&place).body(Body::empty()).unwrap();
    let cancelled = send(&site, delete()).await;
    assert_eq!(
        (cancelled.status, cancelled.json()["status"].as_str()),
        (StatusCode::ACCEPTED, Some("cancelling"))
    );
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(get(&site, &place).await.json()["status"], "cancelled");
    assert_eq!(send(&site, delete()).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_is_asked_for_again_with_its_key_is_answered_as_it_is() {
    let runtime = started(builder()).await;
    let site = site(&runtime);
    let ask = async |key: &str, body: &'static str| {
        let request = Request::post("/api/v1/executions").header("content-type", "application/json");
        send(
            &site,
            request.header("idempotency-key", key).body(Body::from(body)).unwrap(),
        )
        .await
    };
    let body = r#"{"entry_point": "sleep", "input": 1000}"#;
    let (first, second) = (ask("k1", body).await, ask("k1", body).await);
    assert_eq!(
        (second.status, &second.json()["id"]),
        (StatusCode::ACCEPTED, &first.json()["id"])
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    let third = ask("k1", body).await;
    assert_eq!(
        (third.status, third.json()["status"].as_str()),
        (StatusCode::OK, Some("succeeded"))
    );
    let other = ask("k1", r#"{"entry_point": "echo"}"#).await;
    assert_eq!(other.problem(), (422, "idempotency-key-reused".to_owned()));
    assert_eq!(ask("with space", body).await.problem().0, 400);
}

#[tokio::test(start_paused = true)]
async fn unknown_things_are_404_and_waiting_longer_than_asked_is_408() {
    let runtime = started(builder()).await;
    let site = site(&runtime);
    let unknown = post(&site, "/api/v1/executions", r#"{"entry_point": "nope"}"#).await;
    assert_eq!(unknown.problem(), (404, "unknown-entry-point".to_owned()));
    for id in ["exe_000000000000-1", "nonsense", "..%2F..%2Fetc"] {
        let unknown = get(&site, &format!("/api/v1/executions/{id}")).await;
        assert_eq!(unknown.problem(), (404, "unknown-execution".to_owned()));
    }
    assert_eq!(get(&site, "/nowhere").await.problem(), (404, "not-found".to_owned()));
    let not_so = get(&site, "/api/v1/lifecycle/start").await;
    assert_eq!(
        (not_so.problem().0, not_so.headers["allow"].to_str().unwrap()),
        (405, "POST")
    );
    let body = r#"{"entry_point": "sleep", "input": 3000, "wait": 1}"#;
    let late = post(&site, "/api/v1/executions", body).await;
    assert_eq!(late.problem(), (408, "not-in-time".to_owned()));
    let id = late.json()["execution_id"].as_str().unwrap().to_owned();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        get(&site, &format!("/api/v1/executions/{id}")).await.json()["status"],
        "succeeded"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_execution_that_has_not_ended_is_409_for_its_stream() {
    let stuck = Stuck::default();
    let runtime = started(builder().entry_point(stuck.entry("stuck"))).await;
    let site = site(&runtime);
    let body = r#"{"entry_point": "stuck", "stream": "mail"}"#;
    let first = post(&site, "/api/v1/executions", body).await;
    let place = first.headers["location"].to_str().unwrap().to_owned();
    send(&site, Request::delete(&place).body(Body::empty()).unwrap()).await;
    tokio::time::sleep(LONG).await;
    let second = post(&site, "/api/v1/executions", body).await;
    assert_eq!(second.problem(), (409, "stream-busy".to_owned()));
    assert_eq!(second.json()["execution_id"], first.json()["id"]);
    stuck.free();
}

#[tokio::test(start_paused = true)]
async fn bodies_that_cannot_be_read_are_refused_with_what_is_wrong_and_where() {
    let runtime = started(builder()).await;
    let site = Server::new(runtime, Reach::Loopback).max_body(200).alone();
    let executions = "/api/v1/executions";
    for (body, code, said) in [
        ("", "invalid-request", "empty"),
        ("{", "invalid-request", "line 1 column 1"),
        ("[]", "invalid-request", "line 1"),
        (r#"{"entry_point": 7}"#, "invalid-request", "expected a string"),
        (r#"{"input": 7}"#, "invalid-request", "missing field `entry_point`"),
        (
            r#"{"entry_point": "echo", "speed": 7}"#,
            "invalid-request",
            "unknown field `speed`",
        ),
        (
            r#"{"entry_point": "echo", "wait": -1}"#,
            "invalid-request",
            "in the body",
        ),
        (
            r#"{"entry_point": "echo", "wait": 301}"#,
            "invalid-request",
            "the most is 300 s",
        ),
        (
            r#"{"entry_point": "echo", "stream": "../x"}"#,
            "invalid-request",
            "no stream",
        ),
    ] {
        let refused = post(&site, executions, body).await;
        assert_eq!(refused.problem(), (400, code.to_owned()), "{body}");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(said), "{body}: {detail}");
    }
    let large = format!(r#"{{"entry_point": "echo", "input": "{}"}}"#, "x".repeat(300));
    assert_eq!(
        post(&site, executions, &large).await.problem(),
        (413, "too-large".to_owned())
    );
    let form = Request::post(executions)
        .header("content-type", "text/plain")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(
        send(&site, form).await.problem(),
        (415, "unsupported-media-type".to_owned())
    );
    let untyped = Request::post(executions).body(Body::from("{}")).unwrap();
    assert_eq!(
        send(&site, untyped).await.problem(),
        (415, "unsupported-media-type".to_owned())
    );
    let misspelt = post(&site, "/api/v1/lifecycle/pause", r#"{"nite": "new keys"}"#).await;
    assert_eq!(misspelt.problem().0, 400);
}

#[tokio::test(start_paused = true)]
async fn off_loopback_control_is_off_without_a_token_and_on_with_the_right_one() {
    let runtime = started(builder()).await;
    let server = || Server::new(runtime.clone(), Reach::Network);
    let open = server().alone();
    assert_eq!(
        lifecycle(&open, "pause").await.problem(),
        (403, "control-disabled".to_owned())
    );
    let refused = post(&open, "/api/v1/executions", r#"{"entry_point": "echo"}"#).await;
    assert_eq!(refused.problem().0, 403);
    for path in [
        "/health/live",
        "/health/ready",
        "/api/v1/status",
        "/api/v1/status/streams",
        "/metrics",
    ] {
        assert_eq!(get(&open, path).await.status, StatusCode::OK, "{path}");
    }
    for reach in [Reach::Network, Reach::Loopback] {
        let token = Some(Token::new("0123456789abcdef").unwrap());
        let guarded = Server::new(runtime.clone(), reach).token(token).alone();
        let with = |header: &str| {
            let request = Request::post("/api/v1/lifecycle/start").header("authorization", header);
            request.body(Body::empty()).unwrap()
        };
        assert_eq!(
            lifecycle(&guarded, "start").await.problem(),
            (401, "unauthorized".to_owned())
        );
        for wrong in [
            "Bearer 0123456789abcdeg",
            "Bearer ",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
        ] {
            let refused = send(&guarded, with(wrong)).await;
            assert_eq!(refused.problem(), (401, "unauthorized".to_owned()), "{wrong}");
            assert_eq!(refused.headers["www-authenticate"], "Bearer");
        }
        assert_eq!(
            send(&guarded, with("bearer 0123456789abcdef")).await.status,
            StatusCode::OK
        );
    }
}

#[tokio::test(start_paused = true)]
async fn on_loopback_a_foreign_page_commands_nothing() {
    let runtime = started(builder()).await;
    let site = site(&runtime);
    let from = |name: &str, value: &str| {
        let request = Request::post("/api/v1/lifecycle/stop").header(name, value);
        request.body(Body::empty()).unwrap()
    };
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("host", "evil.example:8080"),
        ("origin", "null"),
    ] {
        let refused = send(&site, from(name, value)).await;
        assert_eq!(refused.problem(), (403, "foreign-origin".to_owned()), "{value}");
    }
    for (name, value) in [
        ("origin", "http://localhost:8080"),
        ("host", "127.0.0.1:8080"),
        ("host", "[::1]:8080"),
    ] {
        assert_eq!(send(&site, from(name, value)).await.status, StatusCode::OK, "{value}");
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_count_what_happened() {
    let runtime = started(builder()).await;
    for (entry, count) in [("echo", 3), ("fail", 2)] {
        for _ in 0..count {
            let work = begin(&runtime, entry, 1).await;
            runtime.wait(work.id, LONG).await.unwrap();
        }
    }
    begin(&runtime, "sleep", 60_000).await;
    let answer = get(&site(&runtime), "/metrics").await;
    assert!(
        answer.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    for line in [
        r#"stead_agent_state{state="running"} 1"#,
        r#"stead_agent_state{state="paused"} 0"#,
        r#"stead_agent_executions_total{entry_point="echo",outcome="succeeded"} 3"#,
        r#"stead_agent_executions_total{entry_point="fail",outcome="failed"} 2"#,
        r#"stead_agent_executions_in_flight{entry_point="sleep"} 1"#,
        r#"stead_agent_execution_duration_seconds_bucket{entry_point="echo",le="+Inf"} 3"#,
        "stead_agent_active_streams 1",
    ] {
        assert!(
            answer.text.lines().any(|found| found == line),
            "{line}\n{}",
            answer.text
        );
    }
    // Every sample belongs to a family that is described, and none is there twice.
    let described: Vec<_> = answer
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();
    let samples: Vec<_> = answer.text.lines().filter(|line| !line.starts_with('#')).collect();
    for sample in &samples {
        let name = sample.split(['{', ' ']).next().unwrap();
        let family = described
            .iter()
            .any(|family| name.starts_with(family.split(' ').next().unwrap()));
        assert!(
            family && sample.rsplit(' ').next().unwrap().parse::<f64>().is_ok(),
            "{sample}"
        );
    }
    let series: std::collections::BTreeSet<_> = samples.iter().map(|line| line.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(series.len(), samples.len());
}

#[tokio::test]
async fn the_page_and_its_description_come_from_the_binary_alone() {
    let runtime = builder()
        .entry_point(EntryPoint::new("x", async |_: stead_agent::Call| Ok::<_, String>(())))
        .build();
    let site = site(&runtime.unwrap());
    let page = get(&site, "/docs").await;
    assert!(
        page.text.contains("openapi.json") && !page.text.contains("https://"),
        "{}",
        page.text
    );
    assert!(
        page.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    let script = get(&site, "/docs/rapidoc.js").await;
    assert_eq!(
        (script.status, script.headers["content-encoding"].to_str().unwrap()),
        (StatusCode::OK, "gzip")
    );
    let document = get(&site, "/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
}
