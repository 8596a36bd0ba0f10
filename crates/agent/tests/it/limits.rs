//! The limits that the guide to the lifecycle API states.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures_util::stream;
use stead_agent::{Reach, Server};
use tokio::time::Instant;

use crate::process::http;
use crate::web::{post, send, site};
use crate::world::{builder, started};

#[tokio::test(start_paused = true)]
async fn a_note_has_at_most_1024_characters() {
    let site = site(&started(builder()).await);
    let noted = |length: usize| format!(r#"{{"note": "{}"}}"#, "\u{fc}".repeat(length));
    let refused = post(&site, "/api/v1/lifecycle/pause", &noted(1_025)).await;
    assert_eq!(refused.problem(), (400, "invalid-request".to_owned()));
    assert!(refused.text.contains("1024 characters"), "{}", refused.text);
    assert_eq!(post(&site, "/api/v1/lifecycle/pause", &noted(1_024)).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn control_requests_have_at_most_16_kib() {
    let site = site(&started(builder()).await);
    let padded = |length: usize| format!("{:length$}", r#"{"timeout": 1}"#);
    for verb in ["stop", "restart", "pause", "resume", "start"] {
        let refused = post(&site, &format!("/api/v1/lifecycle/{verb}"), &padded(16 * 1024 + 1)).await;
        assert_eq!(refused.problem(), (413, "too-large".to_owned()), "{verb}");
    }
    let stopped = post(&site, "/api/v1/lifecycle/stop", &padded(16 * 1024)).await;
    assert_eq!(stopped.status, 200, "{}", stopped.text);
}

#[tokio::test(start_paused = true)]
async fn a_body_has_ten_seconds_to_arrive() {
    let site = site(&started(builder()).await);
    for path in ["/api/v1/executions", "/api/v1/lifecycle/stop"] {
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let request = Request::post(path).header("content-type", "application/json");
        let begun = Instant::now();
        let refused = send(&site, request.body(never).unwrap()).await;
        assert_eq!(refused.problem(), (408, "slow-request".to_owned()), "{path}");
        let took = (Instant::now() - begun).as_millis();
        assert!((10_000..10_100).contains(&took), "{took} ms");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn served_by_themselves_the_routes_are_complete_and_refuse_headers_of_more_than_64_kib() {
    let runtime = started(builder()).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let (close, closing) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        let server = Server::new(runtime, Reach::Loopback);
        server.serve(listener, async { drop(closing.await) }).await
    });
    let asked = tokio::task::spawn_blocking(move || {
        assert_eq!(http(at, "GET", "/health/ready", "").unwrap().status, 200);
        let nothing = http(at, "GET", "/nowhere", "").unwrap();
        assert_eq!((nothing.status, nothing.body.contains("not-found")), (404, true));
        // The connection may be closed before all of it was written: then there is no answer to be read.
        let long = http(at, "GET", &format!("/health/ready?{}", "x".repeat(70_000)), "");
        assert!(long.is_none_or(|answer| answer.status >= 400));
        assert_eq!(http(at, "GET", "/health/live", "").unwrap().status, 200);
    });
    asked.await.unwrap();
    close.send(()).unwrap();
    let served = tokio::time::timeout(Duration::from_secs(60), serving).await;
    served.unwrap().unwrap().unwrap();
}
