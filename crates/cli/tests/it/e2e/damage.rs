//! A database whose bytes are damaged: shown, refused, and put right, while agents live on.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use serde_json::Value;

use super::crash::{lives, nothing_was_started_twice};
use super::database;
use super::fleet::{Fleet, herd};
use super::procs;

/// Overwrites a part of the database with what makes no sense.
fn overwrite(fleet: &Fleet, at: usize, length: usize) {
    let file = OpenOptions::new().write(true).open(database::of(fleet)).unwrap();
    file.write_all_at(&b"\xA5no sense".repeat(length / 9 + 1)[..length], at as u64)
        .unwrap();
}

/// Waits until the daemon says that its database is damaged; gives its words.
#[track_caller]
fn until_damaged(fleet: &Fleet) -> String {
    let detail = fleet.until("the daemon says what is wrong", |fleet| {
        // Somebody has to look at what is damaged.
        fleet.get("/api/v1/transitions?limit=1000");
        let answer = fleet.get("/health/ready");
        (answer.status == 503 && answer.body.contains("is damaged")).then(|| answer.json())
    });
    detail["store"]["detail"].as_str().unwrap().to_owned()
}

#[track_caller]
fn only_looks_on(fleet: &Fleet, told: &str) {
    let file = database::of(fleet).display().to_string();
    assert!(told.contains(&file) && told.contains("put a whole copy"), "{told}");
    assert_eq!(fleet.get("/health/live").status, 200);
    for (path, body) in [
        ("/api/v1/agents/a0001/lifecycle/pause", "{}"),
        ("/api/v1/agents/a0002/lifecycle/restart", "{}"),
        ("/api/v1/agents/a0003/errors", "{\"detail\": \"x\"}"),
        (
            "/api/v1/agents",
            "{\"name\": \"new\", \"spec\": {\"driver\": \"none\"}}",
        ),
    ] {
        let refused = fleet.post(path, body);
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (503, "store-unavailable"),
            "{path}: {refused:?}"
        );
    }
    let listed = fleet.run(&["ps"]);
    let (out, err) = (
        String::from_utf8_lossy(&listed.stdout),
        String::from_utf8_lossy(&listed.stderr),
    );
    assert!(out.contains("a0001") && err.contains("is damaged"), "{out}{err}");
    let doctor = fleet.run(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(doctor.status.code() == Some(1) && said.contains("is damaged"), "{said}");
}

fn pid(agent: &Value) -> i32 {
    i32::try_from(agent["pid"].as_i64().unwrap()).unwrap()
}

#[test]
fn a_daemon_that_finds_its_database_damaged_looks_on_until_it_is_put_back() {
    for damage in ["header", "agents"] {
        let mut fleet = Fleet::of(&herd(5, ""));
        fleet.up();
        let before = fleet.until_all(5, "online");
        fleet.kill_daemon();
        database::copy_log_back(&fleet);
        let whole = database::back_up(&fleet);
        match damage {
            "header" => overwrite(&fleet, 0, 100),
            table => {
                let (at, length) = database::page_of(&fleet, table);
                overwrite(&fleet, at, length);
            }
        }
        let damaged = std::fs::read(database::of(&fleet)).unwrap();
        fleet.launch();
        fleet.until("the daemon listens", |fleet| {
            super::http::ask(fleet.at(), "GET", "/health/live", &[], "")
        });
        let told = until_damaged(&fleet);
        // Each is shown with the process that the keeper finds, whatever could be read of it.
        fleet.until("all agents are shown as they live", |fleet| {
            let shown = fleet.agents();
            let same = |(one, other): (&Value, &Value)| one["name"] == other["name"] && one["pid"] == other["pid"];
            (shown.len() == before.len() && shown.iter().zip(&before).all(same)).then_some(())
        });
        only_looks_on(&fleet, &told);
        procs::kill(pid(&before[0]));
        fleet.until_agent("a0001", |agent| agent["pid"].is_null() && agent["health"] == "unknown");

        let refused = fleet.run(&["down"]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(7), "{said}");
        assert!(said.contains("--leave-agents"), "{said}");
        fleet.must(&["down", "--leave-agents"]);
        assert_eq!(fleet.wait_daemon(), Some(0), "{}", fleet.log());
        assert!(before[1..].iter().all(|agent| procs::runs(pid(agent))), "{damage}");
        assert!(
            std::fs::read(database::of(&fleet)).unwrap() == damaged,
            "it is left as it was"
        );
        assert_eq!(fleet.read("marks").lines().count(), 5, "nothing was started");

        database::put_back(&fleet, &whole);
        fleet.up();
        let before = lives(&before);
        let after = lives(&fleet.until_all(5, "online"));
        for (name, life) in &before {
            let expected = if name == "a0001" { life.1 + 1 } else { life.1 };
            assert_eq!(after[name].1, expected, "{name}");
            assert_eq!(after[name].0 == life.0, name != "a0001", "{name}");
        }
        nothing_was_started_twice(&fleet);
        fleet.kill_daemon();
        database::is_whole(&fleet);
    }
}

