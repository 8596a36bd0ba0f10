//! How a daemon starts, refuses to, and ends.

use std::io::{BufRead, BufReader, Write};

use rustix::process::{Signal, geteuid};
use serde_json::Value;
use stead_keeper::{DESCRIPTORS_BESIDE, DESCRIPTORS_EACH};

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
fn an_agent_too_many_for_the_open_files_is_refused_when_it_is_registered_with_the_limit_and_the_remedy() {
    let mut fleet = Fleet::of(TWO);
    // For three agents, and no more.
    let three = DESCRIPTORS_BESIDE + 3 * DESCRIPTORS_EACH;
    fleet.limit_files(u32::try_from(three).unwrap());
    fleet.up();
    fleet.until_all(2, "online");
    let register = |name: &str| {
        let body = format!(r#"{{"name":"{name}","spec":{{"command":["sleep","100000"]}},"intent":"running"}}"#);
        fleet.post("/api/v1/agents", &body)
    };
    assert_eq!(register("three").status, 201);
    fleet.until_all(3, "online");
    let refused = register("four");
    let problem = refused.json();
    assert_eq!((refused.status, &problem["code"]), (422, &"limit-reached".into()));
    let detail = problem["detail"].as_str().unwrap();
    for words in ["4 processes are wanted", "open files permits 3", "ulimit -Hn"] {
        assert!(detail.contains(words), "{words} in {detail}");
    }
    assert_eq!(fleet.agents().len(), 3);
    fleet.write(&format!(
        "{TWO}[agents.three]\ncommand = ['true']\n[agents.four]\ncommand = ['true']\n"
    ));
    let done = fleet.run(&["apply", "fleet.toml"]);
    assert!(
        !done.status.success() && told(&done).contains("open files permits 3"),
        "{done:?}"
    );
    fleet.until_all(3, "online");
}

#[test]
fn a_fleet_too_large_for_the_open_files_is_refused_at_its_start_and_nothing_of_it_runs() {
    let two_more = "[agents.three]\ncommand = ['sleep', '100000']\n[agents.four]\ncommand = ['sleep', '100000']\n";
    let mut fleet = Fleet::of(&format!("{TWO}{two_more}"));
    let three = DESCRIPTORS_BESIDE + 3 * DESCRIPTORS_EACH;
    fleet.limit_files(u32::try_from(three).unwrap());
    let at = fleet.at().to_string();
    for words in [
        &["up", "fleet.toml", "--listen", &at][..],
        &["up", "fleet.toml", "--listen", &at, "--detach"],
    ] {
        let done = fleet.run(words);
        let told = told(&done);
        assert_eq!(done.status.code(), Some(5), "{done:?}");
        for words in ["4 processes are wanted", "open files permits 3", "ulimit -Hn"] {
            assert!(told.contains(words), "{words} in {told}");
        }
        assert!(!fleet.state().exists(), "nothing was begun");
        assert_eq!(procs::of(fleet.state()), Vec::<i32>::new());
    }
    // One fewer is not too many.
    fleet.write(&format!("{TWO}{}", two_more.split_once("[agents.four]").unwrap().0));
    fleet.up();
    fleet.until_all(3, "online");
}

#[test]
fn a_fleet_that_the_daemon_refuses_leaves_neither_daemon_nor_keeper_behind() {
    let mut fleet = Fleet::of(&format!(
        "{TWO}[profiles.own]\nbase = 'agent'\nextra = ['online -> resting']\n[profiles.own.states.resting]\nrole = 'idle'\nnext = ['online', 'error', 'stopping']\n"
    ));
    fleet.up();
    let body = r#"{"name":"kept","spec":{"profile":"own","driver":"none"}}"#;
    assert_eq!(fleet.post("/api/v1/agents", body).status, 201);
    fleet.must(&["down"]);
    assert_eq!(fleet.wait_daemon(), Some(0));
    fleet.until_nothing_runs();

    fleet.write(TWO);
    let at = fleet.at().to_string();
    let done = fleet.run(&["up", "fleet.toml", "--listen", &at]);
    assert_eq!(done.status.code(), Some(5), "{done:?}");
    assert!(told(&done).contains("own"), "{done:?}");
    fleet.until_nothing_runs();
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

const TROUBLED: &str = "
[agents.good]
command = ['sleep', '100000']
[agents.done]
command = ['sh', '-c', 'echo finished']
restart = { policy = 'on-failure' }
[agents.keyless]
command = ['sh', '-c', 'echo starting; echo no API key >&2; exit 78']
restart = { final_exit_codes = [78] }
[agents.absent]
command = ['no-such-program-here']
";

#[test]
fn a_fleet_in_the_background_says_who_is_held_and_what_it_printed() {
    let fleet = Fleet::of(TROUBLED);
    let at = fleet.at().to_string();
    let done = fleet.run(&["up", "fleet.toml", "--detach", "--listen", &at, "--timeout", "50s"]);
    let said = told(&done);
    assert_eq!(done.status.code(), Some(1), "{said}");
    for words in [
        "2 of 4 agents are up",
        "keyless: held: exit code 78",
        "absent: held: ",
        "stead why absent",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    let of = |line: &[&str]| {
        let done = fleet.run(line);
        String::from_utf8_lossy(&done.stdout).into_owned() + &told(&done)
    };
    let why = of(&["why", "keyless"]);
    assert!(
        why.contains("stderr no API key") && why.contains("stdout starting"),
        "{why}"
    );
    assert!(
        why.contains("`stead apply FILE`") && why.contains("`stead start keyless`"),
        "{why}"
    );
    assert!(!of(&["why", "good"]).contains("Last output"));
    let of_the_api = |name: &str| fleet.get(&format!("/api/v1/agents/{name}/why")).json()["last_output"].clone();
    let mut printed: Vec<_> = of_the_api("keyless")
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["line"].clone())
        .collect();
    printed.sort_by_key(ToString::to_string);
    assert_eq!(printed, ["no API key", "starting"]);
    assert!(of_the_api("good").is_null());
    let ps = of(&["ps"]);
    let row = ps.lines().find(|row| row.starts_with("done")).unwrap();
    assert!(row.contains("exited with code 0 "), "{ps}");
    assert!(of(&["logs", "absent"]).contains("absent was never started"));
    assert!(of(&["why", "abcent"]).contains("did you mean `absent`?"));
    let log = std::fs::read_to_string(fleet.state().join("daemon.log")).unwrap();
    let warns = log.lines().filter(|line| line.contains("WARN keyless:")).count();
    assert_eq!(warns, 2, "that it failed, and that it is held\n{log}");
    assert_eq!(fleet.run(&["down"]).status.code(), Some(0));
}

#[test]
fn a_file_that_is_applied_has_its_paths_from_its_own_folder() {
    let mut fleet = Fleet::of(TWO);
    fleet.up();
    std::fs::create_dir(fleet.path("other")).unwrap();
    std::fs::write(fleet.path("other/say.sh"), "#!/bin/sh\nexec sleep 100000\n").unwrap();
    let file = "[agents.three]\ncommand = ['sh', 'say.sh']\n";
    std::fs::write(fleet.path("other/fleet.toml"), file).unwrap();
    let done = fleet.run(&["apply", "other/fleet.toml", "--wait"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
}

#[test]
fn the_verbs_that_take_a_fleet_file_end_as_the_table_of_the_guide_says() {
    let mut fleet = Fleet::of(TWO);
    fleet.up();
    std::fs::write(fleet.path("broken.toml"), "[agents.a]\ncomand = ['x']\n").unwrap();
    let guide = include_str!("../../../../../docs/guides/cli.md");
    let rows = guide.lines().filter(|line| line.starts_with("| the file "));
    let mut told = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let file = match cells[1] {
            "the file cannot be read" => "missing.toml",
            "the file does not hold together" => "broken.toml",
            other => panic!("a row without a test: {other}"),
        };
        for (verb, code) in ["up", "apply", "validate"].into_iter().zip(&cells[2..]) {
            let done = fleet.run(&[verb, file]);
            assert_eq!(
                done.status.code().map(|code| code.to_string()).as_deref(),
                Some(*code),
                "{verb} {file}: {done:?}"
            );
            told += 1;
        }
    }
    assert_eq!(told, 6, "the table is there");
}

#[test]
fn a_variable_that_is_empty_is_one_that_is_not_set() {
    let mut fleet = Fleet::of(TWO);
    fleet.up();
    for name in ["STEAD_TOKEN", "STEAD_NAMESPACE"] {
        fleet.env(name, "");
    }
    let done = fleet.run(&["ps", "-o", "json"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    fleet.env("STEAD_URL", "");
    let done = fleet.run(&["ps"]);
    assert!(!told(&done).contains("is no address"), "{done:?}");
}

#[test]
fn why_a_fleet_went_down_is_in_the_history_of_each_agent() {
    let mut fleet = Fleet::of("[agents.one]\ncommand = ['sleep', '100000']\n");
    fleet.up();
    fleet.until_all(1, "online");
    fleet.must(&["down", "--reason", "the host gets a new kernel"]);
    assert_eq!(fleet.wait_daemon(), Some(0), "{}", fleet.log());
    fleet.up();
    fleet.until_all(1, "online");
    let rows = fleet.history("one");
    let told = |row: &Value| {
        let description = row["description"].as_str().unwrap();
        row["to"] == "stopping" && description.ends_with("whole fleet: the host gets a new kernel")
    };
    assert!(rows.iter().any(told), "{rows:#?}");
}

#[test]
fn what_could_never_be_started_is_refused_before_anything_is_made() {
    for words in [
        &["up", "fleet.toml"][..],
        &["up", "fleet.toml", "--detach"],
        &["serve", "--detach"],
    ] {
        let mut fleet = Fleet::of(TWO);
        fleet.env("STEAD_DURABILITY", "frob");
        let done = fleet.run(words);
        assert_eq!(done.status.code(), Some(2), "{words:?}: {done:?}");
        assert!(
            told(&done).contains("STEAD_DURABILITY is `frob`") && told(&done).contains("`flushed`"),
            "{done:?}"
        );
        assert!(!fleet.state().exists(), "{words:?}");
    }
    let mut fleet = Fleet::of(TWO);
    let deep = fleet.path(&"d".repeat(120));
    fleet.keep_in(&deep);
    let done = fleet.run(&["up", "fleet.toml", "--detach"]);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(
        told(&done).contains("choose a shorter one") && !deep.exists(),
        "{done:?}"
    );
}

#[test]
fn something_else_that_listens_is_not_taken_for_a_daemon() {
    let fleet = Fleet::of(TWO);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    // As an agent answers that serves its own routes.
    let agent = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
        while head.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        let body = r#"{"type":"urn:stead:problem:not-found","title":"There is nothing here","status":404,"code":"not-found","detail":"there is nothing at `/api/v1/agents`; see /docs"}"#;
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 404 Not Found\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let done = fleet.run(&["--url", &format!("http://{at}"), "ps"]);
    agent.join().unwrap();
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(told(&done).contains("no Stead daemon answers there"), "{done:?}");
}
