//! `agents` and `components`: making them known, listing, showing, changing and deleting them.

use std::str::FromStr;

use axum::http::header::IF_NONE_MATCH;
use axum::http::{HeaderMap, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stead_engine::Glance;
use stead_model::spec::{EnvValue, SpecForm};
use stead_model::{
    AgentName, AgentRef, AgentSpec, AgentView, Answer, Class, Command, Driver, Health, Namespace, Problem, ProblemCode,
    Profile, Request, Revision, Selector, Wanted,
};

use super::extract::{Change, Json, Limit, MergePatch, Read, Text, Ticket, suggest};
use super::find::{blocking, views};
use super::operation::{About, Table};
use super::problem::Failure;
use super::reply::{Accepted, Created, Done, List, Shown, Version};
use super::{Api, BASE};

/// Which of the two collections a route belongs to. Each agent is in one of their lists, and is found by name in both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Agent,
    Component,
}

impl Kind {
    /// The heading that it stands under, which is also the first word of its paths.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::Agent => "agents",
            Self::Component => "components",
        }
    }

    /// A path below one agent, or of the collection itself.
    pub(super) fn path(self, rest: &str) -> String {
        format!("{BASE}/{}{rest}", self.tag())
    }

    /// An operation's id with `Agent` in it made one of this kind.
    pub(super) fn id(self, id: &str) -> String {
        match self {
            Self::Agent => id.to_owned(),
            Self::Component => id.replacen("Agent", "Component", 1),
        }
    }

    const fn profile(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Component => "component",
        }
    }

    pub(super) fn lists(self, agent: &Glance<'_>) -> bool {
        (self == Self::Component) == (agent.profile == "component")
    }
}

pub(super) fn mount(table: &mut Table, kind: Kind) {
    use ProblemCode::{
        AgentGone, Busy, DuplicateName, IdempotencyKeyReused, InvalidSpec, LimitReached, OutcomeUnknown, ShuttingDown,
        StaleRevision, StoreUnavailable, UnknownAgent,
    };
    let about = |id: &str, summary| About::new(kind.id(id), kind.tag(), summary);
    let create = about("createAgent", "Makes one known, and starts it where that is wanted").may(&[
        DuplicateName,
        InvalidSpec,
        IdempotencyKeyReused,
        LimitReached,
        Busy,
        StoreUnavailable,
        OutcomeUnknown,
        ShuttingDown,
    ]);
    table.add(Method::POST, kind.path(""), create, move |api, change| {
        create_one(kind, api, change)
    });
    let list = about("listAgents", "Lists those that fit, by namespace and name");
    table.add(Method::GET, kind.path(""), list, move |api, read| {
        list_page(kind, api, read)
    });
    let show = about("getAgent", "Shows one with its evidence and what happens next")
        .may(&[UnknownAgent, AgentGone])
        .headers(IF_NONE_MATCH_DOC);
    table.add(Method::GET, kind.path("/{agent}"), show, show_one);
    let changes: &[ProblemCode] = &[
        UnknownAgent,
        AgentGone,
        StaleRevision,
        InvalidSpec,
        IdempotencyKeyReused,
        LimitReached,
        Busy,
        StoreUnavailable,
        OutcomeUnknown,
        ShuttingDown,
    ];
    let replace = about("replaceAgentSpec", "Replaces its spec; in force at its next start").may(changes);
    table.add(Method::PUT, kind.path("/{agent}"), replace, move |api, change| {
        replace_spec(kind, api, change)
    });
    let patch = about(
        "patchAgentSpec",
        "Changes parts of its spec by a JSON merge patch; in force at its next start",
    )
    .may(changes);
    table.add(Method::PATCH, kind.path("/{agent}"), patch, patch_spec);
    let delete = about("deleteAgent", "Stops and forgets it; its history stays").may(changes);
    table.add(Method::DELETE, kind.path("/{agent}"), delete, delete_one);
    let spec = about("getAgentSpec", "Shows what it is told to be; secrets are `***`").may(&[
        UnknownAgent,
        AgentGone,
        Busy,
        ShuttingDown,
    ]);
    table.add(Method::GET, kind.path("/{agent}/spec"), spec, show_spec);
}

/// What to make known.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewAgent {
    /// Its name, unique in its namespace.
    name: AgentName,
    /// What it is told to be. Default: nothing runs it, it only reports.
    #[serde(default)]
    spec: Option<SpecForm>,
    /// What is wanted of it at first. Default `stopped`.
    #[serde(default)]
    intent: FirstIntent,
    /// Why, for its history.
    #[serde(default)]
    reason: Option<Text<1024>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum FirstIntent {
    /// It is started at once.
    Running,
    /// It is started when somebody asks for it.
    #[default]
    Stopped,
}

