//! The Numenta Anomaly Benchmark, standard profile, strictly online, with thresholds from the other half of the files.

use std::path::Path;

use anyhow::Result;
use stead_policy::{Watch, WatchConfig, draw};

use crate::data::{self, Series};
use crate::report::Table;

/// Scores of one series by one method, one a row.
struct Scored<'a> {
    series: &'a Series,
    scores: Vec<f32>,
}

type Method = fn(&[f32]) -> Vec<f32>;

const METHODS: [(&str, Method); 4] = [
    ("random", random),
    ("distance from the mean (EWMA)", ewma),
    ("record novelty of the value alone", record),
    ("**Stead** (`Watch`)", watch),
];

pub(crate) fn run(root: &Path) -> Result<String> {
    let all = data::nab(root)?;
    let mut table = Table::new(&[
        "method",
        "even/odd",
        "mean of 100 random halves",
        "threshold of all files (not honest)",
    ]);
    for (name, method) in METHODS {
        let files: Vec<_> = all
            .iter()
            .map(|series| Scored {
                series,
                scores: method(&series.values),
            })
            .collect();
        let judged = judge(&files);
        table.row(&[name.to_owned(), one(judged.halves), one(judged.random), one(judged.all)]);
    }
    let windows: usize = all.iter().map(|series| series.windows.len()).sum();
    Ok(format!("{} series, {windows} windows.\n\n{table}", all.len()))
}

fn one(value: f64) -> String {
    format!("{value:.1}")
}

struct Judged {
    halves: f64,
    random: f64,
    all: f64,
}

fn judge(files: &[Scored<'_>]) -> Judged {
    let grid = thresholds(files);
    let raw: Vec<Vec<f64>> = files
        .iter()
        .map(|file| grid.iter().map(|threshold| file.raw(*threshold)).collect())
        .collect();
    let windows: f64 = files.iter().map(|file| file.series.windows.len() as f64).sum();
    let sum = |files: &[usize], threshold: usize| files.iter().map(|file| raw[*file][threshold]).sum::<f64>();
    let best = |files: &[usize]| {
        (0..grid.len())
            .max_by(|a, b| sum(files, *a).total_cmp(&sum(files, *b)))
            .unwrap_or(0)
    };
    let normal = |raw: f64| 100.0 * (raw + windows) / (2.0 * windows);
    let crossed = |a: &[usize], b: &[usize]| normal(sum(b, best(a)) + sum(a, best(b)));
    let everything: Vec<usize> = (0..files.len()).collect();
    let (even, odd): (Vec<usize>, Vec<usize>) = everything.iter().partition(|file| **file % 2 == 0);
    let random = (0..100)
        .map(|seed| {
            let mut order = everything.clone();
            order.sort_by_key(|file| draw(seed, *file as u64));
            let (a, b) = order.split_at(order.len() / 2);
            crossed(a, b)
        })
        .sum::<f64>();
    Judged {
        halves: crossed(&even, &odd),
        random: random / 100.0,
        all: normal(sum(&everything, best(&everything))),
    }
}

/// 300 candidates, spread over the logarithm of how many scores are above them.
fn thresholds(files: &[Scored<'_>]) -> Vec<f32> {
    let scores = files.iter().flat_map(|file| &file.scores).copied();
    let mut scores: Vec<f32> = scores.filter(|score| *score > 0.0).collect();
    scores.sort_by(f32::total_cmp);
    let mut grid: Vec<f32> = (0..300)
        .filter_map(|step| {
            let above = scores.len() as f64 * 10_f64.powf(-f64::from(step) / 60.0);
            scores.get(scores.len().checked_sub(1 + above as usize)?).copied()
        })
        .collect();
    grid.dedup();
    grid.push(f32::MAX);
    grid
}

impl Scored<'_> {
    /// The earliest hit of a window earns by its place in it; rows outside cost 0.11 each, missed windows 1.
    fn raw(&self, threshold: f32) -> f64 {
        let probation = (self.series.values.len() * 15 / 100).min(750);
        let mut hit = vec![false; self.series.windows.len()];
        let mut raw = 0.0;
        for (row, score) in self.scores.iter().enumerate().skip(probation) {
            if *score < threshold {
                continue;
            }
            let window = self
                .series
                .windows
                .iter()
                .position(|(from, to)| (*from..=*to).contains(&row));
            match window {
                Some(window) if !hit[window] => {
                    let (from, to) = self.series.windows[window];
                    let place = -((to + 1 - row) as f64) / (to + 1 - from) as f64;
                    raw += sigmoid(place) / sigmoid(-1.0);
                    hit[window] = true;
                }
                Some(_) => {}
                None => raw -= 0.11,
            }
        }
        raw - hit.iter().filter(|hit| !**hit).count() as f64
    }
}

fn sigmoid(place: f64) -> f64 {
    2.0 / (1.0 + (5.0 * place).exp()) - 1.0
}

fn watch(values: &[f32]) -> Vec<f32> {
    let mut watch = Watch::<1>::new();
    let config = WatchConfig {
        novelty: 0.0,
        ..WatchConfig::default()
    };
    values
        .iter()
        .map(|value| {
            watch
                .feed(&config, &[*value])
                .novelty
                .map_or(0.0, |novelty| novelty.score)
        })
        .collect()
}

fn random(values: &[f32]) -> Vec<f32> {
    (0..values.len() as u64)
        .map(|row| draw(3, row) as f32 / u64::MAX as f32)
        .collect()
}

fn ewma(values: &[f32]) -> Vec<f32> {
    let (mut mean, mut dev) = (values.first().copied().unwrap_or(0.0), 0.0_f32);
    values
        .iter()
        .map(|value| {
            let off = value - mean;
            let score = off.abs() / dev.max(1e-6);
            mean += off / 50.0;
            dev += (off.abs() - dev) / 50.0;
            score
        })
        .collect()
}

fn record(values: &[f32]) -> Vec<f32> {
    let (mut low, mut high) = (f32::MAX, f32::MIN);
    values
        .iter()
        .map(|value| {
            let beyond = (value - high).max(low - value).max(0.0);
            let score = if low < high { beyond / (high - low) } else { 0.0 };
            (low, high) = (low.min(*value), high.max(*value));
            score
        })
        .collect()
}
