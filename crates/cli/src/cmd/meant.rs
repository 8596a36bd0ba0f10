//! Which agent was meant by a name that nobody has.

use stead_client::AgentFilter;
use stead_model::{Problem, ProblemCode};

use crate::app::App;
use crate::args::Scope;
use crate::failure::Failure;

/// Adds to a failure for want of an agent who is called almost so, or who is called so elsewhere.
pub(super) async fn or_another(app: &App<'_>, failure: Failure) -> Failure {
    let unknown = failure
        .problem
        .as_ref()
        .filter(|problem| matches!(problem.code, ProblemCode::UnknownAgent | ProblemCode::UnknownGroup))
        .and_then(|problem| problem.detail.split('`').nth(1))
        .map(str::to_owned);
    let Some(name) = unknown else {
        return failure;
    };
    let everywhere = Scope { all_namespaces: true };
    // The failure stands, whether or not more can be said of it.
    let Ok(agents) = app.list(&everywhere, AgentFilter::default()).await else {
        return failure;
    };
    let groups = app.groups(&everywhere, None).await.unwrap_or_default();
    let (wants_group, here) = (is_group_unknown(&failure), &app.namespace);
    let is_agent = agents
        .iter()
        .any(|agent| agent.namespace == *here && agent.name.as_str() == name);
    let is_group = groups
        .iter()
        .any(|group| group.namespace == *here && group.name.as_str() == name);
    if wants_group && is_agent {
        return other(failure, format!("`{name}` is an agent, not a group"))
            .help("`stead ps --groups` lists groups; `replicas` in the fleet file makes a group of an agent");
    }
    if !wants_group && is_group {
        return other(failure, format!("`{name}` is a group, not an agent")).help(format!(
            "`stead ps --group {name}` lists its replicas, which are agents"
        ));
    }
    let of_groups = groups.iter().map(|group| (&group.namespace, group.name.as_str()));
    let known: Vec<_> = agents
        .iter()
        .map(|agent| (&agent.namespace, agent.name.as_str()))
        .chain(of_groups)
        .collect();
    if let Some((namespace, _)) = known.iter().find(|(_, known)| *known == name) {
        return failure.help(format!("there is one in namespace {namespace}: add `-n {namespace}`"));
    }
    let here = known.iter().filter(|(namespace, _)| **namespace == app.namespace);
    match nearest(&name, here.map(|(_, known)| *known)) {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None => failure,
    }
}

fn is_group_unknown(failure: &Failure) -> bool {
    let problem = failure.problem.as_ref();
    problem.is_some_and(|problem| problem.code == ProblemCode::UnknownGroup)
}

/// The same failure in other words, for people and programs.
fn other(failure: Failure, message: String) -> Failure {
    let problem = failure.problem.map(|problem| {
        Box::new(Problem {
            detail: message.clone(),
            ..*problem
        })
    });
    Failure {
        message,
        problem,
        ..failure
    }
}

/// The known name that is close to one that is not known.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let most = (name.len() / 3).max(1);
    known
        .map(|known| (strsim::osa_distance(name, known), known))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_is_understood_and_another_name_is_not() {
        let known = ["indexer", "search", "reviewer"];
        assert_eq!(nearest("serach", known.into_iter()), Some("search"));
        assert_eq!(nearest("indxer", known.into_iter()), Some("indexer"));
        assert_eq!(nearest("web", known.into_iter()), None);
    }
}
