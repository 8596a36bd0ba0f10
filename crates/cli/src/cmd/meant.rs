//! Which agent was meant by a name that nobody has.

use stead_client::AgentFilter;
use stead_model::ProblemCode;

use crate::app::App;
use crate::args::Scope;
use crate::failure::Failure;

/// Adds to a failure for want of an agent who is called almost so, or who is called so elsewhere.
pub(super) async fn or_another(app: &App<'_>, failure: Failure) -> Failure {
    let unknown = failure
        .problem
        .as_ref()
        .filter(|problem| problem.code == ProblemCode::UnknownAgent)
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
    if let Some(found) = agents.iter().find(|agent| agent.name.as_str() == name) {
        return failure.help(format!(
            "there is one in namespace {}: add `-n {}`",
            found.namespace, found.namespace
        ));
    }
    let here = agents.iter().filter(|agent| agent.namespace == app.namespace);
    match nearest(&name, here.map(|agent| agent.name.as_str())) {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None => failure,
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
