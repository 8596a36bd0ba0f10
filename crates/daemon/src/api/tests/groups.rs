use super::world::{World, group_spec, new_group};

#[tokio::test]
async fn a_group_is_made_known_with_a_place_a_version_and_replicas_that_serve() {
    let world = World::new();
    let made = world.json("POST", "/groups", &new_group("web", 2, "serve")).await;
    assert_eq!((made.status.as_u16(), made.header("stead-outcome")), (201, "created"));
    assert!(!made.text.contains("s3cret"), "{}", made.text);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), format!("/api/v1/groups/{id}"));
    let group = world
        .until("/groups/web", |group| {
            group["available"] == 2 && group["phase"] == "online"
        })
        .await;
    assert_eq!(group["members"], serde_json::json!(["web-1", "web-2"]));
    assert_eq!(world.get(&format!("/groups/{id}")).await.json()["name"], "web");
    let replicas = world.get("/agents?group=web").await.json();
    assert_eq!(replicas["items"].as_array().unwrap().len(), 2);
    assert_eq!(replicas["items"][0]["group"], "web");
    assert!(
        world.get("/agents?group=other").await.json()["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let spec = world.get("/groups/web/spec").await;
    assert!(
        spec.text.contains("***") && !spec.text.contains("s3cret"),
        "{}",
        spec.text
    );
    assert_eq!(spec.json()["update"]["max_unavailable"], 1);
}

#[tokio::test]
async fn groups_are_listed_page_by_page_and_by_label_and_namespace() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.json("POST", "/groups", &new_group(name, 0, "serve")).await;
    }
    world
        .json("POST", "/groups?namespace=blue", &new_group("d", 0, "serve"))
        .await;
    let names = |page: &serde_json::Value| {
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let page = world.get("/groups?namespace=default&limit=2").await.json();
    assert_eq!(names(&page), ["a", "b"]);
    let rest = format!(
        "/groups?namespace=default&cursor={}",
        page["next_cursor"].as_str().unwrap()
    );
    assert_eq!(names(&world.get(&rest).await.json()), ["c"]);
    assert_eq!(names(&world.get("/groups?selector=app%3Dweb").await.json()).len(), 4);
    assert!(names(&world.get("/groups?selector=app%3Dother").await.json()).is_empty());
}

