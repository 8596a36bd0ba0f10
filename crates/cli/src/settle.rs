//! Waiting until agents are as wanted: looks at them again and again, gives up when it cannot come any more.

use std::time::Duration;

use futures_util::future::join_all;
use stead_client::{Client, ClientError, Target};
use stead_model::group::{GroupView, RolloutState};
use stead_model::{AgentView, Condition, Health, Incarnation, PauseMode, Role, Span, Wanted};
use tokio::time::{Instant, sleep};

use crate::app::App;
use crate::cmd::group;
use crate::failure::{Exit, Failure};
use crate::render::{Board, role};

/// What must be so of an agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Aim {
    /// It takes work in a run after this one, or ended its work with success.
    Up { after: Incarnation },
    /// It has no process and is where it stays.
    Down,
    /// It is in a phase of such a role.
    Role(&'static [Role]),
    /// It is paused, and has said itself that it is where it was to write down where it is; without a process, if it hibernates.
    Paused,
    /// It is in this phase.
    Phase(String),
    /// It is of this health.
    Health(Health),
    /// This is wanted of it.
    Intent(Wanted),
    /// It takes work.
    Ready,
    /// It is gone.
    Gone,
    /// It is a group, and as many replicas as are wanted were ready for long enough.
    Available,
    /// It is a group, and no update is under way; the last one did not fail.
    Rollout,
    /// It is a group, and gone with all its replicas.
    GroupGone,
}

/// How an agent stands towards an aim.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Stand {
    Reached,
    Underway,
    /// It will not come by itself.
    Lost(String),
}

/// How often agents are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How many are looked at side by side.
const SIDE_BY_SIDE: usize = 16;

/// Waits until every agent has reached its aim.
///
/// Fails with exit code 6 when the time is over, with 1 when one of them cannot reach it by itself. A daemon that goes away meanwhile is
/// waited for, since it may be on its way back.
pub(crate) async fn settle(app: &App<'_>, mut open: Vec<(Target, Aim)>, limit: Span) -> Result<(), Failure> {
    let until = Instant::now() + limit.0;
    let mut board = app.out.board();
    let mut lost = Vec::new();
    loop {
        let mut still_open = Vec::new();
        for group in open.chunks(SIDE_BY_SIDE) {
            let looks = group.iter().map(|(target, aim)| look(&app.client, target, aim));
            for ((target, aim), seen) in group.iter().zip(join_all(looks).await) {
                let name = target.agent.to_string();
                let (stand, state) = seen?;
                match stand {
                    Stand::Reached => board.done(&name, &state),
                    Stand::Underway => {
                        board.now(&name, &state);
                        still_open.push((target.clone(), aim.clone()));
                    }
                    Stand::Lost(why) => lost.push((name, why)),
                }
            }
        }
        open = still_open;
        if open.is_empty() {
            break;
        }
        if Instant::now() >= until {
            return Err(too_late(&open, limit));
        }
        sleep(LOOK.min(until - Instant::now())).await;
    }
    match lost.as_slice() {
        [] => Ok(()),
        [(name, why)] => Err(Failure::new(format!("{name}: {why}")).help(format!("`stead why {name}` says more"))),
        many => {
            let told: Vec<_> = many.iter().map(|(name, why)| format!("{name}: {why}")).collect();
            Err(Failure::new(told.join("\n  ")).help("`stead why AGENT` says more"))
        }
    }
}

fn too_late(open: &[(Target, Aim)], limit: Span) -> Failure {
    let names: Vec<_> = open.iter().map(|(target, _)| target.agent.to_string()).collect();
    Failure::with(
        Exit::Timeout,
        format!("after {limit} still not as waited for: {}", names.join(", ")),
    )
    .help(format!(
        "`stead why {}` says what it waits for",
        names.first().map_or("AGENT", String::as_str)
    ))
}

