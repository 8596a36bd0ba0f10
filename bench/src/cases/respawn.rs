//! kill -9 of an agent to its replacement's first instruction. All systems run side by side; each round kills one agent
//! of each, one after the other, so that whatever else the machine does befalls all of them alike.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{RIPE, Setup};
use crate::clock::{Instant, sleep_until};
use crate::peers::Peer;
use crate::report::{Table, progress};
use crate::roster::Roster;
use crate::stats::{Samples, millis};
use crate::tree;

pub(crate) fn measure(setup: &Setup, peers: &mut [Box<dyn Peer>]) -> Result<Vec<Table>> {
    let rounds = setup.samples(20, 200);
    let count = setup.agents(20);
    let mut table = Table::new(
        "respawn",
        format!(
            "kill -9 of an agent to its replacement's first instruction, {count} agents each, up at least 3 s; milliseconds."
        ),
        &[
            "system",
            "kills",
            "median",
            "p90",
            "p99",
            "max",
            "median / floor",
            "never back",
        ],
    );

    let mut lanes = Vec::new();
    for peer in &mut *peers {
        progress(&format!("respawn: starting {} with {count} agents", peer.name()));
        match peer
            .version()
            .and_then(|_| setup.raise(peer.name(), count, |fleet| peer.start(fleet)))
        {
            Ok(roster) => lanes.push(Lane::new(peer.name(), roster)),
            Err(why) => table.absent(peer.name(), &why),
        }
    }
    progress(&format!("respawn: {rounds} rounds"));
    let mut order = Order(1);
    for round in 0..rounds {
        let first = order.next(lanes.len());
        for turn in 0..lanes.len() {
            let place = (first + turn) % lanes.len();
            // A pause of its own length, so that no system's kills fall into step with its timers.
            sleep_until(Instant::now().after(Duration::from_millis(order.next(20) as u64)));
            if let Some(lane) = lanes.get_mut(place) {
                lane.turn(round % count);
            }
        }
    }

    let floor = lanes
        .iter()
        .find(|lane| lane.name == "floor")
        .map(|lane| lane.samples.median());
    for lane in &lanes {
        match &lane.fault {
            None => table.row(lane.row(floor)),
            Some(why) => table.absent(lane.name, why),
        }
    }
    for peer in peers {
        peer.stop();
    }
    tree::sweep();
    Ok(vec![table])
}

/// One system and what was measured of it.
struct Lane {
    name: &'static str,
    roster: Roster,
    samples: Samples,
    lost: Vec<u32>,
    /// Why it takes no more turns.
    fault: Option<anyhow::Error>,
}

impl Lane {
    fn new(name: &'static str, roster: Roster) -> Self {
        Self {
            name,
            roster,
            samples: Samples::default(),
            lost: Vec::new(),
            fault: None,
        }
    }

    /// Kills an agent, unless this system failed or that agent was lost before.
    fn turn(&mut self, id: u32) {
        if self.fault.is_none() && !self.lost.contains(&id) {
            self.fault = self.kill(id).err();
        }
    }

    /// Kills an agent and waits for the next of its id.
    fn kill(&mut self, id: u32) -> Result<()> {
        self.roster.let_age(id, RIPE)?;
        let before = self.roster.kill(id)?;
        match self.roster.next(before.after(PATIENCE))? {
            Some(report) if report.id == id => self.samples.add(report.at.since(before)),
            Some(other) => bail!("{} restarted agent {} though nobody killed it", self.name, other.id),
            None => self.lost.push(id),
        }
        Ok(())
    }

    fn row(&self, floor: Option<Duration>) -> [String; 8] {
        let of = |percent| millis(self.samples.percentile(percent));
        let ratio = floor.map(|floor| self.samples.median().as_secs_f64() / floor.as_secs_f64());
        [
            self.name.to_owned(),
            self.samples.len().to_string(),
            of(50),
            of(90),
            of(99),
            millis(self.samples.max()),
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            self.lost.len().to_string(),
        ]
    }
}

/// A fixed sequence without a pattern: every run takes the same turns.
struct Order(u64);

impl Order {
    fn next(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % bound.max(1)
    }
}

/// How long a replacement is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
