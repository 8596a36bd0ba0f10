//! What it costs: nanoseconds per beat, microseconds per pass, bytes per agent.

use std::hint::black_box;
use std::time::{Duration, Instant};

use stead_policy::{Deadlines, Lease, LeaseConfig, LeaseRules, Tick, Watch, WatchConfig, draw};

use crate::report::Table;

const AGENTS: usize = 1_000_000;
const INTERVAL: Duration = Duration::from_secs(10);

pub(crate) fn run() -> anyhow::Result<String> {
    let rules = LeaseRules::try_from(LeaseConfig::every(INTERVAL, INTERVAL * 3))?;
    let mut leases = vec![Lease::new(Tick::default(), 0, INTERVAL); AGENTS];
    let mut deadlines = Deadlines::new();
    deadlines.resize(AGENTS);
    let ordered: Vec<u32> = (0..AGENTS as u32).collect();
    // Each agent once: a beat that came twice would be stale, and cheap.
    let mut random = ordered.clone();
    random.sort_by_key(|agent| draw(1, u64::from(*agent)));
    let mut table = Table::new(&["what", "figure (median of 9)"]);
    let mut seq = 0;
    for (name, order) in [
        ("beat, 1 M agents, random order, ns", &random),
        ("beat, batched in order of handles, ns", &ordered),
    ] {
        let ns = median(|| {
            seq += 1;
            let now = Tick::from(INTERVAL * seq);
            for index in order {
                let index = *index as usize;
                if let stead_policy::Beaten::Fresh { deadline } = leases[index].beat(&rules, now, seq.into(), INTERVAL)
                {
                    deadlines.set(index, deadline);
                }
            }
        });
        table.row(&[name.to_owned(), format!("{:.1}", ns / AGENTS as f64)]);
    }
    let now = Tick::from(INTERVAL * seq);
    let mut far = deadlines.clone();
    let idle = median(|| {
        far.due(now, |index| {
            black_box(index);
        });
    });
    table.row(&[
        "pass over 1 M deadlines, none due, µs".to_owned(),
        format!("{:.1}", idle / 1e3),
    ]);
    // Every bound is out of date, as after a time in which all have beaten: each block is looked at, nothing is due.
    let mut outdated = deadlines.clone();
    let looked = median_prepared(
        &mut outdated,
        |outdated| {
            (0..AGENTS).step_by(64).for_each(|index| {
                outdated.set(index, now);
                outdated.set(index, now.after(INTERVAL));
            });
        },
        |outdated| {
            outdated.due(now.after(Duration::from_secs(1)), |index| {
                black_box(index);
            });
        },
    );
    table.row(&[
        "the same, every block looked at, µs".to_owned(),
        format!("{:.1}", looked / 1e3),
    ]);
    // Each block holds one that is due.
    let mut stale = deadlines.clone();
    let mut at = now;
    let worst = median_prepared(
        &mut stale,
        |stale| {
            at = at.after(Duration::from_millis(2));
            (0..AGENTS).step_by(64).for_each(|index| stale.set(index, at));
        },
        |stale| {
            stale.due(now.after(Duration::from_secs(1)), |index| {
                black_box(index);
            });
        },
    );
    table.row(&[
        "the same, one due in every block (15,625 handed out), µs".to_owned(),
        format!("{:.1}", worst / 1e3),
    ]);
    let mut watches = vec![Watch::<5>::new(); 100_000];
    let config = WatchConfig::default();
    let mut round = 0;
    let ns = median(|| {
        round += 1;
        for (index, watch) in watches.iter_mut().enumerate() {
            let noise = (draw(round, index as u64) >> 40) as f32 / 1e8;
            black_box(watch.feed(&config, &[noise, 0.5, 0.01, noise, 1.0]));
        }
    });
    table.row(&[
        "early warning, five metrics, ns".to_owned(),
        format!("{:.1}", ns / 100_000.0),
    ]);
    let detector = size_of::<Lease>() as f64 + 4.0 + 4.0 / 64.0;
    table.row(&["bytes per agent, detector".to_owned(), format!("{detector:.1}")]);
    table.row(&[
        "bytes per agent, with early warning of five metrics".to_owned(),
        format!("{:.1}", detector + size_of::<Watch<5>>() as f64),
    ]);
    Ok(table.to_string())
}

fn median(mut run: impl FnMut()) -> f64 {
    median_prepared(&mut (), |()| {}, |()| run())
}

/// Nanoseconds of a run, what is prepared before it left out.
fn median_prepared<T>(with: &mut T, mut prepare: impl FnMut(&mut T), mut run: impl FnMut(&mut T)) -> f64 {
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            prepare(with);
            let begun = Instant::now();
            run(with);
            begun.elapsed().as_nanos() as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[4]
}
