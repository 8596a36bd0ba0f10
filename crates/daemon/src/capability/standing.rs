//! Whether the agent behind a provider serves.

use stead_model::{AgentName, AgentRef, Class, Health, Namespace};

use crate::Views;

/// How the agent, component or group behind a provider stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Standing {
    /// Its phase; none while it is not known.
    pub(super) phase: Option<String>,
    /// Why it does not serve; none where it does.
    pub(super) away: Option<String>,
}

/// Looks at the views: of a group one replica that serves is enough.
pub(super) fn of(views: &Views, namespace: &Namespace, agent: &AgentName) -> Standing {
    let named = AgentRef::Name(agent.clone());
    let Some(group) = views.group(namespace, &named) else {
        return of_one(views, namespace, agent);
    };
    let serve = |name: &&AgentName| of_one(views, namespace, name).away.is_none();
    let away = match group.members.iter().find(serve) {
        Some(_) => None,
        None => Some(format!("no replica of {agent} serves: {}", group.summary)),
    };
    Standing {
        phase: Some(group.phase.to_string()),
        away,
    }
}

fn of_one(views: &Views, namespace: &Namespace, agent: &AgentName) -> Standing {
    let Some(found) = views.find(namespace, &AgentRef::Name(agent.clone())) else {
        return Standing {
            phase: None,
            away: Some(format!("{agent} is not known in namespace {namespace}")),
        };
    };
    let glance = found.glance();
    let profiles = views.profiles();
    let profile = profiles.iter().find(|profile| profile.name() == glance.profile);
    let operational = profile
        .and_then(|profile| Some(profile.is(profile.phase(glance.phase)?, Class::Operational)))
        .unwrap_or(false);
    let away = match glance.health {
        _whatever if !operational => Some(format!("{agent} is {}", glance.phase)),
        Health::Critical | Health::Failed => Some(format!("the health of {agent} is {}", glance.health)),
        Health::Unknown | Health::Healthy | Health::Degraded | Health::Recovering => None,
    };
    Standing {
        phase: Some(glance.phase.to_owned()),
        away,
    }
}
