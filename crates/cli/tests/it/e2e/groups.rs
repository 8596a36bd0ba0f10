//! Groups of real processes: scaled, drained, made of agents, told what they are, and asked for too much.

use serde_json::Value;

use super::fleet::Fleet;
use super::http;
use super::rollout::{fleet, until_group, up};

#[test]
fn of_a_hundred_conflicting_requests_at_once_exactly_one_wins() {
    let fleet_ = up(1, 1);
    let group = until_group(&fleet_, |group| group["phase"] == "online");
    let etag = format!("\"{}\"", group["revision"]);
    let at = fleet_.at();
    let answers: Vec<(u16, usize)> = std::thread::scope(|scope| {
        let ask = |number: usize| {
            let etag = etag.as_str();
            let wanted = 2 + number % 2;
            scope.spawn(move || {
                let body = format!("{{\"replicas\":{wanted}}}");
                let path = "/api/v1/groups/web/lifecycle/scale";
                let answer = http::ask(at, "POST", path, &[("If-Match", etag)], &body).unwrap();
                (answer.status, wanted)
            })
        };
        let asking: Vec<_> = (0..100).map(ask).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let won: Vec<_> = answers.iter().filter(|(status, _)| *status == 202).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert_eq!(
        answers.iter().filter(|(status, _)| *status == 412).count(),
        99,
        "{answers:?}"
    );
    assert_eq!(until_group(&fleet_, |_| true)["replicas"], won[0].1);
}

#[test]
fn of_a_hundred_conflicting_transitions_of_one_agent_exactly_one_happens() {
    let mut fleet_ = Fleet::of("[agents.one]\ncommand = ['sleep', '100000']\n");
    fleet_.up();
    let before = fleet_.until_agent("one", |agent| agent["phase"] == "online");
    let known = fleet_.history("one").len();
    let (etag, at) = (format!("\"{}\"", before["revision"]), fleet_.at());
    let answers: Vec<(u16, &str)> = std::thread::scope(|scope| {
        let ask = |number: usize| {
            let (etag, verb) = (etag.as_str(), ["terminate", "maintenance"][number % 2]);
            scope.spawn(move || {
                let path = format!("/api/v1/agents/one/lifecycle/{verb}");
                let answer = http::ask(at, "POST", &path, &[("If-Match", etag)], "{}").unwrap();
                (answer.status, verb)
            })
        };
        let asking: Vec<_> = (0..100).map(ask).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let won: Vec<_> = answers.iter().filter(|(status, _)| *status == 202).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert_eq!(
        answers.iter().filter(|(status, _)| *status == 412).count(),
        99,
        "{answers:?}"
    );
    let (phase, intent) = match won[0].1 {
        "terminate" => ("terminated", "terminated"),
        _maintenance => ("maintenance", "maintenance"),
    };
    let after = fleet_.until_agent("one", |agent| agent["phase"] == phase);
    assert_eq!(after["intent"], intent, "{after:#}");
    let rows = &fleet_.history("one")[known..];
    let causes: std::collections::BTreeSet<_> = rows.iter().map(|row| row["correlation_id"].as_str()).collect();
    assert_eq!(causes.len(), 1, "all of it is of the one that won: {rows:#?}");
    assert_eq!(rows.last().unwrap()["to"], phase, "{rows:#?}");
}

#[test]
fn an_agent_that_becomes_a_group_is_made_anew_and_a_fleet_comes_back_with_its_replicas() {
    // Applied by nobody but this test.
    let single = "[daemon]\nwatch = false\n[agents.web]\ncommand = ['sleep', '100000']\n";
    let mut fleet_ = Fleet::of(single);
    fleet_.up();
    fleet_.until_all(1, "online");
    let many = format!("{single}replicas = 3\nupdate.min_ready = '0s'\n");
    fleet_.write(&many);
    let said = fleet_.must(&["apply", "fleet.toml", "--dry-run"]);
    assert!(said.contains("web changed: removed and made anew"), "{said}");
    fleet_.must(&["apply", "fleet.toml", "--wait"]);
    fleet_.until_all(3, "online");
    fleet_.must(&["down"]);
    fleet_.wait_daemon();
    fleet_.until_nothing_runs();
    fleet_.up();
    fleet_.until_all(3, "online");
    fleet_.must(&["scale", "web", "1", "--wait"]);
    assert_eq!(fleet_.agents().len(), 1);
    fleet_.write(single);
    fleet_.must(&["apply", "fleet.toml", "--wait"]);
    assert_eq!(fleet_.agents()[0]["name"], "web");
}

#[test]
fn a_selection_is_drained_of_its_tasks_before_it_is_stopped() {
    let mut fleet_ = Fleet::of(
        "[defaults]\nlabels = { zone = 'a' }\n[agents.one]\ncommand = ['sleep', '100000']\n[agents.two]\ncommand = ['sleep', '100000']\n",
    );
    fleet_.up();
    fleet_.until_all(2, "online");
    fleet_.post("/api/v1/agents/one/tasks/assign", "{\"task\":\"t\"}");
    let mut drain = fleet_
        .stead()
        .args(["drain", "-l", "zone=a", "--timeout", "50s"])
        .spawn()
        .unwrap();
    fleet_.until_agent("two", |agent| agent["phase"] == "offline");
    let busy = fleet_.agent("one");
    assert_eq!(
        (&busy["phase"], &busy["ready"]),
        (&"busy".into(), &false.into()),
        "{busy:#}"
    );
    fleet_.post("/api/v1/agents/one/tasks/complete", "{\"task\":\"t\"}");
    assert!(drain.wait().unwrap().success());
    assert_eq!(fleet_.agent("one")["phase"], "offline");
    let nobody = fleet_.run(&["drain", "-l", "zone=b"]);
    assert_eq!(nobody.status.code(), Some(4), "{nobody:?}");
}

#[test]
fn what_get_prints_of_a_spec_is_taken_back_and_changes_nothing() {
    let mut fleet_ = Fleet::of(
        "[agents.one]\ncommand = ['sleep', '100000']\nenv.KEY = { secret = 's3cret' }
[agents.web]\ncommand = ['sleep', '100000']\nreplicas = 2\nupdate.min_ready = '0s'\n",
    );
    fleet_.up();
    fleet_.until_all(3, "online");
    until_group(&fleet_, |group| group["available"] == 2 && group["phase"] == "online");
    for name in ["one", "web"] {
        let file = format!("{name}.json");
        std::fs::write(fleet_.path(&file), fleet_.must(&["get", name, "--spec"])).unwrap();
        let said = fleet_.must(&["update", name, "--file", &file, "--wait"]);
        assert!(said.contains("nothing to do"), "{said}");
    }
    for agent in fleet_.agents() {
        assert_eq!(
            (&agent["incarnation"], &agent["spec_revision"]),
            (&1.into(), &1.into()),
            "{agent:#}"
        );
    }
    fleet_.must(&["scale", "web", "1", "--wait"]);
    let history: Vec<Value> = serde_json::from_str(&fleet_.must(&["history", "--group", "web", "-o", "json"])).unwrap();
    assert!(history.iter().any(|row| row["name"] == "web-2") && history.iter().all(|row| row["group"] == "web"));
    let events = fleet_.must(&[
        "events", "--group", "web", "--since", "1h", "--limit", "5", "-o", "json",
    ]);
    let of_web = |line: &str| serde_json::from_str::<Value>(line).unwrap()["group"] == "web";
    assert!(events.lines().count() == 5 && events.lines().all(of_web), "{events}");
    let edited = fleet_.read("one.json").replace("100000", "200000");
    std::fs::write(fleet_.path("one.json"), edited).unwrap();
    fleet_.must(&["update", "one", "--file", "one.json", "--wait"]);
    assert_eq!(fleet_.agent("one")["incarnation"], 2);
    let state = fleet_.must(&["get", "one", "-o", "json"]);
    std::fs::write(fleet_.path("state.json"), state).unwrap();
    let refused = fleet_.run(&["update", "one", "--file", "state.json"]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
}

#[test]
fn replicas_too_many_for_the_open_files_are_refused_with_the_limit_and_the_remedy() {
    let mut fleet_ = Fleet::of("[agents.web]\ncommand = ['sleep', '100000']\nreplicas = 2\n");
    // For three agents, and no more.
    let three = stead_keeper::DESCRIPTORS_BESIDE + 3 * stead_keeper::DESCRIPTORS_EACH;
    fleet_.limit_files(u32::try_from(three).unwrap());
    fleet_.up();
    fleet_.until_all(2, "online");
    let scaled = fleet_.post("/api/v1/groups/web/lifecycle/scale", "{\"replicas\":4}");
    let template = r#"{"command":["sleep","100000"]}"#;
    let body = format!(r#"{{"name":"api","replicas":2,"template":{template}}}"#);
    for refused in [scaled, fleet_.post("/api/v1/groups", &body)] {
        let problem = refused.json();
        assert_eq!((refused.status, &problem["code"]), (422, &"limit-reached".into()));
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("4 processes are wanted") && detail.contains("ulimit -Hn"),
            "{detail}"
        );
    }
    fleet_.must(&["scale", "web", "3"]);
    fleet_.until_all(3, "online");
    fleet_.must(&["scale", "web", "1"]);
}

#[test]
fn what_was_rolled_back_is_tried_again_only_when_somebody_asks_for_it() {
    let (replicas, most_away) = (2, 1);
    // Applied by nobody but this test.
    let unwatched = |version| format!("{}[daemon]\nwatch = false\n", fleet(replicas, most_away, version));
    let mut fleet_ = Fleet::of(&unwatched("v1"));
    fleet_.up();
    until_group(&fleet_, |group| {
        group["available"] == replicas && group["phase"] == "online"
    });
    fleet_.write(&unwatched("bad"));
    let failed = fleet_.run(&["apply", "fleet.toml", "--wait"]);
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let settled = |group: &Value| group["rollout"]["state"] == "rolled_back" && group["available"] == replicas;
    let before = until_group(&fleet_, settled);
    tells_what_was_taken_back(&fleet_);
    let said = fleet_.must(&["apply", "fleet.toml"]);
    assert!(
        said.contains("web is not updated") && said.contains("stead rollout retry web"),
        "{said}"
    );
    let again = fleet_.run(&["apply", "fleet.toml", "--wait"]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    let after = until_group(&fleet_, settled);
    assert_eq!(after["rollout"], before["rollout"]);
    let retried = fleet_.run(&["rollout", "retry", "web", "--wait"]);
    assert_eq!(retried.status.code(), Some(1), "{retried:?}");
    let after = until_group(&fleet_, settled);
    assert_eq!(after["rollout"]["to"], 3, "{after:#}");
    fleet_.write(&unwatched("v2"));
    fleet_.must(&["apply", "fleet.toml", "--wait"]);
    let nothing = fleet_.run(&["rollout", "retry", "web"]);
    assert_eq!(nothing.status.code(), Some(5), "{nothing:?}");
    let good = fleet_.must(&["rollout", "status", "web", "--watch", "--timeout", "100s"]);
    assert!(good.contains("in force") && good.contains("2 of 2 updated"), "{good}");

    fleet_.must(&[
        "rollout",
        "undo",
        "web",
        "--to",
        "1",
        "--reason",
        "the first was best",
        "--wait",
    ]);
    let group = until_group(&fleet_, |group| group["phase"] == "online");
    assert_eq!(
        (&group["rollout"]["state"], &group["available"]),
        (&"completed".into(), &replicas.into()),
        "{group:#}"
    );
    let history = fleet_.must(&["rollout", "history", "web"]);
    assert!(history.contains("the first was best"), "{history}");
    let unknown = fleet_.run(&["rollout", "undo", "web", "--to", "99"]);
    assert!(!unknown.status.success(), "{unknown:?}");
    let nobody = fleet_.run(&["rollout", "status", "nobody"]);
    assert_eq!(nobody.status.code(), Some(4), "{nobody:?}");
}

/// The command line says of a second revision that it failed, with whom and why, and that the first is in force.
#[track_caller]
fn tells_what_was_taken_back(fleet_: &Fleet) {
    for (words, help) in [
        (&["rollout", "status", "web"][..], "rollout history web"),
        (&["rollout", "status", "web", "--watch"], "stead why web"),
    ] {
        let failed = fleet_.run(words);
        assert_eq!(failed.status.code(), Some(1), "{words:?}: {failed:?}");
        let text = String::from_utf8_lossy(&failed.stdout).into_owned() + &String::from_utf8_lossy(&failed.stderr);
        for said in ["revision 2 was taken back", "web-", help] {
            assert!(text.contains(said), "{said:?} is not in\n{text}");
        }
    }
    let history = fleet_.must(&["rollout", "history", "web"]);
    let of = |number: &str| {
        let row = history.lines().find(|row| row.starts_with(number));
        row.unwrap_or_else(|| panic!("no revision {number} in\n{history}"))
            .to_owned()
    };
    assert!(of("2 ").contains("failed") && !of("1 ").contains("failed"), "{history}");
    assert!(of("1 ").contains("last good"), "{history}");
}

#[test]
fn who_names_an_agent_for_a_group_or_the_other_way_round_is_told_which_it_is() {
    let mut fleet = Fleet::of(
        "[agents.grp]\ncommand = ['sleep', '100000']\nreplicas = 1\n[agents.one]\ncommand = ['sleep', '100000']\n",
    );
    fleet.up();
    for (words, said) in [
        (&["rollout", "undo", "one"][..], "`one` is an agent, not a group"),
        (&["rollout", "status", "one"], "`one` is an agent, not a group"),
        (&["task", "assign", "grp", "t1"], "`grp` is a group, not an agent"),
        (&["logs", "grp"], "`grp` is a group, not an agent"),
    ] {
        let refused = fleet.run(words);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(4), "{words:?}: {told}");
        assert!(told.contains(said) && !told.contains("add `-n"), "{words:?}: {told}");
    }
}
