//! A reader of events under a name: stopped, and gone on with, across a crash of the daemon.

use std::process::Stdio;

use serde_json::Value;

use super::fleet::Fleet;

/// The tasks of the events that were printed.
fn tasks(printed: &str) -> Vec<String> {
    let task = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["task"].as_str().unwrap().to_owned()
    };
    printed.lines().map(task).collect()
}

#[test]
fn a_named_reader_goes_on_where_it_stopped_and_is_listed_until_it_is_removed() {
    let mut fleet = Fleet::of("[agents.one]\ncommand = ['sleep', '100000']\n");
    fleet.up();
    fleet.until_all(1, "online");
    let read = |limit| {
        [
            "events",
            "--reader",
            "siem",
            "--type",
            "task_assigned",
            "-o",
            "json",
            "--limit",
            limit,
        ]
    };
    let first = fleet.stead().args(read("2")).stdout(Stdio::piped()).spawn().unwrap();
    let known = |fleet: &Fleet| fleet.items("/api/v1/readers").pop();
    assert_eq!(fleet.until("the reader is known", known)["name"], "siem");
    for task in ["1", "2", "3", "4", "5"] {
        fleet.must(&["task", "assign", "one", task]);
    }
    let first = first.wait_with_output().unwrap();
    assert_eq!(tasks(str::from_utf8(&first.stdout).unwrap()), ["1", "2"], "{first:?}");
    fleet.kill_daemon();
    fleet.up();
    assert_eq!(tasks(&fleet.must(&read("3"))), ["3", "4", "5"]);
    let listed: Vec<Value> = serde_json::from_str(&fleet.must(&["readers", "list", "-o", "json"])).unwrap();
    assert_eq!((listed.len(), &listed[0]["lost"]), (1, &0.into()), "{listed:?}");
    let said = fleet.must(&["readers", "remove", "siem"]);
    assert!(said.starts_with("siem is forgotten"), "{said}");
    let twice = fleet.run(&["readers", "remove", "siem"]);
    assert_eq!(twice.status.code(), Some(4), "{twice:?}");
}