async fn look(client: &Client, target: &Target, aim: &Aim) -> Result<(Stand, String), Failure> {
    let gone = matches!(aim, Aim::Gone | Aim::GroupGone);
    let seen = match aim {
        Aim::Available | Aim::Rollout | Aim::GroupGone => client.group(target).await.map(|view| {
            let state = format!(
                "{}, {} of {} updated, {} available",
                view.phase, view.updated, view.replicas, view.available
            );
            (stand_of_group(&view, aim), state)
        }),
        Aim::Up { .. }
        | Aim::Down
        | Aim::Role(_)
        | Aim::Paused
        | Aim::Phase(_)
        | Aim::Health(_)
        | Aim::Intent(_)
        | Aim::Ready
        | Aim::Gone => {
            let view = client.agent(target).await;
            view.map(|view| (stand(&view, aim), view.phase.into_owned()))
        }
    };
    match seen {
        Ok(seen) => Ok(seen),
        Err(ClientError::Problem(problem)) if matches!(problem.status, 404 | 410) && gone => {
            Ok((Stand::Reached, "gone".to_owned()))
        }
        Err(ClientError::Unreachable { .. } | ClientError::Timeout { .. }) => {
            Ok((Stand::Underway, "the daemon does not answer".to_owned()))
        }
        Err(error @ (ClientError::Problem(_) | ClientError::Protocol { .. })) => Err(error.into()),
    }
}

fn stand(view: &AgentView, aim: &Aim) -> Stand {
    let reached = match aim {
        Aim::Up { after } => return up(view, *after),
        Aim::Down => view.pid.is_none() && role(view).is_none_or(rests),
        Aim::Role(roles) => role(view).is_some_and(|role| roles.contains(&role)),
        Aim::Paused => is_paused(view),
        Aim::Phase(phase) => view.phase == phase.as_str(),
        Aim::Health(health) => view.health == *health,
        Aim::Intent(wanted) => view.intent == *wanted,
        Aim::Ready => view.ready,
        Aim::Gone => view.phase == "deleted",
        // These are asked of groups alone.
        Aim::Available | Aim::Rollout | Aim::GroupGone => false,
    };
    if reached { Stand::Reached } else { Stand::Underway }
}

fn is_paused(view: &AgentView) -> bool {
    let suspended = role(view).is_some_and(|role| role == Role::Suspended);
    let Some(pause) = view.pause.as_ref() else {
        return suspended;
    };
    match pause.mode {
        PauseMode::Soft | PauseMode::Freeze => suspended,
        PauseMode::Checkpoint => suspended && pause.acknowledged.is_some(),
        PauseMode::Hibernate => view.pid.is_none() && pause.acknowledged.is_some(),
    }
}

fn stand_of_group(view: &GroupView, aim: &Aim) -> Stand {
    let rolls = view
        .rollout
        .as_ref()
        .is_some_and(|rollout| matches!(rollout.state, RolloutState::Rolling | RolloutState::RollingBack));
    match (aim, group::failed(view)) {
        (Aim::Rollout, Some(why)) => Stand::Lost(why),
        (Aim::Rollout, None) if !rolls => Stand::Reached,
        (Aim::Available, _) if !rolls && view.available >= view.replicas && view.present == view.replicas => {
            Stand::Reached
        }
        (Aim::Available, _) if view.intent != Wanted::Running => {
            Stand::Lost(format!("its replicas are wanted {}", view.intent))
        }
        _ => Stand::Underway,
    }
}

fn up(view: &AgentView, after: Incarnation) -> Stand {
    if view.incarnation <= after && !hopeless(view) && view.intent == Wanted::Running {
        return Stand::Underway;
    }
    match standing(view) {
        Standing::Up => Stand::Reached,
        Standing::Troubled(why) => Stand::Lost(why),
        Standing::Aside => Stand::Lost(format!("somebody else wants it {}", view.intent)),
        Standing::Underway => Stand::Underway,
    }
}

/// How an agent stands that is to be up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It takes work, or ended its work with success.
    Up,
    /// It is on the way.
    Underway,
    /// It does not come up by itself, for this reason.
    Troubled(String),
    /// Something else is wanted of it.
    Aside,
}

