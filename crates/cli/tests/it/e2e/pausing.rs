//! Pauses: a frozen tree stands still whatever dies meanwhile, is no more ill than one that sleeps, and goes on where it was.

use std::path::Path;

use serde_json::{Value, json};

use super::fleet::{Fleet, PATIENCE};
use super::procs::{self, until};

/// An agent whose child and grandchild count, and another one by whose count time is told.
const COUNTERS: &str = "
[agents.family]
command = ['sh', '-c', 'count() { while :; do echo >> @/$1; sleep 0.02; done; }; (count grandchild & count child) & count parent']
labels = { team = 'a' }
stop.grace = '5s'
[agents.clock]
command = ['sh', '-c', 'while :; do echo >> @/clock; sleep 0.02; done']
";

const MEMBERS: [&str; 3] = ["parent", "child", "grandchild"];

fn counts(fleet: &Fleet) -> Vec<usize> {
    MEMBERS.iter().map(|name| fleet.read(name).len()).collect()
}

/// Waits until the clock has ticked so often more.
#[track_caller]
fn tick(fleet: &Fleet, times: usize) {
    let enough = fleet.read("clock").len() + times;
    until("the clock goes on", PATIENCE, || {
        (fleet.read("clock").len() >= enough).then_some(())
    });
}

/// Whether a process is stopped by a signal, or in a cgroup that is frozen.
fn stands_still(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    if stat
        .rsplit(')')
        .next()
        .is_some_and(|rest| rest.trim_start().starts_with('T'))
    {
        return true;
    }
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let Some(own) = groups.lines().find_map(|line| line.strip_prefix("0::")) else {
        return false;
    };
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].iter().any(|root| {
        let events = Path::new(root).join(own.trim_start_matches('/')).join("cgroup.events");
        std::fs::read_to_string(events).is_ok_and(|text| text.contains("frozen 1"))
    })
}

/// The processes of the family, which is the whole state directory but the clock.
fn family(fleet: &Fleet) -> Vec<i32> {
    let clock = fleet.agent("clock")["id"].as_str().unwrap().to_owned();
    let others = |pid: &i32| {
        let words = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        !String::from_utf8_lossy(&words).contains(&clock)
    };
    procs::agents_of(fleet.state()).into_iter().filter(others).collect()
}

/// Waits until the whole family stands still, and shows that it does not count any more.
#[track_caller]
fn is_frozen(fleet: &Fleet) {
    until("everybody stands still", PATIENCE, || {
        let all = family(fleet);
        (all.len() >= MEMBERS.len() && all.into_iter().all(stands_still)).then_some(())
    });
    let before = counts(fleet);
    tick(fleet, 20);
    assert_eq!(counts(fleet), before, "{}", fleet.log());
}

#[track_caller]
fn goes_on(fleet: &Fleet) {
    let before = counts(fleet);
    until("everybody counts", PATIENCE, || {
        let now = counts(fleet);
        now.iter().zip(&before).all(|(now, before)| now > before).then_some(())
    });
}

#[track_caller]
fn pause(fleet: &Fleet, agent: &str, body: &Value) {
    let paused = fleet.post(&format!("/api/v1/agents/{agent}/lifecycle/pause"), &body.to_string());
    assert_eq!(paused.status, 202, "{paused:?}");
}

