//! Orders that are sent ahead: made ready, and begun by nobody but who is asked to.

use stead_keeper::wire::{MOST_FORESEEN, Refusal, Reply, Request};
use stead_model::Exit;

use crate::home::{Home, Shorthand, instance, order, shell, spawn_order, until};

#[test]
fn what_is_foreseen_does_not_run_before_it_is_begun_and_then_runs_once() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    let born = home.path().join("born");
    let script = format!("echo x >> {}; exec sleep 1000", born.display());
    session.foresee(spawn_order(agent, shell(&script))).unwrap();
    assert_eq!(session.list().unwrap(), []);
    assert!(!home.made_for(agent).is_empty(), "it is ready");
    assert!(!born.exists());
    let begun = session.ask(Request::Begin { instance: agent }).unwrap();
    assert!(matches!(begun, Reply::Spawned { instance, .. } if instance == agent));
    until("it runs", || born.exists());
    assert_eq!(session.ask(Request::Begin { instance: agent }).unwrap(), begun);
    assert_eq!(std::fs::read_to_string(born).unwrap(), "x\n");
}

#[test]
fn nothing_is_begun_that_was_not_foreseen() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    assert_eq!(session.refused(Request::Begin { instance: agent }), Refusal::Unforeseen);
    // What stands against it is told when it is ordered whole.
    session
        .foresee(spawn_order(agent, crate::home::command(&["/no/such/program"])))
        .unwrap();
    assert_eq!(session.refused(Request::Begin { instance: agent }), Refusal::Unforeseen);
}

#[test]
fn an_order_that_is_given_whole_counts_although_another_was_foreseen() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    session.foresee(spawn_order(agent, shell("exit 3"))).unwrap();
    session.spawn(agent, shell("exit 4"));
    assert_eq!(session.end(agent).exit, Exit::Code { code: 4 });
}

#[test]
fn what_was_foreseen_is_gone_with_its_session() {
    let mut home = Home::new();
    let session = home.session();
    let agent = instance(1, 1);
    session.foresee(spawn_order(agent, shell("exit 3"))).unwrap();
    until("it is ready", || !home.made_for(agent).is_empty());
    drop(session);
    let mut session = home.session();
    assert_eq!(session.refused(Request::Begin { instance: agent }), Refusal::Unforeseen);
    assert_eq!(home.made_for(agent), [""; 0]);
    session.spawn(agent, shell("exit 4"));
    assert_eq!(session.end(agent).exit, Exit::Code { code: 4 });
}

#[test]
fn a_keeper_that_is_killed_after_it_made_ready_has_started_nothing() {
    let mut home = Home::new();
    let mut session = home.session();
    let agent = instance(1, 1);
    session.foresee(spawn_order(agent, shell("exec sleep 1000"))).unwrap();
    session.list().unwrap();
    home.kill();
    home.start();
    let mut session = home.session();
    assert_eq!(session.list().unwrap(), []);
    assert_eq!(home.made_for(agent), [""; 0]);
    session.spawn(agent, shell("exec sleep 1000"));
}

#[test]
fn more_than_can_be_foreseen_is_ordered_whole() {
    let mut home = Home::new();
    let mut session = home.session();
    let agents: Vec<_> = (1..=MOST_FORESEEN as u64 + 1).map(|agent| instance(agent, 1)).collect();
    for agent in &agents {
        session.foresee(spawn_order(*agent, shell("exit 0"))).unwrap();
    }
    let last = agents[MOST_FORESEEN];
    assert_eq!(session.refused(Request::Begin { instance: last }), Refusal::Unforeseen);
    session.ask(order(last, shell("exit 0"))).unwrap();
    assert!(session.end(last).exit.success());
}
