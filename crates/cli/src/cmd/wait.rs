//! `stead wait`.

use crate::app::App;
use crate::args::{Goal, Wait};
use crate::failure::Failure;
use crate::settle::{Aim, settle};

pub(super) async fn wait(app: &mut App<'_>, wait: &Wait) -> Result<(), Failure> {
    let aim = match &wait.goal {
        Goal::Phase(phase) => Aim::Phase(phase.clone()),
        Goal::Health(health) => Aim::Health(*health),
        Goal::Intent(wanted) => Aim::Intent(*wanted),
        Goal::Ready => Aim::Ready,
        Goal::Deleted => Aim::Gone,
    };
    // Asked once beforehand, so that a daemon that is not there is told at once.
    let targets = app.pick(&wait.agent, wait.selector.as_ref()).await?;
    app.client.live().await?;
    let aims = targets.into_iter().map(|target| (target, aim.clone())).collect();
    settle(app, aims, wait.timeout).await
}
