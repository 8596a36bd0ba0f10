//! Waiting: until it is so, until it cannot be so, until the time is over.

use crate::daemon::Daemon;

#[test]
fn what_is_so_already_is_not_waited_for() {
    let daemon = Daemon::start();
    for goal in ["phase=online", "health=healthy", "intent=running", "ready"] {
        daemon.stead().args(["wait", "web-1", "--for", goal]).assert().code(0);
    }
    daemon
        .stead()
        .args(["wait", "-l", "team=red", "--for", "ready"])
        .assert()
        .code(0);
}

#[test]
fn what_never_comes_ends_with_6_and_says_whom_to_ask() {
    let daemon = Daemon::start();
    let done = daemon
        .stead()
        .args(["wait", "web-1", "--for", "phase=offline", "--timeout", "100ms"])
        .assert()
        .code(6);
    let told = String::from_utf8_lossy(&done.get_output().stderr).into_owned();
    assert!(
        told.contains("web-1: online") && told.contains("stead why web-1"),
        "{told}"
    );
}

#[test]
fn a_phase_that_no_lifecycle_has_is_refused_at_once() {
    let daemon = Daemon::start();
    let done = daemon
        .stead()
        .args(["wait", "web-1", "--for", "phase=runing"])
        .assert()
        .code(2);
    let told = String::from_utf8_lossy(&done.get_output().stderr).into_owned();
    assert!(told.contains("`runing` is not known"), "{told}");
}

#[test]
fn an_agent_that_goes_is_waited_for_until_it_is_gone() {
    let daemon = Daemon::start();
    daemon
        .stead()
        .args(["wait", "fading", "--for", "deleted", "--timeout", "30s"])
        .assert()
        .code(0);
}

#[test]
fn an_agent_that_was_never_there_is_not_waited_for() {
    let daemon = Daemon::start();
    daemon
        .stead()
        .args(["wait", "web-9", "--for", "ready"])
        .assert()
        .code(4);
}

#[test]
fn a_verb_that_waits_tells_when_its_aim_is_not_reached_in_time() {
    let daemon = Daemon::start();
    let stop = ["stop", "web-1", "--wait", "--timeout", "100ms"];
    daemon
        .stead()
        .args(stop)
        .assert()
        .code(6)
        .stdout("web-1: stop accepted, online\n");
    daemon.stead().args(["start", "web-1", "--wait"]).assert().code(0);
}
