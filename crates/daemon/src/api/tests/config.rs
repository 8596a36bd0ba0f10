//! A fleet file applied, refused, kept and taken up again, over HTTP.

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use super::world::{Reply, World, heard};

const REVIEWED: &str = "[profiles.reviewed]\nbase = 'agent'\nextra = ['online -> reviewing']\n\
    [profiles.reviewed.states.reviewing]\nrole = 'busy'\nnext = ['online', 'error', 'stopping']\n";

async fn post(world: &World, path: &str, toml: &str) -> Reply {
    let request = Request::post(format!("/api/v1{path}"))
        .header("content-type", "application/toml")
        .header("stead-actor", "ada")
        .body(Body::from(toml.to_owned()))
        .unwrap();
    world.send(request).await
}

async fn apply(world: &World, toml: &str) -> Value {
    let reply = post(world, "/config/apply?file=/srv/fleet.toml&reason=a+test", toml).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

/// All that a bad configuration must leave as it is. How well agents do changes by itself, and their revisions with that.
async fn everything(world: &World) -> (Vec<Value>, Value, Value) {
    let mut agents = world.get("/agents").await.json()["items"].as_array().unwrap().clone();
    for field in ["health", "conditions", "evidence", "revision", "etag"] {
        agents
            .iter_mut()
            .for_each(|agent| drop(agent.as_object_mut().unwrap().remove(field)));
    }
    let config = world.get("/config").await.json();
    let history = world.get("/config/history").await.json();
    (agents, config, history)
}

#[tokio::test]
async fn what_changes_is_told_key_by_key_and_kept_as_a_revision() {
    let world = World::new();
    let first = apply(
        &world,
        "[agents.web]\ncommand = ['serve']\n[agents.old]\ncommand = ['serve']\n",
    )
    .await;
    assert_eq!(
        (&first["revision"], &first["added"]),
        (&1.into(), &serde_json::json!(["web", "old"]))
    );
    world.until("/agents/web", |agent| agent["ready"] == true).await;

    let text =
        "[agents.web]\ncommand = ['serve', 'more']\nenv.K = { secret = 'hunter2' }\n[agents.new]\ndriver = 'none'\n";
    let told = post(&world, "/config/apply?dry_run=true", text).await.json();
    assert_eq!(told["revision"], Value::Null, "{told}");
    assert_eq!(
        (&told["added"], &told["removed"]),
        (&serde_json::json!(["new"]), &serde_json::json!(["old"]))
    );
    assert_eq!(told["pending_restart"], serde_json::json!(["web"]));
    let fields = &told["changes"][0]["fields"];
    assert_eq!(
        (&fields[0]["field"], &fields[0]["after"]),
        (&"command".into(), &r#"["serve","more"]"#.into())
    );
    assert!(!told.to_string().contains("hunter2"), "{told}");

    let done = apply(&world, text).await;
    assert_eq!(
        (&done["revision"], &done["pending_restart"]),
        (&2.into(), &serde_json::json!(["web"]))
    );
    world
        .until("/agents/old", |agent| agent["code"] == "unknown-agent")
        .await;
    let last = world.get("/agents/old/transitions").await.json();
    assert!(
        !last["items"].as_array().unwrap().is_empty(),
        "its history is kept: {last}"
    );

    let again = apply(&world, text).await;
    assert_eq!(again["revision"], 2, "what is in force is no new revision");
    let history = world.get("/config/history").await.json();
    let numbers: Vec<&Value> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["revision"])
        .collect();
    assert_eq!(numbers, [2, 1]);
    assert_eq!(history["items"][0]["reason"], "a test");
    let shown = world.get("/config/revisions/2").await;
    assert!(
        shown.text.contains("command") && !shown.text.contains("hunter2"),
        "{}",
        shown.text
    );
    assert_eq!(
        world.get("/config/revisions/9").await.problem(),
        (404, "not-found".into())
    );
}

#[tokio::test]
async fn a_restart_is_made_with_consent_alone() {
    let world = World::new();
    apply(&world, "[agents.web]\ncommand = ['serve']\n").await;
    world.until("/agents/web", |agent| agent["ready"] == true).await;
    apply(&world, "[agents.web]\ncommand = ['serve', 'more']\n").await;
    let waits = world.get("/agents/web").await.json();
    assert_eq!(
        (&waits["restart_pending"], &waits["incarnation"]),
        (&true.into(), &1.into())
    );
    let restarted = post(
        &world,
        "/config/apply?restart=true",
        "[agents.web]\ncommand = ['serve', 'more']\n",
    )
    .await;
    assert_eq!(restarted.status, 200, "{}", restarted.text);
    world
        .until("/agents/web", |agent| {
            agent["incarnation"] == 2 && agent["restart_pending"] != true
        })
        .await;
}

#[tokio::test]
async fn an_old_revision_is_applied_again_as_a_new_one() {
    let world = World::new();
    apply(&world, "[agents.web]\ndriver = 'none'\n").await;
    apply(&world, "[agents.api]\ndriver = 'none'\n").await;
    world
        .until("/agents/web", |agent| agent["code"] == "unknown-agent")
        .await;
    let back = world
        .json("POST", "/config/rollback", r#"{"revision":1,"reason":"too soon"}"#)
        .await;
    assert_eq!(back.status, 200, "{}", back.text);
    assert_eq!(
        (&back.json()["revision"], &back.json()["added"]),
        (&3.into(), &serde_json::json!(["web"]))
    );
    world
        .until("/agents/api", |agent| agent["code"] == "unknown-agent")
        .await;
    let view = world.get("/config").await.json();
    assert_eq!(
        (&view["revision"], &view["reason"]),
        (&3.into(), &"back to revision 1: too soon".into())
    );
    let none = world.json("POST", "/config/rollback", r#"{"revision":7}"#).await;
    assert_eq!(none.problem(), (404, "not-found".into()));
}

#[tokio::test]
async fn a_bad_configuration_changes_nothing_and_names_its_line() {
    let world = World::new();
    let good = format!(
        "{REVIEWED}[agents.web]\ndriver = 'none'\nprofile = 'reviewed'\n[agents.many]\ndriver = 'none'\nreplicas = 2\n"
    );
    apply(&world, &good).await;
    world.until("/groups/many", |group| group["present"] == 2).await;
    let before = everything(&world).await;
    let bad = [
        (
            "[agents.web]\ndriver = 'none'\nprofile = 'reviewed'\n",
            "3:11: there is no profile `reviewed`",
        ),
        ("[agents.new]\ndriver = 'none'\n[policies.p]\n", ": it asks for nothing"),
        (
            "[agents.new]\ndriver = 'none'\n[profiles.p]\nbase = 'agent'\nextra = ['online -> away']\n",
            "5:10: there is no state",
        ),
        (
            "[agents.new]\ndriver = 'none'\n[retention.events]\nrows = 0\n",
            "4:1: `events.rows` must be at least 1",
        ),
        ("[agents.new\n", "1:12"),
    ];
    for (text, told) in bad {
        let refused = post(&world, "/config/apply", text).await;
        assert_eq!(refused.problem(), (422, "invalid-config".into()), "{text}");
        let errors = refused.json()["errors"].to_string();
        assert!(errors.contains(told), "{text}: {errors}");
        assert_eq!(everything(&world).await, before, "{text}");
    }
    let impossible = [
        (
            "[agents.new]\ndriver = 'none'\n[agents.web]\ndriver = 'none'\n",
            "line 3: web has the profile",
        ),
        (
            "[policies.p]\nedges = ['* -> maintenance']\nrequire_reason = true\n[agents.many]\ncommand = ['serve']\nreplicas = 2\n",
            "line 4: many has the driver",
        ),
        (
            "[agents.many]\ndriver = 'none'\nprofile = 'component'\nreplicas = 2\n",
            "line 1: many has the profile",
        ),
    ];
    for (text, told) in impossible {
        for path in ["/config/apply?dry_run=true", "/config/apply"] {
            let refused = post(&world, path, text).await;
            assert_eq!(refused.problem(), (422, "invalid-config".into()), "{text}");
            assert!(refused.text.contains(told), "{}", refused.text);
            assert_eq!(everything(&world).await, before, "{text}");
        }
    }
}

#[tokio::test]
async fn a_profile_that_an_agent_has_cannot_be_removed_until_it_is_gone() {
    let world = World::new();
    apply(&world, &format!("{REVIEWED}[agents.b]\n")).await;
    // One of the API's: no fleet file removes it.
    let web = r#"{"name":"web","spec":{"profile":"reviewed"}}"#;
    assert_eq!(world.json("POST", "/agents", web).await.status, 201);
    let refused = post(&world, "/config/apply", "[agents.b]\n").await;
    assert_eq!(refused.problem(), (409, "not-possible".into()));
    assert!(
        refused.text.contains("default/web") && refused.text.contains("reviewed"),
        "{}",
        refused.text
    );
    world.delete("/agents/web").await;
    world
        .until("/agents/web", |agent| agent["code"] == "unknown-agent")
        .await;
    let done = apply(&world, "[agents.b]\n").await;
    assert!(done["settings"].to_string().contains("profiles.reviewed"), "{done}");
}

#[tokio::test]
async fn a_policy_refuses_by_name_and_a_rate_says_when_to_ask_again() {
    let world = World::new();
    apply(
        &world,
        "[agents.web]\ncommand = ['serve']\n[policies.careful]\nedges = ['* -> maintenance']\nrequire_reason = true\n\
         [policies.calm]\nedges = ['* -> stopping']\nrate_limit = { max = 1, per = '10m' }\n",
    )
    .await;
    world.until("/agents/web", |agent| agent["ready"] == true).await;
    let before = as_it_is(&world).await;
    let counted = refused_so_far(&world).await;
    let (refused, said) = heard(world.json("POST", "/agents/web/lifecycle/maintenance", "")).await;
    assert_eq!(refused.problem(), (409, "policy-refused".into()));
    assert!(refused.text.contains("`careful`"), "{}", refused.text);
    assert_eq!(as_it_is(&world).await, before);
    assert_eq!(refused_so_far(&world).await, counted + 1);
    assert!(warned_of("`careful`", &said), "{said}");

    assert_eq!(world.json("POST", "/agents/web/lifecycle/stop", "").await.status, 202);
    world.until("/agents/web", |agent| agent["phase"] == "offline").await;
    world.json("POST", "/agents/web/lifecycle/start", "").await;
    world.until("/agents/web", |agent| agent["ready"] == true).await;
    let before = as_it_is(&world).await;
    let (limited, said) = heard(world.json("POST", "/agents/web/lifecycle/stop", "")).await;
    assert_eq!(limited.problem(), (429, "rate-limited".into()));
    assert_eq!(as_it_is(&world).await, before);
    assert_eq!(refused_so_far(&world).await, counted + 2);
    assert!(warned_of("`calm`", &said), "{said}");
    let secs: u64 = limited.header("retry-after").parse().unwrap();
    assert!((1..=601).contains(&secs), "{secs}");
    assert_eq!(limited.json()["retry_after"], secs);
    assert!(limited.text.contains("`calm`"), "{}", limited.text);
}

/// All that a request changes of an agent: how it stands, its revisions, its history.
async fn as_it_is(world: &World) -> [String; 2] {
    let web = world.get("/agents/web").await.json();
    let of_web = ["phase", "intent", "revision", "spec_revision", "incarnation"].map(|key| web[key].to_string());
    [of_web.join(" "), world.get("/agents/web/transitions").await.text]
}

/// How many requests the daemon says that it refused.
async fn refused_so_far(world: &World) -> u64 {
    let asked = Request::get("/health/ready").body(Body::empty()).unwrap();
    world.send(asked).await.json()["refused"].as_u64().unwrap()
}

fn warned_of(what: &str, said: &str) -> bool {
    said.lines()
        .any(|line| line.contains("WARN") && line.contains("refused") && line.contains(what))
}

#[tokio::test]
async fn a_policy_asks_for_a_role_and_a_request_that_says_it_has_less_is_refused() {
    let world = World::new();
    apply(
        &world,
        "[agents.web]\ncommand = ['serve']\n[policies.ours]\nedges = ['* -> maintenance']\nrequire_role = 'operator'\n",
    )
    .await;
    world.until("/agents/web", |agent| agent["ready"] == true).await;
    let rows = world.get("/agents/web/transitions").await.text;
    let maintenance = async |role: &str| {
        let path = "/agents/web/lifecycle/maintenance";
        world.ask("POST", path, "", &[("stead-role", role)]).await
    };
    for less in ["viewer", "agent"] {
        let refused = maintenance(less).await;
        assert_eq!(refused.problem(), (409, "policy-refused".into()), "{less}");
        assert!(refused.text.contains("`ours`"), "{}", refused.text);
    }
    assert_eq!(maintenance("king").await.problem(), (400, "invalid-request".into()));
    assert_eq!(world.get("/agents/web/transitions").await.text, rows);
    assert_eq!(maintenance("operator").await.status, 202);
}

#[tokio::test]
async fn what_a_policy_would_refuse_in_the_middle_is_refused_before_anything_is_done() {
    const CALM: &str = "[policies.calm]\nedges = ['* -> stopping']\nrate_limit = { max = 1, per = '10m' }\n";
    let world = World::new();
    let both = "[agents.web]\ncommand = ['serve']\n[agents.old]\ncommand = ['serve']\n";
    apply(&world, &format!("{CALM}{both}")).await;
    for agent in ["/agents/web", "/agents/old"] {
        world.until(agent, |agent| agent["ready"] == true).await;
    }
    // What it may be moved in ten minutes is spent.
    world.json("POST", "/agents/old/lifecycle/stop", "").await;
    world.until("/agents/old", |agent| agent["phase"] == "offline").await;
    world.json("POST", "/agents/old/lifecycle/start", "").await;
    world.until("/agents/old", |agent| agent["ready"] == true).await;
    let before = everything(&world).await;
    let without = "[agents.web]\ncommand = ['serve', 'more']\n[agents.new]\ndriver = 'none'\n";
    for path in ["/config/apply?dry_run=true", "/config/apply"] {
        let limited = post(&world, path, &format!("{CALM}{without}")).await;
        assert_eq!(limited.problem(), (429, "rate-limited".into()), "{}", limited.text);
        assert!(!limited.header("retry-after").is_empty());
        let detail = limited.json()["detail"].to_string();
        assert!(detail.contains("old: ") && detail.contains("`calm`"), "{detail}");
        assert_eq!(everything(&world).await, before);
    }
    // Those that come in force with a file bind what it asks for itself.
    let guard = "[policies.ill]\nedges = ['* -> stopping']\nrequire_health = ['failed']\n";
    let refused = post(&world, "/config/apply?dry_run=true", &format!("{guard}{without}")).await;
    assert_eq!(refused.problem(), (409, "policy-refused".into()), "{}", refused.text);
    let restart = "[agents.web]\ncommand = ['serve', 'more']\n[agents.old]\ncommand = ['serve']\n";
    let refused = post(&world, "/config/apply?restart=true", &format!("{guard}{restart}")).await;
    assert_eq!(refused.problem(), (409, "policy-refused".into()), "{}", refused.text);
    assert_eq!(everything(&world).await, before);
    assert_eq!(apply(&world, without).await["removed"], serde_json::json!(["old"]));
}

#[tokio::test]
async fn the_id_of_a_deleted_agent_answers_that_it_is_gone() {
    let world = World::new();
    apply(&world, "[agents.web]\ndriver = 'none'\n[agents.b]\n").await;
    let id = world.get("/agents/web").await.json()["id"].as_str().unwrap().to_owned();
    apply(&world, "[agents.b]\n").await;
    world
        .until("/agents/web", |agent| agent["code"] == "unknown-agent")
        .await;
    assert_eq!(
        world.get(&format!("/agents/{id}")).await.problem(),
        (410, "agent-gone".into())
    );
}

#[tokio::test]
async fn a_profile_goes_together_with_those_who_have_it_and_not_before() {
    let world = World::new();
    let with =
        format!("{REVIEWED}[agents.one]\ndriver = 'none'\nprofile = 'reviewed'\n[agents.two]\ndriver = 'none'\n");
    apply(&world, &with).await;
    // The agent stays, by the API; its profile cannot go.
    let two = "[agents.two]\ndriver = 'none'\n";
    world
        .json("POST", "/agents", r#"{"name":"mine","spec":{"profile":"reviewed"}}"#)
        .await;
    let before = everything(&world).await;
    for path in ["/config/apply?dry_run=true", "/config/apply"] {
        let refused = post(&world, path, two).await;
        assert_eq!(refused.problem(), (409, "not-possible".into()), "{}", refused.text);
        assert!(refused.text.contains("mine"), "{}", refused.text);
    }
    assert_eq!(everything(&world).await, before);
    world.delete("/agents/mine").await;
    let told = post(&world, "/config/apply?dry_run=true", two).await;
    assert_eq!(
        (told.status.as_u16(), &told.json()["removed"]),
        (200, &serde_json::json!(["one"]))
    );
    assert_eq!(apply(&world, two).await["removed"], serde_json::json!(["one"]));
    assert_eq!(world.get("/agents/one").await.status, 404);
}

#[tokio::test]
async fn a_group_without_replicas_holds_its_profile() {
    let world = World::new();
    apply(&world, &format!("{REVIEWED}[agents.two]\ndriver = 'none'\n")).await;
    let group = r#"{"name":"pool","replicas":0,"template":{"command":["serve"],"profile":"reviewed"}}"#;
    assert_eq!(world.json("POST", "/groups", group).await.status, 201);
    let refused = post(&world, "/config/apply", "[agents.two]\ndriver = 'none'\n").await;
    assert_eq!(refused.problem(), (409, "not-possible".into()), "{}", refused.text);
    assert!(refused.text.contains("group default/pool"), "{}", refused.text);
}

#[tokio::test]
async fn what_comes_over_the_api_takes_the_deadlines_of_its_type_where_it_says_none() {
    let world = World::new();
    let toml = "[types.slow.deadlines]\nstarting = '10m'\nstopping = '2m'\n[agents.one]\ncommand = ['serve']\n";
    apply(&world, toml).await;
    let spec = r#"{"command":["serve"],"type":"slow","deadlines":{"stopping":"5s"}}"#;
    let made = world
        .json("POST", "/agents", &format!(r#"{{"name":"two","spec":{spec}}}"#))
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let body = format!(r#"{{"name":"many","replicas":1,"template":{spec}}}"#);
    assert_eq!(world.json("POST", "/groups", &body).await.status, 201);
    let (two, many) = (
        world.get("/agents/two/spec").await.json(),
        world.get("/groups/many/spec").await.json(),
    );
    for deadlines in [&two["spec"]["deadlines"], &many["template"]["deadlines"]] {
        assert_eq!(*deadlines, serde_json::json!({ "starting": "10m", "stopping": "5s" }));
    }
    let other = world
        .json("POST", "/agents", r#"{"name":"other","spec":{"command":["serve"]}}"#)
        .await;
    assert_eq!(other.status, 201, "{}", other.text);
    let spec = world.get("/agents/other/spec").await.json();
    assert!(spec["spec"]["deadlines"].is_null(), "{spec:#}");
}

#[tokio::test]
async fn what_comes_over_the_api_without_a_spec_takes_the_deadlines_of_workers() {
    let world = World::new();
    let toml = "[types.worker.deadlines]\nstarting = '10m'\n[agents.one]\ncommand = ['serve']\n";
    apply(&world, toml).await;
    for at in ["/agents", "/components"] {
        let name = at.trim_matches(['/', 's']);
        let made = world.json("POST", at, &format!(r#"{{"name":"{name}"}}"#)).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let spec = world.get(&format!("{at}/{name}/spec")).await.json();
        assert_eq!(
            spec["spec"]["deadlines"],
            serde_json::json!({ "starting": "10m" }),
            "{spec:#}"
        );
        assert_eq!(spec["spec"]["profile"], name, "{spec:#}");
    }
}
