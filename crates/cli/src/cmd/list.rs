//! `stead ps` and `stead top`.

use stead_client::{AgentFilter, PartState};

use crate::app::App;
use crate::args::{Format, Ps, Top};
use crate::clock;
use crate::failure::Failure;
use crate::render::{self, Columns};

pub(super) async fn ps(app: &mut App<'_>, ps: Ps) -> Result<(), Failure> {
    if ps.groups {
        return groups(app, &ps).await;
    }
    let filter = AgentFilter {
        selector: ps.selector.map(|selector| selector.to_string()),
        phase: ps.phase,
        health: ps.health.map(|health| health.to_string()),
        class: ps.class,
        intent: ps.intent.map(|wanted| wanted.to_string()),
        profile: ps.profile,
        group: ps.group,
        ..AgentFilter::default()
    };
    let nothing_asked = filter == AgentFilter::default();
    let agents = app.list(&ps.scope, filter).await?;
    let for_people = matches!(app.out.format(), Format::Table | Format::Wide);
    if for_people
        && let Ok(daemon) = app.client.daemon().await
        && let PartState::Away { detail, .. } = &daemon.status.store
    {
        app.out.note(&render::store_away(detail))?;
    }
    if agents.is_empty() && for_people {
        let hint = match (nothing_asked, ps.scope.all_namespaces) {
            (true, true) => "no agents; `stead apply FILE` brings some".to_owned(),
            (true, false) => format!("no agents in namespace {}; -A shows those of all", app.namespace),
            (false, _) => "no agent is like that".to_owned(),
        };
        return app.out.note(&hint);
    }
    let now = clock::now();
    app.out
        .show(&agents, |agents, format| render::agents(agents, columns(format), now))
}

async fn groups(app: &mut App<'_>, ps: &Ps) -> Result<(), Failure> {
    let groups = app.groups(&ps.scope, ps.selector.as_ref()).await?;
    if groups.is_empty() && matches!(app.out.format(), Format::Table | Format::Wide) {
        let hint = "no groups; `replicas` in a fleet file makes one of an agent";
        return app.out.note(hint);
    }
    let now = clock::now();
    app.out
        .show(&groups, |groups, format| render::groups(groups, columns(format), now))
}

pub(super) async fn top(app: &mut App<'_>, top: &Top) -> Result<(), Failure> {
    loop {
        let filter = AgentFilter {
            selector: top.selector.as_ref().map(ToString::to_string),
            ..AgentFilter::default()
        };
        let agents = app.list(&top.scope, filter).await?;
        if top.once || !app.out.is_watched() {
            let frame = frame(app, top, &agents, columns(app.out.format())).await?;
            return app.out.show(&agents, |_, _| frame);
        }
        let frame = frame(app, top, &agents, columns(app.out.format())).await?;
        app.out.repaint(&frame)?;
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            () = tokio::time::sleep(top.interval.0) => {}
        }
    }
}

async fn frame(
    app: &App<'_>,
    top: &Top,
    agents: &[stead_model::AgentView],
    columns: Columns,
) -> Result<String, Failure> {
    let namespace = (!top.scope.all_namespaces).then_some(&app.namespace);
    let summary = app.client.summary(namespace).await?;
    let daemon = app.client.daemon().await?;
    let now = clock::now();
    Ok(format!(
        "{}\n{}",
        render::summary(&summary, &daemon, now),
        render::agents(agents, columns, now)
    ))
}

pub(super) const fn columns(format: Format) -> Columns {
    match format {
        Format::Wide => Columns::All,
        Format::Table | Format::Json | Format::Yaml => Columns::Few,
    }
}
