//! All agents killed at once: how long until all are back, and whether each came back once.

use std::time::Duration;

use anyhow::Result;

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
    for (name, result) in setup.each_alone("mass", peers, count, |roster| kill_all(roster, rounds)) {
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

fn kill_all(roster: &mut Roster, rounds: u32) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for round in 1..=rounds {
        roster.listen(Instant::now().after(RIPE))?;
        roster.audit(round).clean()?;
        let before = Instant::now();
        for id in roster.fleet().ids() {
            roster.kill(id)?;
        }
        let mut back = Samples::default();
        while back.len() < roster.fleet().count as usize {
            let Some(report) = roster.next(before.after(PATIENCE))? else {
                break;
            };
            if roster.starts(report.id) == round + 1 {
                back.add(report.at.since(before));
            }
        }
        // Long enough for second copies to show themselves.
        roster.listen(Instant::now().after(SETTLE))?;
        let audit = roster.audit(round + 1);
        outcome.lost += audit.lost;
        outcome.doubled += audit.doubled;
        outcome.all.add(back.max());
        outcome.half.add(back.median());
        if audit.clean().is_err() {
            break;
        }
    }
    Ok(outcome)
}

/// How long all replacements are waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(2);
