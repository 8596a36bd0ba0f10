//! Streams that break and go on: nothing lost, nothing twice.

use std::time::Duration;

use serde_json::{Value, json};
use stead_client::{ClientError, EventFilter, EventItem, LogItem, LogQuery, Target};
use stead_model::{AgentRef, ProblemCode};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::daemons::{Raw, client_of, header};

const SSE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const NDJSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n";

fn event(cursor: u32) -> String {
    let data = json!({
        "at": "2026-01-01T00:00:00Z", "namespace": "default", "agent": "agt_0000000000001", "name": "web-1",
        "revision": cursor, "actor": "stead", "correlation_id": "c", "type": "spec_changed", "spec_revision": cursor
    });
    format!("id: c-{cursor}\nevent: spec_changed\ndata: {data}\n\n")
}

fn line(second: u32, text: &str) -> Value {
    json!({ "at": format!("2026-01-01T00:00:0{second}.000Z"), "stream": "stdout", "incarnation": 1, "line": text })
}

#[tokio::test]
async fn events_go_on_behind_the_last_one_that_came_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(&listener);
    let daemon = tokio::spawn(async move {
        let mut raw = Raw::accept(&listener).await;
        let first = raw.request().await;
        let broken = event(3);
        raw.answer(&format!(
            "{SSE}: hello\n\n{}{}{}",
            event(1),
            event(2),
            &broken[..broken.len() - 2]
        ))
        .await;
        drop(raw);
        let mut raw = Raw::accept(&listener).await;
        let second = raw.request().await;
        raw.answer(&format!("{SSE}{}{}", event(3), event(4))).await;
        (first, second)
    });
    let filter = EventFilter {
        agent: Some("web-1".parse::<AgentRef>().unwrap()),
        types: vec!["spec_changed".into(), "gap".into()],
        ..EventFilter::default()
    };
    let mut stream = client.events(filter).await.unwrap();
    let mut revisions = Vec::new();
    let mut interruptions = 0;
    while revisions.len() < 4 {
        match stream.next().await.unwrap() {
            EventItem::Event(event) => revisions.push(event.revision.0),
            EventItem::Interrupted { .. } => interruptions += 1,
            other @ (EventItem::Gap { .. } | EventItem::Other { .. }) => panic!("{other:?}"),
        }
    }
    let (first, second) = daemon.await.unwrap();
    assert_eq!((revisions, interruptions), (vec![1, 2, 3, 4], 1));
    assert!(
        first.starts_with("GET /api/v1/events?agent=web-1&type=spec_changed%2Cgap "),
        "{first}"
    );
    assert_eq!(header(&first, "last-event-id"), None);
    assert_eq!(header(&second, "last-event-id").as_deref(), Some("c-2"));
    assert_eq!(stream.cursor(), Some("c-4"));
}

#[tokio::test]
async fn a_stream_that_broke_before_its_first_event_goes_on_from_where_it_began() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(&listener);
    let daemon = tokio::spawn(async move {
        let mut raw = Raw::accept(&listener).await;
        raw.request().await;
        raw.answer(&format!("{SSE}: stead\nretry: 2000\nid: c-9\n\n")).await;
        drop(raw);
        let mut raw = Raw::accept(&listener).await;
        let again = raw.request().await;
        raw.answer(&format!("{SSE}{}", event(10))).await;
        again
    });
    let mut stream = client.events(EventFilter::default()).await.unwrap();
    assert!(matches!(stream.next().await.unwrap(), EventItem::Interrupted { .. }));
    assert!(matches!(stream.next().await.unwrap(), EventItem::Event(event) if event.revision.0 == 10));
    assert_eq!(header(&daemon.await.unwrap(), "last-event-id").as_deref(), Some("c-9"));
}

#[tokio::test]
async fn a_dead_connection_is_noticed_also_by_who_never_waits_for_long() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(&listener);
    let daemon = tokio::spawn(async move {
        let mut raw = Raw::accept(&listener).await;
        raw.request().await;
        raw.answer(&format!("{SSE}{}", event(1))).await;
        // Held open without a word.
        raw
    });
    let mut stream = client.events(EventFilter::default()).await.unwrap();
    assert!(matches!(stream.next().await.unwrap(), EventItem::Event(_)));
    let _silent = daemon.await.unwrap();
    tokio::time::pause();
    let mut waits = 0;
    let item = loop {
        match timeout(Duration::from_millis(500), stream.next()).await {
            Ok(item) => break item.unwrap(),
            Err(_quiet) => waits += 1,
        }
        assert!(waits < 1_000, "it is never noticed");
    };
    assert!(
        matches!(&item, EventItem::Interrupted { cause, .. } if cause == "nothing came for 45 s"),
        "{item:?}"
    );
    assert!((85..=90).contains(&waits), "{waits}");
}

#[tokio::test]
async fn a_daemon_that_is_slow_to_answer_is_reached_again_by_who_never_waits_for_long() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(&listener);
    let (asked, mut is_asked) = oneshot::channel();
    let (answer, may_answer) = oneshot::channel();
    tokio::spawn(async move {
        let mut raw = Raw::accept(&listener).await;
        raw.request().await;
        raw.answer(&format!("{SSE}{}", event(1))).await;
        drop(raw);
        let mut raw = Raw::accept(&listener).await;
        raw.request().await;
        asked.send(()).unwrap();
        may_answer.await.unwrap();
        raw.answer(&format!("{SSE}{}", event(2))).await;
    });
    let mut stream = client.events(EventFilter::default()).await.unwrap();
    assert!(matches!(stream.next().await.unwrap(), EventItem::Event(_)));
    assert!(matches!(stream.next().await.unwrap(), EventItem::Interrupted { .. }));
    let (mut given_up, mut answer) = (0, Some(answer));
    let second = async {
        loop {
            match timeout(Duration::from_millis(1), stream.next()).await {
                Ok(item) => return item.unwrap(),
                Err(_quiet) if given_up < 20 => given_up += u32::from(is_asked.try_recv().is_ok() || given_up > 0),
                Err(_quiet) => drop(answer.take().map(|answer| answer.send(()))),
            }
        }
    };
    let item = timeout(Duration::from_secs(60), second).await.unwrap();
    assert!(
        matches!(&item, EventItem::Event(event) if event.revision.0 == 2),
        "{item:?}"
    );
}