#[tokio::test]
async fn another_template_is_rolled_out_and_the_one_before_brought_back() {
    let world = World::new();
    world.group("web", 3, "serve").await;
    let body = format!(r#"{{{},"reason":"new certificate"}}"#, group_spec(3, "other"));
    let put = world.json("PUT", "/groups/web", &body).await;
    assert_eq!(
        (put.status.as_u16(), put.json()["phase"].as_str()),
        (200, Some("updating")),
        "{}",
        put.text
    );
    let done = world
        .until("/groups/web/rollout", |status| {
            status["group"]["rollout"]["state"] == "completed" && status["group"]["updated"] == 3
        })
        .await;
    assert_eq!(done["group"]["good_revision"], 2);
    assert_eq!(done["revisions"][1]["reason"], "new certificate");
    assert_eq!(
        world.get("/agents/web-2/spec").await.json()["spec"]["command"][0],
        "other"
    );
    let undone = world.json("POST", "/groups/web/rollout/undo", "{}").await;
    assert_eq!(undone.status, 202, "{}", undone.text);
    world
        .until("/groups/web", |group| {
            group["good_revision"] == 3 && group["phase"] == "online"
        })
        .await;
    assert_eq!(
        world.get("/agents/web-2/spec").await.json()["spec"]["command"][0],
        "serve"
    );
    let never = world.json("POST", "/groups/web/rollout/undo", r#"{"to":9}"#).await;
    assert_eq!(never.problem(), (409, "no-revision".into()));
}

#[tokio::test]
async fn a_template_that_fails_is_taken_back_and_said_to_have_failed() {
    let world = World::new();
    world.group("web", 2, "serve").await;
    let patch = r#"{"template":{"command":["broken"]}}"#;
    let patched = world.json("PATCH", "/groups/web", patch).await;
    assert_eq!(patched.status, 200, "{}", patched.text);
    let status = world
        .until("/groups/web/rollout", |status| {
            status["group"]["rollout"]["state"] == "rolled_back" && status["group"]["available"] == 2
        })
        .await;
    assert_eq!(status["group"]["spec_revision"], 1);
    assert_eq!(status["revisions"][1]["failed"], true);
    let kept = world.get("/agents/web-1/spec").await;
    assert_eq!(kept.json()["spec"]["command"][0], "serve");
    // A patch reads the whole spec, secrets included, and hides them again.
    assert!(!kept.text.contains("s3cret") && kept.text.contains("***"));
}

#[tokio::test]
async fn a_group_is_scaled_and_each_verb_reaches_every_replica() {
    let world = World::new();
    world.group("web", 1, "serve").await;
    let scaled = world
        .json("POST", "/groups/web/lifecycle/scale", r#"{"replicas":3}"#)
        .await;
    assert_eq!(
        (scaled.status.as_u16(), scaled.json()["replicas"].as_u64()),
        (202, Some(3))
    );
    world.until("/groups/web", |group| group["available"] == 3).await;
    for (verb, phase) in [
        ("pause", "suspended"),
        ("resume", "online"),
        ("maintenance", "maintenance"),
        ("start", "online"),
        ("stop", "offline"),
        ("start", "online"),
        ("drain", "offline"),
    ] {
        let asked = world.json("POST", &format!("/groups/web/lifecycle/{verb}"), "{}").await;
        assert_eq!(asked.status, 202, "{verb}: {}", asked.text);
        world.until("/agents/web-3", |agent| agent["phase"] == phase).await;
    }
    let refused = world.json("POST", "/groups/web/lifecycle/resume", "").await;
    assert_eq!(refused.problem(), (409, "not-possible".into()));
    assert!(refused.json()["verbs"].as_array().unwrap().contains(&"start".into()));
    world.json("POST", "/groups/web/lifecycle/start", "").await;
    world.until("/groups/web", |group| group["available"] == 3).await;
    world.json("POST", "/groups/web/lifecycle/restart", "").await;
    world.until("/groups/web", |group| group["good_revision"] == 2).await;
    assert_eq!(world.get("/agents/web-1").await.json()["restarts"], 0);
}

#[tokio::test]
async fn what_goes_with_another_verb_or_with_none_is_refused() {
    let world = World::new();
    world.group("web", 1, "serve").await;
    for (verb, body, status) in [
        ("scale", "{}", 400),
        ("stop", r#"{"replicas":2}"#, 400),
        ("restart", r#"{"template":{"command":["x"]}}"#, 400),
        ("start", r#"{"timeout":"5s"}"#, 400),
        ("scale", r#"{"replicas":10001}"#, 422),
        ("explode", "{}", 404),
    ] {
        let refused = world.json("POST", &format!("/groups/web/lifecycle/{verb}"), body).await;
        assert_eq!(refused.status, status, "{verb} {body}: {}", refused.text);
    }
    let both = format!(r#"{{{},"intent":"running","name":"web-1"}}"#, group_spec(1, "serve"));
    assert_eq!(
        world.json("POST", "/groups", &both).await.problem(),
        (409, "duplicate-name".into())
    );
    let never = r#"{"name":"x","replicas":1,"update":{"max_unavailable":0},"template":{"command":["x"]}}"#;
    assert_eq!(
        world.json("POST", "/groups", never).await.problem(),
        (422, "invalid-spec".into())
    );
}

#[tokio::test]
async fn nobody_is_an_answer_and_reading_it_makes_nothing() {
    let world = World::new();
    for path in [
        "/groups/nobody",
        "/groups/nobody/spec",
        "/groups/nobody/rollout",
        "/groups/agt_0000000000001",
    ] {
        assert_eq!(world.get(path).await.problem(), (404, "unknown-group".into()), "{path}");
    }
    assert_eq!(
        world.delete("/groups/nobody").await.problem(),
        (404, "unknown-group".into())
    );
    assert!(
        world.get("/groups").await.json()["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_group_that_has_not_changed_is_not_sent_again_and_one_that_has_is_not_changed_blindly() {
    let world = World::new();
    world.group("web", 1, "serve").await;
    let group = world.until("/groups/web", |group| group["phase"] == "online").await;
    let etag = format!("\"{}\"", group["revision"]);
    let same = world.ask("GET", "/groups/web", "", &[("if-none-match", &etag)]).await;
    assert_eq!((same.status.as_u16(), same.header("etag")), (304, etag.as_str()));
    let body = r#"{"replicas":2}"#;
    let scaled = world
        .ask("POST", "/groups/web/lifecycle/scale", body, &[("if-match", &etag)])
        .await;
    assert_eq!(scaled.status, 202, "{}", scaled.text);
    let stale = world
        .ask(
            "POST",
            "/groups/web/lifecycle/scale",
            r#"{"replicas":4}"#,
            &[("if-match", &etag)],
        )
        .await;
    assert_eq!(stale.problem(), (412, "stale-revision".into()));
}

#[tokio::test]
async fn a_request_with_a_key_is_done_once_and_its_key_is_for_nothing_else() {
    let world = World::new();
    let key: &[(&str, &str)] = &[("idempotency-key", "k-1")];
    let first = world.ask("POST", "/groups", &new_group("web", 1, "serve"), key).await;
    let again = world.ask("POST", "/groups", &new_group("web", 1, "serve"), key).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(first.json()["id"], again.json()["id"]);
    let other = world.ask("POST", "/groups", &new_group("web", 2, "serve"), key).await;
    assert_eq!(other.problem(), (422, "idempotency-key-reused".into()));
    let agent = world.ask("POST", "/agents", r#"{"name":"x"}"#, key).await;
    assert_eq!(agent.problem(), (422, "idempotency-key-reused".into()));
}

#[tokio::test]
async fn a_deleted_group_goes_with_its_replicas() {
    let world = World::new();
    world.group("web", 2, "serve").await;
    let deleted = world.delete("/groups/web?reason=over").await;
    assert_eq!(
        (deleted.status.as_u16(), deleted.json()["phase"].as_str()),
        (202, Some("deleting"))
    );
    world
        .until("/groups", |list| list["items"].as_array().unwrap().is_empty())
        .await;
    world
        .until("/agents", |list| list["items"].as_array().unwrap().is_empty())
        .await;
}

#[tokio::test]
async fn exactly_one_of_a_hundred_conflicting_requests_wins() {
    let world = World::new();
    world.group("web", 1, "serve").await;
    let group = world.until("/groups/web", |group| group["phase"] == "online").await;
    let etag = format!("\"{}\"", group["revision"]);
    let race = (0..100).map(|number| {
        let (world, etag) = (&world, &etag);
        async move {
            let body = format!(r#"{{"replicas":{}}}"#, number + 2);
            let asked = world
                .ask("POST", "/groups/web/lifecycle/scale", &body, &[("if-match", etag)])
                .await;
            (asked.status.as_u16(), number + 2)
        }
    });
    let answers = futures_util::future::join_all(race).await;
    let won: Vec<_> = answers.iter().filter(|(status, _)| *status == 202).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|(status, _)| *status == 412).count(), 99);
    assert_eq!(world.get("/groups/web").await.json()["replicas"], won[0].1);
}

#[tokio::test]
async fn the_id_of_a_deleted_group_is_gone_and_its_name_unknown() {
    let world = World::new();
    let id = world.group("web", 2, "serve").await["id"].as_str().unwrap().to_owned();
    world.delete("/groups/web").await;
    world.until("/groups/web", |group| group["status"] == 404).await;
    for path in ["", "/spec", "/rollout"] {
        let gone = world.get(&format!("/groups/{id}{path}")).await;
        assert_eq!(gone.problem(), (410, "group-gone".into()), "{}", gone.text);
    }
    let asked = world.json("POST", &format!("/groups/{id}/lifecycle/start"), "").await;
    assert_eq!(asked.problem(), (410, "group-gone".into()));
    let never = world.get("/groups/agt_0000000000001").await;
    assert_eq!(never.problem(), (404, "unknown-group".into()));
}

#[tokio::test]
async fn replicas_are_not_deleted_by_a_label_but_told_of_their_group() {
    let world = World::new();
    world.group("web", 2, "serve").await;
    let batch = world
        .json("POST", "/agents:batch", r#"{"verb":"delete","selector":"app=web"}"#)
        .await;
    assert_eq!(batch.json()["refused"], 2, "{}", batch.text);
    let problem = &batch.json()["items"][0]["problem"];
    assert_eq!(problem["code"], "part-of-group");
    assert!(
        problem["detail"].as_str().unwrap().contains("scale the group"),
        "{problem}"
    );
    assert_eq!(world.get("/groups/web").await.json()["available"], 2);
}

#[tokio::test]
async fn the_spec_that_is_shown_can_be_given_back_and_changes_nothing() {
    let world = World::new();
    world.group("web", 2, "serve").await;
    let before = world.get("/groups/web").await;
    let shown = world.get("/groups/web/spec").await;
    assert!(shown.text.contains("***"), "{}", shown.text);
    let back = world.json("PUT", "/groups/web", &shown.text).await;
    assert_eq!(
        (back.status.as_u16(), back.header("stead-outcome")),
        (200, "already"),
        "{}",
        back.text
    );
    assert_eq!(world.get("/groups/web").await.text, before.text);
    let mut edited = shown.json();
    edited["template"]["command"] = serde_json::json!(["other"]);
    let put = world.json("PUT", "/groups/web", &edited.to_string()).await;
    assert_eq!(put.status, 200, "{}", put.text);
    world
        .until("/groups/web/rollout", |status| {
            status["group"]["rollout"]["state"] == "completed"
        })
        .await;
    // The secret went on with it: a patch that only says the command again says nothing new.
    let same = world
        .json(
            "PATCH",
            "/groups/web",
            r#"{"template":{"env":{"KEY":{"secret":"s3cret"}}}}"#,
        )
        .await;
    assert_eq!(same.header("stead-outcome"), "already", "{}", same.text);
    let late = world.json("PUT", "/groups/web", &shown.text).await;
    assert_eq!(late.problem(), (412, "stale-revision".into()), "{}", late.text);
}

#[tokio::test]
async fn the_history_of_a_group_is_that_of_all_its_replicas_also_of_those_that_it_has_no_more() {
    let world = World::new();
    world.group("web", 2, "serve").await;
    world
        .json(
            "POST",
            "/agents",
            r#"{"name":"web-9","spec":{"command":["serve"]},"intent":"running"}"#,
        )
        .await;
    world.until("/agents/web-9", |agent| agent["ready"] == true).await;
    world
        .json("POST", "/groups/web/lifecycle/scale", r#"{"replicas":1}"#)
        .await;
    world.until("/groups/web", |group| group["present"] == 1).await;
    let rows = world.get("/transitions?group=web&limit=1000").await.json();
    let rows = rows["items"].as_array().unwrap();
    for (name, gone) in [("web-1", false), ("web-2", true)] {
        let of_it: Vec<_> = rows.iter().filter(|row| row["name"] == name).collect();
        assert!(of_it.iter().any(|row| row["to"] == "deploying"), "{rows:#?}");
        assert_eq!(of_it.iter().any(|row| row["to"] == "deleted"), gone, "{rows:#?}");
    }
    assert!(
        rows.iter().all(|row| row["group"] == "web" && row["name"] != "web-9"),
        "{rows:#?}"
    );
    let blue = world.get("/transitions?group=web&namespace=blue").await;
    assert_eq!(blue.problem(), (404, "unknown-group".into()), "{}", blue.text);
}

#[tokio::test]
async fn replicas_have_no_port_in_common_to_be_told_of_pauses_at() {
    let world = World::new();
    let body = r#"{"name":"web","replicas":2,"template":{"command":["serve"],"lifecycle":{"port":8080}}}"#;
    let refused = world.json("POST", "/groups", body).await;
    assert_eq!(refused.problem(), (422, "invalid-spec".into()), "{}", refused.text);
    assert!(
        refused.text.contains("which only one of the replicas could have"),
        "{}",
        refused.text
    );
    world.json("POST", "/groups", &new_group("web", 1, "serve")).await;
    let patch = r#"{"template":{"lifecycle":{"port":8080}}}"#;
    let refused = world.json("PATCH", "/groups/web", patch).await;
    assert_eq!(refused.problem(), (422, "invalid-spec".into()), "{}", refused.text);
}

#[tokio::test]
async fn the_history_of_a_group_is_of_one_namespace_and_outlives_the_group() {
    let world = World::new();
    world.group("web", 1, "serve").await;
    let blue = world
        .json("POST", "/groups?namespace=blue", &new_group("web", 1, "serve"))
        .await;
    assert_eq!(blue.status, 201, "{}", blue.text);
    let all = "/transitions?limit=1000";
    let rows = world.get(&format!("{all}&group=web")).await.json();
    let rows = rows["items"].as_array().unwrap();
    assert!(
        !rows.is_empty() && rows.iter().all(|row| row["namespace"] == "default"),
        "{rows:#?}"
    );
    for path in ["/transitions?group=typo", "/events?group=typo"] {
        let unknown = world.get(path).await;
        assert_eq!(unknown.problem(), (404, "unknown-group".into()), "{}", unknown.text);
    }
    world.json("DELETE", "/groups/web", "").await;
    world
        .until("/groups/web", |group| group["code"] == "unknown-group")
        .await;
    let rows = world.get(&format!("{all}&group=web&state=deleted")).await.json();
    assert_eq!(rows["items"].as_array().unwrap().len(), 1, "{rows:#}");
}
