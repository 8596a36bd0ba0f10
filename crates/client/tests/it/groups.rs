//! Groups: what is asked where, and what is made of the answers.

use axum::Router;
use axum::extract::{Path, Query, Request};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::{Value, json};
use stead_client::{Batch, Change, GroupFilter, Registry, Target, Verb};
use stead_model::group::GroupPhase;
use stead_model::{Namespace, Outcome};

use crate::daemons::serve;

fn group(name: &str) -> Value {
    json!({
        "id": "agt_0000000000001", "name": name, "namespace": "default", "phase": "updating", "summary": "", "intent": "running",
        "replicas": 3, "present": 3, "ready": 2, "available": 2, "updated": 1, "revision": 7, "spec_revision": 2,
        "good_revision": 1, "labels": {}, "rollout": null, "members": [format!("{name}-1")],
        "update": { "max_unavailable": "25%", "max_surge": 0, "min_ready": "10s", "progress_deadline": "5m" }
    })
}

fn web() -> Target {
    Target::named("web").unwrap()
}

/// Answers what was asked, path and body, in the group's name of a reason.
async fn echo(request: Request) -> impl IntoResponse {
    let path = request.uri().path().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let mut view = group("web");
    view["summary"] = format!("{path} {}", String::from_utf8_lossy(&body)).into();
    (
        [("stead-outcome", "accepted"), ("x-correlation-id", "c-1")],
        axum::Json(view),
    )
}

#[tokio::test]
async fn each_change_of_a_group_goes_to_its_own_place_with_what_belongs_to_it() {
    let routes = Router::new()
        .route("/api/v1/groups/web", get(echo).patch(echo).delete(echo))
        .route("/api/v1/groups/web/lifecycle/{verb}", post(echo))
        .route("/api/v1/groups/web/rollout/undo", post(echo));
    let client = serve(routes).await;
    let why = Change::because("r");
    let (web, none) = (web(), Change::default());
    let answers = [
        client.scale_group(&web, 5, &why).await.unwrap(),
        client.group_lifecycle(&web, Verb::Restart, &none).await.unwrap(),
        client.drain_group(&web, "5s".parse().unwrap(), &none).await.unwrap(),
        client.undo_rollout(&web, Some(4), &none).await.unwrap(),
        client.patch_group(&web, &json!({ "replicas": 2 }), &why).await.unwrap(),
        client.delete_group(&web, &none).await.unwrap(),
    ];
    let asked: Vec<_> = answers.iter().map(|answer| answer.group.summary.as_str()).collect();
    assert_eq!(
        asked,
        [
            r#"/api/v1/groups/web/lifecycle/scale {"reason":"r","replicas":5}"#,
            "/api/v1/groups/web/lifecycle/restart {}",
            r#"/api/v1/groups/web/lifecycle/drain {"timeout":"5s"}"#,
            r#"/api/v1/groups/web/rollout/undo {"to":4}"#,
            r#"/api/v1/groups/web {"reason":"r","replicas":2}"#,
            "/api/v1/groups/web ",
        ]
    );
    assert_eq!(
        (answers[0].outcome, answers[0].correlation_id.as_str()),
        (Outcome::Accepted, "c-1")
    );
    assert_eq!(client.group(&web).await.unwrap().phase, GroupPhase::Updating);
}

#[tokio::test]
async fn all_groups_are_read_page_by_page() {
    let list = |Query(query): Query<Vec<(String, String)>>| async move {
        let second = query.iter().any(|(key, value)| key == "cursor" && value == "c");
        let (name, next) = if second { ("b", Value::Null) } else { ("a", "c".into()) };
        axum::Json(json!({ "items": [group(name)], "next_cursor": next }))
    };
    let client = serve(Router::new().route("/api/v1/groups", get(list))).await;
    let all = client.all_groups(&GroupFilter::default()).await.unwrap();
    let names: Vec<_> = all.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[tokio::test]
async fn a_batch_tells_of_each_what_became_of_it() {
    let batch = |Path(list): Path<String>, axum::Json(body): axum::Json<Value>| async move {
        assert_eq!(
            (list.as_str(), body),
            ("agents:batch", json!({ "verb": "stop", "selector": "team=a" }))
        );
        let problem = json!({ "type": "urn:stead:problem:not-possible", "title": "t", "status": 409, "code": "not-possible", "detail": "d" });
        axum::Json(json!({ "selected": 2, "done": 1, "refused": 1, "items": [
            { "id": "agt_0000000000001", "name": "a", "outcome": "already" },
            { "id": "agt_0000000000002", "name": "b", "problem": problem },
        ] }))
    };
    let client = serve(Router::new().route("/api/v1/{list}", post(batch))).await;
    let asked = Batch {
        verb: "stop".into(),
        selector: "team=a".into(),
        timeout: None,
        pausing: stead_client::Pausing::default(),
        reason: None,
    };
    let answer = client
        .batch(Registry::Agents, &Namespace::default(), &asked)
        .await
        .unwrap();
    assert_eq!(answer.items[0].outcome, Some(Outcome::Already));
    assert_eq!(answer.items[1].problem.as_ref().unwrap().status, 409);
}
