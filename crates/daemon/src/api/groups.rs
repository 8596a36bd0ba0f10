//! `groups`: one spec with N replicas: making them known, listing, showing, changing, rolling out and back.

use std::sync::Arc;

use axum::http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stead_engine::KnownGroup;
use stead_model::group::{GroupAnswer, GroupCommand, GroupRequest, GroupSpec, GroupView, RolloutStatus, UpdateSpec};
use stead_model::spec::SpecForm;
use stead_model::{AgentName, AgentRef, Namespace, PauseMode, Problem, ProblemCode, Refusal, Selector, Span, Wanted};

use super::agents::{AgentCursor, FirstIntent, InNamespace, TRIES, checked, has, merge};
use super::extract::{Change, Json, JsonOr, Limit, MergePatch, Place, Read, Text, Ticket, part, suggest};
use super::find::views;
use super::lifecycle::{DRAIN, FRESH, PAUSE_FIELDS, Pausing, word, words};
use super::openapi::Sketch;
use super::operation::{About, Table};
use super::problem::Failure;
use super::reply::{Accepted, Created, Done, List, Shown, Version};
use super::{Api, BASE, Shared, agents};

pub(super) fn mount(table: &mut Table) {
    use ProblemCode::{
        Busy, DuplicateName, GroupGone, IdempotencyKeyReused, InvalidSpec, LimitReached, NoRevision, NotFound,
        NotOffered, NotPossible, OutcomeUnknown, ShuttingDown, StaleRevision, StoreUnavailable, UnknownGroup,
    };
    let path = |rest: &str| format!("{BASE}/groups{rest}");
    let about = |id: &str, summary: &str| About::new(id, "groups", summary);
    let reads: &[ProblemCode] = &[UnknownGroup, GroupGone, StoreUnavailable, Busy, ShuttingDown];
    let changes: &[ProblemCode] = &[
        UnknownGroup,
        GroupGone,
        NotFound,
        NotPossible,
        NotOffered,
        NoRevision,
        InvalidSpec,
        StaleRevision,
        IdempotencyKeyReused,
        LimitReached,
        Busy,
        StoreUnavailable,
        OutcomeUnknown,
        ShuttingDown,
    ];
    let create = about(
        "createGroup",
        "Makes one known with its replicas, and starts them where that is wanted",
    )
    .may(&[
        DuplicateName,
        InvalidSpec,
        IdempotencyKeyReused,
        LimitReached,
        Busy,
        StoreUnavailable,
        OutcomeUnknown,
        ShuttingDown,
    ]);
    table.add(Method::POST, path(""), create, create_one);
    let list = about("listGroups", "Lists those that fit, by namespace and name");
    table.add(Method::GET, path(""), list, list_page);
    let show = about(
        "getGroup",
        "Shows one: how many replicas are wanted, there, ready, available and updated",
    )
    .may(&[UnknownGroup, GroupGone, StoreUnavailable])
    .headers(agents::IF_NONE_MATCH_DOC);
    table.add(Method::GET, path("/{group}"), show, show_one);
    let replace = about(
        "replaceGroupSpec",
        "Replaces its spec: another template is rolled out, other numbers are taken up at once",
    )
    .may(changes);
    table.add(Method::PUT, path("/{group}"), replace, replace_spec);
    let patch = about("patchGroupSpec", "Changes parts of its spec by a JSON merge patch").may(changes);
    table.add(Method::PATCH, path("/{group}"), patch, patch_spec);
    let delete = about("deleteGroup", "Stops and forgets its replicas, then itself").may(changes);
    table.add(Method::DELETE, path("/{group}"), delete, delete_one);
    let spec = about("getGroupSpec", "Shows what it is told to be; secrets are `***`").may(reads);
    table.add(Method::GET, path("/{group}/spec"), spec, show_spec);
    let verb = about("changeGroupLifecycle", "Wants something else of all of its replicas, or another number of them")
        .more(
            "`scale` needs `replicas`. `update` and `restart` start every replica anew, one by one, as an update does; `drain` \
             stops each once its tasks are done, with those that it still has after `timeout`.",
        )
        .may(changes);
    table.add(Method::POST, path("/{group}/lifecycle/{verb}"), verb, want);
    let rollout = about(
        "getRollout",
        "Shows the update under way, or how the last one ended, and what can be gone back to",
    )
    .more(FRESH)
    .may(reads);
    table.add(Method::GET, path("/{group}/rollout"), rollout, show_rollout);
    let undo = about(
        "undoRollout",
        "Goes back to an earlier revision of the template, by an update like any other",
    )
    .may(changes);
    table.add(Method::POST, path("/{group}/rollout/undo"), undo, undo_rollout);
}

