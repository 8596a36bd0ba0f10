//! What comes out: tables, JSON, YAML, colours, and pipes that close.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use insta::assert_snapshot;
use serde_json::Value;

use crate::daemon::{Daemon, stead};

fn text(daemon: &Daemon, line: &[&str]) -> String {
    let done = daemon.stead().args(line).assert().success();
    String::from_utf8(done.get_output().stdout.clone()).unwrap()
}

#[test]
fn help_names_every_verb_and_every_exit_code() {
    let done = stead().arg("--help").assert().success();
    assert_snapshot!(String::from_utf8_lossy(&done.get_output().stdout));
}

#[test]
fn ps_in_json_is_the_array_of_items() {
    let daemon = Daemon::start();
    let items: Vec<Value> = serde_json::from_str(&text(&daemon, &["ps", "-o", "json"])).unwrap();
    assert_eq!((items.len(), items[0]["name"].as_str()), (1, Some("web-1")));
    assert_eq!(items[0]["labels"]["team"], "red");
}

#[test]
fn yaml_and_wide_are_further_ways_to_show_the_same() {
    let daemon = Daemon::start();
    assert!(text(&daemon, &["get", "web-1", "-o", "yaml"]).contains("\nname: web-1\n"));
    assert!(text(&daemon, &["ps", "-o", "wide"]).contains("team=red"));
}

#[test]
fn colours_are_for_terminals_unless_they_are_asked_for() {
    let daemon = Daemon::start();
    assert!(!text(&daemon, &["ps"]).contains('\u{1b}'));
    assert!(text(&daemon, &["ps", "--color", "always"]).contains("\u{1b}[32m"));
    assert!(!text(&daemon, &["ps", "--color", "never"]).contains('\u{1b}'));
}

#[test]
fn logs_are_the_lines_themselves_and_json_lines_for_programs() {
    let daemon = Daemon::start();
    assert_eq!(text(&daemon, &["logs", "web-1"]), "one\ntwo\n");
    assert_eq!(
        text(&daemon, &["logs", "-t", "web-1"]),
        "2026-01-01T00:00:00.000Z one\n2026-01-01T00:00:00.000Z two\n"
    );
    let lines = text(&daemon, &["logs", "web-1", "-o", "json"]);
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(last["line"], "two");
}

#[test]
fn an_event_for_programs_carries_the_cursor_that_after_takes() {
    let daemon = Daemon::start();
    let event: Value = serde_json::from_str(&text(&daemon, &["events", "--limit", "1", "-o", "json"])).unwrap();
    assert_eq!(
        (event["type"].as_str(), event["cursor"].as_str()),
        (Some("spec_changed"), Some("c-1"))
    );
    assert_eq!(
        text(&daemon, &["events", "--limit", "1"]),
        "2026-01-01T00:00:00.000Z default/web-1 has spec 2 (by ann)\n"
    );
}

#[test]
fn a_report_that_is_taken_says_nothing() {
    let daemon = Daemon::start();
    assert_eq!(
        text(
            &daemon,
            &["report", "web-1", "--health", "degraded", "--detail", "queue is long"]
        ),
        ""
    );
}

#[test]
fn completions_know_the_verbs() {
    let done = stead().args(["completions", "bash"]).assert().success();
    let script = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
    assert!(script.contains("maintenance") && script.contains("history"));
}

#[test]
fn a_pipe_that_closes_is_no_failure() {
    let daemon = Daemon::start();
    let mut child = spawn(&daemon, &["ps", "-l", "team=many"]);
    // The whole table is larger than any pipe: the reader leaves while it is being written.
    let mut first = [0; 4];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!((&first, done.status.code()), (b"NAME", Some(0)));
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
}

#[test]
fn ctrl_c_while_following_ends_with_130() {
    let daemon = Daemon::start();
    for line in [&["logs", "-f", "web-1"][..], &["events", "-f"]] {
        let mut child = spawn(&daemon, line);
        let mut first = String::new();
        // Kept open to the end: a closed pipe would end it too, and otherwise.
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut first).unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(130), "{line:?}");
    }
}

fn spawn(daemon: &Daemon, line: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_stead"))
        .env_clear()
        .env("STEAD_STATE_DIR", "/nonexistent/state")
        .args(["--url", &daemon.url])
        .args(line)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}
