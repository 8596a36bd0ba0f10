//! Processes that misbehave: each of them is answered as its policy says, and with a reason.

use serde_json::Value;

use super::fleet::{Fleet, PATIENCE};
use super::procs::{self, until};

#[test]
fn a_child_that_ignores_sigterm_is_killed_after_its_grace() {
    let mut fleet = Fleet::of(
        "[agents.deaf]\ncommand = ['sh', '-c', 'trap \"\" TERM; echo deaf; while :; do sleep 1; done']\nstop.grace = '300ms'\n",
    );
    fleet.up();
    fleet.until("it does not listen", |fleet| {
        (!fleet.lines("deaf").is_empty()).then_some(())
    });
    fleet.must(&["stop", "deaf", "--wait", "--timeout", "30s"]);
    let why = fleet.get("/api/v1/agents/deaf/why").json();
    assert_eq!(why["agent"]["phase"], "offline");
    let exit = &why["last_exit"]["exit"];
    assert_eq!(
        (&exit["kind"], &exit["signal"]),
        (&"signal".into(), &"SIGKILL".into()),
        "{why:#}"
    );
    assert_eq!(procs::agents_of(fleet.state()), Vec::<i32>::new());
}

#[test]
fn grandchildren_of_a_child_that_died_are_swept_before_its_next_run() {
    let mut fleet = Fleet::of(
        "[agents.parent]\ncommand = ['sh', '-c', 'sleep 100000 & setsid sleep 100000 & echo born; exec sleep 100000']\nrestart.backoff.initial = '0s'\n",
    );
    fleet.up();
    let tree = || procs::agents_of(fleet.state());
    until("there are three", PATIENCE, || (tree().len() == 3).then_some(()));
    let old = tree();
    let first = fleet.until_agent("parent", |agent| agent["pid"].is_i64());
    procs::kill(i32::try_from(first["pid"].as_i64().unwrap()).unwrap());
    fleet.until_agent("parent", |agent| {
        agent["phase"] == "online" && agent["incarnation"] == 2
    });
    until("there are three others", PATIENCE, || {
        let new = tree();
        (new.len() == 3 && new.iter().all(|pid| !old.contains(pid))).then_some(())
    });
}

