mod bounds;
mod capabilities;
mod examples;
mod features;
mod replicas;
mod schema;
mod shape;

use std::path::PathBuf;

use proptest::prelude::*;
use stead_model::spec::{Condition, EnvValue};
use stead_model::{Driver, Span, profile};

use super::*;

fn env(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("8123".to_owned()),
        "API_KEY" => Some("hunter2".to_owned()),
        _other => None,
    }
}

fn parse(text: &str) -> Result<Fleet, Vec<Diagnostic>> {
    Fleet::parse(text, Path::new("/srv/fleet.toml"), &env)
}

/// The problems as people see them.
fn problems(text: &str) -> String {
    Diagnostic::render_all(&parse(text).unwrap_err())
}

fn names(fleet: &Fleet) -> Vec<&str> {
    fleet.agents.iter().map(|agent| agent.name.as_str()).collect()
}

fn process<'f>(fleet: &'f Fleet, name: &str) -> &'f stead_model::spec::ProcessSpec {
    match &fleet
        .agents
        .iter()
        .find(|agent| agent.name.as_str() == name)
        .unwrap()
        .spec
        .driver
    {
        Driver::Process(process) => process,
        Driver::None => panic!("{name} is no process"),
    }
}

#[test]
fn an_empty_file_is_an_empty_fleet() {
    let fleet = parse("").unwrap();
    assert_eq!(
        (fleet.namespace, fleet.daemon),
        (Namespace::default(), DaemonSettings::default())
    );
    assert!(fleet.agents.is_empty());
}

#[test]
fn agents_come_after_those_that_they_wait_for_and_else_as_in_the_file() {
    let fleet = parse(
        "[agents.web]\ncommand = ['x']\ndepends_on = { db = 'healthy' }\n[agents.alone]\ncommand = ['x']\n\
         [components.db]\ncommand = ['x']\ndepends_on.setup = 'completed'\n[agents.setup]\ncommand = ['x']\nrestart.policy = 'never'\n",
    )
    .unwrap();
    assert_eq!(names(&fleet), ["alone", "setup", "db", "web"]);
    assert_eq!(
        fleet.agents.iter().map(|agent| agent.line).collect::<Vec<_>>(),
        [4, 9, 6, 1]
    );
    assert_eq!(fleet.agents[2].spec.profile, "component");
    assert_eq!(
        fleet.agents[3].spec.depends_on.values().collect::<Vec<_>>(),
        [&Condition::Healthy]
    );
}

#[test]
fn profiles_of_a_file_are_those_of_the_model() {
    let built_in = [profile::agent(), profile::agent_original(), profile::component()];
    assert_eq!(
        crate::config::shape::BUILT_IN,
        built_in.each_ref().map(|profile| profile.name())
    );
}

#[test]
fn relative_paths_start_at_the_file_and_programs_at_the_agents_folder() {
    let fleet = parse(
        "[daemon]\nstate_dir = 'state'\n[agents.a]\ncommand = ['./run.sh']\ndir = './work'\nenv.K = { file = 'k' }\n\
         probes.liveness = { exec = { command = ['bin/check'] } }\n[agents.b]\ncommand = ['python3', './x.py']\n",
    )
    .unwrap();
    let (a, b) = (process(&fleet, "a"), process(&fleet, "b"));
    assert_eq!(
        (a.command[0].as_str(), a.dir.as_deref()),
        ("/srv/work/run.sh", Some("/srv/work"))
    );
    assert_eq!(a.env["K"], EnvValue::File { file: "/srv/k".into() });
    assert!(format!("{:?}", fleet.agents[0].spec.probes.liveness).contains("\"/srv/work/bin/check\""));
    assert_eq!(
        (b.command[0].as_str(), b.command[1].as_str(), b.dir.as_deref()),
        ("python3", "./x.py", Some("/srv"))
    );
    assert_eq!(fleet.daemon.state_dir.as_deref(), Some("/srv/state"));
}

#[test]
fn the_environment_fills_texts_and_numbers() {
    let fleet = parse(
        "[agents.a]\ncommand = ['x', '--port=${PORT}', '$$PATH']\nenv = { K = { secret = '${API_KEY}' }, E = '${NO:-none}' }\n\
         probes.readiness = { tcp_socket = { port = '${PORT}' }, period_seconds = '${NO:-2500ms}' }\nnotify = '${NO:-true}'\n",
    )
    .unwrap();
    let a = process(&fleet, "a");
    assert_eq!(a.command, ["x", "--port=8123", "$PATH"]);
    assert_eq!(
        a.env["K"],
        EnvValue::Secret {
            secret: "hunter2".into()
        }
    );
    assert_eq!(a.env["E"], EnvValue::Plain("none".into()));
    assert!(a.notify);
    let shown = format!("{:?}", fleet.agents[0].spec.probes.readiness);
    assert!(
        shown.contains("port: 8123") && shown.contains("Seconds(2.5s)"),
        "{shown}"
    );
}

