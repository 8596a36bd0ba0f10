//! What is kept of what only grows, as the fleet file in force says.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use stead_store::{EventFilter, Store};
use tokio_util::sync::CancellationToken;

use super::world::World;
use crate::app::prune::keep_pruned;
use crate::clock::Clock;

#[tokio::test(start_paused = true)]
async fn what_grows_is_pruned_to_the_bounds_of_the_fleet_file_in_force() {
    let world = World::new();
    let toml = "[agents.web]\ncommand = ['serve']\n[retention]\nevents = { rows = 5 }\naudit = { rows = 2 }\n";
    let file = Request::post("/api/v1/config/apply?file=/srv/fleet.toml").header("content-type", "application/toml");
    let applied = world.send(file.body(Body::from(toml)).unwrap()).await;
    assert_eq!(applied.status, 200, "{}", applied.text);
    world.until("/agents/web", |agent| agent["ready"] == true).await;
    for _ in 0..10 {
        for verb in ["pause", "resume"] {
            world.json("POST", &format!("/agents/web/lifecycle/{verb}"), "").await;
        }
    }
    let events = || {
        world
            .store
            .events(None, &EventFilter::default(), 1_000)
            .unwrap()
            .items
            .len()
    };
    assert!(events() > 5);
    let dir = tempfile::tempdir().unwrap();
    let closing = CancellationToken::new();
    let pruning = keep_pruned(
        world.handle.clone(),
        Clock::start(),
        dir.path().to_owned(),
        closing.clone(),
    );
    let pruning = tokio::spawn(pruning);
    tokio::task::yield_now().await;
    tokio::time::advance(Duration::from_secs(601)).await;
    let begun = Instant::now();
    while events() != 5 {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "{} events are kept",
            events()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let audit = world.get("/audit").await.json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 2, "{audit}");
    closing.cancel();
    pruning.await.unwrap();
}