#[tokio::test]
async fn gaps_and_words_of_newer_daemons_are_given_out_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(&listener);
    tokio::spawn(async move {
        let mut raw = Raw::accept(&listener).await;
        raw.request().await;
        let gap = "event: gap\ndata: {\"type\":\"gap\",\"detail\":\"too old\"}\n\n";
        let new = "id: n\nevent: moon_rose\ndata: {\"type\":\"moon_rose\"}\n\n";
        raw.answer(&format!("{SSE}{gap}{new}")).await;
    });
    let mut stream = client.events(EventFilter::default()).await.unwrap();
    assert_eq!(
        stream.next().await.unwrap(),
        EventItem::Gap {
            detail: "too old".into()
        }
    );
    let other = EventItem::Other {
        kind: "moon_rose".into(),
        data: json!({ "type": "moon_rose" }),
    };
    assert_eq!(stream.next().await.unwrap(), other);
}

#[tokio::test]
async fn a_cursor_that_is_gone_ends_the_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(&listener);
    tokio::spawn(async move {
        let mut raw = Raw::accept(&listener).await;
        raw.request().await;
        let problem = serde_json::to_string(&stead_model::Problem::new(ProblemCode::CursorGone, "gone")).unwrap();
        let length = problem.len();
        raw.answer(&format!(
            "HTTP/1.1 410 Gone\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\n\r\n{problem}"
        ))
        .await;
    });
    let after = EventFilter {
        after: Some("c-1".into()),
        ..EventFilter::default()
    };
    let error = client.events(after).await.unwrap_err();
    assert!(matches!(error, ClientError::Problem(problem) if problem.code == ProblemCode::CursorGone));
}

#[tokio::test]
async fn a_stream_that_cannot_go_on_now_says_why_and_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(&listener);
    tokio::spawn(async move {
        let mut raw = Raw::accept(&listener).await;
        raw.request().await;
        raw.answer(&format!("{SSE}{}", event(1))).await;
        drop(raw);
        let mut raw = Raw::accept(&listener).await;
        raw.request().await;
        let away = stead_model::Problem::new(ProblemCode::StoreUnavailable, "history cannot be read now");
        let problem = serde_json::to_string(&away).unwrap();
        let length = problem.len();
        raw.answer(&format!(
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\n\r\n{problem}"
        ))
        .await;
        drop(raw);
        let mut raw = Raw::accept(&listener).await;
        raw.request().await;
        raw.answer(&format!("{SSE}{}", event(2))).await;
    });
    let mut stream = client.events(EventFilter::default()).await.unwrap();
    let mut causes = Vec::new();
    let mut revisions = Vec::new();
    while revisions.len() < 2 {
        match stream.next().await.unwrap() {
            EventItem::Event(event) => revisions.push(event.revision.0),
            EventItem::Interrupted { cause, .. } => causes.push(cause),
            other @ (EventItem::Gap { .. } | EventItem::Other { .. }) => panic!("{other:?}"),
        }
    }
    assert_eq!(revisions, [1, 2]);
    assert_eq!(causes, ["the daemon ended the stream", "history cannot be read now"]);
}

#[tokio::test]
async fn followed_output_goes_on_after_a_break_without_a_line_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(&listener);
    let daemon = tokio::spawn(async move {
        let mut raw = Raw::accept(&listener).await;
        raw.request().await;
        raw.answer(&format!(
            "{NDJSON}{}\n{}\n{}\n{{\"at\":",
            line(1, "a"),
            line(2, "b"),
            line(2, "b")
        ))
        .await;
        drop(raw);
        let mut raw = Raw::accept(&listener).await;
        let again = raw.request().await;
        raw.answer(&format!(
            "{NDJSON}{}\n{}\n{}\n{}\n",
            line(2, "b"),
            line(2, "b"),
            line(2, "c"),
            line(3, "d")
        ))
        .await;
        again
    });
    let follow = LogQuery {
        tail: Some(10),
        follow: true,
        ..LogQuery::default()
    };
    let mut stream = client.logs(&Target::named("web-1").unwrap(), follow).await.unwrap();
    let mut lines = Vec::new();
    while lines.len() < 5 {
        match stream.next().await.unwrap().unwrap() {
            LogItem::Line(line) => lines.push(line.line),
            LogItem::Interrupted { .. } => {}
        }
    }
    assert_eq!(lines, ["a", "b", "b", "c", "d"]);
    let again = daemon.await.unwrap();
    assert!(
        again.contains("since=2026-01-01T00%3A00%3A02.000Z") && again.contains("follow=true"),
        "{again}"
    );
}

#[tokio::test]
async fn output_that_is_not_followed_ends_with_its_last_line() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_of(&listener);
    tokio::spawn(async move {
        let mut raw = Raw::accept(&listener).await;
        raw.request().await;
        raw.answer(&format!("{NDJSON}{}\n", line(1, "a"))).await;
    });
    let mut stream = client
        .logs(&Target::named("web-1").unwrap(), LogQuery::default())
        .await
        .unwrap();
    assert!(matches!(stream.next().await.unwrap(), Some(LogItem::Line(line)) if line.line == "a"));
    assert_eq!(stream.next().await.unwrap(), None);
}
