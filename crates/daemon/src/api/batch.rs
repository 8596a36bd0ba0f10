//! The same verb for many: all whom a selector takes.

use axum::http::Method;
use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stead_model::{
    AgentId, AgentName, AgentRef, Answer, IdempotencyKey, Namespace, Outcome, PauseMode, Problem, ProblemCode, Request,
    Selector, Span,
};

use super::agents::Kind;
use super::extract::{Change, Json, Text, Ticket};
use super::find::views;
use super::lifecycle::{Pausing, Verb, With, request};
use super::operation::{About, Table};
use super::problem::Failure;
use super::reply::Shown;
use super::{Api, BASE};

pub(super) fn mount(table: &mut Table, kind: Kind) {
    use ProblemCode::NothingSelected;
    let about = About::new(
        format!("{}Batch", kind.tag()),
        "lifecycle",
        "Wants something else of all whom a selector takes",
    )
    .more(
        "Each is asked by itself: the answer says of each what became of it, and one refusal keeps no other from being asked. \
         Replicas of groups are taken like all others; a group itself is asked at `/groups/{group}/lifecycle/{verb}`. With an \
         `Idempotency-Key`, each that is taken is asked once however often the request is repeated. `If-Match` is refused: it \
         is of one alone.",
    )
    .may(&[NothingSelected]);
    table.add(
        Method::POST,
        format!("{BASE}/{}:batch", kind.tag()),
        about,
        move |api, change| batch(kind, api, change),
    );
}

/// What is wanted of many.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Batch {
    /// What is wanted.
    verb: BatchVerb,
    /// Whose labels fit, as in Kubernetes: `team=a,tier!=b,role in (x,y),!flag`. Not empty.
    selector: Selector,
    /// How long tasks in flight may take: for `drain` alone. Default 2 min.
    #[serde(default)]
    timeout: Option<Span>,
    /// What a pause does to them: for `pause` alone. Default `soft`.
    #[serde(default)]
    mode: Option<PauseMode>,
    /// After how long a pause ends by itself: for `pause` alone. Default: when somebody ends it.
    #[serde(default, rename = "for")]
    lasts: Option<Span>,
    /// Why they are paused, for their history and all who look at them: for `pause` alone.
    #[serde(default)]
    note: Option<Text<1024>>,
    /// Why, for their history.
    #[serde(default)]
    reason: Option<Text<1024>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BatchQuery {
    /// Those of this namespace. Default `default`.
    #[serde(default)]
    namespace: Namespace,
}

/// The verbs that need nothing which is of one alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum BatchVerb {
    Deploy,
    Start,
    Stop,
    Drain,
    Pause,
    Resume,
    Restart,
    Update,
    Maintenance,
    Suspend,
    Terminate,
    Reset,
    Delete,
}

impl BatchVerb {
    fn request(self, timeout: Option<Span>, pausing: Pausing) -> Result<Request, Failure> {
        let verb = match self {
            Self::Deploy => Verb::Deploy,
            Self::Start => Verb::Start,
            Self::Stop => Verb::Stop,
            Self::Drain => Verb::Drain,
            Self::Pause => Verb::Pause,
            Self::Resume => Verb::Resume,
            Self::Restart => Verb::Restart,
            Self::Update => Verb::Update,
            Self::Maintenance => Verb::Maintenance,
            Self::Suspend => Verb::Suspend,
            Self::Terminate => Verb::Terminate,
            Self::Reset => Verb::Reset,
            Self::Delete => return Ok(Request::Want(stead_model::Wanted::Deleted)),
        };
        let with = With {
            timeout,
            pausing,
            ..With::default()
        };
        request(verb, with)
    }
}

/// What became of a request to many.
#[derive(Debug, Serialize, JsonSchema)]
struct BatchAnswer {
    /// How many were taken by the selector.
    selected: usize,
    /// How many did not refuse.
    done: usize,
    /// How many refused.
    refused: usize,
    /// Each, by name.
    items: Vec<BatchItem>,
}

/// What became of it with one of many.
#[derive(Debug, Serialize, JsonSchema)]
struct BatchItem {
    /// Its id.
    id: AgentId,
    /// Its name.
    name: AgentName,
    /// Whether it was changed; absent where it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    /// Why it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

async fn batch(
    kind: Kind,
    api: Api,
    change: Change<(), BatchQuery, Json<Batch>>,
) -> Result<Shown<BatchAnswer>, Failure> {
    let (Json(asked), namespace, ticket) = (change.body, change.query.namespace, change.ticket);
    if ticket.expected.is_some() {
        return Err(Failure::invalid("If-Match is of one agent; it cannot hold for many"));
    }
    if asked.selector.is_empty() {
        return Err(Failure::invalid(
            "the selector is empty, which would take everything; name a label",
        ));
    }
    let pausing = Pausing {
        mode: asked.mode,
        lasts: asked.lasts,
        note: asked.note,
    };
    let reason = pausing.why(asked.reason)?;
    let request = asked.verb.request(asked.timeout, pausing)?;
    let mut taken = Vec::new();
    views(&api).each(|shown| {
        let agent = shown.glance();
        if kind.lists(&agent)
            && agent.namespace == namespace.as_str()
            && asked.selector.takes(|key| agent.label(key))
            && let Ok(name) = agent.name.parse::<AgentName>()
        {
            taken.push((agent.id, name, agent.group.cloned()));
        }
    });
    if taken.is_empty() {
        let (what, selector) = (kind.tag(), asked.selector);
        let detail = format!("no {what} in namespace {namespace} have labels like `{selector}`");
        return Err(Failure::new(ProblemCode::NothingSelected, detail));
    }
    let deletes = request == Request::Want(stead_model::Wanted::Deleted);
    let ask = |(id, name, group): (AgentId, AgentName, Option<AgentName>)| {
        let ticket = ticket.clone().of_one(id);
        let (namespace, reason, request) = (namespace.clone(), reason.clone(), request.clone());
        let api = &api;
        async move {
            if let (true, Some(group)) = (deletes, group) {
                return item(id, name.clone(), Err(of_group(&name, &group)));
            }
            let answer = ticket.send(api, namespace, AgentRef::Id(id), reason, request).await;
            item(id, name, answer)
        }
    };
    let items: Vec<BatchItem> = stream::iter(taken).map(ask).buffered(AT_ONCE).collect().await;
    let refused = items.iter().filter(|item| item.problem.is_some()).count();
    Ok(Shown(BatchAnswer {
        selected: items.len(),
        done: items.len() - refused,
        refused,
        items,
    }))
}

/// Many replicas that are deleted by a label would be made anew one and all: that is hardly what is meant.
fn of_group(name: &AgentName, group: &AgentName) -> Failure {
    let detail = format!(
        "{name} is a replica of group {group}, which makes another in its place: scale the group to have fewer, or delete the group"
    );
    Failure::new(ProblemCode::PartOfGroup, detail)
}

fn item(id: AgentId, name: AgentName, answer: Result<Answer, Failure>) -> BatchItem {
    let (outcome, problem) = match answer {
        Ok(answer) => (Some(answer.outcome), None),
        Err(failure) => (None, Some(failure.into_problem())),
    };
    BatchItem {
        id,
        name,
        outcome,
        problem,
    }
}

impl Ticket {
    /// The same request, made of one of many: with a key of its own.
    fn of_one(mut self, id: AgentId) -> Self {
        self.idempotency = self.idempotency.map(|whole| IdempotencyKey {
            key: format!("{}/{id}", whole.key),
            ..whole
        });
        self
    }
}

/// How many are asked at once; they share commits.
const AT_ONCE: usize = 64;
