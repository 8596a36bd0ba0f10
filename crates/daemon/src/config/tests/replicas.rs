//! `replicas` and `update`.

use stead_model::group::Amount;

use super::*;

#[test]
fn an_agent_with_replicas_is_a_group_with_rules_for_its_updates() {
    let fleet = parse(
        "[agents.web]\ncommand = ['x']\nreplicas = 3\nupdate = { max_unavailable = '25%', min_ready = '2s' }\n\
         [agents.one]\ncommand = ['x']\n[agents.none]\ncommand = ['x']\nreplicas = 0\n",
    )
    .unwrap();
    let replicas = fleet.agents[0].replicas.as_ref().unwrap();
    assert_eq!(
        (replicas.count, replicas.update.max_unavailable),
        (3, "25%".parse().unwrap())
    );
    assert_eq!(replicas.update.max_surge, Amount::Count(0));
    assert_eq!(replicas.update.min_ready.to_string(), "2s");
    assert!(fleet.agents[1].replicas.is_none());
    assert_eq!(fleet.agents[2].replicas.as_ref().unwrap().count, 0);
}

#[test]
fn what_a_group_cannot_be_is_told_with_its_place_and_what_to_do() {
    for (text, place, help) in [
        ("replica = 3", "3:1", "did you mean `replicas`?"),
        ("replicas = 20000", "3:12", "choose fewer"),
        ("update.min_ready = '1s'", "3:1", "add `replicas`, or remove this"),
        (
            "replicas = 2\nupdate = { max_unavailble = 1 }",
            "4:12",
            "did you mean `max_unavailable`?",
        ),
        ("replicas = 2\nupdate.max_unavailable = 0", "4:1", "raise one of them"),
        (
            "replicas = 2\nupdate.min_ready = '10m'",
            "4:1",
            "raise `progress_deadline`",
        ),
        ("replicas = 2\nlifecycle.port = 8080", "4:1", "each with its port"),
    ] {
        let found = parse(&format!("[agents.web]\ncommand = ['x']\n{text}\n")).unwrap_err();
        let told = (
            format!("{}:{}", found[0].line, found[0].column),
            found[0].help.clone().unwrap(),
        );
        assert_eq!((found.len(), told.0.as_str()), (1, place), "{text}: {found:?}");
        assert!(told.1.contains(help), "{text}: {}", told.1);
    }
    assert!(problems("[components.db]\nreplicas = 2\n").contains("a component has no replicas"));
    assert!(problems("[defaults]\nreplicas = 2\n").contains("`replicas` is no default"));
}

#[test]
fn a_name_that_a_replica_needs_is_nobody_elses() {
    let group = "[agents.web]\ncommand = ['x']\nreplicas = 2\n";
    let of = |name: &str| format!("{group}[agents.{name}]\ncommand = ['x']\n");
    let found = problems(&of("web-2"));
    assert!(
        found.contains("`web-2` is the name of a replica of group `web`") && found.contains("on line 1"),
        "{found}"
    );
    for free in ["web-3", "web-0", "web-02", "web-x", "web-2-1"] {
        parse(&of(free)).unwrap_or_else(|found| panic!("{free}: {found:?}"));
    }
}

#[test]
fn who_depends_on_a_group_is_started_after_it_and_its_size_is_part_of_what_the_file_comes_to() {
    let of = |count: u32| {
        parse(&format!(
            "[agents.user]\ncommand = ['x']\ndepends_on.web = 'healthy'\n[agents.web]\ncommand = ['x']\nreplicas = {count}\n"
        ))
        .unwrap()
    };
    assert_eq!(names(&of(2)), ["web", "user"]);
    assert_eq!(of(2).hash, of(2).hash);
    assert_ne!(of(2).hash, of(3).hash);
}