#[test]
fn defaults_lie_beneath_each_agent() {
    let fleet = parse(
        "[defaults]\nstop.grace = '3s'\nenv = { A = 'default', B = 'default' }\nrestart.backoff = { initial = '2s', max = '9s' }\n\
         depends_on = { a = 'started' }\nprobes.liveness = { tcp_socket = { port = 1 } }\n\
         [agents.a]\ncommand = ['x']\nenv.A = { secret = 'own' }\nrestart.backoff.initial = '4s'\nstop.signal = 'INT'\n\
         probes.liveness = { exec = { command = ['true'] } }\n[agents.b]\ndriver = 'none'\n",
    )
    .unwrap();
    let a = process(&fleet, "a");
    assert_eq!(
        (a.stop.grace, a.stop.signal.to_string()),
        (Span::secs(3), "SIGINT".to_owned())
    );
    assert_eq!(a.env["A"], EnvValue::Secret { secret: "own".into() });
    assert_eq!(a.env["B"], EnvValue::Plain("default".into()));
    let [first, second] = &fleet.agents[..] else {
        panic!("two agents")
    };
    assert_eq!(
        (first.spec.restart.backoff.initial, first.spec.restart.backoff.max),
        (Span::secs(4), Span::secs(9))
    );
    assert!(first.spec.depends_on.is_empty(), "nobody waits for itself by default");
    assert_eq!((second.name.as_str(), &second.spec.driver), ("b", &Driver::None));
    assert_eq!(
        (second.spec.restart.backoff.initial, second.spec.depends_on.len()),
        (Span::secs(2), 1)
    );
}

#[test]
fn the_hash_changes_with_the_content_and_not_with_layout_order_or_secrets() {
    let hash = |text: &str| parse(text).unwrap().hash;
    let one = hash("[agents.a]\ncommand = ['x']\n[agents.b]\ncommand = ['y']\nenv.K = { secret = 'one' }\n");
    assert_eq!(
        one,
        hash("# same\n[agents.b]\nenv.K.secret = 'two'\ncommand = ['y']\n[agents]\na = { command = [\"x\"] }\n")
    );
    assert_ne!(
        one,
        hash("[agents.a]\ncommand = ['x']\n[agents.b]\ncommand = ['z']\nenv.K = { secret = 'one' }\n")
    );
}

