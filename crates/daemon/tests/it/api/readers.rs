use serde_json::Value;
use stead_model::{AgentId, Slot};
use stead_store::{Retention, Store};

use super::events::Client;
use super::world::{NOON, World, event};

fn agent() -> AgentId {
    AgentId::new(Slot::try_from(7).unwrap(), 1)
}

/// Commits events of these numbers.
fn commit(world: &World, numbers: std::ops::RangeInclusive<u64>) {
    world.commit(vec![], numbers.map(|number| event(agent(), number)).collect());
}

/// Says how far a reader came; where it is then.
async fn take(world: &World, reader: &str, position: Option<&str>) -> Value {
    let body = serde_json::json!({ "position": position }).to_string();
    let reply = world.json("PUT", &format!("/api/v1/readers/{reader}"), &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

async fn readers(world: &World) -> Vec<Value> {
    let list = world.get("/api/v1/readers").await.json();
    list["items"].as_array().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_named_reader_goes_on_behind_what_it_has_said_that_it_took() {
    let world = World::new();
    let known = take(&world, "siem", None).await;
    assert_eq!(
        (&known["position"], &known["behind"]),
        (&"0-00000000".into(), &0.into())
    );
    commit(&world, 1..=5);
    let (seen, third) = Client::open(&world, "/api/v1/events?reader=siem", None)
        .await
        .tasks(3)
        .await;
    assert_eq!(seen, [1, 2, 3]);
    let again = Client::open(&world, "/api/v1/events?reader=siem", None)
        .await
        .tasks(1)
        .await;
    assert_eq!(again.0, [1], "reading alone moves no place");
    let taken = take(&world, "siem", Some(&third)).await;
    assert_eq!(
        (&taken["position"], &taken["behind"], &taken["updated_at"]),
        (&third.as_str().into(), &2.into(), &NOON.replace('Z', ".000Z").into())
    );
    let mut back = Client::open(&world, "/api/v1/events?reader=siem", None).await;
    assert_eq!(back.tasks(2).await.0, [4, 5]);
    let mut given = Client::open(&world, "/api/v1/events?reader=siem", Some(&taken_first(&world).await)).await;
    assert_eq!(
        given.tasks(4).await.0,
        [2, 3, 4, 5],
        "a cursor that is given goes before the place"
    );
}

/// The cursor of the first event.
async fn taken_first(world: &World) -> String {
    Client::open(world, "/api/v1/events?after=0-00000000", None)
        .await
        .tasks(1)
        .await
        .1
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_nobody_knows_begins_now_and_is_not_made_known_by_reading() {
    let world = World::new();
    commit(&world, 1..=2);
    let mut client = Client::open(&world, "/api/v1/events?reader=nobody", None).await;
    commit(&world, 3..=3);
    assert_eq!(client.tasks(1).await.0, [3]);
    assert_eq!(readers(&world).await, Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn what_a_reader_lost_is_a_gap_in_its_stream_and_counted() {
    let world = World::new();
    take(&world, "siem", None).await;
    commit(&world, 1..=10);
    let bounds = |held_rows| Retention {
        event_rows: 1,
        held_rows,
        ..Retention::default()
    };
    assert_eq!(world.store.prune(&bounds(10), NOON.parse().unwrap()).unwrap().events, 0);
    assert_eq!(world.store.prune(&bounds(4), NOON.parse().unwrap()).unwrap().lost, 6);
    let mut client = Client::open(&world, "/api/v1/events?reader=siem", None).await;
    let gap = client.frame().await.unwrap();
    assert!(gap.starts_with("event: gap\n"), "{gap}");
    assert_eq!(client.tasks(4).await.0, [7, 8, 9, 10]);
    assert_eq!(readers(&world).await[0]["lost"], 6);
}

#[tokio::test(start_paused = true)]
async fn readers_are_listed_and_forgotten_and_who_asked_is_in_the_audit() {
    let world = World::new();
    take(&world, "siem", None).await;
    take(&world, "siem", None).await;
    take(&world, "mirror", None).await;
    let names = |rows: Vec<Value>| rows.iter().map(|row| row["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(readers(&world).await), ["mirror", "siem"]);
    let removed = world.json("DELETE", "/api/v1/readers/siem", "").await;
    assert_eq!(
        (removed.status.as_u16(), &removed.json()["name"]),
        (200, &"siem".into())
    );
    assert_eq!(names(readers(&world).await), ["mirror"]);
    let twice = world.json("DELETE", "/api/v1/readers/siem", "").await;
    assert_eq!(twice.problem(), (404, "unknown-reader".into()));
    let audit = world.get("/api/v1/audit").await.json();
    let rows = audit["items"].as_array().unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["kind"].as_str().unwrap(),
                row["verb"].as_str().unwrap(),
                row["name"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("reader", "delete", "siem"),
            ("reader", "register", "mirror"),
            ("reader", "register", "siem")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn positions_and_names_that_cannot_be_are_refused() {
    let world = World::new();
    commit(&world, 1..=1);
    let put = async |reader: &str, body: &str| {
        let reply = world.json("PUT", &format!("/api/v1/readers/{reader}"), body).await;
        reply.problem()
    };
    assert_eq!(
        put("siem", r#"{"position":"ff-00000001"}"#).await,
        (410, "cursor-gone".into())
    );
    assert_eq!(
        put("siem", r#"{"position":"yesterday"}"#).await,
        (400, "invalid-request".into())
    );
    assert_eq!(put("agt_x", "{}").await, (400, "invalid-request".into()));
    for number in 0..stead_store::MOST_READERS {
        take(&world, &format!("reader-{number}"), None).await;
    }
    assert_eq!(put("more", "{}").await, (422, "limit-reached".into()));
}
