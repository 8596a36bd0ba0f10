//! Processes that outlived all who kept them: found with their cost, ended on consent, and nobody else with them.

use serde_json::Value;

use super::fleet::{Fleet, PATIENCE};
use super::procs::{self, until};

const FAMILY: &str = "
[agents.family]
command = ['sh', '-c', 'sleep 100000 & setsid sleep 100000 & exec sleep 100000']
[agents.deaf]
command = ['python3', '-c', 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(100000)']
";

/// What the fleet's command line finds, of one state directory.
fn found(by: &Fleet, of: &std::path::Path) -> Vec<Value> {
    let text = by.must(&["orphans", "-o", "json"]);
    let all: Vec<Value> = serde_json::from_str(&text).unwrap();
    let of = of.display().to_string();
    all.into_iter().filter(|one| one["state_dir"] == of.as_str()).collect()
}

/// Ends daemon and keeper of a fleet; its agents live on and nobody keeps them. Gives their pids.
#[track_caller]
fn abandon(fleet: &mut Fleet) -> Vec<i32> {
    fleet.until_all(2, "online");
    let agents = || procs::agents_of(fleet.state());
    until("the family is there", PATIENCE, || (agents().len() >= 4).then_some(()));
    let keeper = fleet.keeper_pid();
    fleet.kill_daemon();
    procs::kill(keeper);
    until("the keeper is gone", PATIENCE, || (!procs::runs(keeper)).then_some(()));
    procs::agents_of(fleet.state())
}

#[test]
fn what_outlived_its_state_directory_is_listed_with_its_cost_and_ended_on_consent_alone() {
    let mut lost = Fleet::of(FAMILY);
    lost.up();
    let mut other = Fleet::of("[agents.neighbour]\ncommand = ['sleep', '100000']\n");
    other.up();
    other.until_all(1, "online");
    assert_eq!(found(&other, lost.state()), Vec::<Value>::new(), "its keeper lives");
    assert_eq!(found(&lost, lost.state()), Vec::<Value>::new());

    let left = abandon(&mut lost);
    std::fs::remove_dir_all(lost.state()).unwrap();
    let orphans = found(&other, lost.state());
    let pids: Vec<i32> = orphans
        .iter()
        .map(|one| i32::try_from(one["pid"].as_i64().unwrap()).unwrap())
        .collect();
    let steady: Vec<&Value> = orphans.iter().filter(|one| one["agent"] == "family").collect();
    assert_eq!(steady.len(), 3, "{orphans:#?}\n{left:?}");
    assert!(orphans.iter().any(|one| one["agent"] == "deaf"), "{orphans:#?}");
    for orphan in steady {
        assert_eq!(
            (&orphan["why"], &orphan["endable"]),
            (&"directory_gone".into(), &true.into())
        );
        assert!(
            orphan["memory"]
                .as_str()
                .is_some_and(|memory| !memory.is_empty() && memory != "0")
                && orphan["command"].to_string().contains("sleep"),
            "{orphan:#}"
        );
    }
    let doctor = other.run(&["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("processes of agents that nobody keeps"));

    // Nobody can be asked: nothing is ended.
    let dir = lost.state().display().to_string();
    let refused = other.run(&["orphans", "--of", &dir, "--end"]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    assert!(pids.iter().all(|pid| procs::runs(*pid)));

    other.must(&["orphans", "--of", &dir, "--end", "--yes"]);
    until("nobody is left", PATIENCE, || {
        pids.iter().all(|pid| !procs::runs(*pid)).then_some(())
    });
    assert_eq!(found(&other, lost.state()), Vec::<Value>::new());
    let neighbour = other.agent("neighbour");
    assert_eq!(
        (&neighbour["phase"], &neighbour["restarts"]),
        (&"online".into(), &0.into())
    );
}

#[test]
fn those_of_a_directory_without_a_keeper_are_told_of_and_adopted_by_the_next_start() {
    let mut fleet = Fleet::of(FAMILY);
    fleet.up();
    let before = fleet.until_agent("family", |agent| agent["pid"].is_i64());
    let mut other = Fleet::of("");
    other.up();
    abandon(&mut fleet);
    let orphans = found(&other, fleet.state());
    assert!(
        orphans.len() >= 4 && orphans.iter().all(|one| one["why"] == "no_keeper"),
        "{orphans:#?}"
    );
    // What is advised is what would end them.
    let dir = fleet.state().display().to_string();
    let advised = format!("`stead orphans --end --of {dir}` ends them");
    assert!(other.must(&["orphans", "--of", &dir]).contains(&advised));
    let doctor = String::from_utf8(other.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains(&advised), "{doctor}");
    fleet.up();
    assert_eq!(other.must(&["orphans", "--of", &dir]), format!("no orphans of {dir}\n"));
    assert_eq!(fleet.agent("family")["pid"], before["pid"]);
    assert_eq!(found(&other, fleet.state()), Vec::<Value>::new());
    assert_eq!(found(&fleet, fleet.state()), Vec::<Value>::new());
}

#[test]
fn what_is_no_state_directory_is_said_to_be_none() {
    let fleet = Fleet::of("");
    let file = fleet.path("file");
    std::fs::write(&file, "").unwrap();
    for (of, said) in [
        (fleet.path("nowhere"), "is not there, and no process is one of it"),
        (file, "is no directory"),
        (fleet.path("."), "is no state directory of a daemon"),
    ] {
        let refused = fleet.run(&["orphans", "--of", of.to_str().unwrap()]);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(4), "{told}");
        assert!(told.contains(said), "{told}");
    }
}
