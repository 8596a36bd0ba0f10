//! What agents print, with real agents.

use stead_keeper::Session;
use stead_keeper::logs::{From, Stream, read};
use stead_model::Bytes;

use crate::home::{Home, Shorthand, instance, number_in, shell, until};

/// A script that prints numbered lines as fast as it can.
fn flood(from: u32, to: u32) -> String {
    format!("seq -f 'line %.0f' {from} {to}")
}

fn numbered(from: u32, to: u32) -> Vec<String> {
    (from..=to).map(|number| format!("line {number}")).collect()
}

#[test]
fn a_flood_is_kept_whole_and_in_order_over_rotations() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let mut spec = shell(&flood(1, 100_000));
    spec.logs.max_size = Bytes(256 * 1024);
    spec.logs.files = 100;
    session.spawn(agent, spec);
    session.end(agent);
    until("all is written", || home.printed(agent).len() >= 100_000);
    assert!(
        home.printed(agent) == numbered(1, 100_000),
        "each line once and in order"
    );
    assert!(home.agent_dir(agent).join("log.5").exists(), "files were rotated");
}

#[test]
fn both_streams_and_all_runs_are_told_apart() {
    let mut home = Home::new();
    let mut session = home.session();
    for run in 1..=2 {
        let agent = instance(1, run);
        session.spawn(agent, shell("echo out; echo err >&2; printf unfinished"));
        session.end(agent);
        session.acknowledge(agent).unwrap();
        let count = usize::try_from(run).unwrap() * 3;
        until("all is written", || home.printed(agent).len() == count);
    }
    let page = read(&home.agent_dir(instance(1, 1)), From::Start, 99).unwrap();
    for run in 1..=2 {
        let of_run = page.lines.iter().filter(|line| line.incarnation.0 == run);
        let mut lines: Vec<_> = of_run.map(|line| (line.stream, line.text.as_str())).collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [(Stream::Out, "out"), (Stream::Out, "unfinished"), (Stream::Err, "err")]
        );
    }
}

#[test]
fn lines_printed_while_no_keeper_runs_appear_once() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let (go, done) = (home.path().join("go"), home.path().join("done"));
    let script = format!(
        "echo before; while ! [ -e {} ]; do sleep 0.01; done; {}; echo 1 > {}; exec sleep 1000",
        go.display(),
        flood(1, 500),
        done.display()
    );
    session.spawn(agent, shell(&script));
    until("the first line is written", || home.printed(agent).len() == 1);
    drop(session);
    home.kill();
    std::fs::write(&go, "").unwrap();
    number_in(&done);
    home.start();
    until("the others are written", || home.printed(agent).len() > 500);
    assert_eq!(home.printed(agent)[1..], numbered(1, 500));
}

#[test]
fn the_last_words_of_an_agent_that_died_with_its_keeper_are_kept_if_a_relative_holds_the_pipe() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let done = home.path().join("done");
    // The grandchild keeps the pipe open while both the leader and the keeper are away.
    let script = format!(
        "setsid sleep 1000 & sleep 0.2; echo last words; echo 1 > {}",
        done.display()
    );
    session.spawn(agent, shell(&script));
    drop(session);
    home.kill();
    number_in(&done);
    home.start();
    until("they are written", || home.printed(agent) == ["last words"]);
}

#[test]
fn a_flood_delays_no_end_of_another() {
    let mut home = Home::new();
    let mut session = home.session();
    let each = |session: &mut Session, runs: std::ops::Range<u64>| {
        let begun = std::time::Instant::now();
        for run in runs {
            session.spawn(instance(9, run), shell("exit 0"));
            session.end(instance(9, run));
            session.acknowledge(instance(9, run)).unwrap();
        }
        begun.elapsed() / 20
    };
    // How long it takes on this machine, beside whatever else it has to do.
    let before = each(&mut session, 1..21);
    for agent in 1..=4 {
        session.spawn(instance(agent, 1), shell("exec yes flood"));
    }
    let beside = each(&mut session, 21..41);
    let bound = (before * 10).max(std::time::Duration::from_millis(500));
    assert!(beside < bound, "{beside:?} each beside the flood, {before:?} before it");
}
