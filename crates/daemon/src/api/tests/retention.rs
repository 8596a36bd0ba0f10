//! What is kept of what only grows, as the fleet file in force says.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use stead_store::{EventFilter, Store};
use tokio_util::sync::CancellationToken;

use super::world::{World, heard};
use crate::app::prune::keep_pruned;
use crate::clock::Clock;

/// One agent, and bounds of what is kept.
async fn bounded(retention: &str) -> World {
    let world = World::new();
    let toml = format!("[agents.web]\ncommand = ['serve']\n[retention]\n{retention}");
    let file = Request::post("/api/v1/config/apply?file=/srv/fleet.toml").header("content-type", "application/toml");
    let applied = world.send(file.body(Body::from(toml)).unwrap()).await;
    assert_eq!(applied.status, 200, "{}", applied.text);
    world.until("/agents/web", |agent| agent["ready"] == true).await;
    world
}

/// Has much happen.
async fn happen(world: &World) {
    for _ in 0..10 {
        for verb in ["pause", "resume"] {
            world.json("POST", &format!("/agents/web/lifecycle/{verb}"), "").await;
        }
    }
}

fn events(world: &World) -> usize {
    let page = world.store.events(None, &EventFilter::default(), 1_000);
    page.unwrap().items.len()
}

/// Prunes until the number of events that are left is as wanted.
async fn prune_until(world: &World, wanted: impl Fn(usize) -> bool) {
    let dir = tempfile::tempdir().unwrap();
    let closing = CancellationToken::new();
    let (handle, state_dir) = (world.handle.clone(), dir.path().to_owned());
    let pruning = tokio::spawn(keep_pruned(handle, Clock::start(), state_dir, closing.clone()));
    tokio::task::yield_now().await;
    tokio::time::advance(Duration::from_secs(601)).await;
    let begun = Instant::now();
    while !wanted(events(world)) {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "{} events are kept",
            events(world)
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    closing.cancel();
    pruning.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_grows_is_pruned_to_the_bounds_of_the_fleet_file_in_force() {
    let world = bounded("events = { rows = 5 }\naudit = { rows = 2 }\n").await;
    happen(&world).await;
    assert!(events(&world) > 5);
    prune_until(&world, |left| left == 5).await;
    let audit = world.get("/audit").await.json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 2, "{audit}");
}

#[tokio::test(start_paused = true)]
async fn the_log_warns_of_events_that_were_forgotten_before_a_named_reader_had_taken_them() {
    for (held, goes) in [(5, true), (1_000, false)] {
        let world = bounded(&format!("events = {{ rows = 5 }}\nheld = {{ rows = {held} }}\n")).await;
        // Taken by the reader, so that there is something to forget in each case.
        happen(&world).await;
        let taken = world.json("PUT", "/readers/slow", "{}").await;
        assert_eq!(taken.status, 200, "{}", taken.text);
        let before = events(&world);
        happen(&world).await;
        let not_taken = events(&world) - before;
        assert!(not_taken > 5 && before > 20, "{before} and {not_taken} events");

        let pruned = prune_until(&world, |left| left < if goes { not_taken } else { before });
        let ((), said) = heard(pruned).await;
        let lost = world.get("/readers").await.json()["items"][0]["lost"].as_u64().unwrap();
        assert_eq!(lost > 0, goes, "held = {held}");
        let warned = said.lines().any(|line| {
            line.contains("WARN") && line.contains("a named reader had not taken") && line.contains("lost=")
        });
        assert_eq!(warned, goes, "held = {held}: {said}");
    }
}
