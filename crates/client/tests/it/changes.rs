//! Changing: once, under conditions, also when connections break.

use std::time::Duration;

use serde_json::json;
use stead_client::{Beat, Change, ClientError, Target, Verb};
use stead_model::{Health, Outcome, Revision};
use tokio::net::TcpListener;

use crate::daemons::{Raw, agent, client_of, header, json_answer};

fn web() -> Target {
    Target::named("web-1").unwrap()
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test]
async fn a_change_whose_connection_broke_is_sent_again_with_the_same_key() {
    let listener = listen().await;
    let client = client_of(&listener);
    let daemon = tokio::spawn(async move {
        let first = Raw::accept(&listener).await.request().await;
        let mut raw = Raw::accept(&listener).await;
        let second = raw.request().await;
        raw.answer(&json_answer(
            "202 Accepted",
            "stead-outcome: already\r\nx-correlation-id: c-1\r\n",
            &agent("web-1"),
        ))
        .await;
        (first, second)
    });
    let answer = client
        .lifecycle(&web(), Verb::Restart, &Change::because("new key"))
        .await
        .unwrap();
    let (first, second) = daemon.await.unwrap();
    assert!(
        first.starts_with("POST /api/v1/agents/web-1/lifecycle/restart?namespace=default "),
        "{first}"
    );
    assert!(first.ends_with(r#"{"reason":"new key"}"#), "{first}");
    let key = header(&first, "idempotency-key").unwrap();
    assert_eq!((key.len(), Some(key)), (36, header(&second, "idempotency-key")));
    assert_eq!(
        (answer.outcome, answer.correlation_id.as_str()),
        (Outcome::Already, "c-1")
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let listener = listen().await;
    let client = client_of(&listener);
    let daemon = tokio::spawn(async move {
        let answer = json_answer("202 Accepted", "stead-outcome: accepted\r\n", &agent("web-1"));
        let mut raw = Raw::accept(&listener).await;
        let first = raw.request().await;
        raw.answer(&answer[..answer.len() - 10]).await;
        drop(raw);
        let mut raw = Raw::accept(&listener).await;
        let second = raw.request().await;
        raw.answer(&answer).await;
        header(&first, "idempotency-key") == header(&second, "idempotency-key")
    });
    let answer = client.lifecycle(&web(), Verb::Start, &Change::default()).await.unwrap();
    assert_eq!(answer.agent.name.as_str(), "web-1");
    assert!(daemon.await.unwrap());
}

#[tokio::test]
async fn two_changes_have_two_keys() {
    let listener = listen().await;
    let client = client_of(&listener);
    let daemon = tokio::spawn(async move {
        let mut keys = Vec::new();
        for _ in 0..2 {
            let mut raw = Raw::accept(&listener).await;
            keys.push(header(&raw.request().await, "idempotency-key").unwrap());
            raw.answer(&json_answer("202 Accepted", "", &agent("web-1"))).await;
        }
        keys
    });
    for _ in 0..2 {
        client.lifecycle(&web(), Verb::Stop, &Change::default()).await.unwrap();
    }
    let keys = daemon.await.unwrap();
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test]
async fn an_unknown_outcome_is_asked_for_again_until_it_is_known() {
    let listener = listen().await;
    let client = client_of(&listener);
    let daemon = tokio::spawn(async move {
        let problem = json!({
            "type": "urn:stead:problem:outcome-unknown", "title": "t", "status": 503, "code": "outcome-unknown", "detail": "d"
        });
        let mut raw = Raw::accept(&listener).await;
        let first = raw.request().await;
        let text = json_answer("503 Service Unavailable", "", &problem);
        raw.answer(&text.replace("application/json", "application/problem+json"))
            .await;
        let mut raw = Raw::accept(&listener).await;
        let second = raw.request().await;
        raw.answer(&json_answer(
            "202 Accepted",
            "stead-outcome: accepted\r\n",
            &agent("web-1"),
        ))
        .await;
        header(&first, "idempotency-key") == header(&second, "idempotency-key")
    });
    let answer = client.lifecycle(&web(), Verb::Start, &Change::default()).await.unwrap();
    assert_eq!(answer.outcome, Outcome::Accepted);
    assert!(daemon.await.unwrap());
}

#[tokio::test]
async fn a_daemon_that_stays_away_after_it_got_the_request_leaves_it_open_whether_it_was_done() {
    let listener = listen().await;
    let settings = stead_client::Settings {
        url: format!("http://{}", listener.local_addr().unwrap()),
        timeouts: stead_client::Timeouts {
            retry: Duration::from_millis(150),
            ..stead_client::Timeouts::default()
        },
        ..stead_client::Settings::default()
    };
    let client = stead_client::Client::new(&settings).unwrap();
    let daemon = tokio::spawn(async move {
        let mut raw = Raw::accept(&listener).await;
        // Closed before the connection is, so that nobody listens when it is tried again.
        drop(listener);
        raw.request().await;
    });
    let error = client
        .lifecycle(&web(), Verb::Start, &Change::default())
        .await
        .unwrap_err();
    daemon.await.unwrap();
    assert!(
        matches!(error, ClientError::Unreachable { sent: true, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_condition_travels_with_the_change() {
    let listener = listen().await;
    let client = client_of(&listener);
    let daemon = tokio::spawn(async move {
        let mut raw = Raw::accept(&listener).await;
        let request = raw.request().await;
        raw.answer(&json_answer("202 Accepted", "", &agent("web-1"))).await;
        request
    });
    let change = Change {
        reason: Some("old & tired".into()),
        if_revision: Some(Revision(7)),
    };
    client.delete(&web(), &change).await.unwrap();
    let request = daemon.await.unwrap();
    assert!(
        request.starts_with("DELETE /api/v1/agents/web-1?namespace=default&reason=old+%26+tired "),
        "{request}"
    );
    assert_eq!(header(&request, "if-match").as_deref(), Some("\"7\""));
}

#[tokio::test]
async fn a_beat_says_what_it_says_and_needs_no_key() {
    let listener = listen().await;
    let client = client_of(&listener);
    let daemon = tokio::spawn(async move {
        let mut raw = Raw::accept(&listener).await;
        let request = raw.request().await;
        raw.answer(&json_answer("202 Accepted", "", &json!({}))).await;
        request
    });
    let beat = Beat {
        health: Some(Health::Degraded),
        ..Beat::default()
    };
    client.beat(&web(), &beat).await.unwrap();
    let request = daemon.await.unwrap();
    assert!(request.ends_with(r#"{"health":"degraded"}"#), "{request}");
    assert_eq!(header(&request, "idempotency-key"), None);
}
