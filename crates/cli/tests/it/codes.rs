//! Every way to end has its exit code, and says why on standard error.

use stead_model::ProblemCode;

use crate::daemon::{Daemon, nowhere, stead};
use crate::e2e::fleet::free;

#[test]
fn every_problem_of_the_daemon_ends_with_the_exit_code_of_the_guide() {
    let daemon = Daemon::start();
    for code in ProblemCode::ALL {
        let expected = match code {
            ProblemCode::UnknownAgent
            | ProblemCode::UnknownGroup
            | ProblemCode::UnknownReader
            | ProblemCode::NothingSelected
            | ProblemCode::NotFound
            | ProblemCode::UnknownCapability
            | ProblemCode::UnknownCircuit
            | ProblemCode::AgentGone
            | ProblemCode::GroupGone
            | ProblemCode::CursorGone => 4,
            ProblemCode::DuplicateName
            | ProblemCode::NotPossible
            | ProblemCode::PartOfGroup
            | ProblemCode::NotOffered
            | ProblemCode::PolicyRefused
            | ProblemCode::NotScalable
            | ProblemCode::NoRevision
            | ProblemCode::StaleRevision
            | ProblemCode::InvalidSpec
            | ProblemCode::InvalidConfig
            | ProblemCode::InvalidParameters
            | ProblemCode::IdempotencyKeyReused
            | ProblemCode::LimitReached => 5,
            ProblemCode::Busy
            | ProblemCode::RateLimited
            | ProblemCode::StoreUnavailable
            | ProblemCode::OutcomeUnknown
            | ProblemCode::NoFallbackAvailable
            | ProblemCode::ShuttingDown => 7,
            ProblemCode::InvalidRequest => 2,
            ProblemCode::ForeignOrigin
            | ProblemCode::Unauthorized
            | ProblemCode::MethodNotAllowed
            | ProblemCode::TooLarge
            | ProblemCode::UnsupportedMediaType
            | ProblemCode::Internal => 1,
        };
        let done = daemon.stead().args(["get", code.as_str()]).assert().code(expected);
        let told = String::from_utf8_lossy(&done.get_output().stderr).into_owned();
        assert!(told.starts_with("error: as asked for\n"), "{code}: {told}");
        assert!(done.get_output().stdout.is_empty(), "{code}");
    }
}

#[test]
fn a_command_line_that_cannot_be_understood_ends_with_2() {
    let lines: [&[&str]; 19] = [
        &["invoke", "search", "--within", "0s"],
        &["serve", "--listen", "localhost:7878"],
        &["drain", "web-1", "--wait", "--no-wait"],
        &["ps", "--health", "helthy"],
        &["ps", "--health", "fine"],
        &["ps", "--class", "good"],
        &["ps", "--intent", "up"],
        &["register"],
        &["register", "not a name"],
        &["task", "assign", "web-1"],
        &["events", "--since", "1h", "--after", "c-1"],
        &[],
        &["fly"],
        &["get"],
        &["get", "not a name"],
        &["stop"],
        &["stop", "web-1", "-l", "team=red"],
        &["wait", "web-1", "--for", "happiness"],
        &["ps", "--url", "ftp://x"],
    ];
    for line in lines {
        stead().args(line).assert().code(2);
    }
}

#[test]
fn what_a_verb_needs_is_shown_without_what_the_environment_says_already() {
    let done = stead()
        .env("STEAD_URL", "http://127.0.0.1:1")
        .env("STEAD_TOKEN", "sesame-opens-the-door")
        .arg("get")
        .assert()
        .code(2);
    let told = String::from_utf8_lossy(&done.get_output().stderr).into_owned();
    assert!(
        told.contains("Usage: stead get") && !told.contains("--url") && !told.contains("--token"),
        "{told}"
    );
}

#[test]
fn where_no_daemon_answers_every_verb_ends_with_3_and_says_how_to_start_one() {
    let url = nowhere();
    let lines: [&[&str]; 15] = [
        &["ps"],
        &["get", "web-1"],
        &["describe", "web-1"],
        &["why", "web-1"],
        &["history", "web-1"],
        &["register", "web-2"],
        &["task", "assign", "web-1", "t1"],
        &["suspend", "web-1"],
        &["stop", "web-1"],
        &["delete", "web-1"],
        &["logs", "-f", "web-1"],
        &["events"],
        &["top"],
        &["wait", "web-1", "--for", "ready"],
        &["down"],
    ];
    for line in lines {
        let done = stead().args(["--url", &url]).args(line).assert().code(3);
        let told = String::from_utf8_lossy(&done.get_output().stderr).into_owned();
        assert!(
            told.contains("no daemon answers at http://127.0.0.1:") && told.contains("stead up"),
            "{line:?}: {told}"
        );
    }
}

#[test]
fn an_error_for_programs_is_one_line_of_json() {
    let daemon = Daemon::start();
    for (verb, code) in [("unknown-agent", 4), ("not-possible", 5)] {
        let done = daemon.stead().args(["-o", "json", "get", verb]).assert().code(code);
        let told: serde_json::Value = serde_json::from_slice(&done.get_output().stderr).unwrap();
        assert_eq!(
            (told["code"].as_str(), told["exit_code"].as_i64()),
            (Some(verb), Some(code.into()))
        );
    }
}

#[test]
fn one_refusal_among_many_keeps_the_others_going_and_ends_with_its_code() {
    let daemon = Daemon::start();
    let done = daemon
        .stead()
        .args(["stop", "not-possible", "web-1", "busy-bee"])
        .assert()
        .code(5);
    let output = done.get_output();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "web-1: stop accepted, online\n"
    );
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("error: busy-bee: there is no agent") && told.contains("error: not-possible: as asked for"),
        "{told}"
    );
}

#[test]
fn a_valid_fleet_file_ends_with_0_and_a_broken_one_with_5_without_a_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fleet.toml");
    let validate = |text: &str| {
        std::fs::write(&file, text).unwrap();
        stead()
            .args(["--url", "http://127.0.0.1:1", "validate"])
            .arg(&file)
            .assert()
    };
    validate("[agents.web]\ncommand = ['true']\n").code(0);
    let broken = validate("[agents.web]\ncomand = ['true']\n").code(5);
    let told = String::from_utf8_lossy(&broken.get_output().stdout).into_owned();
    assert!(
        told.contains("fleet.toml:2:1") && told.contains("did you mean `command`?"),
        "{told}"
    );
}

#[test]
fn the_doctor_ends_with_1_when_there_is_no_daemon_and_says_so_with_what_else_it_found() {
    let done = stead()
        .args(["--url", &format!("http://{}", free()), "-o", "json", "doctor"])
        .assert()
        .code(1);
    let found: Vec<serde_json::Value> = serde_json::from_slice(&done.get_output().stdout).unwrap();
    let verdict = |name: &str| {
        let check = found.iter().find(|check| check["check"] == name);
        check.map(|check| check["verdict"].as_str().unwrap().to_owned())
    };
    assert_eq!(verdict("daemon").as_deref(), Some("wrong"));
    assert_eq!(verdict("port").as_deref(), Some("fine"));
    assert_eq!(verdict("clock").as_deref(), Some("fine"));
}
