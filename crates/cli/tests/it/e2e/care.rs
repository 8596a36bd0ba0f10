//! Order of starts, probes, and what agents say themselves.

use rustix::process::Signal;

use super::fleet::{Fleet, PATIENCE};
use super::procs::{self, until};

#[test]
fn agents_start_in_the_order_of_their_dependencies() {
    let mut fleet = Fleet::of(
        "
[agents.job]
command = ['sh', '-c', 'sleep 0.3; echo job >> @/order']
restart.policy = 'on-failure'
[agents.server]
command = ['sh', '-c', 'echo server >> @/order; sleep 0.3; touch @/serves; exec sleep 100000']
depends_on.job = 'completed'
probes.readiness = { exec = { command = ['test', '-e', '@/serves'] }, period_seconds = 0.1 }
[agents.client]
command = ['sh', '-c', 'test -e @/serves && echo client >> @/order; exec sleep 100000']
depends_on.server = 'healthy'
[agents.friend]
command = ['sh', '-c', 'grep -q client @/order && echo friend >> @/order; exec sleep 100000']
depends_on.client = 'started'
",
    );
    fleet.up();
    fleet.until("all have begun", |fleet| {
        fleet.read("order").contains("friend").then_some(())
    });
    assert_eq!(fleet.read("order"), "job\nserver\nclient\nfriend\n");
    assert_eq!(fleet.agent("job")["phase"], "offline");
}

#[test]
fn an_agent_waits_for_its_dependency_and_says_so() {
    let mut fleet = Fleet::of(
        "
[agents.gate]
command = ['sh', '-c', 'while [ ! -e @/open ]; do sleep 0.05; done; exit 0']
restart.policy = 'never'
[agents.late]
command = ['sleep', '100000']
depends_on.gate = 'completed'
",
    );
    fleet.up();
    fleet.until_agent("gate", |agent| agent["phase"] == "online");
    let why = fleet.get("/api/v1/agents/late/why").json();
    assert!(why["waiting_for"].to_string().contains("gate"), "{why:#}");
    assert!(why["agent"]["pid"].is_null());
    std::fs::write(fleet.path("open"), "").unwrap();
    fleet.until_agent("late", |agent| agent["phase"] == "online");
}

const SERVER: &str = r#"
import http.server, os
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if os.path.exists(os.environ["DIR"] + "/serves") else 503)
        self.end_headers()
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answers).serve_forever()
"#;

#[test]
fn an_agent_is_ready_while_its_readiness_probe_over_http_says_so() {
    let port = super::fleet::free().port();
    let mut fleet = Fleet::of(&format!(
        "[agents.web]\ncommand = ['python3', '-c', '''{SERVER}''']\nenv = {{ DIR = '@', PORT = '{port}' }}\nprobes.readiness = {{ http_get = {{ port = {port}, path = '/' }}, period_seconds = 0.1 }}\n"
    ));
    fleet.up();
    fleet.until("the probe is refused", |fleet| {
        fleet.get("/api/v1/agents/web/why").body.contains("503").then_some(())
    });
    assert_eq!(fleet.agent("web")["ready"], false);
    std::fs::write(fleet.path("serves"), "").unwrap();
    fleet.until_agent("web", |agent| agent["ready"] == true && agent["health"] == "healthy");
    std::fs::remove_file(fleet.path("serves")).unwrap();
    let web = fleet.until_agent("web", |agent| agent["ready"] == false);
    // Not ready is no reason to end it.
    assert_eq!((&web["incarnation"], &web["restarts"]), (&1.into(), &0.into()));
}

#[test]
fn an_agent_whose_liveness_probe_fails_is_ended_and_started_anew() {
    let mut fleet = Fleet::of(
        "
[agents.stuck]
command = ['sh', '-c', 'touch @/alive; exec sleep 100000']
probes.liveness = { exec = { command = ['test', '-e', '@/alive'] }, period_seconds = 0.1, initial_delay_seconds = 1, failure_threshold = 3 }
",
    );
    fleet.up();
    let first = fleet.until_agent("stuck", |agent| agent["health"] == "healthy");
    std::fs::remove_file(fleet.path("alive")).unwrap();
    let second = fleet.until_agent("stuck", |agent| {
        agent["incarnation"] == 2 && agent["health"] == "healthy"
    });
    assert_ne!(first["pid"], second["pid"]);
    assert_eq!(second["restarts"], 1);
}

