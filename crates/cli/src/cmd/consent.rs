//! Asking before agents are removed or restarted.

use stead_client::Applied;

use crate::app::App;
use crate::args::Consent;
use crate::failure::{Exit, Failure};
use crate::render;

/// Somebody is there to be asked, and has not agreed beforehand.
pub(super) struct Asking {
    restart: bool,
}

/// Whether what changes was shown already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// It was.
    Shown,
    /// It was not: nobody was asked.
    Nothing,
}

/// Who may be asked. Without a terminal nobody can be: a pipeline that applies a file means it.
pub(super) fn may_ask(app: &App<'_>, consent: &Consent, dry_run: bool) -> Option<Asking> {
    (!dry_run && !consent.yes && app.out.can_ask()).then_some(Asking {
        restart: consent.restart,
    })
}

impl Asking {
    /// Asks if what would change ends agents; fails if it is not wanted.
    pub(super) fn ask(self, app: &mut App<'_>, would: &Applied) -> Result<Asked, Failure> {
        let removed = would.removed.len();
        let restarted = if self.restart { would.pending_restart.len() } else { 0 };
        let question = match (removed, restarted) {
            (0, 0) => return Ok(Asked::Nothing),
            (removed, 0) => format!("{removed} will be stopped and removed; go on?"),
            (0, restarted) => format!("{restarted} will be restarted; go on?"),
            (removed, restarted) => format!("{removed} will be removed and {restarted} restarted; go on?"),
        };
        app.out.note(render::applied(would).trim_end())?;
        if app.out.ask(&question)? {
            Ok(Asked::Shown)
        } else {
            Err(Failure::with(Exit::Refused, "nothing was changed"))
        }
    }
}

/// Shows what was applied, in short where it was shown before.
pub(super) fn show(app: &mut App<'_>, applied: &Applied, asked: Asked) -> Result<(), Failure> {
    app.out.show(applied, |applied, _| {
        let changes = match asked {
            Asked::Shown => String::new(),
            Asked::Nothing => render::applied(applied),
        };
        changes + &render::in_force(applied)
    })
}
