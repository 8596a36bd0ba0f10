//! When a circuit opens, tests, closes, and for whom.

use super::*;

const TWO_FAILURES: &str = "breaker = { failure_threshold = 2, success_threshold = 1, open_for = '10s' }";

#[tokio::test]
async fn a_circuit_opens_tests_the_provider_and_closes_again() {
    let first = Server::new([Say::status(500), Say::status(502), Say::status(503)]).await;
    let second = Server::new([]).await;
    let world = World::new(&fleet(&[
        ("first", "100", &format!("{}\n{TWO_FAILURES}", url(&first))),
        ("second", "50", &url(&second)),
    ]));
    for _ in 0..5 {
        assert_eq!(world.who().await, "second");
    }
    assert_eq!(first.seen().len(), 2, "an open circuit asks nobody");
    let circuit = world.circuit("do/first");
    assert_eq!(
        (circuit.state.as_str(), circuit.retry_in),
        ("open", Some(stead_model::Span::secs(10)))
    );
    assert_eq!(circuit.last_failure.unwrap().detail, "HTTP 502");
    assert_eq!(circuit.rejected, 3);
    let name = "do".parse().unwrap();
    let skipped = world.capabilities.one(&name, &world.views).unwrap().providers[0]
        .skipped
        .clone();
    assert_eq!(
        skipped.unwrap(),
        "circuit do/first is open for another 10s, since do/first: HTTP 502"
    );

    world.clock.advance(Duration::from_secs(10));
    assert_eq!(world.who().await, "second", "it is tested once, and fails");
    assert_eq!((first.seen().len(), world.state("do/first").as_str()), (3, "open"));

    world.clock.advance(Duration::from_secs(10));
    assert_eq!(world.who().await, "first", "it is tested again, and works");
    assert_eq!(world.state("do/first"), "closed");
}

#[tokio::test]
async fn a_refused_credential_is_tried_once_and_isolates_until_somebody_acts() {
    for status in [401, 402, 403] {
        let first = Server::new([Say::status(status)]).await;
        let second = Server::new([]).await;
        let toml = |key: &str| {
            let more = format!(
                "{}\nretry.max_attempts = 5\nheaders.Authorization.secret = '{key}'",
                url(&first)
            );
            fleet(&[("first", "100", &more), ("second", "50", &url(&second))])
        };
        let world = World::new(&toml("old"));
        assert_eq!(world.who().await, "second");
        world.clock.advance(Duration::from_secs(86_400));
        assert_eq!(world.who().await, "second");
        assert_eq!(first.seen().len(), 1);
        let circuit = world.circuit("do/first");
        assert_eq!((circuit.state.as_str(), circuit.retry_in), ("isolated", None));
        let said = circuit.last_failure.unwrap().detail;
        assert!(said.starts_with(&format!("HTTP {status}, it ")), "{said}");

        world.apply(&toml("old"));
        assert_eq!(world.state("do/first"), "isolated", "nothing has changed");
        world.apply(&toml("new"));
        assert_eq!(world.who().await, "first", "another credential is a reason to try");

        first.then([Say::status(status)]);
        assert_eq!(world.who().await, "second");
        world.capabilities.turn("do/first", CircuitVerb::Reset).unwrap();
        assert_eq!(world.who().await, "first");
    }
}

#[tokio::test]
async fn a_provider_that_says_when_to_come_back_is_left_alone_until_then() {
    let first = Server::new([Say::come_back(429, "retry-after: 3600\r\n")]).await;
    let second = Server::new([]).await;
    let toml = fleet(&[("first", "100", &url(&first)), ("second", "50", &url(&second))]);
    let world = World::new(&toml.replace("retry.max_attempts = 1", "retry.max_attempts = 3"));
    assert_eq!(world.who().await, "second", "nobody waits an hour");
    assert_eq!(first.seen().len(), 1, "nor tries again");
    let circuit = world.circuit("do/first");
    assert_eq!(
        (circuit.state.as_str(), circuit.retry_in),
        ("open", Some(stead_model::Span::secs(3600)))
    );
    world.clock.advance(Duration::from_secs(3599));
    assert_eq!(world.who().await, "second");
    assert_eq!(first.seen().len(), 1);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.who().await, "first");
}

