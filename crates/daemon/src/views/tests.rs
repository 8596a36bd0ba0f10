use stead_model::{AgentId, AgentSpec, Health, Incarnation, Namespace, Revision, Slot, Wall, Wanted};

use super::*;

fn view(number: u64, name: &str, phase: &'static str) -> AgentView {
    AgentView {
        id: AgentId::new(Slot::try_from(1).unwrap(), number),
        name: name.parse().unwrap(),
        namespace: Namespace::default(),
        profile: "agent".into(),
        kind: AgentSpec::reporting("agent").kind,
        phase: phase.into(),
        since: Wall::default(),
        health: Health::Unknown,
        ready: false,
        intent: Wanted::Running,
        pause: None,
        incarnation: Incarnation(0),
        pid: None,
        restarts: 0,
        tasks: 0,
        revision: Revision(1),
        spec_revision: 1,
        restart_pending: false,
        group: None,
        labels: BTreeMap::new(),
        conditions: Vec::new(),
        evidence: Vec::new(),
        next: None,
    }
}

fn names(views: &Views, phase: &str) -> Vec<String> {
    let (page, more) = views.page(Some(phase), None, 10, |_| true);
    assert!(!more);
    page.iter().map(|view| view.name.to_string()).collect()
}

#[test]
fn those_in_a_phase_are_found_as_they_come_and_go() {
    let views = Views::default();
    for (number, name) in [(1, "b"), (2, "a"), (3, "c")] {
        views.publish(view(number, name, "online"));
    }
    views.publish(view(1, "b", "busy"));
    assert_eq!(
        (names(&views, "online"), names(&views, "busy")),
        (vec!["a".into(), "c".into()], vec!["b".into()])
    );
    views.withdraw(AgentId::new(Slot::try_from(1).unwrap(), 1));
    views.publish(view(4, "a", "idle"));
    assert_eq!(
        (
            names(&views, "busy").len(),
            names(&views, "idle"),
            names(&views, "online")
        ),
        (0, vec!["a".into()], vec!["c".into()])
    );
    assert_eq!(views.count(), 2);
}

#[test]
fn a_page_of_a_phase_goes_on_beyond_the_last_one_and_says_whether_there_are_more() {
    let views = Views::default();
    for number in 0..5 {
        views.publish(view(number, &format!("a-{number}"), "online"));
    }
    let (first, more) = views.page(Some("online"), None, 2, |_| true);
    assert!(more && first.len() == 2);
    let last = (first[1].namespace.clone(), first[1].name.clone());
    let (rest, more) = views.page(Some("online"), Some(&last), 10, |_| true);
    assert_eq!((rest.len(), more), (3, false));
    assert_eq!(views.page(Some("nowhere"), None, 2, |_| true).0.len(), 0);
}

#[test]
fn profiles_of_configuration_are_shown_beside_the_built_in_ones() {
    let views = Views::default();
    assert_eq!(views.profiles().len(), 3);
    let spec = stead_model::profile::spec::ProfileSpec {
        base: Some("agent".into()),
        ..Default::default()
    };
    let own = spec.build("own", |_| Some(agent())).unwrap();
    views.show_profiles(vec![own]);
    assert_eq!(
        views.profiles().iter().map(Profile::name).collect::<Vec<_>>(),
        ["own", "agent", "agent-original", "component"]
    );
    views.show_profiles(Vec::new());
    assert_eq!(views.profiles().len(), 3);
}