#[test]
fn a_flood_of_output_takes_bounded_room_and_nothing_else_down() {
    let mut fleet = Fleet::of(
        "
[agents.flood]
command = ['sh', '-c', 'seq 6000000; echo last words; exec sleep 100000']
logs = { max_size = '1MiB', files = 2 }
[agents.quiet]
command = ['sh', '-c', 'echo quiet; exec sleep 100000']
",
    );
    fleet.up();
    assert_eq!(
        fleet.until("the quiet one is heard", |fleet| fleet.lines("quiet").pop()),
        "quiet"
    );
    let before = fleet.until_agent("quiet", |agent| agent["phase"] == "online");
    fleet.until("the flood ends", |fleet| {
        let tail = fleet.get("/api/v1/agents/flood/logs?tail=1").body;
        tail.contains("last words").then_some(())
    });
    let id = fleet.agent("flood")["id"].as_str().unwrap().to_owned();
    let room = std::process::Command::new("du")
        .arg("-sk")
        .arg(fleet.state().join("agents").join(id))
        .output()
        .unwrap();
    let kilobytes: u64 = String::from_utf8_lossy(&room.stdout)
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(kilobytes < 6 * 1024, "{kilobytes} KiB");

    // What rotation left is all that was printed last, each line once and in its order.
    let text = fleet.get("/api/v1/agents/flood/logs?tail=50000").body;
    let line = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap()["line"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let kept: Vec<String> = text.lines().map(line).collect();
    assert_eq!(kept.last().unwrap(), "last words");
    // How many that are hangs on where in a file the last rotation left it.
    let numbers = kept.len() - 1;
    assert!((10_000..50_000).contains(&numbers), "{numbers} lines");
    let expected = (0..numbers).rev().map(|back| (6_000_000 - back).to_string());
    let wrong = kept.iter().zip(expected).find(|(kept, expected)| *kept != expected);
    assert_eq!(wrong, None, "(kept, expected)");

    let after = fleet.agent("quiet");
    for unchanged in ["pid", "phase", "incarnation", "restarts"] {
        assert_eq!(after[unchanged], before[unchanged], "{after:#}");
    }
    assert_eq!(fleet.lines("quiet"), ["quiet"]);
}

#[test]
fn what_an_agent_prints_after_keeper_and_daemon_died_is_kept() {
    let mut fleet = Fleet::of(
        "[agents.heir]\ncommand = ['sh', '-c', 'echo before; while [ ! -e @/orphaned ]; do sleep 0.05; done; echo alone; echo > @/said; exec sleep 100000']\n",
    );
    fleet.up();
    fleet.until("it prints", |fleet| (fleet.lines("heir") == ["before"]).then_some(()));
    let keeper = fleet.keeper_pid();
    procs::kill(keeper);
    fleet.kill_daemon();
    // The daemon may have had the time to start another keeper.
    for pid in procs::of(fleet.state())
        .into_iter()
        .filter(|pid| !procs::agents_of(fleet.state()).contains(pid))
    {
        procs::kill(pid);
    }
    std::fs::write(fleet.path("orphaned"), "").unwrap();
    until("it printed alone", PATIENCE, || {
        fleet.path("said").exists().then_some(())
    });
    fleet.up();
    fleet.until("its words are kept", |fleet| {
        (fleet.lines("heir") == ["before", "alone"]).then_some(())
    });
    assert_eq!(fleet.agent("heir")["incarnation"], 1);
}

#[test]
fn a_final_exit_code_and_a_missing_binary_are_held_and_explained() {
    let mut fleet = Fleet::of(
        "
[agents.done]
command = ['sh', '-c', 'exit 17']
restart.final_exit_codes = [17]
[agents.nowhere]
command = ['no-such-program-anywhere']
[agents.neighbour]
command = ['sleep', '100000']
",
    );
    fleet.up();
    let done = fleet.until_agent("done", |agent| agent["phase"] == "offline");
    let nowhere = fleet.until_agent("nowhere", |agent| agent["phase"] == "failed");
    fleet.until_agent("neighbour", |agent| agent["phase"] == "online");
    for (agent, told) in [
        (done, "exit code 17 is listed as final"),
        (nowhere, "no-such-program-anywhere"),
    ] {
        assert_eq!(agent["conditions"][0]["condition"], "held", "{agent:#}");
        assert_eq!((&agent["restarts"], &agent["pid"]), (&0.into(), &Value::Null));
        let why = fleet.must(&["why", agent["name"].as_str().unwrap()]);
        assert!(why.contains(told), "{why}");
    }
}

#[test]
fn an_agent_killed_from_outside_is_started_again_and_its_signal_told() {
    let mut fleet = Fleet::of("[agents.prey]\ncommand = ['sleep', '100000']\n");
    fleet.up();
    let first = fleet.until_agent("prey", |agent| agent["phase"] == "online");
    procs::kill(i32::try_from(first["pid"].as_i64().unwrap()).unwrap());
    let second = fleet.until_agent("prey", |agent| agent["incarnation"] == 2 && agent["phase"] == "online");
    assert_eq!(second["restarts"], 1);
    let walk: Vec<String> = fleet
        .history("prey")
        .iter()
        .skip(4)
        .map(|row| row["to"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(walk, ["error", "failed", "starting", "online"]);
    let told = fleet.must(&["history", "prey"]);
    assert!(told.contains("SIGKILL"), "{told}");
}

#[test]
fn one_that_always_fails_is_quarantined_until_it_is_reset() {
    let mut fleet = Fleet::of(
        "[agents.hopeless]\ncommand = ['sh', '-c', 'exit 1']\nrestart = { backoff = { initial = '0s' }, intensity = { max = 3, period = '10m' } }\n",
    );
    fleet.up();
    let given_up = |agent: &Value| {
        agent["conditions"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["condition"] == "quarantined"))
    };
    let agent = fleet.until_agent("hopeless", given_up);
    assert_eq!(agent["incarnation"], 4, "{agent:#}");
    // It is remembered over the daemon's death.
    fleet.kill_daemon();
    fleet.up();
    assert!(given_up(&fleet.agent("hopeless")));
    fleet.must(&["reset", "hopeless"]);
    fleet.until_agent("hopeless", |agent| agent["incarnation"].as_u64() > Some(4));
}

#[test]
fn a_command_that_is_run_gives_its_exit_code_and_leaves_nothing() {
    let fleet = Fleet::of("");
    let at = fleet.at().to_string();
    let done = fleet.run(&[
        "run",
        "--restart",
        "never",
        "--listen",
        &at,
        "--",
        "sh",
        "-c",
        "echo said; exit 7",
    ]);
    assert_eq!(done.status.code(), Some(7), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stdout).contains("said"), "{done:?}");
    until("nothing is left", PATIENCE, || {
        procs::of(fleet.state()).is_empty().then_some(())
    });
}