#[tokio::test]
async fn providers_that_name_one_circuit_share_it_across_capabilities() {
    let server = Server::new([Say::status(401)]).await;
    let shared = format!("{}\ncircuit = 'llm/acme/large/key-1'", url(&server));
    let one = fleet(&[("only", "100", &shared)]);
    let other = one.replace("capabilities.do", "capabilities.other");
    let world = World::new(&format!("{one}{other}"));
    assert_eq!(world.who().await, "no-fallback-available");
    let circuits = world.capabilities.circuits();
    assert_eq!(circuits.len(), 1);
    assert_eq!(circuits[0].providers, ["do/only", "other/only"]);
    let other = world.capabilities.one(&"other".parse().unwrap(), &world.views).unwrap();
    assert!(!other.available);
    assert_eq!(
        other.providers[0].skipped.as_deref(),
        Some(
            "circuit llm/acme/large/key-1 is isolated until somebody acts, since do/only: HTTP 401, it refuses the credential"
        )
    );
}

#[tokio::test]
async fn a_reload_keeps_the_circuits_that_stay_and_forgets_those_that_go() {
    let server = Server::new((0..2).map(|_| Say::status(500))).await;
    let only = format!("{}\n{TWO_FAILURES}", url(&server));
    let toml = fleet(&[("only", "100", &only)]);
    let world = World::new(&toml);
    for _ in 0..2 {
        assert_eq!(world.who().await, "no-fallback-available");
    }
    assert_eq!(world.state("do/only"), "open");
    world.apply(&toml.replace("open_for = '10s'", "open_for = '20s'"));
    let kept = world.circuit("do/only");
    assert_eq!((kept.state.as_str(), kept.failed), ("open", 2));
    assert!(kept.last_failure.is_some());
    world.apply(&toml.replace("name = 'only'", "name = 'new'"));
    let names: Vec<_> = world
        .capabilities
        .circuits()
        .into_iter()
        .map(|circuit| circuit.name)
        .collect();
    assert_eq!(names, ["do/new"]);
    world.apply(&toml);
    assert_eq!(world.state("do/only"), "closed");
}

#[tokio::test]
async fn a_circuit_that_is_turned_by_hand_stays_so_until_it_is_reset() {
    let server = Server::new([]).await;
    let world = World::new(&fleet(&[("only", "100", &format!("{}\n{TWO_FAILURES}", url(&server)))]));
    let turn = |verb| world.capabilities.turn("do/only", verb).unwrap();
    let (view, changed) = turn(CircuitVerb::ForceOpen);
    assert_eq!((view.state.as_str(), changed), ("forced_open", true));
    world.clock.advance(Duration::from_secs(86_400));
    let problem = world.ask(json!({})).await.unwrap_err();
    assert_eq!(problem.errors, ["only (primary): circuit do/only was opened by hand"]);
    assert!(server.seen().is_empty());

    turn(CircuitVerb::ForceClose);
    server.then((0..5).map(|_| Say::status(500)));
    for _ in 0..5 {
        assert_eq!(world.who().await, "no-fallback-available");
    }
    assert_eq!(
        (server.seen().len(), world.state("do/only").as_str()),
        (5, "forced_closed")
    );
    assert_eq!(turn(CircuitVerb::Reset).0.state, "closed");
    assert!(!turn(CircuitVerb::Reset).1, "it is closed already");
    assert_eq!(world.who().await, "only");
    let unknown = world.capabilities.turn("do/nobody", CircuitVerb::Reset).unwrap_err();
    assert_eq!(unknown.code, ProblemCode::UnknownCircuit);
}

#[tokio::test]
async fn what_does_not_hold_together_changes_nothing() {
    let server = Server::new([]).await;
    let world = World::new(&fleet(&[("only", "100", &url(&server))]));
    let mut specs = Specs::new();
    let spec = json!({ "providers": [{ "name": "a", "url": "ftp://h" }] });
    specs.insert("do".parse().unwrap(), serde_json::from_value(spec).unwrap());
    let refused = world.capabilities.configure(&Namespace::default(), &specs).unwrap_err();
    assert!(
        refused.contains("capability do: `url` must begin with http://"),
        "{refused}"
    );
    assert_eq!(world.who().await, "only");
}