const NOTIFIER: &str = r#"
import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def say(text): s.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
def there(name): return os.path.exists(os.environ["DIR"] + "/" + name)
while not there("ready"): time.sleep(0.02)
say("READY=1\nSTATUS=at work")
while not there("silent." + os.environ["STEAD_INCARNATION"]):
    say("WATCHDOG=1")
    print("beat", flush=True, file=open(os.environ["DIR"] + "/beats", "a"))
    time.sleep(0.1)
time.sleep(100000)
"#;

#[test]
fn an_agent_that_speaks_sd_notify_is_ready_when_it_says_so_and_ended_when_it_falls_silent() {
    let mut fleet = Fleet::of(&format!(
        "[agents.voice]\ncommand = ['python3', '-c', '''{NOTIFIER}''']\nenv.DIR = '@'\nnotify = true\nwatchdog = '2s'\nrestart.backoff.initial = '0s'\n"
    ));
    fleet.up();
    let starting = fleet.until_agent("voice", |agent| agent["pid"].is_i64());
    assert_eq!(
        (&starting["phase"], &starting["ready"]),
        (&"starting".into(), &false.into())
    );
    std::fs::write(fleet.path("ready"), "").unwrap();
    let first = fleet.until_agent("voice", |agent| agent["ready"] == true);
    assert!(first["evidence"].to_string().contains("at work"), "{first:#}");
    // Over the death of the daemon: its own absence is not the agent's silence.
    fleet.kill_daemon();
    let beats = || fleet.read("beats").lines().count();
    let enough = beats() + 25;
    until("it beats for longer than its watchdog waits", PATIENCE, || {
        (beats() >= enough).then_some(())
    });
    fleet.up();
    let adopted = fleet.agent("voice");
    assert_eq!(
        (&adopted["pid"], &adopted["ready"]),
        (&first["pid"], &true.into()),
        "{adopted:#}"
    );
    std::fs::write(fleet.path("silent.1"), "").unwrap();
    let second = fleet.until_agent("voice", |agent| agent["incarnation"] == 2 && agent["ready"] == true);
    assert_eq!(second["restarts"], 1);
}

#[test]
fn an_agent_that_runs_elsewhere_is_known_by_its_reports_alone() {
    let mut fleet = Fleet::of("[agents.remote]\ndriver = 'none'\n");
    fleet.up();
    assert_ne!(fleet.agent("remote")["health"], "healthy");
    let report = || fleet.post("/api/v1/agents/remote/heartbeats", "{\"health\": \"healthy\"}");
    until("it is healthy", PATIENCE, || {
        assert_eq!(report().status, 202);
        let agent = fleet.agent("remote");
        (agent["health"] == "healthy" && agent["phase"] == "online").then_some(())
    });
    assert_eq!(fleet.post("/api/v1/agents/nobody/heartbeats", "{}").status, 404);
}

#[test]
fn a_daemon_that_was_stopped_for_longer_than_any_silence_convicts_nobody_on_its_return() {
    let mut fleet = Fleet::of(&format!(
        "[agents.voice]\ncommand = ['python3', '-c', '''{NOTIFIER}''']\nenv.DIR = '@'\nnotify = true\nwatchdog = '3s'\n"
    ));
    std::fs::write(fleet.path("ready"), "").unwrap();
    fleet.up();
    let before = fleet.until_agent("voice", |agent| agent["ready"] == true && agent["health"] == "healthy");
    let rows = fleet.history("voice").len();
    let beats = || fleet.read("beats").lines().count();
    let after = |more: usize| {
        let enough = beats() + more;
        until("it beats on", PATIENCE, || (beats() >= enough).then_some(()));
    };
    procs::signal(fleet.daemon_pid(), Signal::STOP);
    after(90);
    procs::signal(fleet.daemon_pid(), Signal::CONT);
    after(40);
    let agent = fleet.agent("voice");
    assert_eq!(
        (&agent["pid"], &agent["health"], &agent["restarts"]),
        (&before["pid"], &"healthy".into(), &0.into()),
        "{agent:#}"
    );
    assert_eq!(fleet.history("voice").len(), rows, "{:#?}", fleet.history("voice"));
}
