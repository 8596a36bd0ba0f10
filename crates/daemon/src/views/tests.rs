use stead_model::{AgentId, AgentSpec, Health, Incarnation, Namespace, Revision, Slot, Wall, Wanted};

use super::*;

pub(crate) fn view(number: u64, name: &str, phase: &'static str) -> AgentView {
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
fn a_listing_is_consistent_at_its_position() {
    let views = Views::default();
    views.publish_all(
        (0..2000)
            .map(|number| view(number, &format!("a-{number:04}"), "online").into())
            .collect(),
    );
    let mut turn = 0;
    // In the middle of the walk one agent moves on, one goes, one comes; nothing of that is seen, and nothing waits.
    let (page, more) = views.page(Some("online"), None, 3000, |_| {
        turn += 1;
        if turn == 1000 {
            views.publish(view(1500, "a-1500", "busy"));
            views.withdraw(AgentId::new(Slot::try_from(1).unwrap(), 1600));
            views.publish(view(3000, "a-1700-more", "online"));
        }
        true
    });
    assert!(!more && page.iter().all(|view| view.phase == "online"));
    let listed: Vec<String> = page.iter().map(|view| view.name.to_string()).collect();
    let as_they_were: Vec<String> = (0..2000).map(|number| format!("a-{number:04}")).collect();
    assert_eq!(listed, as_they_were);
    assert_eq!((names(&views, "busy"), views.count()), (vec!["a-1500".into()], 2000));
}

#[test]
fn many_that_are_shown_at_once_are_found_as_those_shown_one_by_one() {
    let agents = |number: u64| {
        let phase = if number.is_multiple_of(3) { "busy" } else { "online" };
        // Longer than what is compared at first, and alike in it.
        view(
            number,
            &format!("a-name-that-is-longer-than-most-{:03}", 997 * number % 1000),
            phase,
        )
    };
    let (at_once, one_by_one) = (Views::default(), Views::default());
    at_once.publish_all((0..1000).map(|number| agents(number).into()).collect());
    (0..1000).for_each(|number| one_by_one.publish(agents(number)));
    for phase in [None, Some("busy"), Some("online")] {
        let all = |views: &Views| views.page(phase, None, 2000, |_| true);
        assert_eq!(all(&at_once), all(&one_by_one));
    }
    let id = AgentId::new(Slot::try_from(1).unwrap(), 500);
    let found = at_once.get(&Namespace::default(), &AgentRef::Id(id));
    assert_eq!(found, one_by_one.get(&Namespace::default(), &AgentRef::Id(id)));
    assert_eq!(found.unwrap().id, id);
}

#[test]
fn one_that_was_given_the_name_of_another_is_not_withdrawn_with_it() {
    let views = Views::default();
    views.publish(view(1, "web", "offline"));
    views.publish(view(2, "web", "online"));
    views.withdraw(AgentId::new(Slot::try_from(1).unwrap(), 1));
    assert_eq!(
        (names(&views, "online"), names(&views, "offline")),
        (vec!["web".into()], vec![])
    );
    views.withdraw(AgentId::new(Slot::try_from(1).unwrap(), 2));
    assert_eq!((names(&views, "online").len(), views.count()), (0, 0));
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
