use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt;
use insta::assert_snapshot;
use stead_daemon::LogStream;
use tokio::time::timeout;

use super::world::{World, get, line};

async fn world_with_lines() -> World {
    let world = World::new();
    world.agent("web").await;
    let stream = |number| {
        if number % 3 == 0 {
            LogStream::Stderr
        } else {
            LogStream::Stdout
        }
    };
    world.seen.lock().unwrap().lines = (1..=1500).map(|number| line(number, stream(number))).collect();
    world
}

#[tokio::test]
async fn logs_are_lines_of_json_the_last_hundred_unless_asked_otherwise() {
    let world = world_with_lines().await;
    let reply = world.get("/api/v1/agents/web/logs").await;
    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    assert_eq!(reply.text.lines().count(), 100);
    for (query, count) in [
        ("tail=1", 1),
        ("tail=0", 0),
        ("tail=5000", 1500),
        ("stream=stderr&tail=5000", 500),
        ("since=2026-11-22T12:00:01.491Z", 10),
    ] {
        let reply = world.get(&format!("/api/v1/agents/web/logs?{query}")).await;
        assert_eq!(reply.text.lines().count(), count, "{query}");
    }
    assert_snapshot!("log_line", world.get("/api/v1/agents/web/logs?tail=1").await.text);
}

#[tokio::test(start_paused = true)]
async fn a_follower_gets_lines_as_they_come_until_the_daemon_goes_down() {
    let world = world_with_lines().await;
    let asked = get("/api/v1/agents/web/logs?tail=1&follow=true")
        .body(Body::empty())
        .unwrap();
    let mut body = world.stream(asked).await.into_body().into_data_stream();
    let mut next = async || timeout(Duration::from_secs(60), body.next()).await.expect("in time");
    assert!(next().await.unwrap().unwrap().ends_with(b"\"line 1500\"}\n".as_slice()));
    world.seen.lock().unwrap().lines.push(line(1501, LogStream::Stdout));
    let chunk = next().await.unwrap().unwrap();
    assert!(std::str::from_utf8(&chunk).unwrap().contains("line 1501"));
    world.closing.cancel();
    assert!(next().await.is_none());
}