impl From<FirstIntent> for Wanted {
    fn from(first: FirstIntent) -> Self {
        match first {
            FirstIntent::Running => Self::Running,
            FirstIntent::Stopped => Self::Stopped,
        }
    }
}

/// Another spec.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewSpec {
    /// What it is told to be; a secret that is `***`, as it is shown, stays what it is.
    spec: SpecForm,
    /// The number that was shown with the spec: refused if another one has come since. Default: whichever there is.
    #[serde(default)]
    revision: Option<u32>,
    /// Why, for its history.
    #[serde(default)]
    reason: Option<Text<1024>>,
}

/// What an agent is told to be.
#[derive(Debug, Serialize, JsonSchema)]
struct SpecView {
    /// Number of the spec.
    revision: u32,
    /// The spec; secrets are `***`.
    spec: SpecForm,
}

/// Which namespace is meant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InNamespace {
    /// The agent's namespace. Default: `default`, or that of the agent where it is named by its id.
    pub(super) namespace: Option<Namespace>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteQuery {
    /// The agent's namespace. Default: `default`, or that of the agent where it is named by its id.
    pub(super) namespace: Option<Namespace>,
    /// Why, for its history.
    pub(super) reason: Option<Text<1024>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Those of this namespace. Default: of all.
    namespace: Option<Namespace>,
    /// Those whose labels fit, as in Kubernetes: `team=a,tier!=b,role in (x,y),!flag`.
    #[serde(default)]
    selector: Selector,
    /// Those in this phase.
    phase: Option<String>,
    /// Those of this health.
    health: Option<Health>,
    /// Those whose phase is in this class.
    class: Option<Class>,
    /// Those of this lifecycle profile.
    profile: Option<String>,
    /// Those of whom this is wanted.
    intent: Option<Wanted>,
    /// The replicas of this group.
    group: Option<AgentName>,
    /// How many at most.
    #[serde(default)]
    limit: Limit,
    /// Where an earlier page ended: its `next_cursor`.
    #[schemars(with = "Option<String>")]
    cursor: Option<AgentCursor>,
}

impl ListQuery {
    /// Whether it takes everybody in a phase.
    const fn takes_all(&self) -> bool {
        self.namespace.is_none()
            && self.selector.is_empty()
            && self.health.is_none()
            && self.class.is_none()
            && self.profile.is_none()
            && self.intent.is_none()
            && self.group.is_none()
    }

    /// Whether an agent is as it asks, whatever phase that is in.
    fn takes(&self, api: &Api, agent: &Glance<'_>) -> bool {
        self.namespace
            .as_ref()
            .is_none_or(|namespace| namespace.as_str() == agent.namespace)
            && self.health.is_none_or(|health| health == agent.health)
            && self.profile.as_ref().is_none_or(|profile| profile == agent.profile)
            && self.intent.is_none_or(|wanted| wanted == agent.intent)
            && (self.group.is_none() || self.group.as_ref() == agent.group)
            && self.class.is_none_or(|class| api.is(agent, class))
            && self.selector.takes(|key| agent.label(key))
    }
}

impl Ticket {
    /// Asks the engine; returns once what it answers is durable.
    pub(super) async fn send(
        self,
        api: &Api,
        namespace: Namespace,
        agent: AgentRef,
        reason: Option<Text<1024>>,
        request: Request,
    ) -> Result<Answer, Failure> {
        let Self {
            origin,
            expected,
            idempotency,
        } = self;
        let reason = reason.map(|Text(reason)| reason);
        let command = Command {
            origin,
            namespace,
            agent,
            expected,
            idempotency,
            reason,
            request,
        };
        Ok(api.state.handle.command(command).await?)
    }
}

async fn create_one(
    kind: Kind,
    api: Api,
    change: Change<(), InNamespace, Json<NewAgent>>,
) -> Result<Created<Answer>, Failure> {
    let Json(NewAgent {
        name,
        spec,
        intent,
        reason,
    }) = change.body;
    let form = spec.unwrap_or_else(|| AgentSpec::reporting(kind.profile()).into());
    let spec = checked(&api, kind, form)?;
    let request = Request::Register {
        spec: Box::new(spec),
        wanted: intent.into(),
    };
    let namespace = change.query.namespace.unwrap_or_default();
    change
        .ticket
        .send(&api, namespace, AgentRef::Name(name), reason, request)
        .await
        .map(Created)
}

