//! What a run leaves to the next one of its agent, and that each still has its own lines, its own tree and its own end.

use rustix::process::{Pid, Signal, kill_process};
use stead_keeper::logs::{self, From};
use stead_keeper::wire::InstanceState;
use stead_model::{Exit, InstanceId};

use crate::home::{Home, Shorthand, cgroup_of, instance, lives, number_in, shell, until};

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// What each run printed.
fn lines(home: &Home, agent: InstanceId) -> Vec<(u64, String)> {
    let page = logs::read(&home.agent_dir(agent), From::Start, usize::MAX).unwrap();
    page.lines
        .into_iter()
        .map(|line| (line.incarnation.0, line.text))
        .collect()
}

fn said(run: u64) -> (u64, String) {
    (run, format!("run {run}"))
}

#[test]
fn each_run_has_its_own_lines_in_the_pipes_of_the_one_before() {
    let mut home = Home::new();
    let mut session = home.session();
    for run in 1..=4 {
        let agent = instance(1, run);
        let pid = session
            .spawn(agent, shell(&format!("echo run {run}; exec sleep 1000")))
            .pid;
        until("its line is written", || {
            lines(&home, agent).len() == usize::try_from(run).unwrap()
        });
        kill(pid);
        assert!(matches!(session.end(agent).exit, Exit::Signal { .. }));
    }
    let expected: Vec<_> = (1..=4).map(said).collect();
    assert_eq!(lines(&home, instance(1, 1)), expected);
}

#[test]
fn a_line_that_was_not_read_at_the_end_is_of_the_run_that_printed_it() {
    let mut home = Home::new();
    let mut session = home.session();
    let (first, second) = (instance(1, 1), instance(1, 2));
    session.spawn(first, shell("printf 'run 1'"));
    session.end(first);
    session.spawn(second, shell("echo run 2"));
    session.end(second);
    until("both lines are written", || lines(&home, first).len() == 2);
    let mut lines = lines(&home, first);
    lines.sort();
    assert_eq!(lines, [said(1), said(2)]);
}

#[test]
fn the_next_keeper_leaves_to_an_heir_what_an_unacknowledged_run_left_it() {
    let mut home = Home::new();
    let mut session = home.session();
    let (first, second) = (instance(1, 1), instance(1, 2));
    let pid = session.spawn(first, shell("exec sleep 1000")).pid;
    kill(pid);
    let end = session.end(first);
    let script = "while [ ! -e $STEAD_AGENT_DIR/go ]; do sleep 0.01; done; echo run 2; exec sleep 1000";
    let heir = session.spawn(second, shell(script));
    home.kill();
    home.start();
    let mut session = home.session();
    assert_eq!(session.view(first).unwrap().state, InstanceState::Ended(end));
    session.acknowledge(first).unwrap();
    std::fs::write(home.agent_dir(second).join("home/go"), "").unwrap();
    until("its line is written", || lines(&home, second) == [said(2)]);
    let state = session.view(second).unwrap().state;
    assert!(matches!(state, InstanceState::Live { identity, .. } if identity == heir));
    assert!(lives(heir.pid));
}

#[test]
fn an_heir_is_found_without_any_record_with_the_pipes_and_the_cgroup_that_it_has() {
    let Some(mut home) = Home::with_cgroups() else { return };
    let mut session = home.session();
    let (first, second) = (instance(1, 1), instance(1, 2));
    let pid = session.spawn(first, shell("exec sleep 1000")).pid;
    kill(pid);
    session.end(first);
    session.acknowledge(first).unwrap();
    // A child that nothing but the cgroup tells to be of this run.
    let child = home.path().join("child");
    let script = format!(
        "env -i setsid sleep 1000 & echo $! > {}; while [ ! -e $STEAD_AGENT_DIR/go ]; do sleep 0.01; done; echo run 2; exec sleep 1000",
        child.display()
    );
    let heir = session.spawn(second, shell(&script));
    let (child, own) = (number_in(&child), cgroup_of(heir.pid));
    assert!(own.contains("/stead-"), "{own}");
    assert_eq!(cgroup_of(child), own);
    home.kill();
    std::fs::remove_dir_all(home.path().join("instances")).unwrap();
    home.start();
    let mut session = home.session();
    let views = session.list().unwrap();
    assert_eq!(views.len(), 1);
    assert!(matches!(&views[0].state, InstanceState::Live { identity, .. } if *identity == heir));
    std::fs::write(home.agent_dir(second).join("home/go"), "").unwrap();
    until("its line is written", || lines(&home, second) == [said(2)]);
    assert_eq!([cgroup_of(heir.pid), cgroup_of(child)], [own.clone(), own]);
    kill(heir.pid);
    session.end(second);
    until("its child goes with the cgroup", || !lives(child));
}

#[test]
fn a_run_after_one_that_was_ended_by_the_keeper_is_not_ended_with_it() {
    let mut home = Home::new();
    let mut session = home.session();
    for run in 1..=3 {
        let agent = instance(1, run);
        session.spawn(agent, shell("exec sleep 1000"));
        assert!(matches!(session.view(agent).unwrap().state, InstanceState::Live { .. }));
        session.done(stead_keeper::wire::Request::KillTree { instance: agent });
        session.end(agent);
    }
    session.spawn(instance(1, 4), shell("exit 0"));
    assert!(session.end(instance(1, 4)).exit.success());
}