/// A path that names a group.
#[derive(Debug)]
struct GroupRef(AgentRef);

impl Place for GroupRef {
    fn find(parts: &[(String, String)]) -> Result<Self, Failure> {
        let text = part(parts, "group");
        text.parse()
            .map(Self)
            .map_err(|invalid| Failure::invalid(format!("{invalid}; or use the group's id, `agt_…`")))
    }

    fn describe(sketch: &mut Sketch) {
        let schema = serde_json::json!({ "type": "string" });
        sketch.path("group", "Name of the group in its namespace, or its id.", schema);
    }
}

/// What can be asked of a group's life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verb {
    Start,
    Stop,
    Drain,
    Pause,
    Resume,
    Restart,
    Update,
    Scale,
    Maintenance,
    Terminate,
    Reset,
}

const VERBS: &[(&str, Verb)] = &[
    ("start", Verb::Start),
    ("stop", Verb::Stop),
    ("drain", Verb::Drain),
    ("pause", Verb::Pause),
    ("suspend", Verb::Pause),
    ("resume", Verb::Resume),
    ("restart", Verb::Restart),
    ("update", Verb::Update),
    ("scale", Verb::Scale),
    ("maintenance", Verb::Maintenance),
    ("terminate", Verb::Terminate),
    ("reset", Verb::Reset),
];

impl Place for (GroupRef, Verb) {
    fn find(parts: &[(String, String)]) -> Result<Self, Failure> {
        Ok((GroupRef::find(parts)?, word(VERBS, part(parts, "verb"))?))
    }

    fn describe(sketch: &mut Sketch) {
        GroupRef::describe(sketch);
        sketch.path("verb", "What is wanted of it.", words(VERBS));
    }
}

/// A group to make known.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewGroup {
    /// Its name, unique among agents and groups of its namespace; replicas are called `NAME-1`, `NAME-2`, …
    name: AgentName,
    /// How many replicas are wanted.
    replicas: u32,
    /// How a new spec reaches the replicas.
    #[serde(default)]
    update: UpdateSpec,
    /// What each replica is told to be.
    template: SpecForm,
    /// What is wanted of its replicas at first. Default `stopped`.
    #[serde(default)]
    intent: FirstIntent,
    /// Why, for its history.
    #[serde(default)]
    reason: Option<Text<1024>>,
}

/// Another spec of a group.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewGroupSpec {
    /// How many replicas are wanted.
    replicas: u32,
    /// How a new spec reaches the replicas.
    #[serde(default)]
    update: UpdateSpec,
    /// What each replica is told to be; a secret that is `***`, as it is shown, stays what it is.
    template: SpecForm,
    /// The number that was shown with the template: refused if another one is in force since. Default: whichever there is.
    #[serde(default)]
    revision: Option<u32>,
    /// Why, for its history.
    #[serde(default)]
    reason: Option<Text<1024>>,
}

/// What a group is told to be.
#[derive(Debug, Serialize, JsonSchema)]
struct GroupSpecView {
    /// Number of the template's revision.
    revision: u32,
    /// How many replicas are wanted.
    replicas: u32,
    /// How a new spec reaches the replicas.
    update: UpdateSpec,
    /// What each replica is told to be; secrets are `***`.
    template: SpecForm,
}

/// What goes with a verb.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GroupVerbBody {
    /// How many replicas are wanted: for `scale` alone.
    #[serde(default)]
    replicas: Option<u32>,
    /// What each replica is to be told: for `update` alone. Default: as it is, started anew.
    #[serde(default)]
    template: Option<SpecForm>,
    /// How long tasks in flight may take: for `drain` alone. Default 2 min.
    #[serde(default)]
    timeout: Option<Span>,
    /// What a pause does to its replicas: for `pause` alone. Default `soft`.
    #[serde(default)]
    mode: Option<PauseMode>,
    /// After how long a pause ends by itself: for `pause` alone. Default: when somebody ends it.
    #[serde(default, rename = "for")]
    lasts: Option<Span>,
    /// Why they are paused, for their history and all who look at them: for `pause` alone.
    #[serde(default)]
    note: Option<Text<1024>>,
    /// Why, for its history.
    #[serde(default)]
    reason: Option<Text<1024>>,
}

