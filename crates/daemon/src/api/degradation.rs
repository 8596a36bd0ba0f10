//! What a namespace gives up of its features while something that they need is down.

use axum::http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use stead_model::{
    DegradationCommand, DegradationLevel, DegradationRequest, DegradationTold, DegradationView, FeatureView,
    LevelChange, Namespace, ProblemCode, Span,
};
use stead_store::LevelQuery;

use super::extract::{Json, Limit, Post, Read, Text, When};
use super::operation::{About, Table};
use super::problem::Failure;
use super::reply::{List, Shown};
use super::{Api, BASE, cursor};

pub(super) fn mount(table: &mut Table) {
    use ProblemCode::{Busy, OutcomeUnknown, ShuttingDown, StoreUnavailable};
    let about = |id, summary: &str| About::new(id, "degradation", summary);
    let features_of = about("listFeatures", "Lists features, which of them are off and why, by name");
    table.add(Method::GET, format!("{BASE}/features"), features_of, features);
    let showing = about(
        "getDegradation",
        "Shows how much a namespace has given up, why, what that means for its users, and what its features need",
    );
    table.add(Method::GET, format!("{BASE}/degradation"), showing, show);
    let listing = about(
        "listDegradations",
        "Lists how what a namespace has given up changed, newest first",
    )
    .more("Each change is written before anybody is told of it. The newest 1,000 of each namespace are kept.")
    .may(&[StoreUnavailable]);
    table.add(Method::GET, format!("{BASE}/degradation/history"), listing, history);
    let holding = about("holdDegradation", "Holds a level, whatever is down or up, until it is released")
        .more(
            "Nothing that happens by itself undoes it, save the end of the time that it is held for. A feature that needs what is down \
stays off at every level.",
        )
        .may(&[Busy, ShuttingDown, StoreUnavailable, OutcomeUnknown]);
    let path = format!("{BASE}/degradation/override");
    table.add(Method::PUT, &*path, holding, hold);
    let releasing = about(
        "releaseDegradation",
        "Holds no level any more: what follows from what is down is in force again",
    )
    .may(&[Busy, ShuttingDown, StoreUnavailable, OutcomeUnknown]);
    table.add(Method::DELETE, &*path, releasing, release);
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OfNamespace {
    /// The namespace. Default `default`.
    #[serde(default)]
    namespace: Namespace,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChangesQuery {
    /// The namespace. Default `default`.
    #[serde(default)]
    namespace: Namespace,
    /// Changes from this time on: RFC 3339, or how long ago.
    since: Option<When>,
    /// Changes before this time: RFC 3339, or how long ago.
    until: Option<When>,
    /// How many at most.
    #[serde(default)]
    limit: Limit,
    /// Where an earlier page of the same query ended: its `next_cursor`.
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReleaseQuery {
    /// The namespace. Default `default`.
    #[serde(default)]
    namespace: Namespace,
    /// Why, for the audit.
    reason: Option<Text<1024>>,
}

/// A level to be held.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DegradationOverride")]
struct Hold {
    /// The level.
    level: DegradationLevel,
    /// After how long it ends by itself, at most 366 days. Default: when somebody releases it.
    #[serde(default, rename = "for")]
    lasts: Option<Span>,
    /// Why, for all who look at it.
    #[serde(default)]
    reason: Option<Text<1024>>,
}

async fn features(api: Api, read: Read<(), OfNamespace>) -> Result<Shown<List<FeatureView>>, Failure> {
    Ok(Shown(List {
        items: view(&api, read.query.namespace).features,
        next_cursor: None,
    }))
}

async fn show(api: Api, read: Read<(), OfNamespace>) -> Result<Shown<DegradationView>, Failure> {
    Ok(Shown(view(&api, read.query.namespace)))
}

async fn history(api: Api, read: Read<(), ChangesQuery>) -> Result<Shown<List<LevelChange>>, Failure> {
    let (asked, now) = (read.query, api.state.ports.host.now());
    let below = asked.cursor.map(|text| cursor::read('l', &text, "degradation"));
    let query = LevelQuery {
        namespace: asked.namespace,
        from: asked.since.map(|since| since.resolve(now)),
        until: asked.until.map(|until| until.resolve(now)),
        below: below.transpose()?,
        limit: asked.limit.0,
    };
    let page = api.read(move |store| store.levels(&query)).await?;
    Ok(Shown(List {
        items: page.items,
        next_cursor: page.next.map(|next| cursor::write('l', next)),
    }))
}

async fn hold(api: Api, post: Post<(), OfNamespace, Json<Hold>>) -> Result<Shown<DegradationView>, Failure> {
    let Json(Hold { level, lasts, reason }) = post.body;
    if lasts.is_some_and(|span| span > LONGEST || span < SHORTEST) {
        return Err(Failure::invalid(
            "in the body: for: a level is held for 1 s to 366 days",
        ));
    }
    let request = DegradationRequest::Hold { level, lasts };
    ask(&api, post.query.namespace, (post.origin, reason), request).await
}

async fn release(api: Api, post: Post<(), ReleaseQuery, ()>) -> Result<Shown<DegradationView>, Failure> {
    let ReleaseQuery { namespace, reason } = post.query;
    ask(&api, namespace, (post.origin, reason), DegradationRequest::Release).await
}

async fn ask(
    api: &Api,
    namespace: Namespace,
    (origin, reason): (stead_model::Origin, Option<Text<1024>>),
    request: DegradationRequest,
) -> Result<Shown<DegradationView>, Failure> {
    let command = DegradationCommand {
        origin,
        namespace,
        reason: reason.map(|Text(reason)| reason),
        request,
    };
    Ok(Shown(api.state.handle.degradation(command).await?.degradation))
}

fn view(api: &Api, namespace: Namespace) -> DegradationView {
    let known = api.state.handle.views().degradation(&namespace);
    known.map_or_else(
        || DegradationView::full(namespace),
        |view| DegradationView::clone(&view),
    )
}

/// What agents of a namespace are told of it; nothing where nothing is given up.
pub(super) fn told(api: &Api, namespace: &Namespace) -> Option<DegradationTold> {
    api.state.handle.views().degradation(namespace)?.told()
}

/// What agents of each namespace are told, where something is given up.
pub(super) fn told_to_all(api: &Api) -> std::collections::BTreeMap<Namespace, DegradationTold> {
    let views = api.state.handle.views().degradations();
    let told = views
        .iter()
        .filter_map(|view| Some((view.namespace.clone(), view.told()?)));
    told.collect()
}

/// The longest time that a level may be held for: as that of a pause.
const LONGEST: Span = Span::secs(366 * 24 * 3600);
/// The shortest.
const SHORTEST: Span = Span::secs(1);
