use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt;
use insta::assert_snapshot;
use stead_model::AgentId;
use stead_store::StoreError;
use tokio::time::timeout;

use super::world::{World, event, get};

/// Reads frames of one stream; each wait is bounded.
pub(super) struct Client {
    body: BodyDataStream,
    read: String,
}

impl Client {
    pub(super) async fn open(world: &World, path: &str, last: Option<&str>) -> Self {
        let mut asked = get(path);
        if let Some(last) = last {
            asked = asked.header("last-event-id", last);
        }
        let response = world.stream(asked.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (
                response.status().as_u16(),
                response.headers()["content-type"].to_str().unwrap()
            ),
            (200, "text/event-stream")
        );
        let mut client = Self {
            body: response.into_body().into_data_stream(),
            read: String::new(),
        };
        assert!(client.frame().await.unwrap().starts_with(": stead\nretry: 2000"));
        client
    }

    /// The next frame; `None` at the end.
    pub(super) async fn frame(&mut self) -> Option<String> {
        loop {
            if let Some((frame, rest)) = self.read.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.read = rest;
                return Some(frame);
            }
            let chunk = timeout(Duration::from_secs(60), self.body.next())
                .await
                .expect("a frame in time")?;
            self.read.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }

    /// The numbers of the next events, and the cursor of the last.
    pub(super) async fn tasks(&mut self, count: usize) -> (Vec<u64>, String) {
        let (mut tasks, mut cursor) = (vec![], String::new());
        while tasks.len() < count {
            let frame = self.frame().await.expect("more events");
            if let Some((head, data)) = frame.split_once("\ndata: ") {
                let data: serde_json::Value = serde_json::from_str(data).unwrap();
                tasks.push(data["task"].as_str().unwrap().parse().unwrap());
                cursor = head.lines().next().unwrap().trim_start_matches("id: ").to_owned();
            }
        }
        (tasks, cursor)
    }
}

