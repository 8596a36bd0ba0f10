//! `stead orphans`: processes of agents that nobody keeps, what they cost, and their end on consent.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use stead_client::{Client, state_dir};
use stead_keeper::orphans::{Lost, Orphan, end, find};

use crate::app;
use crate::args::{Global, Orphans};
use crate::failure::{Exit, Failure};
use crate::render::{self, Out};

/// How long they may take to end when they are asked.
const GRACE: Duration = Duration::from_secs(5);

pub(super) async fn orphans(global: &Global, asked: &Orphans, out: &mut Out) -> Result<(), Failure> {
    let client = Client::new(&app::settings(global)?)?;
    // A daemon on this machine knows its directory best; without one it is that of the environment.
    let dir = client
        .daemon()
        .await
        .map_or_else(|_away| state_dir(), |view| view.state_dir.into());
    let named = asked
        .of
        .as_ref()
        .map(|of| std::fs::canonicalize(of).unwrap_or_else(|_gone| of.clone()));
    let mut found = find(&dir);
    if named.is_some() {
        found.retain(|orphan| orphan.state_dir == named);
    }
    if found.is_empty() && !asked.end {
        return out.show(&found, |_, _| {
            "no orphans: every process of an agent is kept by somebody\n".to_owned()
        });
    }
    if !asked.end {
        return out.show(&found, |found, _| render::orphans(found));
    }
    let (mine, others): (Vec<Orphan>, Vec<Orphan>) = found
        .into_iter()
        // Of a directory that is there, somebody may be about to start the keeper.
        .partition(|orphan| orphan.endable && (orphan.why != Lost::NoKeeper || named.is_some()));
    if !asked.yes {
        out.note(&render::orphans(&mine))?;
        consent(out, mine.len())?;
    }
    let gone: BTreeSet<i32> = end(&dir, &mine, GRACE).into_iter().collect();
    let ended: Vec<Orphan> = mine
        .iter()
        .filter(|orphan| gone.contains(&orphan.pid))
        .cloned()
        .collect();
    out.show(&ended, |ended, _| render::ended(ended, others.len()))?;
    match mine.len() - ended.len() {
        0 => Ok(()),
        left => Err(Failure::new(format!("{left} of {} did not end", mine.len()))),
    }
}

/// Asks whether so many are to be ended; whoever cannot be asked has not consented.
fn consent(out: &mut Out, count: usize) -> Result<(), Failure> {
    let refused = || Failure::with(Exit::Refused, "nothing was ended: nobody consented");
    if count == 0 {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(refused().help("`stead orphans --end --yes` asks nobody"));
    }
    out.note(&format!("End these {count}? [y/N]"))?;
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(refused())
}
