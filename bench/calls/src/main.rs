//! What a protected call costs, side by side with peers in one run.
//!
//! Every case is a loop over one shared object. All cases take turns, round after round, so that what the machine does
//! meanwhile falls on all of them; the figure is the median round. First one thread, then two on the same object.

use std::process::ExitCode;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

mod breakers;
mod floors;
mod instructions;
mod leaks;
mod memory;
mod pipelines;
mod seats;

/// One thing to measure: makes `n` calls.
struct Case {
    group: &'static str,
    name: &'static str,
    calls: Box<dyn Fn(u64) + Sync>,
}

impl Case {
    fn new(group: &'static str, name: &'static str, calls: impl Fn(u64) + Sync + 'static) -> Self {
        Self {
            group,
            name,
            calls: Box::new(calls),
        }
    }

    /// So many calls that a round takes about [`ROUND`].
    fn sized(&self) -> u64 {
        let mut n = 1000;
        loop {
            let begun = Instant::now();
            (self.calls)(n);
            let taken = begun.elapsed();
            if taken > ROUND / 4 {
                let share = ROUND.as_secs_f64() / taken.as_secs_f64();
                return (n as f64 * share) as u64 + 1;
            }
            n *= 4;
        }
    }

    /// Nanoseconds per call and thread.
    fn round(&self, n: u64, threads: usize) -> f64 {
        let start = Barrier::new(threads);
        let times = thread::scope(|scope| {
            let run = || {
                start.wait();
                let begun = Instant::now();
                (self.calls)(n);
                begun.elapsed()
            };
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .collect::<Vec<_>>()
        });
        let longest = times.into_iter().max().unwrap_or_default();
        longest.as_nanos() as f64 / n as f64
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (rounds, wanted) = match arguments.as_slice() {
        [calls, n, wanted] if calls == "calls" => return once(n.parse().unwrap_or(1), wanted),
        [counted, n, name] if counted == "counted" => return instructions::calls(n.parse().unwrap_or(1), name),
        [instructions, wanted] if instructions == "instructions" => return instructions::run(wanted),
        [memory, n] if memory == "memory" => return memory::run(n, None),
        [memory, n, kind] if memory == "memory" => return memory::run(n, Some(kind)),
        [] => (15, ""),
        [rounds] => (rounds.parse().unwrap_or(15), ""),
        [rounds, wanted, ..] => (rounds.parse().unwrap_or(15), wanted.as_str()),
    };
    let cases = named_like(wanted);
    if cases.is_empty() {
        eprintln!("no case is named like `{wanted}`");
        return ExitCode::FAILURE;
    }
    let one = measure(&cases, rounds, 1);
    let two = measure(&cases, rounds, 2);
    table(&cases, &one, &two);
    ExitCode::SUCCESS
}

/// Every case that is named like it, or is in a group that is.
fn named_like(wanted: &str) -> Vec<Case> {
    let mut cases = floors::cases();
    cases.extend(breakers::cases());
    cases.extend(seats::cases());
    cases.extend(pipelines::cases());
    cases.extend(leaks::cases());
    cases.retain(|case| format!("{}: {}", case.group, case.name).contains(wanted));
    cases
}

/// Makes `n` calls of the first case that is named like `wanted`, for who counts instructions.
fn once(n: u64, wanted: &str) -> ExitCode {
    let Some(case) = named_like(wanted).into_iter().next() else {
        eprintln!("no case is named like `{wanted}`");
        return ExitCode::FAILURE;
    };
    (case.calls)(n);
    ExitCode::SUCCESS
}

/// The median round of each case.
fn measure(cases: &[Case], rounds: usize, threads: usize) -> Vec<f64> {
    let sizes: Vec<u64> = cases.iter().map(Case::sized).collect();
    let mut taken = vec![Vec::new(); cases.len()];
    for round in 0..rounds {
        // Another first one each time.
        for turn in 0..cases.len() {
            let case = (turn + round) % cases.len();
            taken[case].push(cases[case].round(sizes[case], threads));
        }
    }
    taken
        .into_iter()
        .map(|mut rounds| {
            rounds.sort_by(f64::total_cmp);
            rounds[rounds.len() / 2]
        })
        .collect()
}

fn table(cases: &[Case], one: &[f64], two: &[f64]) {
    println!("| | 1 thread, ns | 2 threads, ns |\n|---|---|---|");
    let mut group = "";
    for ((case, one), two) in cases.iter().zip(one).zip(two) {
        if case.group != group {
            group = case.group;
            println!("| **{group}** | | |");
        }
        println!("| {} | {one:.1} | {two:.1} |", case.name);
    }
}

const ROUND: Duration = Duration::from_millis(20);