#[test]
fn every_mistake_of_a_file_is_told_at_once_with_its_place() {
    let shown = problems(
        r#"namespace = "my fleet"
agnets = {}

[daemon]
listen = "0.0.0.0:7878"

[defaults]
command = ["sleep"]
restart = { policy = "on-failures" }

[agents.indexer]
comand = ["python3", "indexer.py"]
driver = "process"
watchdog = 30
stop = { grace = "10", signal = "SIGTREM" }
env = { PORT = 8080, TOKEN = { secrt = "hunter2" }, "A=B" = "x" }

[agents.search]
command = "python3 search.py"
depends_on = { indxer = "completed", search = "healthy", indexer = "done" }

[agents.search.probes.readiness]
http_get = { prot = 8080, path = "/ready" }
tcp_socket = { port = 70000 }
period = 5

[agents.reporter]
command = ["python3"]
profile = "agnet"
limits = { open_files = -1, address_space = "lots" }
logs = { files = 0 }
dir = "${REPORTS}/today"
watchdog = "5s"

[agents."bad name"]
command = []
driver = "process"

[agents.again]
command = ["x"]

[components.again]
command = ["x"]
profile = "agent"
"#,
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn what_makes_no_sense_is_told_beside_what_cannot_be_read() {
    let mistakes = [
        // Of one table two that are only seen once all of it could be read, beside one that cannot be.
        (
            "[retention.events]\nrows = 0\nage = 5\n",
            vec![(2, "must be at least 1"), (3, "expected a text")],
        ),
        (
            "[daemon]\nlisten = '0.0.0.0:1'\nwatch = 'no'\n",
            vec![(2, "no token is asked for"), (3, "expected `true` or `false`")],
        ),
        (
            "[agents.b]\ncommand = ['x']\nrestart.intensity.max = 0\nlogs.files = 0\nfoo = 1\n",
            vec![
                (3, "`restart.intensity.max` must be at least 1"),
                (4, "`logs.files` must be at least 1"),
                (5, "unknown key `foo`"),
            ],
        ),
        (
            "[agents.b]\nhealth = { loop_rounds = 1,\ntimeout = '5s', interval = '10s' }\n",
            vec![
                (2, "`health.loop_rounds` must be at least 2"),
                (3, "must be less than `health.timeout`"),
            ],
        ),
        (
            "[policies.p]\nprofile = 'nope'\nrequire_role = 'king'\nrate_limit.max = 0\nrate_limit.per = '0s'\n",
            vec![
                (2, "there is no profile `nope`"),
                (3, "unknown value `king`"),
                (4, "`rate_limit.max` must be"),
                (5, "`rate_limit.per` must be"),
            ],
        ),
        // What follows from what was taken away is not told.
        ("[agents.b]\ncommand = 'x'\ndir = 'd'\n", vec![(2, "expected a list")]),
        (
            "[agents.b]\ncommand = ['x']\nnotify = 'ja'\nwatchdog = '5s'\n",
            vec![(3, "expected `true` or `false`")],
        ),
    ];
    for (text, expected) in mistakes {
        let told = parse(text).unwrap_err();
        let shown = Diagnostic::render_all(&told);
        assert_eq!(told.len(), expected.len(), "{text}{shown}");
        for (problem, (line, words)) in told.iter().zip(expected) {
            assert_eq!(problem.line, line, "{shown}");
            assert!(problem.message.contains(words), "{shown}");
        }
    }
}

#[test]
fn values_that_nobody_can_mean_are_refused_where_they_stand_with_what_to_do() {
    let agent = "[agents.a]\ncommand = ['x']\n";
    for (rest, column, words) in [
        (
            "probes.liveness = { tcp_socket = { port = 0 } }",
            36,
            "`probes.liveness.tcp_socket.port` must be at least 1",
        ),
        (
            "probes.liveness = { tcp_socket = { port = 1 }, period_seconds = 0 }",
            48,
            "`period_seconds` must be at least 0.1",
        ),
        (
            "probes.startup.http_get = { port = 1, path = 'no slash' }",
            39,
            "is no path",
        ),
        ("restart.final_exit_codes = [300]", 9, "has 300, which is no exit code"),
        ("limits.open_files = 0", 8, "`limits.open_files` must be at least 1"),
        (
            "lifecycle = { port = 1, host = 'a b' }",
            25,
            "is `a b`, which is no host",
        ),
        ("type = ''", 1, "`type` is empty"),
        ("dir = ''", 1, "`dir` is empty"),
        ("labels = { 'a b' = 'c' }", 1, "label `a b`"),
    ] {
        let told = parse(&format!("{agent}{rest}\n")).unwrap_err();
        let shown = Diagnostic::render_all(&told);
        assert_eq!((told.len(), told[0].line, told[0].column), (1, 3, column), "{shown}");
        let says_what_to_do = told[0].help.is_some() || told[0].message.contains("must be at least");
        assert!(told[0].message.contains(words) && says_what_to_do, "{shown}");
    }
    let together = parse(
        "[agents.a]\ncommand = ['x']\nlifecycle = { port = 8080 }\n[agents.b]\ncommand = ['x']\n\
         lifecycle = { port = 8080 }\ndepends_on.a = 'completed'\n[agents.c]\ncommand = ['x']\ndepends_on.b = 'started'\n",
    )
    .unwrap_err();
    let shown = Diagnostic::render_all(&together);
    assert_eq!(together.len(), 2, "{shown}");
    assert!(
        together[0].line == 6 && together[0].message.contains("port 8080"),
        "{shown}"
    );
    assert!(
        together[1].line == 7 && together[1].message.contains("`a` never completes"),
        "{shown}"
    );
    for fine in [
        "[agents.a]\ncommand = ['x']\nrestart.policy = 'on-failure'\n",
        "[agents.a]\ncommand = ['x']\nrestart.final_exit_codes = [0]\n",
    ] {
        let waits = "[agents.b]\ncommand = ['x']\ndepends_on.a = 'completed'\n";
        parse(&format!("{fine}{waits}")).unwrap();
    }
}

#[test]
fn what_is_no_toml_is_told_where_it_stops_being_it() {
    let shown = problems(
        "[agents.a]\ncommand = [\"x\"\nuser = ada\n\n[agents.a]\nuser = \"x\"\nuser = \"y\"\nenv.K = { secret = \"hunter2 }\n",
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn a_cycle_is_shown_once_from_its_first_agent() {
    let shown = problems(
        "[agents.a]\ndepends_on.b = 'started'\n[agents.b]\ndepends_on.c = 'healthy'\n[agents.c]\ndepends_on.a = 'completed'\n\
         [agents.waits]\ndepends_on.a = 'started'\n[agents.p]\ndepends_on.q = 'started'\n[agents.q]\ndepends_on.p = 'started'\n",
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn a_mistake_in_the_defaults_is_told_once_however_many_agents_have_it() {
    let shown = problems(
        "[defaults]\nlogs = { files = 0 }\nstop.grase = '1s'\n[agents.a]\ncommand = ['x']\n[agents.b]\ncommand = ['x']\n",
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn a_long_line_is_shown_around_the_mistake() {
    let padding = "x".repeat(500);
    let shown = problems(&format!("[agents.a]\ncommand = ['{padding}', 7, '{padding}']\n"));
    insta::assert_snapshot!(shown);
}

#[test]
fn a_listener_off_loopback_needs_a_token() {
    let refused = parse("[daemon]\nlisten = '0.0.0.0:1'\n").unwrap_err();
    assert_eq!((refused.len(), refused[0].line, refused[0].column), (1, 2, 10));
    for fine in ["listen = '0.0.0.0:1'\ntoken_file = 't'", "listen = '[::1]:1'"] {
        assert!(parse(&format!("[daemon]\n{fine}\n")).is_ok(), "{fine}");
    }
}

#[test]
fn secrets_are_in_no_message_whatever_is_wrong_around_them() {
    for text in [
        "[agents.a]\ncommand = ['x']\nenv = { K = { secret = 'hunter2', more = 'hunter2' } }\n",
        "[agents.a]\ncommand = ['x']\nenv = { K = { secet = 'hunter2' } }\n",
        "[agents.a]\ncommand = ['x']\nenv = { K = { secret = \"\"\"hunter2\nhunter2\"\"\" }, L = 1, M = { secret = 'hunter2' } }\n",
        "[agents.a]\ncommand = ['x']\nenv = { K = { secret = 'hunter2' }, L = 1 ]\n",
        "[agents.a]\ncommand = ['x']\nenv.K.secret = 'hunter2'\nenv.K.file = 7\n",
        "[defaults.env.K]\nsecret = 'hunter2'\nx = 'hunter2'\n[agents.a]\ncommand = ['x']\n",
    ] {
        let shown = problems(text);
        assert!(!shown.contains("hunter2"), "{text}\n{shown}");
    }
}

proptest! {
    #[test]
    fn whoever_waits_comes_later_whatever_the_dependencies(edges in prop::collection::vec((0_usize..12, 0_usize..12), 0..30)) {
        let mut text = String::new();
        for agent in 0..12 {
            let on = edges.iter().filter(|(from, to)| *from == agent && to < from).map(|(_, to)| *to);
            let on: std::collections::BTreeSet<usize> = on.collect();
            let on: Vec<String> = on.iter().map(|to| format!("a{to} = 'started'")).collect();
            text = format!("[agents.a{agent}]\ndepends_on = {{ {} }}\n{text}", on.join(", "));
        }
        let fleet = parse(&text).unwrap();
        let place = |name: &AgentName| fleet.agents.iter().position(|agent| agent.name == *name);
        for agent in &fleet.agents {
            prop_assert!(agent.spec.depends_on.keys().all(|on| place(on) < place(&agent.name)));
        }
    }
}

#[test]
fn what_could_never_run_is_told_where_it_stands() {
    let told = |text: &str| {
        let problems = Fleet::parse(text, "fleet.toml".as_ref(), &|_| None).unwrap_err();
        let first = problems.first().unwrap();
        (first.line, first.column, first.message.clone())
    };
    let (line, column, message) = told("[agents.web]\nlabels = {}\ncommand = []\n");
    assert_eq!((line, column), (3, 1), "{message}");
    assert!(message.starts_with("`command` is empty"), "{message}");
    let (line, column, message) = told("[agents.web]\ncommand = [\"x\"]\nenv = { A = \"1\", B = \"a\\u0000\" }\n");
    assert_eq!((line, column), (3, 18), "{message}");
    assert!(message.starts_with("`env.B` holds a NUL"), "{message}");
    let (line, _, message) = told("[agents.web]\ncommand = [\"x\"]\n\n[agents.web.depends_on]\nweb = \"started\"\n");
    assert_eq!((line, message.as_str()), (5, "`web` waits for itself"));
}