/// Where to go back to.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UndoBody {
    /// Number of the revision. Default: the last one before the present one that did not fail.
    #[serde(default)]
    to: Option<u32>,
    /// Why, for its history.
    #[serde(default)]
    reason: Option<Text<1024>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GroupQuery {
    /// Those of this namespace. Default: of all.
    namespace: Option<Namespace>,
    /// Those whose labels fit, as in Kubernetes: `team=a,tier!=b,role in (x,y),!flag`.
    #[serde(default)]
    selector: Selector,
    /// How many at most.
    #[serde(default)]
    limit: Limit,
    /// Where an earlier page ended: its `next_cursor`.
    #[schemars(with = "Option<String>")]
    cursor: Option<AgentCursor>,
}

impl Shared {
    /// The namespace that a request means: the one given, else that of the group if it is named by its id, else the default.
    fn namespace_of_group(&self, given: Option<Namespace>, group: &AgentRef) -> Namespace {
        let of_id = || match group {
            AgentRef::Id(_) => self.state.handle.views().group(&Namespace::default(), group),
            AgentRef::Name(_) => None,
        };
        given
            .or_else(|| of_id().map(|view| view.namespace.clone()))
            .unwrap_or_default()
    }

    async fn group(&self, given: Option<Namespace>, group: &AgentRef) -> Result<Arc<GroupView>, Failure> {
        let namespace = self.namespace_of_group(given, group);
        let found = self.state.handle.views().group(&namespace, group);
        match found.filter(|view| view.namespace == namespace) {
            Some(view) => Ok(view),
            None => Err(self
                .unknown_or_gone(group, Problem::from(Refusal::UnknownGroup(group.to_string())))
                .await),
        }
    }

    /// What is said of a group that is not known: that it was deleted, where its id was given.
    async fn unknown_or_gone(&self, group: &AgentRef, problem: Problem) -> Failure {
        let AgentRef::Id(id) = *group else {
            return problem.into();
        };
        if problem.code != ProblemCode::UnknownGroup {
            return problem.into();
        }
        match self.read(move |store| store.is_removed_group(id)).await {
            Ok(true) => Failure::new(ProblemCode::GroupGone, format!("group {id} was deleted")),
            Ok(false) => problem.into(),
            Err(unread) => unread,
        }
    }
}

impl Ticket {
    /// Asks the engine something about a group; returns once what it answers is durable.
    async fn send_to_group(
        self,
        api: &Api,
        namespace: Namespace,
        group: AgentRef,
        reason: Option<Text<1024>>,
        request: GroupRequest,
    ) -> Result<GroupAnswer, Failure> {
        let command = GroupCommand {
            origin: self.origin,
            namespace,
            group: group.clone(),
            expected: self.expected,
            idempotency: self.idempotency,
            reason: reason.map(|Text(reason)| reason),
            request,
        };
        match api.state.handle.group(command).await {
            Ok(answer) => Ok(answer),
            Err(problem) => Err(api.unknown_or_gone(&group, problem).await),
        }
    }
}

async fn create_one(
    api: Api,
    change: Change<(), InNamespace, Json<NewGroup>>,
) -> Result<Created<GroupAnswer>, Failure> {
    let Json(new) = change.body;
    let spec = Box::new(group_spec(&api, new.replicas, new.update, new.template)?);
    let wanted = Wanted::from(new.intent);
    let namespace = change.query.namespace.unwrap_or_default();
    let request = GroupRequest::Create { spec, wanted };
    let group = AgentRef::Name(new.name);
    let asked = change.ticket.send_to_group(&api, namespace, group, new.reason, request);
    asked.await.map(Created)
}

async fn list_page(api: Api, read: Read<(), GroupQuery>) -> Result<Shown<List<Arc<GroupView>>>, Failure> {
    let asked = read.query;
    let after = asked.cursor.as_ref().map(|AgentCursor(place)| place);
    let fits = |view: &GroupView| {
        let here = asked
            .namespace
            .as_ref()
            .is_none_or(|namespace| *namespace == view.namespace);
        here && asked.selector.matches(&view.labels)
    };
    let (items, more) = views(&api).page_of_groups(after, asked.limit.0, fits);
    let last = items.last().filter(|_| more);
    let next_cursor = last.map(|last| AgentCursor::text(&last.namespace, &last.name));
    Ok(Shown(List { items, next_cursor }))
}

