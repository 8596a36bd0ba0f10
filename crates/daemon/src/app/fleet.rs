//! The whole fleet at once: down with the daemon, and back with the next one.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use stead_model::{AgentId, AgentRef, Command, Namespace, Origin, ProblemCode, Request};
use tracing::warn;

use crate::handle::Handle;
use crate::status::Part;

/// How many agents are asked at once; they share commits.
const AT_ONCE: usize = 64;

/// How often it is looked whether the store is back.
const LOOK: Duration = Duration::from_millis(500);

/// How long the way down may take: longer than any sensible grace.
const LONGEST_STOP: Duration = Duration::from_secs(120);

/// Has every agent down and waits until none has a process; says whether that was reached.
///
/// What is wanted of each stays as it is: one that somebody paused or stopped is still so when the fleet is back.
pub(super) async fn halt(handle: &Handle, origin: &Origin, reason: Option<&str>) -> bool {
    let mut agents = Vec::with_capacity(handle.views().count());
    handle.views().each(|agent| {
        let namespace = agent.place().0.parse::<Namespace>();
        agents.extend(namespace.map(|namespace| (namespace, agent.id())));
    });
    if ask_all(handle, agents, origin, reason, &Request::Halt).await == Asked::NotWritten {
        warn!("agents are left at work: that they should be down cannot be written");
        return false;
    }
    let mut commits = handle.committed();
    let all_down = async {
        loop {
            let mut up = 0;
            handle
                .views()
                .each(|agent| up += usize::from(agent.glance().pid.is_some()));
            if up == 0 || commits.changed().await.is_err() {
                return up == 0;
            }
        }
    };
    let waited = tokio::time::timeout(LONGEST_STOP, all_down).await;
    waited.unwrap_or_else(|_late| {
        let secs = LONGEST_STOP.as_secs();
        warn!("agents still run after {secs} s; the keeper stays with them");
        false
    })
}

/// Waits until changes are taken again.
pub(super) async fn until_back(handle: &Handle) {
    while matches!(handle.status().report().store, Part::Away { .. }) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until there are store and keeper, and it is known who lives.
pub(super) async fn until_ready(handle: &Handle) {
    while !handle.status().report().ready() {
        tokio::time::sleep(LOOK).await;
    }
}

/// Has every agent be again what is wanted of it.
pub(super) async fn lift(handle: &Handle, origin: &Origin) {
    match handle.halted().await {
        Ok(agents) => {
            let _asked = ask_all(handle, agents, origin, None, &Request::Lift).await;
        }
        Err(problem) => warn!(%problem, "it cannot be found who is down with the fleet"),
    }
}

/// Whether the store took what was asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Asked {
    /// It did, or there was nothing to write.
    Written,
    /// It is away.
    NotWritten,
}

async fn ask_all(
    handle: &Handle,
    agents: Vec<(Namespace, AgentId)>,
    origin: &Origin,
    reason: Option<&str>,
    request: &Request,
) -> Asked {
    stream::iter(agents)
        .map(|(namespace, id)| {
            let command = Command {
                origin: origin.clone(),
                namespace,
                agent: AgentRef::Id(id),
                expected: None,
                idempotency: None,
                reason: reason.map(str::to_owned),
                request: request.clone(),
            };
            ask(handle, id, command)
        })
        .buffer_unordered(AT_ONCE)
        .fold(Asked::Written, |worst, asked| std::future::ready(worst.max(asked)))
        .await
}

async fn ask(handle: &Handle, id: AgentId, command: Command) -> Asked {
    let verb = command.request.verb();
    match handle.command(command).await {
        Ok(_) => Asked::Written,
        Err(problem) => {
            warn!(%id, %problem, "{verb} was refused");
            match problem.code {
                ProblemCode::StoreUnavailable | ProblemCode::OutcomeUnknown => Asked::NotWritten,
                _ => Asked::Written,
            }
        }
    }
}
