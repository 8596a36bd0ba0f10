//! The fleet file as it changes under a daemon: watched, read again, refused, taken back, known again after a restart.

use rustix::process::Signal;
use serde_json::Value;

use super::fleet::Fleet;
use super::procs;

const ONE: &str = "[agents.one]\ncommand = ['sleep', '100000']\n";

fn config(fleet: &Fleet) -> Value {
    fleet.get("/api/v1/config").json()
}

fn until_revision(fleet: &Fleet, revision: u64) -> Value {
    fleet.until(&format!("revision {revision} is in force"), |fleet| {
        let config = config(fleet);
        (config["revision"] == revision).then_some(config)
    })
}

/// Up, its first revision in force.
fn up(toml: &str) -> Fleet {
    let mut fleet = Fleet::of(toml);
    fleet.up();
    until_revision(&fleet, 1);
    fleet.until_agent("one", |agent| agent["phase"] == "online");
    fleet
}

#[test]
fn a_file_that_changes_is_applied_also_when_it_is_replaced_by_renaming() {
    let fleet = up(ONE);
    fleet.write(&format!("{ONE}[agents.two]\ncommand = ['sleep', '100000']\n"));
    until_revision(&fleet, 2);
    fleet.until_agent("two", |agent| agent["phase"] == "online");
    let other = fleet.path("fleet.toml.new");
    std::fs::write(&other, "[agents.two]\ncommand = ['sleep', '100000']\n").unwrap();
    std::fs::rename(&other, fleet.path("fleet.toml")).unwrap();
    until_revision(&fleet, 3);
    fleet.until("one is removed", |fleet| {
        (fleet.get("/api/v1/agents/one").status == 404).then_some(())
    });
    assert!(!fleet.history("one").is_empty(), "its history is kept");
    let history = fleet.must(&["config", "history"]);
    assert!(history.contains("fleet-file (file)"), "{history}");
}

