//! Storage and clocks that fail: changes are refused with a reason, agents are cared for, and all is well again afterwards.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::crash::nothing_was_started_twice;
use super::database;
use super::fleet::{Fleet, PATIENCE, herd};
use super::procs::{self, until};
use super::skip::{Needs, skipped};

const PREY: &str = "
[agents.prey]
command = ['sleep', '100000']
restart = { backoff = { initial = '0s' }, intensity = { max = 1000 } }
[agents.other]
command = ['sleep', '100000']
[agents.third]
command = ['sleep', '100000']
restart.backoff.initial = '0s'
";

/// A small file system of its own, gone with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Nothing, said aloud, if this process may not mount.
    fn mount() -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6m", "stead-test"])
            .arg(at.path())
            .output();
        match mount {
            Ok(done) if done.status.success() => Some(Self(at)),
            refused => {
                skipped(
                    &format!("a small file system cannot be mounted: {refused:?}"),
                    Needs::Root,
                );
                None
            }
        }
    }

    fn ballast(&self) -> PathBuf {
        self.0.path().join("ballast")
    }

    fn fill(&self) {
        let error = std::fs::write(self.ballast(), vec![1; 8 << 20]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Kills an agent and waits for its next run.
#[track_caller]
fn dies_and_returns(fleet: &Fleet, name: &str) {
    let before = fleet.agent(name);
    procs::kill(i32::try_from(before["pid"].as_i64().unwrap()).unwrap());
    fleet.until_agent(name, |agent| {
        agent["pid"].is_i64() && agent["incarnation"].as_u64() > before["incarnation"].as_u64()
    });
}

#[test]
fn a_full_disk_stops_changes_but_not_care_and_is_forgotten_once_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let mut fleet = Fleet::of(PREY);
    fleet.keep_in(&disk.0.path().join("s"));
    fleet.up();
    fleet.until_all(3, "online");
    disk.fill();
    let verbs = ["pause", "resume"].iter().cycle();
    let mut codes = Vec::new();
    for verb in verbs.take(200) {
        let answer = fleet.post(&format!("/api/v1/agents/other/lifecycle/{verb}"), "{}");
        if answer.status == 503 {
            codes.push(answer.code());
        }
        if codes.last().is_some_and(|code| code == "store-unavailable") {
            break;
        }
    }
    assert_eq!(
        codes.last().map(String::as_str),
        Some("store-unavailable"),
        "{codes:?}\n{}",
        fleet.log()
    );
    assert_eq!(fleet.get("/health/live").status, 200);
    assert_eq!(fleet.get("/health/ready").status, 503);
    dies_and_returns(&fleet, "prey");
    dies_and_returns(&fleet, "prey");
    dies_and_returns(&fleet, "third");
    let other = fleet.agent("other");
    std::fs::remove_file(disk.ballast()).unwrap();
    fleet.until("the store is back", |fleet| {
        (fleet.get("/health/ready").status == 200).then_some(())
    });
    fleet.must(&["restart", "other", "--wait"]);
    assert_ne!(fleet.agent("other")["pid"], other["pid"]);
    let rows = fleet.history("prey");
    let starts = rows.iter().filter(|row| row["to"] == "starting").count();
    assert_eq!(starts, 3, "the restarts meanwhile are in history, too");
    fleet.kill_daemon();
    assert_eq!(database::gaps(&fleet), 0, "nothing is missing");
    drop(fleet);
}

#[test]
fn a_daemon_that_is_killed_while_the_disk_is_full_leaves_one_gap_and_no_twin() {
    let Some(disk) = SmallDisk::mount() else { return };
    let mut fleet = Fleet::of(&herd(5, ""));
    fleet.keep_in(&disk.0.path().join("s"));
    fleet.up();
    let before = fleet.until_all(5, "online");
    disk.fill();
    // What the log has room for already may still fit.
    fleet.until("the disk is full", |fleet| {
        dies_and_returns(fleet, "a0001");
        (fleet.get("/health/ready").status == 503).then_some(())
    });
    dies_and_returns(&fleet, "a0002");
    let meanwhile = fleet.agent("a0002");
    fleet.kill_daemon();
    std::fs::remove_file(disk.ballast()).unwrap();
    for _ in 0..2 {
        fleet.up();
        let after = fleet.until_all(5, "online");
        for (one, other) in before.iter().zip(&after).skip(2) {
            assert_eq!(one["pid"], other["pid"], "{}", fleet.log());
        }
        assert!(after[1]["incarnation"].as_u64() >= meanwhile["incarnation"].as_u64());
        assert_eq!(fleet.read("twice"), "", "{}", fleet.log());
        fleet.kill_daemon();
        assert_eq!(database::gaps(&fleet), 1);
    }
    nothing_was_started_twice(&fleet);
}

#[test]
fn a_daemon_started_on_a_full_disk_cares_for_agents_and_takes_changes_once_there_is_room() {
    for end in ["killed", "ended"] {
        let Some(disk) = SmallDisk::mount() else { return };
        let mut fleet = Fleet::of(PREY);
        fleet.keep_in(&disk.0.path().join("s"));
        fleet.up();
        let before = fleet.until_all(3, "online");
        if end == "killed" {
            fleet.kill_daemon();
        } else {
            fleet.must(&["down", "--leave-agents"]);
            assert_eq!(fleet.wait_daemon(), Some(0), "{}", fleet.log());
        }
        disk.fill();
        fleet.launch();
        fleet.until("the daemon says what is wrong", |fleet| {
            let ready = super::http::ask(fleet.at(), "GET", "/health/ready", &[], "")?;
            (ready.status == 503 && ready.body.contains("no space is left")).then_some(())
        });
        assert_eq!(fleet.get("/health/live").status, 200);
        let refused = fleet.post("/api/v1/agents/other/lifecycle/pause", "{}");
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (503, "store-unavailable"),
            "{end}: {refused:?}"
        );
        fleet.until("all agents are adopted as they live", |fleet| {
            let shown = fleet.agents();
            let same = |(one, other): (&Value, &Value)| one["pid"] == other["pid"] && one["ready"] == other["ready"];
            (shown.len() == 3 && shown.iter().zip(&before).all(same)).then_some(())
        });
        dies_and_returns(&fleet, "prey");
        std::fs::remove_file(disk.ballast()).unwrap();
        fleet.until("the store is back", |fleet| {
            (fleet.get("/health/ready").status == 200).then_some(())
        });
        fleet.must(&["restart", "other", "--wait"]);
        let starts = fleet.history("prey");
        let starts = starts.iter().filter(|row| row["to"] == "starting").count();
        assert_eq!(starts, 2, "{end}: the restart meanwhile is in history, too");
        fleet.kill_daemon();
        assert_eq!(database::gaps(&fleet), 0, "{end}: nothing is missing");
        fleet.up();
        let after = fleet.until_all(3, "online");
        assert_eq!(after[2]["pid"], before[2]["pid"], "{end}");
        drop(fleet);
    }
}

