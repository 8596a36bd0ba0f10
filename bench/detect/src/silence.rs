//! How soon silence is found, against how often it is found wrongly.
//!
//! A detection time is that of a crash right after a beat: from when the beat was due until the deadline that it set. A
//! mistake is a deadline that passes before the next beat comes.

use std::path::Path;

use anyhow::Result;
use stead_policy::{Census, Guard, GuardConfig, Ruling, Tick};

use crate::constants::{MISTAKES, OVERDUE, STALL_EVERY, STALL_LONG, TRIP_INTERVAL, TRIP_PAIRS};
use crate::data::{self, Beat};
use crate::report::Table;

mod rivals;

use rivals::{Detector, KINDS, Kind};

/// Agents that beat every `interval` seconds.
struct Scene {
    name: &'static str,
    interval: f64,
    agents: Vec<Vec<Beat>>,
}

/// One setting of one detector, over a half of a scene.
#[derive(Clone, Copy)]
struct Point {
    setting: f64,
    /// Mean detection time, in intervals.
    found: f64,
    /// Per agent-hour: one by one, and with the guard.
    mistakes: f64,
    guarded: f64,
}

/// A beat that came late enough to be missed by the guard; seconds.
struct Late {
    /// When its agent counts as overdue, and when it came.
    from: f64,
    until: f64,
    /// The deadline, if it passed before: a verdict that is wrong.
    verdict: Option<f64>,
}

pub(crate) fn run(root: &Path) -> Result<String> {
    let beats = data::beats(root)?;
    let trips = data::round_trips(root)?;
    let pairs: Vec<&Vec<f32>> = trips
        .iter()
        .step_by((trips.len() / TRIP_PAIRS).max(1))
        .take(TRIP_PAIRS)
        .collect();
    let travelled = |stall: f64| -> Vec<Vec<Beat>> { pairs.iter().map(|trips| travel(trips, stall)).collect() };
    let scenes = [
        Scene {
            name: "contention (hbtrace)",
            interval: 0.1,
            agents: beats,
        },
        Scene {
            name: "long tails (netlatency)",
            interval: TRIP_INTERVAL,
            agents: travelled(0.0),
        },
        Scene {
            name: "long tails and common stalls",
            interval: TRIP_INTERVAL,
            agents: travelled(STALL_LONG),
        },
    ];
    Ok(scenes.iter().map(scene).collect())
}

/// Beats that travel half of each round trip; where `stall` is not 0, the network stands still for all at once.
fn travel(trips: &[f32], stall: f64) -> Vec<Beat> {
    let mut last = 0.0_f64;
    trips
        .iter()
        .enumerate()
        .map(|(n, trip)| {
            let due = n as f64 * TRIP_INTERVAL;
            let mut came = due + f64::from(*trip) / 2.0;
            let into = came % (STALL_EVERY * TRIP_INTERVAL);
            if came > STALL_EVERY * TRIP_INTERVAL && into < stall * TRIP_INTERVAL {
                came += stall * TRIP_INTERVAL - into;
            }
            // Connections keep order.
            last = last.max(came);
            Beat { due, came: last }
        })
        .collect()
}

fn scene(scene: &Scene) -> String {
    let mut table = Table::new(&[
        "detector",
        "setting, chosen on the first half",
        "Δ to find, second half",
        "mistakes per agent-hour",
        "with the guard",
        "mistakes at 2 Δ",
        "with the guard",
    ]);
    let mut curves = Table::new(&[
        "detector",
        "mistakes per agent-hour at 1.2, 1.5, 2, 2.5, 3, 4, 5 Δ, second half (– : not reached)",
    ]);
    for (name, kind) in KINDS {
        let (first, second): (Vec<_>, Vec<_>) = kind
            .grid()
            .into_iter()
            .map(|setting| points(scene, kind, setting))
            .unzip();
        let chosen = choose(&first);
        let Some(point) = second.iter().find(|point| point.setting.to_bits() == chosen.to_bits()) else {
            continue;
        };
        let at_two = at(&second, 2.0);
        let or_dash = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"));
        table.row(&[
            name.to_owned(),
            format!("{chosen:.3}"),
            format!("{:.2}", point.found),
            format!("{:.2}", point.mistakes),
            format!("{:.2}", point.guarded),
            or_dash(at_two.map(|(alone, _)| alone)),
            or_dash(at_two.map(|(_, guarded)| guarded)),
        ]);
        let along: Vec<String> = [1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0]
            .map(|found| or_dash(at(&second, found).map(|(alone, _)| alone)))
            .into();
        curves.row(&[name.to_owned(), along.join(", ")]);
    }
    format!(
        "### {}, {} agents\n\n{table}\n{curves}\n",
        scene.name,
        scene.agents.len()
    )
}

