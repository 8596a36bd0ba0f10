//! Who may ask a daemon, and what agents are given so that they may.

use super::fleet::Fleet;
use super::http;
use super::procs;

const TOKEN: &str = "correct-horse-battery-staple";

/// Says what it was given, once, and goes on to beat with the token of the file.
const REPORTER: &str = r#"
import json, os, time, urllib.request
given = {name: value for name, value in os.environ.items() if name.startswith("STEAD_") or name == "NOTIFY_SOCKET"}
print(json.dumps(given), flush=True)
token = open(os.environ["STEAD_TOKEN_FILE"]).read().strip()
url = f"{os.environ['STEAD_URL']}/api/v1/agents/{os.environ['STEAD_AGENT']}/heartbeats"
for sequence in range(1, 1000000):
    body = {"sequence": sequence, "incarnation": int(os.environ["STEAD_INCARNATION"]), "health": "degraded"}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    try:
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=60).close()
    except OSError as refused:
        print(refused, flush=True)
    time.sleep(0.2)
"#;

#[test]
fn a_listener_off_loopback_without_a_token_is_refused_and_nothing_is_begun() {
    const ONE: &str = "[agents.one]\ncommand = ['sleep', '100000']\n";
    let mut fleet = Fleet::of(ONE);
    let ends_with = |fleet: &Fleet, words: &[&str], code: i32, said: [&str; 2]| {
        let done = fleet.run(words);
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(code), "{words:?}: {done:?}");
        for words in said {
            assert!(told.contains(words), "{words} in {told}");
        }
        assert!(!fleet.state().exists(), "{words:?}");
        assert_eq!(procs::of(fleet.state()), Vec::<i32>::new());
    };
    let refused = |fleet: &Fleet, words: &[&str]| {
        let said = ["refusing to listen on 0.0.0.0:0 without a token", "STEAD_TOKEN"];
        ends_with(fleet, words, 1, said);
    };
    refused(&fleet, &["up", "fleet.toml", "--listen", "0.0.0.0:0"]);
    fleet.write(&format!("[daemon]\nlisten = '0.0.0.0:0'\n{ONE}"));
    ends_with(
        &fleet,
        &["up", "fleet.toml"],
        5,
        ["fleet.toml:2:10", "no token is asked for"],
    );
    refused(&fleet, &["serve", "--listen", "0.0.0.0:0"]);
    refused(&fleet, &["run", "--listen", "0.0.0.0:0", "--", "true"]);
    fleet.env("STEAD_LISTEN", "0.0.0.0:0");
    refused(&fleet, &["serve"]);
    // A variable that is empty holds no token.
    fleet.env("STEAD_TOKEN", "");
    refused(&fleet, &["serve"]);
}

#[test]
fn a_daemon_with_a_token_is_found_by_the_command_line_and_its_agents_and_by_nobody_without_it() {
    let mut fleet = Fleet::of(&format!(
        "[agents.reporter]\ncommand = ['python3', '-c', '''{REPORTER}''']\n"
    ));
    std::fs::create_dir_all(fleet.state()).unwrap();
    let file = fleet.state().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    fleet.up();

    let shown = format!("Bearer {TOKEN}");
    let ask = |method: &str, path: &str, authorization: Option<&str>| {
        let headers: Vec<_> = authorization.iter().map(|shown| ("Authorization", *shown)).collect();
        http::ask(fleet.at(), method, path, &headers, "").unwrap()
    };
    for (method, path) in [
        ("GET", "/api/v1/agents"),
        ("GET", "/api/v1/agents/reporter/logs"),
        ("POST", "/api/v1/agents/reporter/lifecycle/stop"),
        ("POST", "/api/v1/agents/reporter/heartbeats"),
    ] {
        for wrong in [None, Some("Bearer correct-horse-battery-stable"), Some(TOKEN)] {
            let answer = ask(method, path, wrong);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (401, "unauthorized"),
                "{path} {wrong:?}"
            );
        }
    }
    assert_eq!(ask("GET", "/api/v1/agents", Some(&shown)).status, 200);

    // The command line finds it in the file of the state directory.
    let reporter = || {
        let agents: serde_json::Value = serde_json::from_str(&fleet.must(&["ps", "-o", "json"])).unwrap();
        agents[0].clone()
    };
    let heard = fleet.until("its beats are taken", |_| {
        Some(reporter()).filter(|agent| agent["health"] == "degraded")
    });
    assert_eq!((&heard["name"], &heard["restarts"]), (&"reporter".into(), &0.into()));

    let printed = fleet.must(&["logs", "reporter", "-o", "json"]);
    let line: serde_json::Value = serde_json::from_str(printed.lines().next().unwrap()).unwrap();
    let given: serde_json::Value = serde_json::from_str(line["line"].as_str().unwrap()).unwrap();
    let state = fleet.state().display().to_string();
    for (name, value) in [
        ("STEAD_AGENT", "reporter".to_owned()),
        ("STEAD_INCARNATION", heard["incarnation"].to_string()),
        ("STEAD_URL", format!("http://{}", fleet.at())),
        ("STEAD_TOKEN_FILE", file.display().to_string()),
    ] {
        assert_eq!(given[name], value, "{name} in {given:#}");
    }
    let starts = |name: &str, with: &str| given[name].as_str().is_some_and(|value| value.starts_with(with));
    assert!(starts("STEAD_INSTANCE", heard["id"].as_str().unwrap()), "{given:#}");
    assert!(
        starts("STEAD_AGENT_DIR", &state) && starts("NOTIFY_SOCKET", &state),
        "{given:#}"
    );
    assert!(
        given["STEAD_EPOCH"]
            .as_str()
            .is_some_and(|epoch| epoch.parse::<u64>().is_ok_and(|epoch| epoch > 0)),
        "{given:#}"
    );
    assert!(!given.to_string().contains(TOKEN), "the token is in the file alone");

    fleet.env("STEAD_TOKEN", "correct-horse-battery-stable");
    let stranger = fleet.run(&["ps"]);
    let told = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(
        !stranger.status.success() && told.contains("STEAD_TOKEN"),
        "{stranger:?}"
    );
}
