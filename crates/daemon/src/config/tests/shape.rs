//! Profiles, policies and types.

use stead_model::AccessRole;

use super::*;

/// The first problem: line, column, what is wrong, what to do.
fn told(text: &str) -> (u32, u32, String, String) {
    let problems = parse(text).unwrap_err();
    assert_eq!(problems.len(), 1, "{text}\n{}", Diagnostic::render_all(&problems));
    let first = &problems[0];
    (
        first.line,
        first.column,
        first.message.clone(),
        first.help.clone().unwrap_or_default(),
    )
}

#[test]
fn an_agent_may_follow_a_profile_of_the_file_and_the_exact_table() {
    let fleet = parse(
        "[agents.a]\ncommand = ['x']\nprofile = 'reviewed'\n[agents.b]\nprofile = 'agent-original'\n\
         [profiles.reviewed]\nbase = 'agent'\nextra = ['online -> reviewing']\n\
         [profiles.reviewed.states.reviewing]\nrole = 'busy'\nnext = ['online', 'error', 'stopping']\n\
         [policies.reviews]\nprofile = 'reviewed'\nedges = ['* -> reviewing']\nrequire_role = 'operator'\nrequire_reason = true\n",
    )
    .unwrap();
    assert_eq!(fleet.agents[0].spec.profile, "reviewed");
    let (profiles, policies) = fleet.shape.build().unwrap();
    assert_eq!((profiles.len(), profiles[0].name(), policies.len()), (1, "reviewed", 1));
    assert_eq!(policies[0].spec.require_role, Some(AccessRole::Operator));
    let stored: Shape = serde_json::from_str(&serde_json::to_string(&fleet.shape).unwrap()).unwrap();
    assert_eq!(stored, fleet.shape);
}

#[test]
fn what_is_wrong_with_a_profile_is_told_at_its_line() {
    let base = "[agents.a]\n[profiles.own]\nbase = 'agent'\n";
    for (rest, line, words) in [
        ("extra = ['online -> away']\n", 4, "no state `away`"),
        (
            "deadlines.starting = '1m'\ndeadlines.online = '5s'\n",
            5,
            "`online` may last for ever",
        ),
        (
            "forbidden = [\n'busy -> idle',\n'online -> deleted']\n",
            6,
            "`online -> deleted` is not there",
        ),
        ("[profiles.own.states.rest]\nclasses = []\n", 4, "`role` is missing"),
        (
            "[profiles.own.states.rest]\nrole = 'resting'\n",
            5,
            "unknown value `resting`",
        ),
        ("extra = ['online']\n", 4, "is no edge"),
        ("[profiles.agent]\nbase = 'agent'\n", 4, "`agent` is a built-in profile"),
    ] {
        let (at, _, message, _) = told(&format!("{base}{rest}"));
        assert_eq!(at, line, "{rest}: {message}");
        assert!(message.contains(words), "{rest}: {message}");
    }
    let (line, _, message, _) = told("[profiles.own]\nversion = 2\nbase = 'agnet'\n");
    assert_eq!(line, 3, "{message}");
}

#[test]
fn what_is_wrong_with_a_policy_is_told_at_its_line() {
    for (text, line, words, help) in [
        ("[policies.p]\n", 1, "asks for nothing", "require_reason"),
        (
            "[policies.p]\nrequire_reason = true\nedges = ['online -> stopping',\n'online -> stoping']\n",
            4,
            "has a state `stoping`",
            "`stopping`",
        ),
        (
            "[policies.p]\nrequire_reason = true\nprofile = 'componnt'\n",
            3,
            "no profile `componnt`",
            "`component`",
        ),
        (
            "[policies.p]\nrequire_reason = true\nprofile = 'component'\nedges = ['* -> busy']\n",
            4,
            "has a state `busy`",
            "",
        ),
        (
            "[policies.p]\n\nrate_limit = { max = 0, per = '1m' }\n",
            3,
            "1 to 100",
            "",
        ),
        (
            "[policies.p]\nrate_limit = { max = 1, per = '48h' }\n",
            2,
            "at most 24h",
            "",
        ),
        (
            "[policies.p]\nrequire_role = 'owner'\n",
            2,
            "unknown value `owner`",
            "operator",
        ),
        (
            "[policies.p]\nrequire_reson = true\n",
            2,
            "unknown key `require_reson`",
            "`require_reason`",
        ),
    ] {
        let problems = parse(text).unwrap_err();
        let first = problems.iter().find(|problem| problem.message.contains(words));
        let first = first.unwrap_or_else(|| panic!("{text}\n{}", Diagnostic::render_all(&problems)));
        assert_eq!(first.line, line, "{text}: {}", first.message);
        assert!(
            first.help.clone().unwrap_or_default().contains(help),
            "{text}: {:?}",
            first.help
        );
    }
}

