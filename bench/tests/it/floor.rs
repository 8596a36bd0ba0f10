//! The harness by its binary, with the floor as the one system that needs no installation.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn every_kill_of_the_floor_is_a_sample_and_nothing_is_left_behind() {
    let scratch = tempfile::tempdir().unwrap();
    let json = tempfile::NamedTempFile::new().unwrap();
    let path = json.path().to_str().unwrap();
    let output = bench(
        &scratch,
        &["respawn", "--samples", "3", "--agents", "2", "--json", path],
    )
    .wait_with_output()
    .unwrap();
    assert!(output.status.success(), "{output:?}");

    let result: Value = serde_json::from_slice(&fs::read(json.path()).unwrap()).unwrap();
    let row = &result["tables"][1]["rows"][0];
    assert_eq!(
        (&row["system"], &row["kills"], &row["never back"]),
        (&"floor".into(), &3.0.into(), &0.0.into())
    );
    assert!(row["median"].as_f64().unwrap() > 0.0);
    assert_nothing_left(&scratch, &output);
}

#[test]
fn agents_killed_together_come_back_once_each() {
    let scratch = tempfile::tempdir().unwrap();
    let output = bench(&scratch, &["mass", "--samples", "1", "--agents", "30"])
        .wait_with_output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = printed.lines().rfind(|line| line.starts_with("| floor |")).unwrap();
    assert!(row.ends_with("| 0 | 0 |"), "{printed}");
    assert_nothing_left(&scratch, &output);
}

#[test]
fn an_interrupt_ends_everything_that_was_started() {
    let scratch = tempfile::tempdir().unwrap();
    let harness = bench(&scratch, &["idle", "--short", "--agents", "30"]);
    let bound = Instant::now() + Duration::from_secs(30);
    while running(scratch.path()) < 30 {
        assert!(Instant::now() < bound, "the agents did not start");
        thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&harness), Signal::INT).unwrap();
    let output = harness.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_nothing_left(&scratch, &output);
}

#[test]
fn an_unknown_peer_is_refused_with_those_that_are_known() {
    let scratch = tempfile::tempdir().unwrap();
    let output = bench(&scratch, &["respawn", "--peers", "systemd"])
        .wait_with_output()
        .unwrap();
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("there are floor, stead, stead-flushed, runit"),
        "{output:?}"
    );
    assert_nothing_left(&scratch, &output);
}

fn bench(scratch: &TempDir, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stead-bench"));
    command
        .args(["--peers", "floor"])
        .args(args)
        .env("TMPDIR", scratch.path());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn assert_nothing_left(scratch: &TempDir, output: &Output) {
    assert_eq!(running(scratch.path()), 0, "{output:?}");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "{output:?}");
}

/// How many processes run a program that lies below a directory.
fn running(below: &Path) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|process| fs::read_link(process.path().join("exe")).is_ok_and(|exe| exe.starts_with(below)))
        .count()
}