/// The quickest setting with at most as many mistakes as are compared at.
fn choose(curve: &[Point]) -> f64 {
    let fit = curve.iter().filter(|point| point.mistakes <= MISTAKES);
    fit.min_by(|a, b| a.found.total_cmp(&b.found))
        .or(curve.last())
        .map_or(0.0, |point| point.setting)
}

/// Mistakes, alone and guarded, of the settings that find within `found` intervals: the fewest.
fn at(curve: &[Point], found: f64) -> Option<(f64, f64)> {
    let fit: Vec<_> = curve.iter().filter(|point| point.found <= found).collect();
    let least = |of: fn(&Point) -> f64| fit.iter().map(|point| of(point)).min_by(f64::total_cmp);
    Some((least(|point| point.mistakes)?, least(|point| point.guarded)?))
}

/// Both halves of a scene in one go: the second is not begun anew.
fn points(scene: &Scene, kind: Kind, setting: f64) -> (Point, Point) {
    let mut halves = [Half::default(), Half::default()];
    for beats in &scene.agents {
        let mut detector = Detector::new(kind, setting, scene.interval);
        for (n, beat) in beats.iter().enumerate() {
            let deadline = detector.beat(n as u64 + 1, beat.came);
            let half = &mut halves[usize::from(n >= beats.len() / 2)];
            half.found += deadline - beat.due;
            half.beats += 1.0;
            let Some(next) = beats.get(n + 1) else {
                continue;
            };
            let from = beat.came + scene.interval * (1.0 + OVERDUE);
            let verdict = (next.came > deadline).then_some(deadline);
            half.wrong += f64::from(u8::from(verdict.is_some()));
            if next.came > from || verdict.is_some() {
                half.late.push(Late {
                    from: verdict.map_or(from, |verdict| from.min(verdict)),
                    until: next.came,
                    verdict,
                });
            }
        }
    }
    let [first, second] = halves.map(|half| {
        let hours = half.beats * scene.interval / 3600.0;
        Point {
            setting,
            found: half.found / half.beats / scene.interval,
            mistakes: half.wrong / hours,
            guarded: guarded(&half.late, scene.agents.len()) / hours,
        }
    });
    (first, second)
}

/// What is counted of one half.
#[derive(Default)]
struct Half {
    found: f64,
    beats: f64,
    wrong: f64,
    late: Vec<Late>,
}

/// What changes the census, or asks for a ruling.
#[derive(Clone, Copy)]
enum Change {
    Overdue,
    Verdict(usize),
    Back(usize),
}

/// Mistakes that are left when one guard stands over all agents; a scope that is convicted is one mistake.
///
/// The hold is two seconds as it is for real. Where it ends because others came back, who is still held is ruled on anew:
/// then, that is a mistake.
fn guarded(late: &[Late], agents: usize) -> f64 {
    let mut changes = Vec::new();
    for (index, one) in late.iter().enumerate() {
        changes.push((one.from, Change::Overdue));
        changes.extend(one.verdict.map(|at| (at, Change::Verdict(index))));
        changes.push((one.until, Change::Back(index)));
    }
    // Stable: what comes at one moment keeps this order.
    changes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let tick = |seconds: f64| Tick::from_micros((seconds.max(0.0) * 1e6) as u64);
    let (config, mut guard) = (GuardConfig::default(), Guard::new());
    let mut census = Census {
        members: u32::try_from(agents).unwrap_or(u32::MAX),
        overdue: 0,
    };
    let (mut held, mut mistakes) = (Vec::new(), 0.0);
    for (at, change) in changes {
        // A hold that ran out before this.
        if let Some(until) = guard
            .holds_until()
            .filter(|until| *until <= tick(at) && !held.is_empty())
        {
            match guard.rule(&config, until, census) {
                Ruling::Scope => mistakes += 1.0,
                Ruling::Alone | Ruling::Confirm => mistakes += held.len() as f64,
                Ruling::Hold { .. } | Ruling::Joins => {}
            }
            held.clear();
        }
        match change {
            Change::Overdue => census.overdue += 1,
            Change::Verdict(index) => match guard.rule(&config, tick(at), census) {
                Ruling::Alone | Ruling::Confirm | Ruling::Scope => mistakes += 1.0,
                Ruling::Hold { .. } => held.push(index),
                Ruling::Joins => {}
            },
            Change::Back(index) => {
                census.overdue -= 1;
                held.retain(|other| *other != index);
            }
        }
        guard.look(&config, tick(at), census);
        if guard.holds_until().is_none() {
            mistakes += held.drain(..).len() as f64;
        }
    }
    mistakes
}