async fn show_one(api: Api, read: Read<GroupRef, InNamespace>) -> Result<Version<GroupView>, Failure> {
    let view = api.group(read.query.namespace, &read.path.0).await?;
    if has(&read.headers, view.revision) {
        return Ok(Version::NotModified(view.revision));
    }
    Ok(Version::Shown(view))
}

async fn replace_spec(
    api: Api,
    change: Change<GroupRef, InNamespace, Json<NewGroupSpec>>,
) -> Result<Done<GroupAnswer>, Failure> {
    let Change {
        path: GroupRef(group),
        query,
        body: Json(new),
        ticket,
    } = change;
    if new.revision.is_none() && !agents::is_masked(&new.template) {
        let spec = Box::new(group_spec(&api, new.replicas, new.update, new.template)?);
        let namespace = api.namespace_of_group(query.namespace, &group);
        let request = GroupRequest::Respec { spec };
        let asked = ticket.send_to_group(&api, namespace, group, new.reason, request);
        return asked.await.map(Done);
    }
    respec(&api, &ticket, (query, group), |number, before| {
        agents::check_number(new.revision, number)?;
        let template = agents::unmasked(new.template.clone(), &before.template);
        let spec = group_spec(&api, new.replicas, new.update.clone(), template)?;
        Ok((spec, new.reason.clone()))
    })
    .await
}

/// Changes the spec as it is now: where the asker names no revision, it is read and changed anew if it was changed meanwhile.
async fn patch_spec(api: Api, change: Change<GroupRef, InNamespace, MergePatch>) -> Result<Done<GroupAnswer>, Failure> {
    let MergePatch(patch) = change.body;
    let asked = (change.query, change.path.0);
    respec(&api, &change.ticket, asked, |_, before| patched(&api, before, &patch)).await
}

/// Makes another spec of the one that is there and its number, anew where it was changed meanwhile.
async fn respec(
    api: &Api,
    ticket: &Ticket,
    (query, group): (InNamespace, AgentRef),
    make: impl Fn(u32, &GroupSpec) -> Result<(GroupSpec, Option<Text<1024>>), Failure>,
) -> Result<Done<GroupAnswer>, Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        let view = api.group(query.namespace.clone(), &group).await?;
        let group = AgentRef::Id(view.id);
        let known = api
            .state
            .handle
            .group_spec(view.namespace.clone(), group.clone())
            .await?;
        let (spec, reason) = make(known.revision, &known.spec)?;
        let mut ticket = ticket.clone();
        let given = ticket.expected.is_some();
        ticket.expected.get_or_insert(view.revision);
        let request = GroupRequest::Respec { spec: Box::new(spec) };
        match ticket
            .send_to_group(api, view.namespace.clone(), group, reason, request)
            .await
        {
            Err(stale) if stale.is(ProblemCode::StaleRevision) && !given && tries < TRIES => {}
            answered => return answered.map(Done),
        }
    }
}

async fn delete_one(
    api: Api,
    change: Change<GroupRef, agents::DeleteQuery, ()>,
) -> Result<Accepted<GroupAnswer>, Failure> {
    let GroupRef(group) = change.path;
    let namespace = api.namespace_of_group(change.query.namespace, &group);
    let request = GroupRequest::Want(Wanted::Deleted);
    let asked = change
        .ticket
        .send_to_group(&api, namespace, group, change.query.reason, request);
    asked.await.map(Accepted)
}

async fn show_spec(api: Api, read: Read<GroupRef, InNamespace>) -> Result<Shown<GroupSpecView>, Failure> {
    let GroupRef(group) = read.path;
    let namespace = api.namespace_of_group(read.query.namespace, &group);
    let KnownGroup { revision, spec, .. } = match api.state.handle.group_spec(namespace, group.clone()).await {
        Ok(known) => known,
        Err(problem) => return Err(api.unknown_or_gone(&group, problem).await),
    };
    Ok(Shown(GroupSpecView {
        revision,
        replicas: spec.replicas,
        update: spec.update,
        template: spec.template.redacted().into(),
    }))
}