#[test]
fn an_agent_with_a_profile_that_is_not_there_is_told_at_its_line() {
    let (line, column, message, help) =
        told("[agents.a]\ncommand = ['x']\nprofile = 'reviewd'\n[profiles.reviewed]\nbase = 'agent'\n");
    assert_eq!((line, column), (3, 11));
    assert!(
        message.contains("`reviewd`") && help.contains("`reviewed`"),
        "{message} {help}"
    );
}

#[test]
fn a_type_gives_deadlines_to_its_agents_where_they_say_nothing() {
    let fleet = parse(
        "[defaults]\ndeadlines.deploying = '9s'\n[types.worker.deadlines]\nstarting = '5m'\ndeploying = '2m'\nscaling = '7s'\n\
         [agents.a]\ncommand = ['x']\ndeadlines.starting = '1s'\n[agents.b]\ncommand = ['x']\ntype = 'api'\n",
    )
    .unwrap();
    let [a, b] = [0, 1].map(|index: usize| &fleet.agents[index].spec.deadlines);
    assert_eq!((a.starting, a.deploying), (Some(Span::secs(1)), Some(Span::secs(120))));
    assert_eq!((a.scaling, a.updating), (Some(Span::secs(7)), None));
    assert_eq!((b.starting, b.deploying), (None, Some(Span::secs(9))));
    let (line, _, message, _) = told("[types.worker]\ndeadlines = { statring = '5m' }\n[agents.a]\n");
    assert_eq!((line, message.as_str()), (2, "unknown key `statring`"));
}

#[test]
fn a_type_gives_deadlines_to_states_of_ones_own_by_their_names() {
    const REVIEWED: &str = "[profiles.reviewed]\nbase = 'agent'\nextra = ['online -> reviewing']\n\
        [profiles.reviewed.states.reviewing]\nrole = 'busy'\nnext = ['online', 'error', 'stopping']\ndeadline = { after = '5m', to = 'error' }\n";
    let fleet = parse(&format!(
        "{REVIEWED}[types.worker.deadlines.states]\nreviewing = '1h'\nstarting = '2m'\n\
         [agents.a]\nprofile = 'reviewed'\ndeadlines.states.starting = '3m'\n"
    ))
    .unwrap();
    let states = &fleet.agents[0].spec.deadlines.states;
    assert_eq!(
        (states["reviewing"], states["starting"]),
        (Span::secs(3600), Span::secs(180))
    );
    assert_eq!(fleet.shape.types["worker"].states.len(), 2);
    let wrong = [
        (
            "[types.worker.deadlines.states]\nreveiwing = '1h'\n[agents.a]\n",
            9,
            "reveiwing",
        ),
        ("[defaults]\ndeadlines.states.online = '1h'\n[agents.a]\n", 9, "online"),
        ("[agents.a]\ndeadlines.states.away = '1h'\n", 9, "away"),
    ];
    for (text, line, state) in wrong {
        let (at, _, message, help) = told(&format!("{REVIEWED}{text}"));
        assert_eq!(
            (at, message),
            (line, format!("no profile has a state `{state}` that must end"))
        );
        assert!(help.contains("reviewing"), "{help}");
    }
}

#[test]
fn the_hash_changes_with_profiles_and_policies() {
    let hash = |text: &str| parse(text).unwrap().hash;
    let policy = hash("[policies.p]\nrequire_reason = true\n");
    assert_ne!(policy, hash(""));
    assert_ne!(policy, hash("[policies.q]\nrequire_reason = true\n"));
}
