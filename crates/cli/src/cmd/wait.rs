//! `stead wait`.

use stead_client::{AgentFilter, ClientError, Target};

use super::subject::{Found, Subject, ask};
use crate::app::App;
use crate::args::{Goal, Wait};
use crate::failure::{Exit, Failure};
use crate::settle::{Aim, settle};

pub(super) async fn wait(app: &mut App<'_>, wait: &Wait) -> Result<(), Failure> {
    // Asked once beforehand, so that a daemon that is not there is told at once.
    let subjects = app.subjects(&wait.agent, wait.selector.as_ref()).await?;
    app.client.live().await?;
    if let Goal::Phase(phase) = &wait.goal {
        // Refused if no lifecycle has it: it would be waited for in vain.
        let filter = AgentFilter {
            phase: Some(phase.clone()),
            limit: Some(1),
            ..AgentFilter::default()
        };
        app.client.agents(&filter).await?;
    }
    let mut aims = Vec::new();
    for subject in subjects {
        let aim = match kind(app, &subject).await? {
            Kind::Agent => of_agent(&wait.goal),
            Kind::Group => of_group(&wait.goal),
        };
        aims.push((
            subject.target().clone(),
            aim.map_err(|why| unfit(subject.target(), why))?,
        ));
    }
    settle(app, aims, wait.timeout).await
}

/// What somebody is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Agent,
    Group,
}

/// What it is. One that is nobody, or cannot be asked for now, goes for an agent: what is waited for may be that it is gone.
async fn kind(app: &App<'_>, subject: &Subject) -> Result<Kind, Failure> {
    let found = ask(
        subject,
        async |target| app.client.agent(target).await,
        async |target| app.client.group(target).await,
    );
    match found.await {
        Ok(Found::Group(_)) => Ok(Kind::Group),
        Ok(Found::Agent(_)) | Err(ClientError::Problem(_) | ClientError::Timeout { .. }) => Ok(Kind::Agent),
        Err(ClientError::Unreachable { .. }) if !matches!(subject, Subject::Group(_)) => Ok(Kind::Agent),
        Err(error) => Err(error.into()),
    }
}

fn of_agent(goal: &Goal) -> Result<Aim, &'static str> {
    Ok(match goal {
        Goal::Phase(phase) => Aim::Phase(phase.clone()),
        Goal::Health(health) => Aim::Health(*health),
        Goal::Intent(wanted) => Aim::Intent(*wanted),
        Goal::Ready | Goal::Available => Aim::Ready,
        Goal::Deleted => Aim::Gone,
        Goal::Rollout => return Err("an agent has no rollout; wait for `ready`, or name its group"),
    })
}

fn of_group(goal: &Goal) -> Result<Aim, &'static str> {
    Ok(match goal {
        Goal::Ready | Goal::Available => Aim::Available,
        Goal::Rollout => Aim::Rollout,
        Goal::Deleted => Aim::GroupGone,
        Goal::Phase(_) | Goal::Health(_) | Goal::Intent(_) => {
            return Err("a group is waited for by `available`, `rollout` or `deleted`; each replica by the rest");
        }
    })
}

fn unfit(target: &Target, why: &str) -> Failure {
    Failure::with(Exit::Usage, format!("{}: {why}", target.agent))
}