async fn list_page(kind: Kind, api: Api, read: Read<(), ListQuery>) -> Result<Shown<List<AgentView>>, Failure> {
    let asked = read.query;
    api.check_phase(asked.phase.as_deref())?;
    api.check_profile(asked.profile.as_deref())?;
    let looks_at_many = !asked.takes_all();
    let find = move || {
        let after = asked.cursor.as_ref().map(|AgentCursor(place)| place);
        let fits = |agent: &Glance<'_>| kind.lists(agent) && asked.takes(&api, agent);
        views(&api).page(asked.phase.as_deref(), after, asked.limit.0, fits)
    };
    // Where few fit, many are looked at.
    let (page, more) = if looks_at_many { blocking(find).await? } else { find() };
    let next_cursor = page
        .last()
        .filter(|_| more)
        .map(|last| AgentCursor::text(&last.namespace, &last.name));
    Ok(Shown(List {
        items: page,
        next_cursor,
    }))
}

async fn show_one(api: Api, read: Read<AgentRef, InNamespace>) -> Result<Version<AgentView>, Failure> {
    let view = api.view(read.query.namespace, &read.path).await?;
    if has(&read.headers, view.revision) {
        return Ok(Version::NotModified(view.revision));
    }
    Ok(Version::Shown(view))
}

async fn replace_spec(
    kind: Kind,
    api: Api,
    change: Change<AgentRef, InNamespace, Json<NewSpec>>,
) -> Result<Done<Answer>, Failure> {
    let Change {
        path,
        query,
        body: Json(NewSpec { spec, revision, reason }),
        ticket,
    } = change;
    if revision.is_none() && !is_masked(&spec) {
        let spec = Box::new(checked(&api, kind, spec)?);
        let namespace = api.namespace(query.namespace, &path);
        let asked = ticket.send(&api, namespace, path, reason, Request::Respec { spec });
        return asked.await.map(Done);
    }
    respec(&api, &ticket, (query, path), reason, |number, before| {
        check_number(revision, number)?;
        checked(&api, kind, unmasked(spec.clone(), before))
    })
    .await
}

/// Changes the spec as it is now: where the asker names no revision, it is read and changed anew if it was changed meanwhile.
async fn patch_spec(api: Api, change: Change<AgentRef, InNamespace, MergePatch>) -> Result<Done<Answer>, Failure> {
    let MergePatch(patch) = change.body;
    let asked = (change.query, change.path);
    respec(&api, &change.ticket, asked, None, |_, before| patched(before, &patch)).await
}

/// Makes another spec of the one that is there and its number, anew where it was changed meanwhile.
async fn respec(
    api: &Api,
    ticket: &Ticket,
    (query, agent): (InNamespace, AgentRef),
    reason: Option<Text<1024>>,
    make: impl Fn(u32, &AgentSpec) -> Result<AgentSpec, Failure>,
) -> Result<Done<Answer>, Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        let view = api.view(query.namespace.clone(), &agent).await?;
        let agent = AgentRef::Id(view.id);
        let (_, number, before) = api.state.handle.spec(view.namespace.clone(), agent.clone()).await?;
        let spec = Box::new(make(number, &before)?);
        let mut ticket = ticket.clone();
        let given = ticket.expected.is_some();
        ticket.expected.get_or_insert(view.revision);
        let request = Request::Respec { spec };
        match ticket
            .send(api, view.namespace.clone(), agent, reason.clone(), request)
            .await
        {
            Err(stale) if stale.is(ProblemCode::StaleRevision) && !given && tries < TRIES => {}
            answered => return answered.map(Done),
        }
    }
}

async fn delete_one(api: Api, change: Change<AgentRef, DeleteQuery, ()>) -> Result<Accepted<Answer>, Failure> {
    let namespace = api.namespace(change.query.namespace, &change.path);
    let request = Request::Want(Wanted::Deleted);
    change
        .ticket
        .send(&api, namespace, change.path, change.query.reason, request)
        .await
        .map(Accepted)
}

async fn show_spec(api: Api, read: Read<AgentRef, InNamespace>) -> Result<Shown<SpecView>, Failure> {
    let namespace = api.namespace(read.query.namespace, &read.path);
    let (_, revision, spec) = api.state.handle.spec(namespace, read.path).await?;
    Ok(Shown(SpecView {
        revision,
        spec: spec.redacted().into(),
    }))
}

/// Makes a spec of a form, with the profile that the collection stands for, and the deadlines of its type where it says none.
pub(super) fn checked(api: &Api, kind: Kind, mut form: SpecForm) -> Result<AgentSpec, Failure> {
    form.deadlines = form.deadlines.or(api.state.ports.config.deadlines_of(&form.kind));
    if form.profile == Kind::Agent.profile() {
        kind.profile().clone_into(&mut form.profile);
    }
    let profiles = views(api).profiles();
    let known = || profiles.iter().map(Profile::name);
    if !known().any(|known| known == form.profile) {
        let detail = format!(
            "there is no profile `{}`; there are {}",
            form.profile,
            known().collect::<Vec<_>>().join(", ")
        );
        return Err(Failure::new(ProblemCode::InvalidSpec, detail));
    }
    spec(form)
}