async fn want(
    api: Api,
    change: Change<(GroupRef, Verb), InNamespace, JsonOr<GroupVerbBody>>,
) -> Result<Accepted<GroupAnswer>, Failure> {
    let ((GroupRef(group), verb), JsonOr(body)) = (change.path, change.body);
    let namespace = api.namespace_of_group(change.query.namespace, &group);
    fits(verb, &body)?;
    let pausing = Pausing {
        mode: body.mode,
        lasts: body.lasts,
        note: body.note,
    };
    let reason = pausing.why(body.reason)?;
    let (mode, lasts) = pausing.wish();
    let request = match (verb, body.template, body.replicas) {
        (Verb::Scale, _, Some(replicas)) => GroupRequest::Scale { replicas },
        (Verb::Scale, _, None) => return Err(Failure::invalid("`replicas` is missing: how many are wanted")),
        (Verb::Update, Some(template), _) => {
            let before = api
                .state
                .handle
                .group_spec(namespace.clone(), group.clone())
                .await?
                .spec;
            let spec = Box::new(group_spec(&api, before.replicas, before.update, template)?);
            GroupRequest::Respec { spec }
        }
        (Verb::Update | Verb::Restart, ..) => GroupRequest::Restart,
        (Verb::Start, ..) => GroupRequest::Want(Wanted::Running),
        (Verb::Stop, ..) => GroupRequest::Want(Wanted::Stopped),
        (Verb::Drain, ..) => GroupRequest::Drain {
            within: body.timeout.unwrap_or(DRAIN),
        },
        (Verb::Pause, ..) => GroupRequest::Pause { mode, lasts },
        (Verb::Resume, ..) => GroupRequest::Resume,
        (Verb::Maintenance, ..) => GroupRequest::Want(Wanted::Maintenance),
        (Verb::Terminate, ..) => GroupRequest::Want(Wanted::Terminated),
        (Verb::Reset, ..) => GroupRequest::Reset,
    };
    let asked = change.ticket.send_to_group(&api, namespace, group, reason, request);
    asked.await.map(Accepted)
}

/// Refuses what goes with another verb.
fn fits(verb: Verb, body: &GroupVerbBody) -> Result<(), Failure> {
    let stray = [
        ("`replicas` goes", body.replicas.is_some(), Verb::Scale, "scale"),
        ("`template` goes", body.template.is_some(), Verb::Update, "update"),
        ("`timeout` goes", body.timeout.is_some(), Verb::Drain, "drain"),
        (
            PAUSE_FIELDS,
            body.mode.is_some() || body.lasts.is_some() || body.note.is_some(),
            Verb::Pause,
            "pause",
        ),
    ];
    match stray.into_iter().find(|(_, given, of, _)| *given && *of != verb) {
        Some((fields, _, _, word)) => Err(Failure::invalid(format!("{fields} with `{word}` alone"))),
        None => Ok(()),
    }
}

async fn show_rollout(api: Api, read: Read<GroupRef, InNamespace>) -> Result<Shown<RolloutStatus>, Failure> {
    let GroupRef(group) = read.path;
    let namespace = api.namespace_of_group(read.query.namespace, &group);
    match api.state.handle.rollout(namespace, group.clone()).await {
        Ok(status) => Ok(Shown(status)),
        Err(problem) => Err(api.unknown_or_gone(&group, problem).await),
    }
}

async fn undo_rollout(
    api: Api,
    change: Change<GroupRef, InNamespace, JsonOr<UndoBody>>,
) -> Result<Accepted<GroupAnswer>, Failure> {
    let (GroupRef(group), JsonOr(UndoBody { to, reason })) = (change.path, change.body);
    let namespace = api.namespace_of_group(change.query.namespace, &group);
    let request = GroupRequest::Undo { to };
    let asked = change.ticket.send_to_group(&api, namespace, group, reason, request);
    asked.await.map(Accepted)
}

fn group_spec(api: &Api, replicas: u32, update: UpdateSpec, template: SpecForm) -> Result<GroupSpec, Failure> {
    let template = checked(api, agents::Kind::Agent, template)?;
    GroupSpec::new(replicas, update, template)
        .map_err(|invalid| Failure::new(ProblemCode::InvalidSpec, invalid.to_string()))
}

/// The spec with a patch on it, and why where the patch says so.
fn patched(
    api: &Api,
    before: &GroupSpec,
    patch: &serde_json::Value,
) -> Result<(GroupSpec, Option<Text<1024>>), Failure> {
    let unfit = |error: serde_json::Error| {
        let said = error.to_string();
        Failure::invalid(format!("the patched spec cannot be read: {}", suggest(&said)))
    };
    let mut form = serde_json::to_value(before).map_err(unfit)?;
    merge(&mut form, patch);
    let after: NewGroupSpec = serde_json::from_value(form).map_err(unfit)?;
    Ok((
        group_spec(api, after.replicas, after.update, after.template)?,
        after.reason,
    ))
}