#[test]
fn a_database_that_is_damaged_under_a_running_daemon_stops_changes_but_not_care() {
    let mut fleet = Fleet::of(&herd(5, ""));
    fleet.up();
    fleet.until_all(5, "online");
    fleet.kill_daemon();
    fleet.up();
    let before = fleet.until_all(5, "online");
    let whole = database::back_up(&fleet);
    let length = std::fs::metadata(database::of(&fleet)).unwrap().len();
    overwrite(&fleet, 0, usize::try_from(length).unwrap());

    let told = until_damaged(&fleet);
    only_looks_on(&fleet, &told);
    procs::kill(pid(&before[0]));
    let back = fleet.until_agent("a0001", |agent| agent["phase"] == "online" && agent["incarnation"] == 2);
    assert_ne!(back["pid"], before[0]["pid"]);

    fleet.must(&["down", "--leave-agents"]);
    assert_eq!(fleet.wait_daemon(), Some(0), "{}", fleet.log());
    assert!(before[1..].iter().all(|agent| procs::runs(pid(agent))));
    database::put_back(&fleet, &whole);
    fleet.up();
    let before = lives(&before);
    let after = lives(&fleet.until_all(5, "online"));
    for name in before.keys().filter(|name| *name != "a0001") {
        assert_eq!(after[name], before[name], "{name}");
    }
    nothing_was_started_twice(&fleet);
    fleet.kill_daemon();
    assert_eq!(database::gaps(&fleet), 1, "one event tells what is missing");
    database::is_whole(&fleet);
}

#[test]
fn a_database_that_is_moved_away_leaves_a_fleet_that_starts_anew_whatever_numbers_its_runs_had() {
    let mut fleet = Fleet::of(&herd(2, ""));
    fleet.up();
    let first = fleet.until_all(2, "online");
    for run in 2..=9 {
        fleet.must(&["restart", "a0001", "--wait"]);
        fleet.until_agent("a0001", |agent| {
            agent["incarnation"] == run && agent["phase"] == "online"
        });
    }
    fleet.must(&["stop", "a0002", "--wait"]);
    fleet.must(&["down", "--leave-agents"]);
    assert_eq!(fleet.wait_daemon(), Some(0), "{}", fleet.log());
    for end in ["", "-wal", "-shm"] {
        let file = format!("{}{end}", database::of(&fleet).display());
        let _absent = std::fs::rename(&file, fleet.path("moved"));
    }
    fleet.up();
    let anew = fleet.until_all(2, "online");
    for agent in &anew {
        assert_eq!(agent["restarts"], 0, "{agent:#}");
        assert!(!first.iter().any(|before| before["pid"] == agent["pid"]), "{agent:#}");
    }
    nothing_was_started_twice(&fleet);
}
