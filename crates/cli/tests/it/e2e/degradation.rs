//! Features that go and come back, through the real binary, and across a daemon that is killed.

use serde_json::Value;

use super::fleet::Fleet;

const FEATURES: &str = "[features.chat]\nrequires = ['llm']\nimportance = 'essential'\n\
    [features.web_search]\nrequires = ['search']\nfallback = 'chat'\n\
    [degradation]\ndefaults = false\n\
    [[degradation.rules]]\nname = 'no_search'\ndown = ['search']\nlevel = 'moderate'\n\
    [agents.llm]\ncommand = ['sleep', '1000']\n\
    [agents.search]\ncommand = ['sleep', '1000']\n";

fn until(fleet: &Fleet, what: &str, fits: impl Fn(&Value) -> bool) {
    fleet.until(what, |fleet| {
        let shown: Value = serde_json::from_str(&fleet.must(&["degradation", "-o", "json"])).unwrap();
        fits(&shown).then_some(())
    });
}

fn stand(shown: &Value, standing: &str) -> usize {
    let components = shown["components"].as_array().into_iter().flatten();
    components.filter(|one| one["standing"] == standing).count()
}

#[test]
fn what_is_given_up_survives_the_daemon_and_is_given_back() {
    let mut fleet = Fleet::of(FEATURES);
    fleet.up();
    until(&fleet, "both are up", |shown| stand(shown, "up") == 2);
    fleet.must(&["stop", "search", "--wait"]);
    until(&fleet, "the search is off", |shown| shown["level"] == "moderate");
    let shown = fleet.must(&["degradation"]);
    assert!(
        shown.contains("off, chat instead") && shown.contains("search is down"),
        "{shown}"
    );
    let why = fleet.must(&["why", "search"]);
    assert!(
        why.contains("web_search is off: it needs search, which is down; chat does instead"),
        "{why}"
    );
    fleet.must(&["degradation", "hold", "severe", "--for", "1h", "--reason", "a drill"]);

    fleet.kill_daemon();
    fleet.up();
    until(&fleet, "it is held still", |shown| {
        shown["level"] == "severe" && stand(shown, "down") == 1
    });
    let changes = fleet.must(&["degradation", "history", "-o", "json"]);
    let changes: Vec<Value> = serde_json::from_str(&changes).unwrap();
    let walk: Vec<_> = changes.iter().map(|change| change["to"].as_str().unwrap()).collect();
    assert_eq!(walk, ["severe", "moderate"], "nothing is told twice: {changes:?}");

    fleet.must(&["start", "search", "--wait"]);
    let released = fleet.must(&["degradation", "release", "-o", "json"]);
    assert!(!released.contains("\"override\""), "{released}");
    until(&fleet, "all is back", |shown| {
        shown["level"] == "full" && shown["impact"] == 0.0
    });
}
