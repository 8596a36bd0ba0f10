//! `stead orphans`: processes of agents that nobody keeps, what they cost, and their end on consent.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::time::Duration;

use stead_client::{Client, state_dir};
use stead_keeper::orphans::{Lost, Orphan, end, find};
use stead_model::Epoch;

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
        .map(|of| std::fs::canonicalize(of).or_else(|_gone| std::path::absolute(of)))
        .transpose()?;
    let mut found = find(&dir);
    if let Some(named) = &named {
        found.retain(|orphan| orphan.state_dir.as_ref() == Some(named));
        if found.is_empty() {
            was_a_state_directory(named)?;
        }
    }
    if found.is_empty() {
        return out.show(&found, |_, _| match &named {
            Some(named) => format!("no orphans of {}\n", named.display()),
            None => "no orphans: every process of an agent is kept by somebody\n".to_owned(),
        });
    }
    if !asked.end {
        return out.show(&found, |found, _| render::orphans(found));
    }
    let (mine, others): (Vec<Orphan>, Vec<Orphan>) = found
        .into_iter()
        // Of a directory that is there, somebody may be about to start the keeper.
        .partition(|orphan| orphan.endable && (orphan.why != Lost::NoKeeper || named.is_some()));
    if mine.is_empty() {
        let message = format!("nothing was ended: {} left alone", others.len());
        return Err(Failure::with(Exit::Refused, message).help(render::advice(&others).join("\n")));
    }
    if !asked.yes {
        out.note(&render::costs(&mine))?;
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

/// Fails where a directory that is named has no orphans because it never was one of a fleet.
fn was_a_state_directory(dir: &Path) -> Result<(), Failure> {
    let message = match std::fs::metadata(dir) {
        Ok(about) if !about.is_dir() => format!("{} is no directory", dir.display()),
        Ok(_) if was_kept(dir) => return Ok(()),
        Ok(_) => format!("{} is no state directory of a daemon", dir.display()),
        Err(_gone) => format!("{} is not there, and no process is one of it", dir.display()),
    };
    Err(Failure::with(Exit::NotFound, message).help("`stead orphans` lists those of every directory"))
}

/// Whether a keeper ever worked there.
fn was_kept(dir: &Path) -> bool {
    stead_keeper::socket_path(dir).exists() || stead_keeper::last_epoch(dir) != Epoch(0)
}

/// Asks whether so many are to be ended; whoever cannot be asked has not consented.
fn consent(out: &mut Out, count: usize) -> Result<(), Failure> {
    let refused = || Failure::with(Exit::Refused, "nothing was ended: nobody consented");
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
