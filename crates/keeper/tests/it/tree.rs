//! The whole tree of an instance is owned.

use stead_keeper::wire::{InstanceState, Request, Target};
use stead_model::{Exit, Signal};

use crate::home::{Home, Shorthand, cgroup_of, instance, lives, number_in, shell, until};

/// Everything here holds with cgroups and without.
macro_rules! either_way {
    ($($test:ident)*) => {
        mod by_cgroup {
            $(#[test] fn $test() {
                if let Some(home) = crate::home::Home::with_cgroups() {
                    super::$test(home);
                }
            })*
        }
        mod by_session {
            $(#[test] fn $test() { super::$test(crate::home::Home::without_cgroups()); })*
        }
    };
}

either_way! {
    grandchildren_are_swept_when_the_leader_dies
    a_child_that_ignores_sigterm_ends_by_sigkill
    a_signal_reaches_the_whole_tree_or_the_leader_alone
    a_frozen_tree_stands_still_until_it_is_thawed
    a_frozen_tree_can_be_killed
    nothing_of_an_instance_is_left_once_its_end_is_acknowledged
}

#[test]
fn each_run_is_in_a_cgroup_of_its_own_with_all_that_it_starts() {
    let Some(mut home) = Home::with_cgroups() else { return };
    let mut session = home.session();
    let child = home.path().join("child");
    let script = format!("env -i setsid sleep 1000 & echo $! > {}; wait", child.display());
    let one = session.spawn(instance(1, 1), shell(&script)).pid;
    let other = session.spawn(instance(2, 1), shell("exec sleep 1000")).pid;
    let (own, apart) = (cgroup_of(one), cgroup_of(other));
    assert!(own.contains("/stead-") && apart.contains("/stead-"), "{own} {apart}");
    assert_ne!(own, apart);
    assert_ne!(own, cgroup_of(i32::try_from(home.keeper_pid()).unwrap()));
    let child = number_in(&child);
    assert_eq!(cgroup_of(child), own);
    session.done(Request::KillTree {
        instance: instance(1, 1),
    });
    session.end(instance(1, 1));
    until("who has neither mark nor session goes with it", || !lives(child));
    assert!(lives(other));
}

#[test]
fn where_cgroups_are_not_wanted_an_agent_stays_in_that_of_its_keeper() {
    let mut home = Home::without_cgroups();
    let mut session = home.session();
    let agent = session.spawn(instance(1, 1), shell("exec sleep 1000")).pid;
    assert_eq!(cgroup_of(agent), cgroup_of(i32::try_from(home.keeper_pid()).unwrap()));
}

fn grandchildren_are_swept_when_the_leader_dies(mut home: Home) {
    let mut session = home.session();
    let agent = instance(1, 1);
    let dir = home.path().to_owned();
    let script = format!(
        "cd {}; sh -c 'echo $$ > own; trap \"\" TERM HUP; sleep 1000; sleep 1000' & \
         setsid sh -c 'echo $$ > apart; sleep 1000; sleep 1000' & \
         while ! [ -s own ] || ! [ -s apart ]; do sleep 0.01; done; exit 7",
        dir.display()
    );
    session.spawn(agent, shell(&script));
    let end = session.end(agent);
    assert_eq!(end.exit, Exit::Code { code: 7 });
    assert!(end.swept >= 2, "{end:?}");
    for file in ["own", "apart"] {
        let pid = number_in(&dir.join(file));
        until("the grandchild is gone", || !lives(pid));
    }
}

fn a_child_that_ignores_sigterm_ends_by_sigkill(mut home: Home) {
    let mut session = home.session();
    let agent = instance(1, 1);
    let ready = home.path().join("ready");
    let script = format!(
        "trap '' TERM; echo 1 > {}; while :; do sleep 1000; done",
        ready.display()
    );
    session.spawn(agent, shell(&script));
    number_in(&ready);
    let signal = |signal, target| Request::Signal {
        instance: agent,
        signal,
        target,
    };
    session.done(signal(Signal::TERM, Target::Leader));
    assert!(matches!(session.view(agent).unwrap().state, InstanceState::Live { .. }));
    session.done(signal(Signal::KILL, Target::Tree));
    let signal = Signal::KILL;
    assert_eq!(session.end(agent).exit, Exit::Signal { signal, core: false });
}

fn a_signal_reaches_the_whole_tree_or_the_leader_alone(mut home: Home) {
    let mut session = home.session();
    let agent = instance(1, 1);
    let dir = home.path().to_owned();
    let script = format!(
        "cd {}; sh -c 'trap \"echo 2 > child\" USR1; echo 1 > inner; while :; do sleep 0.01; done' & \
         trap 'echo 2 > leader' USR1; echo 1 > outer; while :; do sleep 0.01; done",
        dir.display()
    );
    session.spawn(agent, shell(&script));
    number_in(&dir.join("inner"));
    number_in(&dir.join("outer"));
    let usr1 = |target| Request::Signal {
        instance: agent,
        signal: "USR1".parse().unwrap(),
        target,
    };
    session.done(usr1(Target::Leader));
    number_in(&dir.join("leader"));
    assert!(!dir.join("child").exists());
    session.done(usr1(Target::Tree));
    number_in(&dir.join("child"));
}

fn a_frozen_tree_stands_still_until_it_is_thawed(mut home: Home) {
    let mut session = home.session();
    let agent = instance(1, 1);
    let count = home.path().join("count");
    let script = format!(
        "(i=0; while :; do i=$((i+1)); echo $i > {0}.new; mv {0}.new {0}; done) & wait",
        count.display()
    );
    session.spawn(agent, shell(&script));
    number_in(&count);
    session.done(Request::Freeze { instance: agent });
    let frozen = |state| matches!(state, InstanceState::Live { frozen: true, .. });
    assert!(frozen(session.view(agent).unwrap().state));
    // It may take a moment until all stand still; then nothing moves any more.
    let mut last = 0;
    let mut same = 0;
    until("it stands still", || {
        let now = number_in(&count);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        same > 30
    });
    session.done(Request::Thaw { instance: agent });
    until("it goes on", || number_in(&count) > last);
    assert!(!frozen(session.view(agent).unwrap().state));
}

fn a_frozen_tree_can_be_killed(mut home: Home) {
    let mut session = home.session();
    let agent = instance(1, 1);
    session.spawn(agent, shell("sleep 1000 & wait"));
    session.done(Request::Freeze { instance: agent });
    session.done(Request::KillTree { instance: agent });
    assert!(matches!(session.end(agent).exit, Exit::Signal { .. }));
}

fn nothing_of_an_instance_is_left_once_its_end_is_acknowledged(mut home: Home) {
    let mut session = home.session();
    let agent = instance(1, 1);
    session.spawn(agent, shell("sleep 1000 & echo $!; exit 0"));
    session.end(agent);
    session.acknowledge(agent).unwrap();
    let names = |dir: &std::path::Path| -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    until("files are gone", || home.made_for(agent).is_empty());
    assert_eq!(names(&home.agent_dir(agent)), ["cursor", "home", "log"]);
    assert_eq!(home.printed(agent).len(), 1);
}
