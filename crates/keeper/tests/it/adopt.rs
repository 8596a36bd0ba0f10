//! `kill -9` of the keeper: the next one finds everything, and nothing is started twice.

use stead_keeper::wire::{InstanceState, Request};
use stead_model::{Exit, Signal};

use crate::home::{Home, Shorthand, instance, lives, number_in, shell, until};

#[test]
fn agents_live_on_and_are_adopted_by_identity() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let identity = session.spawn(agent, shell("exec sleep 1000"));
    home.kill();
    assert!(lives(identity.pid));
    home.start();
    let mut session = home.session();
    let view = session.view(agent).unwrap();
    assert!(matches!(&view.state, InstanceState::Live { identity: found, .. } if *found == identity));
    assert_eq!(view.name.as_str(), "agent-1");
    // The same order again finds the process that runs.
    assert_eq!(session.spawn(agent, shell("exec sleep 1000")), identity);
}

#[test]
fn an_end_that_nobody_saw_is_unknown() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let pid = session.spawn(agent, shell("exec sleep 1000")).pid;
    home.kill();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    until("it is gone", || !lives(pid));
    home.start();
    let mut session = home.session();
    let view = session.view(agent).unwrap();
    assert!(matches!(view.state, InstanceState::Ended(end) if end.exit == Exit::Unknown));
    session.acknowledge(agent).unwrap();
    session.spawn(instance(1, 2), shell("exit 0"));
    assert!(session.end(instance(1, 2)).exit.success());
}

#[test]
fn an_end_that_was_seen_and_not_acknowledged_survives_the_keeper() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    session.spawn(agent, shell("exit 9"));
    let end = session.end(agent);
    // A later answer shows that the end is written down by now.
    session.list().unwrap();
    home.kill();
    home.start();
    let view = home.session().view(agent).unwrap();
    assert_eq!(view.state, InstanceState::Ended(end));
}

#[test]
fn an_adopted_agent_that_ends_is_told_of_as_well_as_the_kernel_knows() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    session.spawn(agent, shell("trap 'exit 5' TERM; while :; do sleep 0.01; done"));
    home.kill();
    home.start();
    let mut session = home.session();
    session.done(Request::Signal {
        instance: agent,
        signal: Signal::TERM,
        target: stead_keeper::wire::Target::Leader,
    });
    let exit = session.end(agent).exit;
    // Linux 6.15 and later tell how another's child ended.
    assert!(matches!(exit, Exit::Code { code: 5 } | Exit::Unknown), "{exit}");
}

#[test]
fn the_tree_of_an_adopted_agent_is_still_owned() {
    tree_is_still_owned(Home::new());
    tree_is_still_owned(Home::without_cgroups());
}

fn tree_is_still_owned(mut home: Home) {
    let mut session = home.session();
    let agent = instance(1, 1);
    let file = home.path().join("grandchild");
    let script = format!(
        "setsid sh -c 'echo $$ > {}; sleep 1000; sleep 1000' & wait",
        file.display()
    );
    session.spawn(agent, shell(&script));
    let grandchild = number_in(&file);
    home.kill();
    home.start();
    let mut session = home.session();
    session.done(Request::KillTree { instance: agent });
    session.end(agent);
    until("the grandchild is gone", || !lives(grandchild));
}

#[test]
fn an_agent_is_found_without_any_record() {
    found_without_a_record(Home::new());
    found_without_a_record(Home::without_cgroups());
}

fn found_without_a_record(mut home: Home) {
    let mut session = home.session();
    let agent = instance(1, 4);
    let identity = session.spawn(agent, shell("echo hello; exec sleep 1000"));
    home.kill();
    std::fs::remove_dir_all(home.path().join("instances")).unwrap();
    home.start();
    let mut session = home.session();
    let view = session.view(agent).unwrap();
    assert!(matches!(view.state, InstanceState::Live { identity: found, .. } if found == identity));
    assert_eq!(view.name.as_str(), "agent-1");
    session.done(Request::KillTree { instance: agent });
    session.end(agent);
    until("its line is written", || home.printed(agent) == ["hello"]);
}

#[test]
fn what_a_dead_agent_without_a_record_left_is_swept() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let file = home.path().join("grandchild");
    let script = format!("sh -c 'echo $$ > {}; sleep 1000; sleep 1000' & wait", file.display());
    let leader = session.spawn(agent, shell(&script)).pid;
    let grandchild = number_in(&file);
    home.kill();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(leader).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    until("the leader is gone", || !lives(leader));
    std::fs::remove_dir_all(home.path().join("instances")).unwrap();
    home.start();
    until("the grandchild is gone", || !lives(grandchild));
}

#[test]
fn readiness_survives_the_keeper() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let script = "import os,socket,time; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); \
                  s.sendto(b'READY=1',os.environ['NOTIFY_SOCKET']); time.sleep(1000)";
    session.spawn(agent, crate::home::command(&["python3", "-c", script]));
    session.notices(agent);
    session.list().unwrap();
    home.kill();
    home.start();
    let view = home.session().view(agent).unwrap();
    assert!(matches!(view.state, InstanceState::Live { said, .. } if said.ready));
}

/// A small generator of its own: what a seed gives must not change with a library.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

#[test]
fn a_keeper_killed_at_any_moment_loses_no_line_repeats_none_and_starts_nothing_twice() {
    let seed = std::env::var("STEAD_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) | 0x5eed << 32);
    println!("STEAD_SEED={seed}");
    let mut random = Seeded(seed);
    let mut home = Home::new();
    let births = home.path().join("births");
    std::fs::create_dir(&births).unwrap();
    let script = |number: u64| {
        format!(
            "echo $$ > {}/{number}.$$; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done; exec sleep 1000",
            births.display()
        )
    };
    for attempt in 1..=10 {
        let mut session = home.session();
        // Kill it while it spawns and while others print.
        let sender = session.split().0;
        for agent in 1..=3 {
            let number = attempt * 10 + agent;
            sender
                .send(crate::home::order(instance(number, 1), shell(&script(number))))
                .unwrap();
        }
        std::thread::sleep(std::time::Duration::from_micros(random.next(30_000)));
        home.kill();
        home.start();
        session = home.session();
        for agent in 1..=3 {
            let number = attempt * 10 + agent;
            session.spawn(instance(number, 1), shell(&script(number)));
        }
    }
    let expected: Vec<String> = (1..=3000).map(|line| format!("line {line}")).collect();
    for attempt in 1..=10 {
        for agent in 1..=3 {
            let id = instance(attempt * 10 + agent, 1);
            until("all is written", || home.printed(id).len() >= expected.len());
            assert!(home.printed(id) == expected, "lines of {id}, STEAD_SEED={seed}");
        }
    }
    assert_eq!(std::fs::read_dir(&births).unwrap().count(), 30, "STEAD_SEED={seed}");
}
