pub(crate) mod server;

mod agents;
mod circuits;

use std::path::Path;

use serde_json::json;
use stead_resilience::Virtual;

use self::server::{Say, Server, nobody};
use super::*;
use crate::config::Fleet;

/// Capabilities on a clock that is moved by hand, in front of real servers.
struct World {
    capabilities: Capabilities,
    views: Views,
    clock: Virtual,
}

impl World {
    /// With the capabilities of a fleet file.
    fn new(toml: &str) -> Self {
        let clock = Virtual::new();
        let world = Self {
            capabilities: Capabilities::with_clock(clock.any()),
            views: Views::default(),
            clock,
        };
        world.apply(toml);
        world
    }

    fn apply(&self, toml: &str) {
        let fleet = Fleet::parse(toml, Path::new("/srv/fleet.toml"), &|_| None);
        let fleet = fleet.unwrap_or_else(|wrong| panic!("{}", crate::config::Diagnostic::render_all(&wrong)));
        self.capabilities
            .configure(&fleet.namespace, &fleet.capabilities)
            .unwrap();
    }

    /// Asks `do` within 30 s.
    async fn ask(&self, parameters: Value) -> Result<Served, Problem> {
        let until = self.capabilities.until(Duration::from_secs(30));
        self.ask_until(parameters, until).await
    }

    async fn ask_until(&self, parameters: Value, until: Deadline) -> Result<Served, Problem> {
        let asked = Asked {
            body: parameters.to_string().into(),
            parameters,
            correlation_id: "c-1".into(),
            idempotency_key: "k-1".into(),
        };
        let name = "do".parse().unwrap();
        let answer = self.capabilities.invoke(&name, asked, until, &self.views);
        let answer = tokio::time::timeout(Duration::from_secs(60), answer).await;
        answer.expect("it never ends")
    }

    /// Asks, and says who answered; of those who refuse, their status.
    async fn who(&self) -> String {
        match self.ask(json!({})).await {
            Ok(served) => served.provider.to_string(),
            Err(problem) => problem.code.to_string(),
        }
    }

    fn circuit(&self, name: &str) -> CircuitView {
        let circuits = self.capabilities.circuits();
        circuits.into_iter().find(|circuit| circuit.name == name).unwrap()
    }

    fn state(&self, circuit: &str) -> String {
        self.circuit(circuit).state
    }
}

/// A capability `do` with providers, each a name, a level and further lines; none is tried twice unless it says so.
fn fleet(providers: &[(&str, &str, &str)]) -> String {
    let mut toml = "[capabilities.do]\n".to_owned();
    for (name, level, more) in providers {
        let retry = if more.contains("retry") {
            ""
        } else {
            "retry.max_attempts = 1\n"
        };
        toml.push_str(&format!(
            "[[capabilities.do.providers]]\nname = '{name}'\nlevel = {level}\n{retry}{more}\n"
        ));
    }
    toml
}

fn url(server: &Server) -> String {
    format!("url = '{}'", server.url())
}

