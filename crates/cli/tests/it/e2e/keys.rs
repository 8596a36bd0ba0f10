//! Idempotency keys: a request that is repeated is done once and answered as before.

use super::fleet::Fleet;
use super::http::{self, Answer};

const TWO: &str = "
[agents.one]
command = ['sleep', '100000']
[agents.two]
command = ['sleep', '100000']
[agents.three]
command = ['sleep', '100000']
";

#[track_caller]
fn keyed(fleet: &Fleet, key: &str, path: &str, body: &str) -> Answer {
    let answer = http::ask(fleet.at(), "POST", path, &[("Idempotency-Key", key)], body);
    answer.unwrap_or_else(|| panic!("nobody answers POST {path}\n{}", fleet.log()))
}

fn of(agent: &str, verb: &str) -> String {
    format!("/api/v1/agents/{agent}/lifecycle/{verb}")
}

#[test]
fn a_repeated_request_is_answered_as_before_also_by_the_next_daemon_and_another_one_is_refused() {
    let mut fleet = Fleet::of(TWO);
    fleet.up();
    fleet.until_all(3, "online");
    let asked = [("stop", "{}"), ("start", "{\"reason\": \"it was stopped\"}")];
    let first: Vec<Answer> = asked
        .iter()
        .map(|(verb, body)| keyed(&fleet, verb, &of("one", verb), body))
        .collect();
    // One that changes nothing is answered once, too, whatever has changed since.
    let already = keyed(&fleet, "already", &of("two", "start"), "{}");
    assert_eq!(already.status, 202, "{already:?}");
    fleet.must(&["stop", "two", "--wait"]);
    fleet.until_agent("one", |agent| agent["phase"] == "online" && agent["incarnation"] == 2);
    for life in 0..2 {
        if life == 1 {
            fleet.kill_daemon();
            fleet.up();
        }
        for ((verb, body), first) in asked.iter().zip(&first) {
            let again = keyed(&fleet, verb, &of("one", verb), body);
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{verb}");
        }
        let again = keyed(&fleet, "already", &of("two", "start"), "{}");
        assert_eq!(again.body, already.body);
        for (path, body) in [
            (of("one", "stop"), "{\"reason\": \"another\"}"),
            (of("one", "pause"), "{}"),
            (of("two", "stop"), "{}"),
            (of("three", "stop"), "{}"),
        ] {
            let refused = keyed(&fleet, "stop", &path, body);
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (422, "idempotency-key-reused"),
                "{path} {body}"
            );
        }
        let phases = ["one", "two", "three"].map(|name| fleet.agent(name)["phase"].clone());
        assert_eq!(phases, ["online", "offline", "online"]);
        assert_eq!(fleet.agent("one")["incarnation"], 2);
    }
}

#[test]
fn of_a_hundred_requests_with_one_key_at_once_one_has_an_effect() {
    let mut fleet = Fleet::of(TWO);
    fleet.up();
    fleet.until_all(3, "online");
    let fleet = &fleet;
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let ask = |number: usize| {
            // Every fifth of them is about somebody else, in another slot.
            let agent = if number % 5 == 4 { "two" } else { "one" };
            scope.spawn(move || keyed(fleet, "same", &of(agent, "restart"), "{}"))
        };
        let asking: Vec<_> = (0..100).map(ask).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let (taken, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 202);
    assert!(taken.len() == 80 || taken.len() == 20, "{} were taken", taken.len());
    assert!(taken.iter().all(|answer| answer.body == taken[0].body));
    assert!(refused.iter().all(|answer| answer.code() == "idempotency-key-reused"));
    let worked = taken[0].json()["name"].as_str().unwrap().to_owned();
    fleet.until_agent(&worked, |agent| agent["phase"] == "online" && agent["incarnation"] == 2);
    let other = if worked == "one" { "two" } else { "one" };
    assert_eq!(fleet.agent(other)["incarnation"], 1);
}
