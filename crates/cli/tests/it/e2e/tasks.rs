//! One agent by hand, from its registration over its work to a pause, without a word of it in the fleet file.

use serde_json::{Value, json};

use super::fleet::Fleet;
use super::procs;

#[test]
fn an_agent_is_deployed_recovered_and_terminated_by_the_command_line_and_its_history_says_so() {
    let mut fleet = Fleet::of("[agents.one]\ncommand = ['sleep', '100000']\n");
    fleet.up();
    let one = &fleet.until_all(1, "online")[0];
    procs::kill(i32::try_from(one["pid"].as_i64().unwrap()).unwrap());
    fleet.until_agent("one", |agent| agent["incarnation"] == 2 && agent["phase"] == "online");
    let made: Vec<Value> = serde_json::from_str(&fleet.must(&["recoveries", "one", "-o", "json"])).unwrap();
    assert_eq!(
        (made.len(), &made[0]["strategy"], &made[0]["failure"]),
        (1, &"restart".into(), &"process_exit".into()),
        "{made:#?}"
    );
    let table = fleet.must(&["recoveries"]);
    assert!(table.contains("one") && table.contains("restart"), "{table}");

    let body = r#"{"name":"two","spec":{"command":["sleep","100000"]},"intent":"stopped"}"#;
    assert_eq!(fleet.post("/api/v1/agents", body).status, 201);
    assert_eq!(fleet.agent("two")["phase"], "registered");
    fleet.must(&["deploy", "two", "--wait"]);
    assert_eq!(fleet.agent("two")["phase"], "deployed");
    let refused = fleet.run(&["deploy", "one"]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");

    fleet.must(&["terminate", "one", "--reason", "its work is done", "--wait"]);
    let one = fleet.until_agent("one", |agent| agent["phase"] == "terminated");
    assert!(one["pid"].is_null(), "{one:#}");
    let history = fleet.must(&["history", "one"]);
    assert!(
        history.contains("terminated") && history.contains("its work is done"),
        "{history}"
    );
    let over = fleet.run(&["start", "one"]);
    assert_eq!(over.status.code(), Some(5), "{over:?}");
}

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
