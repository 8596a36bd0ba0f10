//! Reading: queries, pages, problems, and what is no daemon.

use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use stead_client::{AgentFilter, ClientError, PartState, Registry, Target};
use stead_model::{ProblemCode, Revision};

use crate::daemons::{agent, client_at, problem, serve};

#[tokio::test]
async fn a_request_says_who_asks_and_in_which_namespace() {
    let shown = |headers: HeaderMap, RawQuery(query): RawQuery| async move {
        assert_eq!(headers["authorization"], "Bearer sesame-opens-the-door");
        assert_eq!(headers["stead-actor"], "ann");
        assert_eq!(query.as_deref(), Some("namespace=default"));
        Json(agent("web-1"))
    };
    let client = serve(Router::new().route("/api/v1/agents/web-1", get(shown))).await;
    let view = client.agent(&Target::named("web-1").unwrap()).await.unwrap();
    assert_eq!(view.revision, Revision(7));
}

#[tokio::test]
async fn an_id_is_found_in_whatever_namespace_it_is() {
    let shown = |Path(name): Path<String>, RawQuery(query): RawQuery| async move {
        assert_eq!((name.as_str(), query), ("agt_0000000000001", None));
        Json(agent("web-1"))
    };
    let client = serve(Router::new().route("/api/v1/agents/{agent}", get(shown))).await;
    let target = Target::named("agt_0000000000001").unwrap();
    assert!(client.agent(&target).await.is_ok());
}

#[tokio::test]
async fn all_pages_of_a_list_are_read_with_the_same_filter() {
    let page = |RawQuery(query): RawQuery| async move {
        let query = query.unwrap();
        assert!(query.contains("selector=team%3Da%2Crole+in+%28x%2Cy%29"), "{query}");
        if query.contains("cursor=two") {
            Json(json!({ "items": [agent("c")], "next_cursor": null }))
        } else {
            Json(json!({ "items": [agent("a"), agent("b")], "next_cursor": "two" }))
        }
    };
    let client = serve(Router::new().route("/api/v1/agents", get(page))).await;
    let filter = AgentFilter {
        selector: Some("team=a,role in (x,y)".into()),
        ..AgentFilter::default()
    };
    let all = client.list_all(Registry::Agents, &filter).await.unwrap();
    let names: Vec<_> = all.iter().map(|agent| agent.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test]
async fn an_agent_that_did_not_change_is_not_sent_again() {
    let shown = |headers: HeaderMap| async move {
        if headers["if-none-match"] == "\"7\"" {
            Err(StatusCode::NOT_MODIFIED)
        } else {
            Ok(([("etag", "\"7\"")], Json(agent("web-1"))))
        }
    };
    let client = serve(Router::new().route("/api/v1/agents/web-1", get(shown))).await;
    let target = Target::named("web-1").unwrap();
    assert_eq!(client.agent_if_changed(&target, Revision(7)).await.unwrap(), None);
    assert!(client.agent_if_changed(&target, Revision(6)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_refusal_keeps_the_daemons_words_and_says_what_to_do() {
    let refused = || async { problem(ProblemCode::UnknownAgent, "there is no agent `web-2`") };
    let client = serve(Router::new().route("/api/v1/agents/web-2", get(refused))).await;
    let error = client.agent(&Target::named("web-2").unwrap()).await.unwrap_err();
    let said = error.problem().unwrap();
    assert_eq!(
        (said.code, said.detail.as_str()),
        (ProblemCode::UnknownAgent, "there is no agent `web-2`")
    );
    assert!(error.help().unwrap().contains("stead ps"));
}

#[tokio::test]
async fn a_daemon_that_is_not_ready_still_says_how_it_does() {
    let away = json!({ "state": "away", "since": "2026-01-01T00:00:00Z", "detail": "no space left" });
    let status = json!({ "store": away, "keeper": { "state": "up" }, "adopted": { "state": "starting" } });
    let ready = move || async move { (StatusCode::SERVICE_UNAVAILABLE, Json(status)) };
    let client = serve(Router::new().route("/health/ready", get(ready))).await;
    let status = client.status().await.unwrap();
    assert!(!status.ready() && matches!(status.store, PartState::Away { .. }));
}

#[tokio::test]
async fn where_nobody_listens_the_error_says_so_and_how_to_start_a_daemon() {
    // Kept, and not listening: nobody else can get it meanwhile.
    let kept = tokio::net::TcpSocket::new_v4().unwrap();
    kept.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let free = kept.local_addr().unwrap();
    let error = client_at(&format!("http://{free}")).daemon().await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Unreachable { sent: false, .. }),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .starts_with(&format!("no daemon answers at http://{free}"))
    );
    assert!(error.help().unwrap().contains("stead up"));
}

#[tokio::test]
async fn something_that_is_no_daemon_is_told_from_one() {
    let page = || async { axum::response::Html("<h1>hello</h1>") };
    let client = serve(Router::new().route("/api/v1/daemon", get(page))).await;
    let html = client.daemon().await.unwrap_err();
    let missing = client.config().await.unwrap_err();
    assert!(matches!(html, ClientError::Protocol { .. }), "{html:?}");
    assert!(matches!(missing, ClientError::Protocol { .. }), "{missing:?}");
}
