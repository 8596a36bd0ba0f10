//! What can be asked of the fleet, as it is written.

use super::*;

const ONE: &str = "[[capabilities.do.providers]]\nname = 'one'\nurl = 'http://127.0.0.1:1/'\n";

#[test]
fn what_is_not_said_has_its_default() {
    let fleet = parse(ONE).unwrap();
    let spec = &fleet.capabilities[&"do".parse().unwrap()];
    assert_eq!(spec.deadline, Span::secs(30));
    assert!(spec.parameters.is_none() && spec.description.is_none());
    let provider = &spec.providers[0];
    assert_eq!(provider.level, stead_model::Level::PRIMARY);
    assert_eq!(provider.circuit_in(&"do".parse().unwrap()), "do/one");
    assert!(provider.agent.is_none() && provider.breaker.is_none() && provider.timeout.is_none());
    assert_eq!(
        (provider.retry.max_attempts, provider.retry.base),
        (2, Span::millis(200))
    );
    assert_eq!((spec.budget.burst, spec.budget.per_second), (10, 1));
}

#[test]
fn every_mistake_is_told_where_it_stands() {
    let shown = problems(
        "[capabilities.do]\ndeadline = '0s'\nbudget.ratio = 11.0\nparameters = { type = 'objekt' }\ndescripton = 'x'\n\
         [[capabilities.do.providers]]\nname = 'one'\nurl = 'https://ada:hunter2@example.org/'\nlevel = 'last'\n\
         [[capabilities.do.providers]]\nname = 'one'\nurl = 'http://127.0.0.1:1/'\nagent = 'wbe'\nlevel = 0\n\
         [agents.web]\ncommand = ['x']\n",
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn what_does_not_fit_together_is_told_where_it_stands() {
    let shown = problems(
        "[capabilities.do]\ndeadline = '2h'\nbudget.ratio = 11.0\nparameters = { type = 'objekt' }\n\
         [[capabilities.do.providers]]\nname = 'one'\nurl = 'https://example.org/'\nagent = 'wbe'\ncircuit = 'a b'\n\
         breaker = { failure_threshold = 3, open_for = '0s' }\nretry.max_attempts = 11\ntimeout = '0s'\nheaders = { 'a b' = 'x' }\n\
         [[capabilities.do.providers]]\nname = 'one'\nurl = 'http://127.0.0.1:1/'\nbreaker.ramp.steps = [50, 100]\n\
         [capabilities.none]\nproviders = []\n\
         [agents.web]\ncommand = ['x']\n",
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn a_circuit_that_is_told_two_things_is_refused_where_the_second_stands() {
    let provider = |capability: &str, breaker: &str| {
        format!(
            "[[capabilities.{capability}.providers]]\nname = 'one'\nurl = 'http://127.0.0.1:1/'\ncircuit = 'llm/a/b'\n{breaker}\n"
        )
    };
    let three = provider("a", "breaker.failure_threshold = 3");
    assert!(parse(&format!("{three}{}", provider("b", ""))).is_ok());
    assert!(parse(&format!("{three}{}", three.replace(".a.", ".b."))).is_ok());
    let shown = problems(&format!("{three}{}", provider("b", "breaker.failure_threshold = 4")));
    insta::assert_snapshot!(shown);
}

#[test]
fn secrets_of_headers_are_in_no_message_and_paths_of_their_files_start_at_the_fleet_file() {
    let text = format!("{ONE}headers = {{ A = {{ secrte = 'hunter2' }}, B = {{ file = 'key' }} }}\n");
    let shown = problems(&text);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(!masked(&text).contains("hunter2"));
    let fleet = parse(&text.replace("A = { secrte = 'hunter2' }, ", "")).unwrap();
    let headers = &fleet.capabilities[&"do".parse().unwrap()].providers[0].headers;
    let file = "/srv/key".to_owned();
    assert_eq!(headers["B"], EnvValue::File { file });
}

#[test]
fn the_hash_changes_with_a_capability_and_not_with_its_secrets() {
    let hash = |text: &str| parse(text).unwrap().hash;
    let with = |secret: &str| format!("{ONE}headers.A.secret = '{secret}'\n");
    assert_eq!(hash(&with("one")), hash(&with("two")));
    assert_ne!(hash(ONE), hash(&with("one")));
    assert_ne!(hash(ONE), hash(""));
}
