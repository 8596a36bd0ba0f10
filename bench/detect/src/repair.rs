//! How much longer repair takes than by one who knows what helps, by how the order of actions is chosen.

use stead_policy::{Learned, LearnedConfig, draw};

use crate::constants::{DRIFT_AT, INCIDENTS, LIVES, SEED};
use crate::report::Table;

/// Reset, restart, failover, a fresh start elsewhere: seconds that a try takes, cheapest first.
const COST: [f64; 4] = [2.0, 8.0, 15.0, 40.0];
/// Odds that it helps, per class of failure; after the drift, those of the next class.
const HELPS: [[f64; 4]; 6] = [
    [0.90, 0.95, 0.97, 0.99],
    [0.05, 0.90, 0.95, 0.99],
    [0.02, 0.10, 0.90, 0.95],
    [0.02, 0.05, 0.10, 0.90],
    [0.40, 0.45, 0.90, 0.95],
    [0.10, 0.70, 0.75, 0.98],
];

#[derive(Clone, Copy)]
enum Chooser {
    Oracle,
    Cheapest,
    Global,
    Learned,
}

pub(crate) fn run() -> String {
    let mut table = Table::new(&["order of actions", "mean seconds", "over the oracle"]);
    let oracle = mean(Chooser::Oracle);
    for (name, chooser) in [
        ("oracle", Chooser::Oracle),
        ("static, cheapest first", Chooser::Cheapest),
        ("global success rate", Chooser::Global),
        ("**Stead** (`Learned`, per class)", Chooser::Learned),
    ] {
        let seconds = mean(chooser);
        table.row(&[
            name.to_owned(),
            format!("{seconds:.2}"),
            format!("{:+.1} %", 100.0 * (seconds / oracle - 1.0)),
        ]);
    }
    format!(
        "{LIVES} lives of {INCIDENTS} incidents, what helps changes after {DRIFT_AT}; seeds other than those tuned on.\n\n{table}"
    )
}

fn mean(chooser: Chooser) -> f64 {
    (0..LIVES).map(|life| live(chooser, SEED + life)).sum::<f64>() / LIVES as f64
}

/// One life: mean seconds per incident.
fn live(chooser: Chooser, seed: u64) -> f64 {
    let config = LearnedConfig::default();
    let mut learned = vec![Learned::<4>::new(); HELPS.len()];
    let mut global = [(1.0, 2.0); 4];
    let mut seconds = 0.0;
    for incident in 0..INCIDENTS {
        let class = (draw(seed, incident * 100) % HELPS.len() as u64) as usize;
        let helps = HELPS[if incident < DRIFT_AT {
            class
        } else {
            (class + 1) % HELPS.len()
        }];
        let order = match chooser {
            Chooser::Oracle => by(|action| helps[action] / COST[action]),
            Chooser::Cheapest => [0, 1, 2, 3],
            Chooser::Global => by(|action| global[action].0 / global[action].1),
            Chooser::Learned => learned[class].order(&config, &COST.map(|cost| cost as f32), draw(seed, incident)),
        };
        // What no action helped is tried again in the same order.
        for (turn, action) in order.iter().cycle().take(40).enumerate() {
            seconds += COST[*action];
            let luck = draw(seed, incident * 100 + 1 + turn as u64) as f64 / u64::MAX as f64;
            let helped = luck < helps[*action];
            global[*action].1 += 1.0;
            if helped {
                global[*action].0 += 1.0;
            }
            learned[class].learn(&config, *action, helped);
            if helped {
                break;
            }
        }
    }
    seconds / INCIDENTS as f64
}

fn by(worth: impl Fn(usize) -> f64) -> [usize; 4] {
    let mut order = [0, 1, 2, 3];
    order.sort_by(|a, b| worth(*b).total_cmp(&worth(*a)));
    order
}
