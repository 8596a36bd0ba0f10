//! `stead rollout`, and what `get` and `why` show of a group.

use serde::Serialize;
use stead_client::{AgentFilter, GroupSpecView, Target};
use stead_model::AgentView;
use stead_model::group::{GroupView, RolloutState};

use super::act;
use crate::app::App;
use crate::args::{Retry, Rollout, RolloutStatus, Scope, Undo};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::render;
use crate::settle::{Aim, settle};

pub(super) async fn rollout(app: &mut App<'_>, rollout: Rollout) -> Result<(), Failure> {
    match rollout {
        Rollout::Status(asked) => status(app, &asked).await,
        Rollout::History(asked) => {
            let status = app.client.rollout(&app.target(&asked.group)).await?;
            let now = clock::now();
            app.out.show(&status, |status, _| {
                render::revisions(&status.group, &status.revisions, now)
            })
        }
        Rollout::Undo(undo) => act::to_revision(app, &undo, "rollout undo").await,
        Rollout::Retry(retry) => self::retry(app, retry).await,
    }
}

/// Goes to the revision that was taken back, by an update like any other.
async fn retry(app: &mut App<'_>, retry: Retry) -> Result<(), Failure> {
    let group = app.client.group(&app.target(&retry.group)).await?;
    let taken_back = group.rollout.filter(|rollout| match rollout.state {
        RolloutState::RolledBack | RolloutState::RollingBack => true,
        RolloutState::Rolling | RolloutState::Completed | RolloutState::Failed | RolloutState::Superseded => false,
    });
    let Some(rollout) = taken_back else {
        let message = format!(
            "the last update of {} was not rolled back, so there is none to try again",
            group.name
        );
        let help = format!(
            "`stead rollout status {0}` says how it stands; `stead restart {0}` starts it anew",
            group.name
        );
        return Err(Failure::with(Exit::Refused, message).help(help));
    };
    let reason = retry
        .reason
        .unwrap_or_else(|| format!("revision {} is tried again", rollout.to));
    let undo = Undo {
        group: retry.group,
        to: Some(rollout.to),
        reason: Some(reason),
        wait: retry.wait,
        timeout: retry.timeout,
    };
    act::to_revision(app, &undo, "rollout retry").await
}

/// Fails with exit code 1 where the update failed, whether or not it was watched.
async fn status(app: &mut App<'_>, asked: &RolloutStatus) -> Result<(), Failure> {
    let target = app.target(&asked.group);
    let first = app.client.rollout(&target).await?;
    let watched = if asked.watch {
        settle(app, vec![(target.clone(), Aim::Rollout)], asked.timeout).await
    } else {
        Ok(())
    };
    let status = if asked.watch {
        app.client.rollout(&target).await?
    } else {
        first
    };
    let now = clock::now();
    app.out.show(&status, |status, _| render::rollout(&status.group, now))?;
    watched?;
    match failed(&status.group) {
        Some(why) => Err(Failure::new(format!("{}: {why}", status.group.name)).help(format!(
            "`stead rollout history {}` shows all revisions",
            status.group.name
        ))),
        None => Ok(()),
    }
}

/// That its last update failed, and why.
pub(crate) fn failed(group: &GroupView) -> Option<String> {
    let rollout = group.rollout.as_ref()?;
    let word = match rollout.state {
        RolloutState::RolledBack => "was taken back",
        RolloutState::Failed => "failed",
        RolloutState::Rolling | RolloutState::RollingBack | RolloutState::Completed | RolloutState::Superseded => {
            return None;
        }
    };
    let why = rollout.why.as_deref().unwrap_or("nobody said why");
    Some(format!("the update to revision {} {word}: {why}", rollout.to))
}

/// A group with its replicas, for programs.
#[derive(Serialize)]
struct Whole {
    group: GroupView,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<GroupSpecView>,
    replicas: Vec<AgentView>,
}

pub(super) async fn get(app: &mut App<'_>, group: &GroupView) -> Result<(), Failure> {
    let now = clock::now();
    app.out.show(group, |group, _| render::group(group, now))
}

pub(super) async fn describe(app: &mut App<'_>, group: GroupView) -> Result<(), Failure> {
    let target = Target::new(group.namespace.clone(), stead_model::AgentRef::Id(group.id));
    let spec = Some(app.client.group_spec(&target).await?);
    let replicas = replicas(app, &group).await?;
    let whole = Whole { group, spec, replicas };
    let now = clock::now();
    app.out.show(&whole, |whole, format| {
        let columns = super::list::columns(format);
        render::describe_group(&whole.group, whole.spec.as_ref(), &whole.replicas, columns, now)
    })
}

/// Says of a group why it stands as it does: itself, then each replica that does not serve.
pub(super) async fn why(app: &mut App<'_>, group: GroupView) -> Result<(), Failure> {
    let mut replicas = replicas(app, &group).await?;
    replicas.retain(|replica| !replica.ready);
    let whole = Whole {
        group,
        spec: None,
        replicas,
    };
    let now = clock::now();
    app.out
        .show(&whole, |whole, _| render::why_group(&whole.group, &whole.replicas, now))
}

async fn replicas(app: &App<'_>, group: &GroupView) -> Result<Vec<AgentView>, Failure> {
    let filter = AgentFilter {
        group: Some(group.name.clone()),
        ..AgentFilter::default()
    };
    let scope = Scope { all_namespaces: true };
    let mut all = app.list(&scope, filter).await?;
    all.retain(|agent| agent.namespace == group.namespace);
    all.sort_by_key(|agent| (agent.name.as_str().len(), agent.name.clone()));
    Ok(all)
}
