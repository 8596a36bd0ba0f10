//! `stead get`, `describe`, `why` and `history`.

use serde::Serialize;
use stead_client::{SpecView, TransitionFilter};
use stead_model::{AgentView, LifecycleView, Transition};

use crate::app::App;
use crate::args::{History, One};
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

pub(super) async fn get(app: &mut App<'_>, one: &One) -> Result<(), Failure> {
    let agent = app.client.agent(&app.target(&one.agent)).await?;
    let now = clock::now();
    app.out.show(&agent, |agent, _| render::get(agent, now))
}

pub(super) async fn describe(app: &mut App<'_>, one: &One) -> Result<(), Failure> {
    let target = app.target(&one.agent);
    let short = TransitionFilter {
        limit: Some(SHORT_HISTORY),
        ..TransitionFilter::default()
    };
    let description = Description {
        agent: app.client.agent(&target).await?,
        lifecycle: app.client.lifecycle_of(&target).await?,
        spec: app.client.spec(&target).await?,
        history: app.client.history(&target, &short).await?.items,
    };
    let now = clock::now();
    app.out.show(&description, |all, _| {
        render::describe(&all.agent, &all.lifecycle, &all.spec, &all.history, now)
    })
}

pub(super) async fn why(app: &mut App<'_>, one: &One) -> Result<(), Failure> {
    let explanation = app.client.why(&app.target(&one.agent)).await?;
    let now = clock::now();
    app.out
        .show(&explanation, |explanation, _| render::why(explanation, now))
}

pub(super) async fn history(app: &mut App<'_>, history: History) -> Result<(), Failure> {
    let filter = TransitionFilter {
        state: history.state,
        reason: history.code,
        since: history.since,
        limit: Some(history.limit),
        ..TransitionFilter::default()
    };
    let page = app.client.history(&app.target(&history.agent), &filter).await?;
    let now = clock::now();
    app.out.show(&page.items, |rows, _| render::transitions(rows, now))
}