/// What a file decides of an agent. How well it does changes by itself, and its revision with that.
fn told(agent: &Value) -> Vec<Value> {
    ["phase", "intent", "pid", "incarnation", "restarts", "spec_revision"]
        .map(|field| agent[field].clone())
        .into()
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_until_it_is_mended() {
    let fleet = up(ONE);
    let before = (told(&fleet.agent("one")), fleet.history("one"));
    fleet.write("[agents.one]\ncommand = ['sleep', '100000']\nrestart = 7\n");
    let refused = fleet.until("the change is refused", |fleet| {
        let refused = config(fleet)["refused"].clone();
        (!refused.is_null()).then_some(refused)
    });
    assert_eq!(refused["problems"][0]["line"], 3, "{refused}");
    assert_eq!((told(&fleet.agent("one")), fleet.history("one")), before);
    assert_eq!(config(&fleet)["revision"], 1);
    let log = fleet.log();
    assert!(log.contains("fleet.toml:3:"), "{log}");
    assert!(fleet.must(&["config", "show"]).contains("3:"));
    let doctor = String::from_utf8(fleet.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("refused: 3:"), "{doctor}");
    fleet.write(ONE);
    fleet.until("it is mended", |fleet| config(fleet)["refused"].is_null().then_some(()));
    assert_eq!(
        config(&fleet)["revision"],
        1,
        "what is in force already is no new revision"
    );
}

#[test]
fn sighup_has_the_file_read_where_nobody_watches_it() {
    let unwatched = format!("{ONE}[daemon]\nwatch = false\n");
    let fleet = up(&unwatched);
    assert_eq!(config(&fleet)["watched"], false);
    fleet.write(&format!("{unwatched}[agents.two]\ncommand = ['sleep', '100000']\n"));
    procs::signal(fleet.daemon_pid(), Signal::HUP);
    let config = until_revision(&fleet, 2);
    assert_eq!(config["applied_by"], "fleet-file (SIGHUP)");
    fleet.until_agent("two", |agent| agent["phase"] == "online");
}

#[test]
fn profiles_and_policies_are_in_force_again_after_a_crash() {
    let mut fleet = up(
        "[agents.one]\ncommand = ['sleep', '100000']\nprofile = 'careful'\n[profiles.careful]\nbase = 'agent'\n\
         extra = ['online -> reviewing']\n[profiles.careful.states.reviewing]\nrole = 'busy'\n\
         next = ['online', 'error', 'stopping']\n[policies.why]\nedges = ['* -> maintenance']\nrequire_reason = true\n",
    );
    let pid = fleet.agent("one")["pid"].clone();
    fleet.kill_daemon();
    // A daemon without a fleet file knows them from its store alone.
    let serving = ["serve", "--detach", "--listen", &fleet.at().to_string()];
    fleet.must(&serving);
    fleet.until_agent("one", |agent| agent["phase"] == "online" && agent["pid"] == pid);
    assert_eq!(config(&fleet)["revision"], 1);
    let refused = fleet.run(&["maintenance", "one"]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && told.contains("`why`"), "{told}");
    fleet.must(&["maintenance", "one", "--reason", "a look"]);
    fleet.must(&["down"]);
    fleet.until_nothing_runs();
}

#[test]
fn a_configuration_is_compared_and_taken_back_without_its_secrets_being_shown() {
    // Applied by nobody but this test.
    let unwatched = |of_one: &str| format!("{ONE}{of_one}[daemon]\nwatch = false\n");
    let fleet = up(&unwatched("env = { KEY = { secret = 'hunter2' } }\n"));
    let second = unwatched("env = { KEY = { secret = 'hunter3' } }\nlabels = { team = 'a' }\n");
    fleet.write(&second);
    let shown = fleet.must(&["apply", "fleet.toml", "--reason", "a label"]);
    assert!(shown.contains("labels.team") && shown.contains("revision 2"), "{shown}");
    assert!(shown.contains("env.KEY.secret"), "{shown}");
    let diff = fleet.must(&["config", "diff", "1"]);
    assert!(diff.contains("+labels = { team = 'a' }"), "{diff}");
    let back = fleet.must(&["config", "rollback", "1", "--yes"]);
    assert!(back.contains("revision 3 is in force"), "{back}");
    assert_eq!(config(&fleet)["differs"], true, "the file still says the second");
    let doctor = String::from_utf8(fleet.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("says something else than revision 3"), "{doctor}");
    assert!(fleet.must(&["config", "show"]).contains("the file says something else"));
    let history = fleet.must(&["config", "history"]);
    assert!(
        history.contains("back to revision 1") && history.contains("a label"),
        "{history}"
    );
    let all = [
        shown,
        diff,
        back,
        history,
        fleet.must(&["config", "show"]),
        fleet.must(&["config", "show", "2"]),
        fleet.log(),
    ];
    assert!(all.iter().all(|text| !text.contains("hunter")), "{all:?}");
    assert_eq!(
        fleet.agent("one")["incarnation"],
        1,
        "nothing was restarted without consent"
    );
    fleet.must(&["apply", "fleet.toml", "--restart", "--wait"]);
    fleet.until_agent("one", |agent| agent["incarnation"] == 2 && agent["phase"] == "online");
    assert_eq!(config(&fleet)["differs"], false);
}

#[test]
fn a_file_that_is_gone_is_told_until_it_is_back() {
    let fleet = up(ONE);
    std::fs::remove_file(fleet.path("fleet.toml")).unwrap();
    assert_eq!(config(&fleet)["missing"], true);
    let doctor = String::from_utf8(fleet.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("is gone; revision 1 of it stays in force"), "{doctor}");
    assert!(fleet.must(&["config", "show"]).contains("the file is gone"));
    fleet.write(ONE);
    assert_eq!(config(&fleet)["missing"], false);
}

#[test]
fn what_was_changed_beside_the_file_is_named_when_the_file_takes_it_back() {
    let two = format!("{ONE}[agents.two]\ncommand = ['sleep', '100000']\nreplicas = 1\nupdate.min_ready = '0s'\n");
    let mut fleet = up(&two);
    fleet.must(&["update", "one", "--patch", r#"{"env":{"A":"1"}}"#, "--wait"]);
    fleet.must(&["scale", "two", "2", "--wait"]);
    let would = fleet.must(&["apply", "fleet.toml", "--dry-run"]);
    for (name, field) in [("one", "env.A"), ("two", "replicas")] {
        let line = would
            .lines()
            .find(|line| line.contains(&format!("~ {name} changed")))
            .unwrap();
        assert!(line.contains("changed beside the file, which wins"), "{would}");
        assert!(would.contains(field), "{would}");
    }
    fleet.end_daemon(Signal::TERM);
    fleet.up();
    let log = fleet.log();
    assert!(log.contains("the fleet file wins: one, two"), "{log}");
    assert_eq!(config(&fleet)["overruled"], serde_json::json!(["one", "two"]));
    // What the file itself changes is not.
    fleet.write(&two.replace("replicas = 1", "replicas = 3"));
    until_revision(&fleet, 2);
    fleet.until("nobody is overruled", |fleet| {
        (config(fleet)["overruled"] == serde_json::json!([])).then_some(())
    });
}
