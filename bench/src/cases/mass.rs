//! All agents killed at once: how long until all are back, and whether each came back once.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{RIPE, Setup};
use crate::clock::Instant;
use crate::peers::Peer;
use crate::report::Table;
use crate::roster::Roster;
use crate::stats::{Samples, millis};

pub(crate) fn measure(setup: &Setup, peers: &mut [Box<dyn Peer>]) -> Result<Vec<Table>> {
    let count = setup.agents(1000);
    let rounds = setup.samples(1, 5);
    let mut table = Table::new(
        "mass",
        format!(
            "{count} agents, up at least 3 s, killed at once; milliseconds from the first kill until the last is back, of {rounds} times."
        ),
        &[
            "system",
            "median",
            "worst",
            "half were back (median)",
            "lost",
            "started twice",
        ],
    );
    // Systems take turns, each round beginning with another, so that the machine's mood is nobody's.
    let mut outcomes: Vec<(&str, Result<Outcome>)> = Vec::new();
    for round in 0..rounds {
        let begins = round as usize % peers.len().max(1);
        peers.rotate_left(begins);
        let results = setup.each_alone("mass", peers, count, kill_all);
        peers.rotate_right(begins);
        for (name, result) in results {
            match outcomes.iter_mut().find(|(known, _)| *known == name) {
                Some((_, Ok(outcome))) => match result {
                    Ok(more) => outcome.add(more),
                    Err(why) => bail!("{name}, in its round {}: {why:#}", round + 1),
                },
                Some((_, Err(_))) => {}
                None => outcomes.push((name, result)),
            }
        }
    }
    for (name, result) in outcomes {
        match result {
            Ok(outcome) => table.row(outcome.row(name)),
            Err(why) => table.absent(name, &why),
        }
    }
    Ok(vec![table])
}

#[derive(Default)]
struct Outcome {
    all: Samples,
    half: Samples,
    lost: usize,
    doubled: usize,
}

impl Outcome {
    fn add(&mut self, more: Self) {
        self.all.merge(more.all);
        self.half.merge(more.half);
        self.lost += more.lost;
        self.doubled += more.doubled;
    }

    fn row(&self, name: &str) -> [String; 6] {
        [
            name.to_owned(),
            millis(self.all.median()),
            millis(self.all.max()),
            millis(self.half.median()),
            self.lost.to_string(),
            self.doubled.to_string(),
        ]
    }
}

/// Kills all agents of a system that was just started, and watches them come back.
fn kill_all(roster: &mut Roster) -> Result<Outcome> {
    roster.listen(Instant::now().after(RIPE))?;
    roster.audit(1).clean()?;
    let before = Instant::now();
    for id in roster.fleet().ids() {
        roster.kill(id)?;
    }
    let mut back = Samples::default();
    while back.len() < roster.fleet().count as usize {
        let Some(report) = roster.next(before.after(PATIENCE))? else {
            break;
        };
        if roster.starts(report.id) == 2 {
            back.add(report.at.since(before));
        }
    }
    // Long enough for second copies to show themselves.
    roster.listen(Instant::now().after(SETTLE))?;
    let audit = roster.audit(2);
    let mut outcome = Outcome {
        lost: audit.lost,
        doubled: audit.doubled,
        ..Outcome::default()
    };
    outcome.all.add(back.max());
    outcome.half.add(back.median());
    Ok(outcome)
}

/// How long all replacements are waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(2);