fn agent() -> AgentId {
    AgentId::new(stead_model::Slot::try_from(7).unwrap(), 1)
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_cursor_starts_now() {
    let world = World::new();
    world.commit(vec![], vec![event(agent(), 1)]);
    let mut client = Client::open(&world, "/api/v1/events", None).await;
    world.commit(vec![], vec![event(agent(), 2)]);
    assert_eq!(client.tasks(1).await.0, [2]);
}

#[tokio::test(start_paused = true)]
async fn an_event_is_one_frame_with_its_cursor_and_type() {
    let world = World::new();
    let mut client = Client::open(&world, "/api/v1/events", None).await;
    world.commit(vec![], vec![event(agent(), 1)]);
    assert_snapshot!("event", client.frame().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_with_a_cursor_misses_and_doubles_nothing_whenever_events_come() {
    let world = World::new();
    let mut client = Client::open(&world, "/api/v1/events", None).await;
    let (mut seen, mut committed, mut cursor) = (vec![], 0, String::new());
    for round in 1..=20_u64 {
        // Some before the stream is open again, more than one page at times, some while it is.
        let batch: Vec<_> = (0..round * 17 % 300)
            .map(|_| {
                committed += 1;
                event(agent(), committed)
            })
            .collect();
        if round > 1 {
            world.commit(vec![], batch);
            client = if round % 2 == 0 {
                Client::open(&world, "/api/v1/events", Some(&cursor)).await
            } else {
                Client::open(&world, &format!("/api/v1/events?after={cursor}"), None).await
            };
        } else {
            world.commit(vec![], batch);
        }
        committed += 1;
        world.commit(vec![], vec![event(agent(), committed)]);
        let missing = usize::try_from(committed).unwrap() - seen.len();
        let (tasks, last) = client.tasks(missing).await;
        seen.extend(tasks);
        cursor = last;
    }
    assert!(seen.len() > 2000);
    assert_eq!(seen, (1..=committed).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_filtered_stream_passes_over_the_rest_and_remembers_where_it_is() {
    let world = World::new();
    let web = world.agent("web").await.id;
    let mut client = Client::open(
        &world,
        "/api/v1/events?agent=web&type=task_assigned,phase_changed",
        None,
    )
    .await;
    let other = AgentId::new(stead_model::Slot::try_from(7).unwrap(), 99);
    world.commit(vec![], vec![event(other, 1), event(web, 2), event(other, 3)]);
    assert_eq!(client.tasks(1).await.0, [2]);
    let alive = client.frame().await.unwrap();
    let (comment, id) = alive.split_once("\nid: ").expect("a sign of life with the place");
    assert_eq!(comment, ": alive");
    world.commit(vec![], vec![event(web, 4)]);
    let mut back = Client::open(&world, "/api/v1/events", Some(id)).await;
    assert_eq!(back.tasks(1).await.0, [4]);
}

#[tokio::test(start_paused = true)]
async fn a_selector_follows_the_labels_of_agents() {
    let world = World::new();
    let made = world
        .json(
            "POST",
            "/api/v1/agents",
            r#"{"name":"web","spec":{"labels":{"team":"a"}}}"#,
        )
        .await
        .json();
    let web: AgentId = made["id"].as_str().unwrap().parse().unwrap();
    let mut client = Client::open(&world, "/api/v1/events?selector=team%3Da", None).await;
    world.commit(vec![], vec![event(AgentId::from_bits(1), 1), event(web, 2)]);
    assert_eq!(client.tasks(1).await.0, [2]);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_is_no_longer_kept_gives_a_gap_and_then_the_oldest_kept() {
    let world = World::new();
    let mut client = Client::open(&world, "/api/v1/events", None).await;
    world.commit(vec![], (1..=5).map(|task| event(agent(), task)).collect());
    let (_, second) = client.tasks(2).await;
    // A cursor to an event that a power cut took: same number, another mark.
    let lost = format!("{}-00000001", second.split_once('-').unwrap().0);
    let mut back = Client::open(&world, "/api/v1/events", Some(&lost)).await;
    let gap = back.frame().await.unwrap();
    assert!(gap.starts_with("event: gap\ndata: {\"type\":\"gap\","), "{gap}");
    assert_eq!(back.tasks(5).await.0, [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_to_go_on_ends_behind_what_is_kept() {
    let world = World::new();
    let mut client = Client::open(&world, "/api/v1/events", None).await;
    world.commit(vec![], (1..=700).map(|task| event(agent(), task)).collect());
    let (_, first) = client.tasks(1).await;
    let path = format!("/api/v1/events?follow=false&after={first}");
    let mut rest = Client::open(&world, &path, None).await;
    assert_eq!(rest.tasks(699).await.0, (2..=700).collect::<Vec<_>>());
    assert_eq!(rest.frame().await, None);
    let mut none = Client::open(&world, "/api/v1/events?follow=false", None).await;
    assert_eq!(none.frame().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_the_daemon_goes_down() {
    let world = World::new();
    let mut client = Client::open(&world, "/api/v1/events", None).await;
    world.closing.cancel();
    assert_eq!(client.frame().await, None);
}

#[tokio::test(start_paused = true)]
async fn events_that_cannot_be_read_are_refused_with_the_reason_and_come_once_they_can_be() {
    let world = World::new();
    world.commit(vec![], vec![event(agent(), 1), event(agent(), 2)]);
    let mut open = Client::open(&world, "/api/v1/events", None).await;
    let detail = "an event cannot be read".to_owned();
    world.store.set_trouble(Some(StoreError::Corrupt { detail }));
    for path in [
        "/api/v1/events?since=1970-01-01T00:00:00Z",
        "/api/v1/events?since=1970-01-01T00:00:00Z&follow=false",
    ] {
        let refused = world.get(path).await;
        assert_eq!(refused.problem(), (503, "store-unavailable".into()), "{path}");
        let told = refused.detail();
        assert!(told.contains("an event cannot be read"), "{told}");
    }
    world.store.set_trouble(None);
    let mut back = Client::open(&world, "/api/v1/events?since=1970-01-01T00:00:00Z", None).await;
    assert_eq!(back.tasks(2).await.0, [1, 2]);
    world.commit(vec![], vec![event(agent(), 3)]);
    assert_eq!((open.tasks(1).await.0, back.tasks(1).await.0), (vec![3], vec![3]));
}
