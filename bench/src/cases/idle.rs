//! What a supervisor costs while its agents rest: memory of all its processes, and their time on a CPU.

use std::time::Duration;

use anyhow::Result;

use super::Setup;
use crate::clock::Instant;
use crate::peers::Peer;
use crate::procfs;
use crate::report::Table;
use crate::roster::Roster;
use crate::tree;

pub(crate) fn measure(setup: &Setup, peers: &mut [Box<dyn Peer>]) -> Result<Vec<Table>> {
    let count = setup.agents(1000);
    let (settle, window) = if setup.short { (3, 30) } else { (10, 300) };
    let mut table = Table::new(
        "idle",
        format!(
            "{count} agents at rest, no probes, no clients. PSS of all processes of the supervisor, agents excepted, and their \
             share of one core over {window} s, after {settle} s to settle."
        ),
        &["system", "processes", "PSS MB", "CPU % of a core"],
    );
    let watch = |roster: &mut Roster| watch(roster, Duration::from_secs(settle), Duration::from_secs(window));
    for (name, result) in setup.each_alone("idle", peers, count, watch) {
        match result {
            Ok(cost) => table.row(cost.row(name)),
            Err(why) => table.absent(name, &why),
        }
    }
    Ok(vec![table])
}

struct Cost {
    processes: usize,
    /// Bytes.
    memory: u64,
    /// Share of one core.
    cpu: f64,
}

impl Cost {
    fn row(&self, name: &str) -> [String; 4] {
        let megabytes = self.memory / 100_000;
        [
            name.to_owned(),
            self.processes.to_string(),
            format!("{}.{}", megabytes / 10, megabytes % 10),
            format!("{:.3}", self.cpu * 100.0),
        ]
    }
}

fn watch(roster: &mut Roster, settle: Duration, window: Duration) -> Result<Cost> {
    roster.listen(Instant::now().after(settle))?;
    let before = ticks(&tree::supervisors(&roster.fleet().agent));
    let since = Instant::now();
    roster.listen(since.after(window))?;
    let passed = Instant::now().since(since);
    let processes = tree::supervisors(&roster.fleet().agent);
    let spent = Duration::from_millis(TICK_MS * ticks(&processes).saturating_sub(before));
    roster.audit(1).clean()?;
    Ok(Cost {
        processes: processes.len(),
        memory: processes.iter().filter_map(|&pid| procfs::pss(pid)).sum(),
        cpu: spent.as_secs_f64() / passed.as_secs_f64(),
    })
}

fn ticks(processes: &[i32]) -> u64 {
    processes.iter().filter_map(|&pid| procfs::ticks(pid)).sum()
}

/// `/proc` counts in hundredths of a second on every architecture that this runs on.
const TICK_MS: u64 = 10;
