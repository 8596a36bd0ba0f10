//! How a daemon starts, refuses to, and ends.

use rustix::process::{Signal, geteuid};
use serde_json::Value;

use super::fleet::{Fleet, PATIENCE, free};
use super::procs::{self, until};

const TWO: &str = "
[agents.one]
command = ['sleep', '100000']
[agents.two]
command = ['sh', '-c', 'sleep 100000 & setsid sleep 100000 & exec sleep 100000']
";

fn told(done: &std::process::Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

#[test]
fn a_second_daemon_in_the_same_directory_is_told_who_runs_and_how_to_apply() {
    let mut fleet = Fleet::of(TWO);
    fleet.up();
    let other = free().to_string();
    let done = fleet.run(&["up", "fleet.toml", "--listen", &other]);
    assert_eq!(done.status.code(), Some(5), "{done:?}");
    let told = told(&done);
    for word in [
        fleet.daemon_pid().to_string(),
        fleet.at().to_string(),
        "stead apply".to_owned(),
        "stead down".to_owned(),
    ] {
        assert!(told.contains(&word), "{word} in {told}");
    }
    assert_eq!(fleet.get("/health/ready").status, 200);
}

#[test]
fn a_port_that_is_taken_is_named_and_no_agent_is_started() {
    let fleet = Fleet::of(TWO);
    let _taken = std::net::TcpListener::bind(fleet.at()).unwrap();
    let at = fleet.at().to_string();
    let done = fleet.run(&["up", "fleet.toml", "--listen", &at]);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(
        told(&done).contains(&at) && told(&done).contains("--listen"),
        "{}",
        told(&done)
    );
    assert_eq!(procs::of(fleet.state()), Vec::<i32>::new());
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let mut fleet = Fleet::of(TWO);
    // Root may write wherever there is a file system that takes writes.
    let nowhere = if geteuid().is_root() { "/proc/stead" } else { "/stead" };
    fleet.keep_in(nowhere.as_ref());
    let done = fleet.run(&["up", "fleet.toml"]);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(told(&done).contains(nowhere), "{}", told(&done));
    assert_eq!(procs::of(fleet.state()), Vec::<i32>::new());
}

#[test]
fn a_file_with_a_mistake_starts_nothing_and_says_where_it_is() {
    let fleet = Fleet::of("[agents.one]\ncommand = ['true']\n\n[agents.two]\ncomand = ['true']\n");
    let done = fleet.run(&["up", "fleet.toml"]);
    assert_ne!(done.status.code(), Some(0));
    assert!(
        told(&done).contains("fleet.toml:5:1") && told(&done).contains("did you mean `command`?"),
        "{}",
        told(&done)
    );
    assert!(!fleet.state().exists());
}

#[test]
fn down_leaves_no_process_behind_and_up_starts_again_what_it_stopped_and_nothing_else() {
    let mut fleet = Fleet::of(TWO);
    fleet.up();
    fleet.until_all(2, "online");
    fleet.must(&["stop", "one", "--wait"]);
    fleet.must(&["down"]);
    assert_eq!(fleet.wait_daemon(), Some(0));
    fleet.until_nothing_runs();
    fleet.up();
    fleet.until_agent("two", |agent| agent["phase"] == "online");
    let one = fleet.agent("one");
    assert_eq!(
        (&one["phase"], &one["intent"], &one["pid"]),
        (&"offline".into(), &"stopped".into(), &Value::Null)
    );
}

#[test]
fn sigterm_leaves_agents_at_work_and_ctrl_c_stops_them() {
    let mut fleet = Fleet::of(TWO);
    fleet.up();
    let before = fleet.until_all(2, "online");
    let pids = |agents: &[Value]| agents.iter().map(|agent| agent["pid"].as_i64()).collect::<Vec<_>>();
    assert_eq!(fleet.end_daemon(Signal::TERM), Some(0));
    assert!(
        pids(&before)
            .into_iter()
            .flatten()
            .all(|pid| procs::runs(i32::try_from(pid).unwrap()))
    );
    fleet.up();
    assert_eq!(pids(&fleet.agents()), pids(&before));
    fleet.end_daemon(Signal::INT);
    fleet.until_nothing_runs();
    let log = fleet.read("daemon.log");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn an_agent_that_left_the_file_is_stopped_and_gone() {
    let mut fleet = Fleet::of(TWO);
    fleet.up();
    fleet.until_all(2, "online");
    fleet.write("[agents.one]\ncommand = ['sleep', '100000']\n");
    fleet.must(&["apply", "fleet.toml"]);
    fleet.until("two is gone", |fleet| (fleet.agents().len() == 1).then_some(()));
    until("so are its processes", PATIENCE, || {
        (procs::agents_of(fleet.state()).len() == 1).then_some(())
    });
}