/// A library that stands before libc's: syncing fails, or the wall clock is wrong, as soon as a file says so.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
static int there(const char *name) {
    char path[512];
    const char *dir = getenv("SHIM");
    if (!dir) return 0;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return syscall(SYS_access, path, F_OK) == 0;
}
static int sync_with(long call, int fd) {
    if (there("no-sync")) { errno = EIO; return -1; }
    return (int)syscall(call, fd);
}
int fsync(int fd) { return sync_with(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_with(SYS_fdatasync, fd); }
int clock_gettime(clockid_t id, struct timespec *at) {
    int done = (int)syscall(SYS_clock_gettime, id, at);
    if (id == CLOCK_REALTIME) {
        if (there("ahead")) at->tv_sec += 2 * 86400;
        if (there("behind")) at->tv_sec -= 2 * 86400;
    }
    return done;
}
"#;

/// Has a fleet run with the shim; nothing, said aloud, where it cannot be compiled.
fn shim(fleet: &mut Fleet) -> Option<()> {
    let (source, library) = (fleet.path("shim.c"), fleet.path("shim.so"));
    std::fs::write(&source, SHIM).unwrap();
    let compile = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .output();
    match compile {
        Ok(done) if done.status.success() => {}
        refused => {
            skipped(&format!("no C compiler: {refused:?}"), Needs::Nothing);
            return None;
        }
    }
    let text = |path: &Path| path.display().to_string();
    fleet.env("LD_PRELOAD", &text(&library));
    let dir = text(&fleet.path(""));
    fleet.env("SHIM", &dir);
    Some(())
}

#[test]
fn a_sync_that_fails_leaves_the_outcome_unknown_and_the_daemon_up() {
    let mut fleet = Fleet::of(PREY);
    if shim(&mut fleet).is_none() {
        return;
    }
    fleet.up();
    fleet.until_all(3, "online");
    let ready = |fleet: &Fleet| (fleet.get("/health/ready").status == 200).then_some(());
    // What came up is synced by itself a second later: where that is the sync that fails, the request is not even tried.
    let unknown = (0..20).find_map(|_| {
        std::fs::write(fleet.path("no-sync"), "").unwrap();
        let first = fleet.post("/api/v1/agents/other/lifecycle/stop", "{}");
        assert_eq!(first.status, 503, "{first:?}\n{}", fleet.log());
        if first.code() == "outcome-unknown" {
            return Some(first);
        }
        assert_eq!(first.code(), "store-unavailable");
        std::fs::remove_file(fleet.path("no-sync")).unwrap();
        fleet.until("the store is back", ready);
        None
    });
    assert!(unknown.is_some(), "{}", fleet.log());
    let second = fleet.post("/api/v1/agents/other/lifecycle/start", "{}");
    assert_eq!(
        (second.status, second.code().as_str()),
        (503, "store-unavailable"),
        "{second:?}"
    );
    dies_and_returns(&fleet, "prey");
    std::fs::remove_file(fleet.path("no-sync")).unwrap();
    fleet.until("the store is back", ready);
    // Whatever became of the first change, the next one settles it.
    fleet.must(&["start", "other", "--wait"]);
    fleet.must(&["stop", "other", "--wait"]);
    fleet.kill_daemon();
    fleet.up();
    assert_eq!(fleet.agent("other")["phase"], "offline");
    assert_eq!(fleet.agent("prey")["phase"], "online");
}

#[test]
fn a_wall_clock_that_jumps_changes_nothing() {
    let beats = "
[agents.remote]
driver = 'none'
health.timeout = '10m'
[agents.watched]
command = ['sh', '-c', 'exec sleep 100000']
probes.liveness = { exec = { command = ['sh', '-c', 'echo >> @/probed'] }, period_seconds = 0.2 }
";
    let mut fleet = Fleet::of(&format!("{PREY}{beats}"));
    if shim(&mut fleet).is_none() {
        return;
    }
    fleet.up();
    let beat = |fleet: &Fleet| {
        fleet
            .post("/api/v1/agents/remote/heartbeats", "{\"health\": \"healthy\"}")
            .status
    };
    until("the reporter is healthy", PATIENCE, || {
        assert_eq!(beat(&fleet), 202);
        (fleet.agent("remote")["health"] == "healthy").then_some(())
    });
    fleet.until_agent("watched", |agent| agent["health"] == "healthy");
    fleet.until_all(4, "online");
    let seen = |fleet: &Fleet| {
        let agents = fleet.agents();
        agents
            .iter()
            .map(|one| (one["phase"].clone(), one["pid"].clone(), one["restarts"].clone()))
            .collect::<Vec<_>>()
    };
    for step in ["ahead", "behind"] {
        let before = seen(&fleet);
        std::fs::write(fleet.path(step), "").unwrap();
        let probed = |fleet: &Fleet| fleet.read("probed").lines().count();
        let enough = probed(&fleet) + 5;
        until("it was probed five times more", PATIENCE, || {
            assert_eq!(beat(&fleet), 202);
            assert_eq!(seen(&fleet), before, "{step}");
            (probed(&fleet) >= enough).then_some(())
        });
        let rows = fleet.history("other").len();
        fleet.must(&["restart", "other", "--wait"]);
        let stamps: Vec<String> = fleet
            .history("other")
            .iter()
            .map(|row| row["at"].as_str().unwrap()[..10].to_owned())
            .collect();
        assert_ne!(stamps[0], stamps[rows], "the daemon reads the clock that jumped");
        dies_and_returns(&fleet, "prey");
        std::fs::remove_file(fleet.path(step)).unwrap();
        fleet.until_all(4, "online");
        let healthy = |name: &str| fleet.agent(name)["health"] == "healthy";
        until(&format!("both are healthy after a clock {step}"), PATIENCE, || {
            assert_eq!(beat(&fleet), 202);
            (healthy("remote") && healthy("watched")).then_some(())
        });
    }
}
