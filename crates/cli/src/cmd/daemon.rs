//! What starts and ends daemons.
//!
//! `up`, `run` and `serve` are daemons of this very process; the hidden `keeper` is the parent of their agents' processes.

pub(crate) mod args;
mod background;
mod host;
mod outlook;

use stead_client::{AgentsOnShutdown, Change};

use crate::app::App;
use crate::args::Down;
use crate::failure::Failure;
use crate::settle;

pub(crate) use host::keeper;
pub(super) use host::{run, serve, up};
pub(crate) use outlook::Outlook;

pub(super) async fn down(app: &mut App<'_>, down: &Down) -> Result<(), Failure> {
    let agents = if down.leave_agents {
        AgentsOnShutdown::Leave
    } else {
        AgentsOnShutdown::Stop
    };
    let change = Change {
        reason: down.reason.clone(),
        if_revision: None,
    };
    app.client.shutdown(agents, &change).await?;
    let mut board = app.out.board();
    settle::until_down(&app.client, &mut board, down.timeout).await
}