fn spec(form: SpecForm) -> Result<AgentSpec, Failure> {
    let spec =
        AgentSpec::try_from(form).map_err(|invalid| Failure::new(ProblemCode::InvalidSpec, invalid.to_string()))?;
    let nonsense: Vec<String> = spec.nonsense().iter().map(ToString::to_string).collect();
    if let Some(first) = nonsense.first() {
        let mut problem = Problem::new(ProblemCode::InvalidSpec, first);
        if nonsense.len() > 1 {
            problem.detail = format!("{} values make no sense", nonsense.len());
            problem.errors = nonsense;
        }
        return Err(problem.into());
    }
    if let Driver::Process(process) = &spec.driver
        && let Some((name, _)) = process.env.iter().find(|(_, value)| hides(value))
    {
        let detail = format!(
            "`env.{name}` is `***`, which is how a secret is shown; give its value, or patch the spec without it"
        );
        return Err(Failure::new(ProblemCode::InvalidSpec, detail));
    }
    Ok(spec)
}

/// Whether it is a secret as it is shown.
fn hides(value: &EnvValue) -> bool {
    matches!(value, EnvValue::Secret { secret } if secret == "***")
}

/// Whether a spec has secrets as they are shown.
pub(super) fn is_masked(form: &SpecForm) -> bool {
    form.env.values().any(hides)
}

/// The same spec with the secrets of the one before it where it shows none.
pub(super) fn unmasked(mut form: SpecForm, before: &AgentSpec) -> SpecForm {
    let Driver::Process(process) = &before.driver else {
        return form;
    };
    for (name, value) in form.env.iter_mut().filter(|(_, value)| hides(value)) {
        if let Some(known @ EnvValue::Secret { .. }) = process.env.get(name) {
            value.clone_from(known);
        }
    }
    form
}

/// Refuses a spec that was made of another one than there is.
pub(super) fn check_number(given: Option<u32>, number: u32) -> Result<(), Failure> {
    match given {
        Some(given) if given != number => {
            let detail = format!(
                "the spec has number {number} by now, and this was made of number {given}; get it anew, or leave `revision` out"
            );
            Err(Failure::new(ProblemCode::StaleRevision, detail))
        }
        Some(_) | None => Ok(()),
    }
}

fn patched(before: &AgentSpec, patch: &serde_json::Value) -> Result<AgentSpec, Failure> {
    let unfit = |error: serde_json::Error| {
        Failure::invalid(format!(
            "the patched spec cannot be read: {}",
            suggest(&error.to_string())
        ))
    };
    let mut form = serde_json::to_value(before).map_err(unfit)?;
    merge(&mut form, patch);
    spec(serde_json::from_value(form).map_err(unfit)?)
}

/// Applies a JSON merge patch (RFC 7396).
pub(super) fn merge(target: &mut serde_json::Value, patch: &serde_json::Value) {
    let serde_json::Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = serde_json::json!({});
    }
    for (field, value) in patch {
        if value.is_null() {
            if let Some(object) = target.as_object_mut() {
                object.remove(field);
            }
        } else {
            merge(&mut target[field], value);
        }
    }
}

/// Whether `If-None-Match` names the revision. Weak comparison, as RFC 9110 has it.
pub(super) fn has(headers: &HeaderMap, revision: Revision) -> bool {
    let etag = format!("\"{revision}\"");
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| {
            let one = one.trim();
            one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag
        })
}

/// The last agent of a page. Opaque to clients.
#[derive(Debug)]
pub(super) struct AgentCursor(pub(super) (Namespace, AgentName));

impl AgentCursor {
    pub(super) fn text(namespace: &Namespace, name: &AgentName) -> String {
        format!("{namespace}/{name}")
            .bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

impl FromStr for AgentCursor {
    type Err = stead_store::InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(digits).collect();
        let place = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        place
            .as_deref()
            .and_then(|place| place.split_once('/'))
            .and_then(|(namespace, name)| Some(Self((namespace.parse().ok()?, name.parse().ok()?))))
            .ok_or(stead_store::InvalidCursor)
    }
}

impl<'de> Deserialize<'de> for AgentCursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What is said of asking for what has changed alone.
pub(super) const IF_NONE_MATCH_DOC: &[(&str, &str)] = &[(
    "If-None-Match",
    "The `ETag` that the asker has: 304 if it still is that.",
)];

/// How often a patch is applied anew to an agent that changes all the while.
pub(super) const TRIES: u32 = 5;
