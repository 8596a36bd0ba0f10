use proptest::prelude::*;

use super::*;

fn edges(profile: &Profile) -> Vec<String> {
    profile
        .phases()
        .map(|from| {
            let next: Vec<&str> = profile.next(from).map(|to| profile.name_of(to)).collect();
            alloc::format!("{} -> {}", profile.name_of(from), next.join(" "))
        })
        .collect()
}

fn sorted(line: &str) -> String {
    let (from, next) = line.split_once("->").unwrap();
    let mut next: Vec<&str> = next.split_whitespace().collect();
    next.sort_unstable();
    alloc::format!("{} -> {}", from.trim(), next.join(" "))
}

/// Compares with the contract's own table, whatever the order of the states in a line.
fn has_exactly(profile: &Profile, contract: &str) {
    let ours: Vec<String> = edges(profile).iter().map(|line| sorted(line)).collect();
    let contract: Vec<String> = contract
        .lines()
        .filter(|line| line.contains("->"))
        .map(sorted)
        .collect();
    assert_eq!(ours, contract);
}

#[test]
fn the_agent_profile_has_exactly_the_edges_of_the_contract_and_three_into_scaling() {
    has_exactly(
        &agent(),
        "
        registered -> deploying deleted
        deploying -> deployed failed error
        deployed -> starting updating deleted
        starting -> online failed error timeout
        online -> busy idle stopping updating maintenance suspended offline error scaling
        busy -> idle online stopping maintenance suspended offline error scaling
        idle -> busy online stopping updating maintenance suspended offline error scaling
        stopping -> offline terminated error
        updating -> online failed error
        scaling -> online busy idle error
        error -> online offline maintenance failed
        failed -> starting deploying deleted
        timeout -> offline error starting
        maintenance -> online offline suspended
        suspended -> online maintenance offline
        offline -> starting maintenance terminated deleted
        terminated -> deleted
        deleted ->",
    );
    assert_eq!(agent().edge_count(), 66 + 3);
}

#[test]
fn the_component_profile_has_exactly_the_edges_of_the_contract() {
    has_exactly(
        &component(),
        "
        unknown -> initializing ready active degraded inactive error failed stopping
        initializing -> ready active degraded error failed stopping restarting
        ready -> active degraded inactive error failed stopping restarting
        active -> ready degraded inactive error failed stopping restarting
        degraded -> ready active error inactive failed stopping restarting
        inactive -> ready active degraded error failed stopping restarting
        error -> ready active degraded inactive failed stopping restarting
        failed -> initializing restarting
        stopping -> unknown failed inactive
        restarting -> initializing ready active degraded error failed",
    );
    assert_eq!(component().edge_count(), 61);
    assert_eq!(component().name_of(component().initial()), "initializing");
}

#[test]
fn the_runtime_profile_has_exactly_the_edges_of_the_contract() {
    has_exactly(
        &runtime(),
        "
        stopped -> starting
        starting -> running paused stopped stopping
        running -> paused stopping
        paused -> running stopping
        stopping -> stopped",
    );
}

#[test]
fn the_agents_classes_are_those_of_the_contract() {
    let profile = agent();
    let members = |class| members(&profile, class);
    assert_eq!(members(Class::Operational), "online busy idle");
    assert_eq!(members(Class::Available), "online idle");
    assert_eq!(members(Class::Error), "error failed timeout");
    assert_eq!(members(Class::Maintenance), "updating maintenance suspended");
    assert_eq!(
        members(Class::Transitional),
        "deploying starting stopping updating scaling"
    );
    assert_eq!(members(Class::Final), "terminated deleted");
    assert_eq!(members(Class::Initial), "registered deploying deployed");
    assert_eq!(members(Class::Active), "starting online busy idle");
}

#[test]
fn the_components_classes_are_those_of_the_contract() {
    assert_eq!(members(&component(), Class::Operational), "ready active degraded");
    assert_eq!(members(&component(), Class::Impaired), "degraded inactive error");
    assert_eq!(
        members(&component(), Class::Transitional),
        "initializing stopping restarting"
    );
    assert_eq!(members(&component(), Class::Error), "error failed");
}

fn members(profile: &Profile, class: Class) -> String {
    profile
        .phases()
        .filter(|phase| profile.is(*phase, class))
        .map(|phase| profile.name_of(phase))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn every_transitional_state_ends_by_the_table() {
    for profile in [agent(), component(), runtime()] {
        for phase in profile.phases().filter(|phase| profile.is(*phase, Class::Transitional)) {
            let deadline = profile.deadline(phase).unwrap();
            assert!(profile.has_edge(phase, deadline.to) && deadline.after > Duration::ZERO);
        }
    }
}

#[test]
fn a_table_that_cannot_work_is_refused_with_what_is_wrong() {
    let row = |name: &'static str, next, classes, deadline| StateRow {
        name: name.into(),
        role: Role::Ready,
        classes,
        next,
        deadline,
    };
    let make = |rows: &[StateRow<'_>]| Profile::new("own".into(), 1, "a", rows).unwrap_err();
    assert_eq!(
        make(&[row("a", "b", &[], None)]),
        InvalidProfile::UnknownState("b".into())
    );
    assert_eq!(
        make(&[row("b", "", &[], None)]),
        InvalidProfile::UnknownState("a".into())
    );
    assert_eq!(
        make(&[row("a", "", &[], None), row("a", "", &[], None)]),
        InvalidProfile::Twice("a".into())
    );
    assert_eq!(
        make(&[row("a", "", &[], None), row("b", "a", &[], None)]),
        InvalidProfile::Unreachable("b".into())
    );
    assert_eq!(
        make(&[row("a", "", &[Class::Transitional], None)]),
        InvalidProfile::NoDeadline("a".into())
    );
    assert_eq!(
        make(&[row("a", "", &[], Some((Duration::ZERO, "a")))]),
        InvalidProfile::DeadlineOffEdge("a".into())
    );
    let many: Vec<StateRow<'_>> = (0..33)
        .map(|n| StateRow {
            name: alloc::format!("s{n}").into(),
            ..row("", "", &[], None)
        })
        .collect();
    assert_eq!(make(&many), InvalidProfile::TooManyStates(33));
}

proptest! {
    #[test]
    fn a_state_is_found_by_its_name_and_by_nothing_else(name in "[a-z]{1,12}") {
        let profile = agent();
        match profile.phase(&name) {
            Some(phase) => prop_assert_eq!(profile.name_of(phase), &name),
            None => prop_assert!(profile.phases().all(|phase| profile.label(phase) != name.as_str())),
        }
    }
}