#[test]
fn a_frozen_tree_stands_still_over_every_death_until_it_is_resumed() {
    let mut fleet = Fleet::of(COUNTERS);
    fleet.up();
    goes_on(&fleet);
    let before = fleet.agent("family");
    let refused = fleet.run(&["pause", "family", "--mode", "hibernate"]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    fleet.must(&["pause", "family", "--mode", "freeze", "--note", "new disks", "--wait"]);
    is_frozen(&fleet);
    let told = [
        fleet.must(&["ps"]),
        fleet.must(&["get", "family"]),
        fleet.must(&["why", "family"]),
    ];
    assert!(told.iter().all(|text| text.contains("new disks")), "{told:?}");

    fleet.kill_daemon();
    is_still_paused(&mut fleet, &before);
    procs::kill(fleet.keeper_pid());
    fleet.kill_daemon();
    is_still_paused(&mut fleet, &before);

    fleet.must(&["resume", "family", "--wait"]);
    goes_on(&fleet);
    let after = fleet.agent("family");
    assert_eq!((&after["pid"], &after["phase"]), (&before["pid"], &"online".into()));
    assert_eq!((&after["pause"], &after["restarts"]), (&Value::Null, &0.into()));
}

/// The next daemon finds it paused as it was, and it has not moved.
#[track_caller]
fn is_still_paused(fleet: &mut Fleet, before: &Value) {
    let counted = counts(fleet);
    fleet.up();
    let paused = fleet.until_agent("family", |agent| agent["pid"].is_i64());
    assert_eq!(
        (&paused["pid"], &paused["phase"]),
        (&before["pid"], &"suspended".into())
    );
    assert_eq!(
        (&paused["pause"]["mode"], &paused["pause"]["note"]),
        (&"freeze".into(), &"new disks".into())
    );
    is_frozen(fleet);
    assert_eq!(counts(fleet), counted, "{}", fleet.log());
}

#[test]
fn a_frozen_agent_that_is_stopped_ends_within_its_grace() {
    let mut fleet = Fleet::of(COUNTERS);
    fleet.up();
    goes_on(&fleet);
    pause(&fleet, "family", &json!({ "mode": "freeze" }));
    is_frozen(&fleet);
    let all = family(&fleet);
    fleet.must(&["stop", "family", "--wait", "--timeout", "30s"]);
    until("nobody is left", PATIENCE, || {
        all.iter().all(|pid| !procs::runs(*pid)).then_some(())
    });
    // It was asked, and could hear it: nobody had to be killed.
    let exit = fleet.get("/api/v1/agents/family/why").json()["last_exit"]["exit"].clone();
    assert_eq!(exit["signal"], "SIGTERM", "{exit}");
}

#[test]
fn a_pause_with_an_end_is_over_by_itself_and_a_group_with_it() {
    let mut fleet = Fleet::of(COUNTERS);
    fleet.up();
    goes_on(&fleet);
    let template = json!({ "command": ["sleep", "100000"] });
    let group = json!({ "name": "many", "replicas": 2, "template": template, "intent": "running" });
    assert_eq!(fleet.post("/api/v1/groups", &group.to_string()).status, 201);
    let many = |fleet: &Fleet| fleet.get("/api/v1/groups/many").json();
    fleet.until("the group is there", |fleet| (many(fleet)["ready"] == 2).then_some(()));
    let spell = json!({ "mode": "freeze", "for": "1s" }).to_string();
    assert_eq!(fleet.post("/api/v1/groups/many/lifecycle/pause", &spell).status, 202);
    fleet.must(&["pause", "-l", "team=a", "--mode", "freeze", "--for", "1s"]);
    let resumed = fleet.until_agent("family", |agent| agent["phase"] == "online");
    assert_eq!(
        (&resumed["intent"], &resumed["incarnation"]),
        (&"running".into(), &1.into())
    );
    goes_on(&fleet);
    let back = fleet.until("the group is back", |fleet| {
        let group = many(fleet);
        (group["ready"] == 2 && group["intent"] == "running").then_some(group)
    });
    assert_eq!(back["pause"], Value::Null);
    let rows = fleet.history("family");
    let last = rows.last().unwrap();
    assert!(
        last["description"].to_string().contains("its pause is over"),
        "{last:#}"
    );
}

/// It answers a probe and feeds a watchdog, both only while it can.
const LIVELY: &str = r#"
import http.server, os, socket, threading, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def beat():
    while True:
        s.sendto(b"READY=1\nWATCHDOG=1", os.environ["NOTIFY_SOCKET"])
        time.sleep(0.1)
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("probed", flush=True, file=open(os.environ["DIR"] + "/probed", "a"))
        self.send_response(200)
        self.end_headers()
    def log_message(self, *words): pass
server = http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answers)
threading.Thread(target=beat, daemon=True).start()
server.serve_forever()
"#;

#[test]
fn neither_probe_nor_watchdog_ends_what_stands_still() {
    let port = super::fleet::free().port();
    let probe = format!(
        "probes.liveness = {{ http_get = {{ port = {port}, path = '/' }}, period_seconds = 0.1, timeout_seconds = 3, failure_threshold = 1, initial_delay_seconds = 1 }}"
    );
    let lively = format!(
        "[agents.lively]\ncommand = ['python3', '-c', '''{LIVELY}''']\nenv = {{ PORT = '{port}', DIR = '@' }}\nnotify = true\nwatchdog = '3s'\n{probe}\n"
    );
    let mut fleet = Fleet::of(&format!("{COUNTERS}{lively}"));
    fleet.up();
    let probed = |fleet: &Fleet| fleet.read("probed").len();
    fleet.until("it is probed", |fleet| (probed(fleet) > 0).then_some(()));
    let before = fleet.until_agent("lively", |agent| agent["phase"] == "online");
    for _ in 0..2 {
        pause(&fleet, "lively", &json!({ "mode": "freeze" }));
        // Twice as long as probe or watchdog would wait.
        tick(&fleet, 300);
        let frozen = fleet.agent("lively");
        assert_eq!(
            (&frozen["pid"], &frozen["phase"]),
            (&before["pid"], &"suspended".into())
        );
        fleet.kill_daemon();
        fleet.up();
        tick(&fleet, 300);
    }
    assert_eq!(fleet.post("/api/v1/agents/lively/lifecycle/resume", "").status, 202);
    let looked = probed(&fleet);
    tick(&fleet, 100);
    fleet.until("it is probed again", |fleet| (probed(fleet) > looked).then_some(()));
    let after = fleet.agent("lively");
    assert_eq!(
        (&after["pid"], &after["phase"]),
        (&before["pid"], &"online".into()),
        "{after:#}"
    );
    assert_eq!(after["restarts"], 0);
}