/// Says how an agent stands.
pub(crate) fn standing(view: &AgentView) -> Standing {
    if view.ready {
        return Standing::Up;
    }
    let held = view.conditions.iter().find(|held| is_hopeless(held.condition));
    if let Some(held) = held {
        return Standing::Troubled(format!("{}: {}", held.condition, held.detail));
    }
    if view.intent != Wanted::Running {
        return Standing::Aside;
    }
    let rests = view.pid.is_none() && view.next.is_none();
    match exit_of(view) {
        // A job that did its work is down for good reason: nothing is to come, and it ended with success.
        Some(exit) if rests && exit.contains("code 0") => Standing::Up,
        Some(exit) if rests => Standing::Troubled(format!("{}: {exit}", view.phase)),
        Some(_) | None => Standing::Underway,
    }
}

/// How the last run ended, as long as none has followed.
pub(crate) fn exit_of(view: &AgentView) -> Option<&str> {
    let exit = view.evidence.iter().find(|seen| seen.kind == "exit");
    exit.map(|seen| seen.detail.as_str())
}

fn hopeless(view: &AgentView) -> bool {
    view.conditions.iter().any(|held| is_hopeless(held.condition))
}

const fn is_hopeless(condition: Condition) -> bool {
    matches!(condition, Condition::Held | Condition::Quarantined)
}

/// Whether an agent in such a phase stays down by itself.
const fn rests(role: Role) -> bool {
    match role {
        Role::Initial | Role::Prepared | Role::Failed | Role::Offline | Role::Retired | Role::Gone => true,
        Role::Preparing
        | Role::Starting
        | Role::Restarting
        | Role::Ready
        | Role::Busy
        | Role::Idle
        | Role::Impaired
        | Role::Stopping
        | Role::Updating
        | Role::Scaling
        | Role::Error
        | Role::TimedOut
        | Role::Maintenance
        | Role::Suspended => false,
    }
}

/// Waits until nobody listens any more.
pub(crate) async fn until_down(client: &Client, board: &mut Board, limit: Span) -> Result<(), Failure> {
    let until = Instant::now() + limit.0;
    loop {
        match client.live().await {
            Err(ClientError::Unreachable { .. }) => {
                board.done("daemon", "down");
                return Ok(());
            }
            Ok(()) | Err(ClientError::Problem(_) | ClientError::Timeout { .. } | ClientError::Protocol { .. }) => {}
        }
        if Instant::now() >= until {
            let message = format!("after {limit} the daemon still answers at {}", client.url());
            return Err(Failure::with(Exit::Timeout, message).help("`stead ps` shows which agents are still up"));
        }
        board.now("daemon", "going down");
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixture::agent;

    #[test]
    fn a_restart_is_not_done_while_the_old_run_still_works() {
        let mut view = agent("web-1");
        let aim = Aim::Up {
            after: view.incarnation,
        };
        assert_eq!(stand(&view, &aim), Stand::Underway);
        view.incarnation = view.incarnation.next();
        assert_eq!(stand(&view, &aim), Stand::Reached);
    }

    #[test]
    fn what_no_start_can_help_is_not_waited_for() {
        let mut view = agent("web-1");
        view.ready = false;
        view.conditions = vec![stead_model::ConditionView {
            condition: Condition::Quarantined,
            since: view.since,
            detail: "5 restarts in 10m".into(),
        }];
        let lost = Stand::Lost("quarantined: 5 restarts in 10m".into());
        assert_eq!(stand(&view, &Aim::Up { after: Incarnation(0) }), lost);
    }

    #[test]
    fn down_is_a_phase_that_stays_and_no_process() {
        let mut view = agent("web-1");
        assert_eq!(stand(&view, &Aim::Down), Stand::Underway);
        (view.phase, view.pid) = ("error".into(), None);
        assert_eq!(stand(&view, &Aim::Down), Stand::Underway);
        view.phase = "offline".into();
        assert_eq!(stand(&view, &Aim::Down), Stand::Reached);
    }
}
