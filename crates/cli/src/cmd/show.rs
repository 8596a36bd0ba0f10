//! `stead get`, `describe`, `why` and `history`.

use serde::Serialize;
use stead_client::{LogItem, LogLine, LogQuery, Output, SpecView, Target, TransitionFilter};
use stead_model::group::GroupView;
use stead_model::{AgentView, Condition, ConditionView, Explanation, Health, LifecycleView, Transition, Wanted};

use super::group;
use super::subject::{Found, Subject, ask};
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
    let agent = match find(app, one).await? {
        Found::Agent(agent) => agent,
        Found::Group(found) => return group::get(app, &found).await,
    };
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

/// The explanation with what was printed last, where something failed.
#[derive(Serialize)]
struct Why {
    #[serde(flatten)]
    explanation: Explanation,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    last_output: Vec<LogLine>,
}

pub(super) async fn why(app: &mut App<'_>, one: &One) -> Result<(), Failure> {
    let target = app.target(&one.agent);
    let subject = Subject::Named(target.clone());
    let found = ask(
        &subject,
        async |target| app.client.why(target).await,
        async |target| app.client.group(target).await,
    );
    let explanation = match found.await? {
        Found::Agent(explanation) => explanation,
        Found::Group(found) => return group::why(app, found).await,
    };
    let last_output = if failed(&explanation) {
        last_output(app, &target).await
    } else {
        Vec::new()
    };
    let why = Why {
        explanation,
        last_output,
    };
    let now = clock::now();
    app.out
        .show(&why, |why, _| render::why(&why.explanation, &why.last_output, now))
}

/// Whether what it printed last is likely to tell what is wrong.
fn failed(why: &Explanation) -> bool {
    let ended_badly = why.last_exit.as_ref().is_some_and(|last| !last.exit.success());
    let held = |held: &ConditionView| matches!(held.condition, Condition::Held | Condition::Quarantined);
    let ill = matches!(why.agent.health, Health::Failed | Health::Critical | Health::Recovering);
    // One that nobody wants up was ended on purpose.
    why.agent.intent == Wanted::Running
        && (ended_badly && !why.agent.ready || ill || why.agent.conditions.iter().any(held))
}

/// The last lines of the latest run that printed any: of standard error first. Where they cannot be had, the explanation goes without.
async fn last_output(app: &App<'_>, target: &Target) -> Vec<LogLine> {
    let mut lines = Vec::new();
    for stream in [Output::Stdout, Output::Stderr] {
        let query = LogQuery {
            tail: Some(LAST_LINES),
            stream: Some(stream),
            ..LogQuery::default()
        };
        let Ok(mut stream) = app.client.logs(target, query).await else {
            continue;
        };
        while let Ok(Some(LogItem::Line(line))) = stream.next().await {
            lines.push(line);
        }
    }
    let latest = lines.iter().map(|line| line.incarnation).max();
    lines.retain(|line| Some(line.incarnation) == latest);
    lines.sort_by_key(|line| line.at);
    lines
}

/// So many lines of each stream.
const LAST_LINES: u64 = 8;

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
