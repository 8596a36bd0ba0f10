//! What is asked of groups, and how they stand.

use stead_engine::Input;
use stead_model::group::{GroupAnswer, GroupCommand, GroupRequest, GroupView, RolloutStatus};
use stead_model::{Namespace, Origin, Refusal};

use super::{World, agent_ref, home};

impl World {
    /// Hands in a request about a group; its answer, if one comes, is kept under the number returned.
    pub fn request_of_group(&mut self, name: &str, request: GroupRequest) -> u64 {
        self.requests += 1;
        let id = self.requests;
        let command = GroupCommand {
            origin: Origin {
                actor: "ann".into(),
                role: stead_model::AccessRole::Admin,
                correlation_id: format!("r-{id}"),
                trace_id: None,
            },
            namespace: Namespace::default(),
            group: agent_ref(name),
            expected: None,
            idempotency: None,
            reason: None,
            request,
        };
        if let Some(node) = &mut self.node {
            node.inputs.push_back((Input::Group(Box::new(command)), Some(id)));
        }
        id
    }

    /// The answer to a request about a group, if it has left the daemon.
    #[must_use]
    pub fn group_answer(&self, request: u64) -> Option<&Result<GroupAnswer, Refusal>> {
        self.group_answers.get(&request)
    }

    /// A group as readers last saw it.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&GroupView> {
        self.groups.values().find(|group| group.name.as_str() == name)
    }

    /// How the updates of a group stand, and the revisions that are kept.
    ///
    /// # Errors
    /// The engine's refusal; also when the daemon is down.
    pub fn rollout(&self, name: &str) -> Result<RolloutStatus, Refusal> {
        let node = self.node.as_ref().ok_or_else(|| Refusal::Unknown(name.into()))?;
        let group = agent_ref(name);
        node.look(home(&group)).rollout(&Namespace::default(), &group)
    }
}
