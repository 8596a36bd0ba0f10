//! One agent by hand, from its registration over its work to a pause, without a word of it in the fleet file.

use serde_json::json;

use super::fleet::Fleet;

#[test]
fn one_agent_is_registered_given_tasks_and_suspended_by_hand() {
    let mut fleet = Fleet::of("[agents.one]\ncommand = ['sleep', '100000']\n");
    fleet.up();
    let file = fleet.path("spec.json");
    let file = file.to_str().unwrap();
    let spec = json!({ "spec": { "command": ["sleep", "100000"], "labels": { "team": "a" } } });
    std::fs::write(file, spec.to_string()).unwrap();

    let said = fleet.must(&["register", "two", "--file", file, "--start", "--reason", "by hand"]);
    assert!(said.starts_with("two: created"), "{said}");
    fleet.until_agent("two", |agent| agent["ready"] == true && agent["labels"]["team"] == "a");
    assert_eq!(fleet.run(&["register", "two"]).status.code(), Some(5));
    std::fs::write(file, r#"{"comand":["sleep"]}"#).unwrap();
    let refused = fleet.run(&["register", "three", "--file", file]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(5) && told.contains("comand"), "{told}");

    fleet.must(&["task", "assign", "two", "t1"]);
    fleet.until_agent("two", |agent| agent["tasks"] == 1 && agent["phase"] == "busy");
    fleet.must(&["task", "complete", "two", "t1"]);
    fleet.until_agent("two", |agent| agent["tasks"] == 0 && agent["phase"] != "busy");
    fleet.must(&["suspend", "two", "--wait"]);
    assert_eq!(fleet.agent("two")["phase"], "suspended");

    fleet.must(&["register", "db", "--component"]);
    let component = fleet.get("/api/v1/components/db").json();
    assert_eq!(component["profile"], "component", "{component:#}");
}
