//! `stead get`, `describe`, `why` and `history`.

use serde::Serialize;
use stead_client::{SpecView, TransitionFilter};
use stead_model::group::GroupView;
use stead_model::{AgentView, LifecycleView, Transition};

use super::group;
use super::subject::{Found, Subject, ask};
use crate::app::App;
use crate::args::{Get, History, One};
use crate::clock;
use crate::failure::Failure;
use crate::render;

/// Everything about one agent, for programs.
#[derive(Serialize)]
struct Description {
    agent: AgentView,
    lifecycle: LifecycleView,
    spec: SpecView,
    history: Vec<Transition>,
}

/// As many as a person looks at.
const SHORT_HISTORY: u32 = 10;

pub(super) async fn get(app: &mut App<'_>, get: &Get) -> Result<(), Failure> {
    if get.spec {
        return spec(app, &get.one).await;
    }
    let agent = match find(app, &get.one).await? {
        Found::Agent(agent) => agent,
        Found::Group(found) => return group::get(app, &found).await,
    };
    let now = clock::now();
    app.out.show(&agent, |agent, _| render::get(agent, now))
}

/// What it is told to be, in the form that is taken back.
async fn spec(app: &mut App<'_>, one: &One) -> Result<(), Failure> {
    let subject = Subject::Named(app.target(&one.agent));
    let found = ask(
        &subject,
        async |target| app.client.spec(target).await,
        async |target| app.client.group_spec(target).await,
    );
    match found.await? {
        Found::Agent(spec) => app.out.show(&spec, |spec, _| render::json(spec)),
        Found::Group(spec) => app.out.show(&spec, |spec, _| render::json(spec)),
    }
}

pub(super) async fn describe(app: &mut App<'_>, one: &One) -> Result<(), Failure> {
    let target = app.target(&one.agent);
    let short = TransitionFilter {
        limit: Some(SHORT_HISTORY),
        ..TransitionFilter::default()
    };
    let description = Description {
        agent: match find(app, one).await? {
            Found::Agent(agent) => agent,
            Found::Group(found) => return group::describe(app, found).await,
        },
        lifecycle: app.client.lifecycle_of(&target).await?,
        spec: app.client.spec(&target).await?,
        history: app.client.history(&target, &short).await?.items,
    };
    let now = clock::now();
    app.out.show(&description, |all, _| {
        render::describe(&all.agent, &all.lifecycle, &all.spec, &all.history, now)
    })
}

/// The agent or group of a name.
async fn find(app: &App<'_>, one: &One) -> Result<Found<AgentView, GroupView>, Failure> {
    let subject = Subject::Named(app.target(&one.agent));
    let found = ask(
        &subject,
        async |target| app.client.agent(target).await,
        async |target| app.client.group(target).await,
    );
    Ok(found.await?)
}

pub(super) async fn why(app: &mut App<'_>, one: &One) -> Result<(), Failure> {
    let subject = Subject::Named(app.target(&one.agent));
    let found = ask(
        &subject,
        async |target| app.client.why(target).await,
        async |target| app.client.group(target).await,
    );
    let explanation = match found.await? {
        Found::Agent(explanation) => explanation,
        Found::Group(found) => return group::why(app, found).await,
    };
    let now = clock::now();
    app.out.show(&explanation, |why, _| render::why(why, now))
}

pub(super) async fn history(app: &mut App<'_>, history: History) -> Result<(), Failure> {
    let filter = TransitionFilter {
        group: history.group,
        state: history.state,
        reason: history.code,
        since: history.window.since,
        until: history.window.until,
        limit: Some(history.window.limit),
        ..TransitionFilter::default()
    };
    let page = match &history.agent {
        Some(agent) => app.client.history(&app.target(agent), &filter).await?,
        None => app.client.transitions(Some(&app.namespace), &filter).await?,
    };
    let now = clock::now();
    let whose = if history.agent.is_some() {
        render::Whose::One
    } else {
        render::Whose::Many
    };
    app.out
        .show(&page.items, |rows, _| render::transitions(rows, whose, now))
}