#[tokio::test]
async fn the_most_preferred_provider_answers_and_the_answer_says_who_it_was() {
    let (low, high) = (Server::new([]).await, Server::new([]).await);
    let world = World::new(&fleet(&[("low", "70", &url(&low)), ("high", "'primary'", &url(&high))]));
    let served = world.ask(json!({ "text": "x" })).await.unwrap();
    assert_eq!((served.provider.as_str(), served.level), ("high", Level::PRIMARY));
    assert_eq!(served.answer.status.as_u16(), 200);
    assert_eq!(&served.answer.body[..], br#"{"said":200}"#);
    assert_eq!((high.seen().len(), low.seen().len()), (1, 0));
    let request = high.seen().remove(0);
    assert!(request.starts_with("POST /v1/do?key=hunter2 HTTP/1.1\r\n"), "{request}");
    for line in [
        "x-request-timeout-ms: 15000",
        "x-correlation-id: c-1",
        "idempotency-key: k-1",
        "content-type: application/json",
    ] {
        assert!(request.contains(&format!("{line}\r\n")), "{line} in {request}");
    }
    assert!(request.ends_with(r#"{"text":"x"}"#), "{request}");
}

#[tokio::test]
async fn a_call_falls_through_three_levels_to_the_first_that_answers() {
    let (first, second, third) = (
        Server::new([Say::status(500)]).await,
        Server::new([Say::Reset]).await,
        Server::new([]).await,
    );
    let world = World::new(&fleet(&[
        ("first", "'primary'", &url(&first)),
        ("second", "'fallback'", &url(&second)),
        ("third", "'emergency'", &url(&third)),
    ]));
    let served = world.ask(json!({})).await.unwrap();
    assert_eq!((served.provider.as_str(), served.level), ("third", Level::EMERGENCY));
    assert_eq!([&first, &second, &third].map(|server| server.seen().len()), [1, 1, 1]);
}

#[tokio::test]
async fn where_nobody_answers_each_reason_is_told() {
    let first = Server::new([Say::come_back(503, "retry-after: 90\r\n")]).await;
    let second = Server::new([Say::Reset]).await;
    let gone = nobody().await;
    let world = World::new(&fleet(&[
        ("first", "'primary'", &url(&first)),
        ("second", "'fallback'", &url(&second)),
        ("third", "10", &format!("url = 'http://127.0.0.1:{gone}/'")),
    ]));
    let problem = world.ask(json!({})).await.unwrap_err();
    assert_eq!(problem.code, ProblemCode::NoFallbackAvailable);
    assert_eq!(problem.retry_after, Some(90));
    let [one, two, three] = problem.errors.try_into().unwrap();
    assert_eq!(one, "first (primary): HTTP 503, it asks to come back in 1m 30s");
    assert!(two.starts_with("second (fallback): "), "{two}");
    assert_eq!(three, "third (emergency): Connection refused");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_anybody_is_asked_and_counts_for_no_circuit() {
    let server = Server::new([]).await;
    let world = World::new(&format!(
        "[capabilities.do.parameters]\ntype = 'object'\nrequired = ['text']\nproperties.text = {{ type = 'string', maxLength = 3 }}\n{}",
        fleet(&[("only", "100", &url(&server))]).replace("[capabilities.do]\n", "")
    ));
    for wrong in [json!({}), json!({ "text": "long" }), json!([])] {
        let problem = world.ask(wrong).await.unwrap_err();
        assert_eq!(problem.code, ProblemCode::InvalidParameters);
        assert_eq!(problem.errors.len(), 1, "{problem:?}");
    }
    assert!(server.seen().is_empty());
    assert_eq!(world.circuit("do/only").failed, 0);
    assert!(world.ask(json!({ "text": "abc" })).await.is_ok());
}

#[tokio::test]
async fn a_mistake_of_the_asker_is_answered_as_it_is_and_counts_for_no_circuit() {
    let (first, second) = (
        Server::new((0..10).map(|_| Say::status(404))).await,
        Server::new([]).await,
    );
    let world = World::new(&fleet(&[
        ("first", "100", &url(&first)),
        ("second", "50", &url(&second)),
    ]));
    for _ in 0..10 {
        let served = world.ask(json!({})).await.unwrap();
        assert_eq!(
            (served.provider.as_str(), served.answer.status.as_u16()),
            ("first", 404)
        );
        assert_eq!(&served.answer.body[..], br#"{"said":404}"#);
    }
    assert!(second.seen().is_empty());
    let circuit = world.circuit("do/first");
    assert_eq!((circuit.state.as_str(), circuit.failed), ("closed", 0));
}

#[tokio::test]
async fn a_provider_that_hangs_leaves_the_others_their_share_of_the_deadline() {
    let mut hanging = Server::new([Say::Hang]).await;
    let other = Server::new([]).await;
    let world = World::new(&fleet(&[
        ("hanging", "100", &url(&hanging)),
        ("other", "50", &url(&other)),
    ]));
    let (served, ()) = tokio::join!(world.ask(json!({})), async {
        hanging.until_asked(1).await;
        world.clock.advance(Duration::from_secs(15));
    });
    assert_eq!(served.unwrap().provider.as_str(), "other");
    assert!(
        hanging.seen()[0].contains("x-request-timeout-ms: 15000\r\n"),
        "{:?}",
        hanging.seen()
    );
    assert!(
        other.seen()[0].contains("x-request-timeout-ms: 15000\r\n"),
        "{:?}",
        other.seen()
    );
    let last = world.circuit("do/hanging").last_failure.unwrap();
    assert_eq!(last.detail, "no answer within 15s");
}

#[tokio::test]
async fn a_timeout_of_its_own_is_for_one_try() {
    let mut hanging = Server::new([Say::Hang]).await;
    let world = World::new(&fleet(&[(
        "only",
        "100",
        &format!("{}\ntimeout = '2s'", url(&hanging)),
    )]));
    let (served, ()) = tokio::join!(world.ask(json!({})), async {
        hanging.until_asked(1).await;
        world.clock.advance(Duration::from_secs(2));
    });
    assert_eq!(served.unwrap_err().errors, ["only (primary): no answer within 2s"]);
}

#[tokio::test]
async fn a_deadline_that_has_passed_asks_nobody() {
    let server = Server::new([]).await;
    let world = World::new(&fleet(&[("only", "100", &url(&server))]));
    let until = world.capabilities.until(Duration::ZERO);
    let problem = world.ask_until(json!({}), until).await.unwrap_err();
    assert_eq!(problem.errors, ["only (primary): not asked: the deadline has passed"]);
    assert!(server.seen().is_empty());
    assert_eq!(world.circuit("do/only").failed, 0);
}

#[tokio::test]
async fn every_try_of_a_call_carries_one_key_and_the_budget_bounds_tries() {
    let server = Server::new((0..3).map(|_| Say::status(500))).await;
    let only = format!(
        "{}\nretry = {{ max_attempts = 3, base = '1ms', max = '1ms' }}",
        url(&server)
    );
    // On the real clock, as waits must end by themselves.
    let world = World {
        capabilities: Capabilities::default(),
        ..World::new("")
    };
    let toml = fleet(&[("only", "100", &only)]).replace(
        "[capabilities.do]\n",
        "[capabilities.do]\nbudget = { burst = 2, per_second = 0, ratio = 0.0 }\n",
    );
    world.apply(&toml);
    let problem = world.ask(json!({})).await.unwrap_err();
    assert_eq!(problem.errors, ["only (primary): HTTP 500, 3 tries"]);
    let seen = server.seen();
    assert!(seen.len() == 3 && seen.iter().all(|request| request.contains("idempotency-key: k-1\r\n")));
    server.then([Say::status(500)]);
    let problem = world.ask(json!({})).await.unwrap_err();
    assert_eq!(problem.errors, ["only (primary): HTTP 500"], "the budget is used up");
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn secrets_go_to_the_provider_and_are_shown_nowhere() {
    let server = Server::new([]).await;
    let secret = "headers = { Authorization = { secret = 'Bearer hunter2' }, X-Team = 'blue' }";
    let world = World::new(&fleet(&[("only", "100", &format!("{}\n{secret}", url(&server)))]));
    assert_eq!(world.who().await, "only");
    let request = server.seen().remove(0);
    assert!(request.contains("authorization: Bearer hunter2\r\n") && request.contains("x-team: blue\r\n"));
    let shown = serde_json::to_string(&world.capabilities.list(&world.views)).unwrap();
    assert!(!shown.contains("hunter2") && shown.contains("/v1/do"), "{shown}");
}

#[tokio::test]
async fn a_header_is_read_from_its_file_at_each_call_and_one_that_is_not_there_is_nobodys_failure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let server = Server::new([]).await;
    let world = World::new(&fleet(&[(
        "only",
        "100",
        &format!("{}\nheaders.Authorization.file = '{}'", url(&server), file.display()),
    )]));
    let problem = world.ask(json!({})).await.unwrap_err();
    assert!(
        problem.errors[0].contains("`Authorization` cannot be read"),
        "{problem:?}"
    );
    assert_eq!(world.circuit("do/only").failed, 0);
    std::fs::write(&file, "Bearer one\n").unwrap();
    assert_eq!(world.who().await, "only");
    assert!(server.seen()[0].contains("authorization: Bearer one\r\n"));
}
