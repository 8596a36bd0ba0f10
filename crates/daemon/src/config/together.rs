//! What agents of a file cannot be to one another: each fine by itself, not together.

use std::collections::HashMap;

use stead_model::spec::{Condition, RestartPolicy};
use stead_model::{AgentSpec, Driver};

use super::agents::Read;
use super::diagnostic::{Finding, Findings};

/// Tells who waits for what never happens, and who shares a port with another.
pub(super) fn check(read: &[Read], findings: &mut Findings) {
    never_completed(read, findings);
    shared_ports(read, findings);
}

fn never_completed(read: &[Read], findings: &mut Findings) {
    let endless: HashMap<&str, &Read> = read
        .iter()
        .filter(|agent| agent.spec.as_ref().is_some_and(|(_, spec)| is_endless(spec)))
        .map(|agent| (agent.waiting.name.as_str(), agent))
        .collect();
    for agent in read {
        let Some((_, spec)) = &agent.spec else { continue };
        for (on, at) in &agent.waiting.depends_on {
            let waits = spec
                .depends_on
                .iter()
                .any(|(name, condition)| name.as_str() == on && *condition == Condition::Completed);
            if waits && endless.contains_key(on.as_str()) {
                let message = format!("`{on}` never completes: it is started again whenever it ends");
                let help = format!(
                    "give `{on}` restart.policy = \"on-failure\" or \"never\", or wait for it to be \"started\" or \"healthy\""
                );
                findings.add(Finding::new(at.clone(), message).help(help));
            }
        }
    }
}

/// Whether every end of its process is answered by a start, also one with success.
fn is_endless(spec: &AgentSpec) -> bool {
    let restart = &spec.restart;
    matches!(spec.driver, Driver::Process(_))
        && restart.policy == RestartPolicy::Always
        && !restart.final_exit_codes.contains(&0)
}

fn shared_ports(read: &[Read], findings: &mut Findings) {
    let mut ports: HashMap<(&str, u16), &str> = HashMap::new();
    for agent in read {
        let endpoint = agent.spec.as_ref().and_then(|(_, spec)| spec.lifecycle.as_ref());
        let Some((endpoint, at)) = endpoint.zip(agent.lifecycle_at.as_ref()) else {
            continue;
        };
        let host = endpoint.host.as_deref().unwrap_or("127.0.0.1");
        let name = agent.waiting.name.as_str();
        if let Some(first) = ports.insert((host, endpoint.port), name) {
            let message = format!(
                "`{name}` and `{first}` would both take word of pauses on port {} of {host}",
                endpoint.port
            );
            findings.add(Finding::new(at.clone(), message).help("give each a port of its own"));
        }
    }
}
