//! JumpStarter's second data set: the area under precision and recall, point by point, without adjustment.

use std::path::Path;

use anyhow::Result;
use stead_policy::{Season, SeasonConfig, Watch, WatchConfig, draw};

use crate::constants::{DAY, EWMA_SHARE, PCA_PARTS};
use crate::data::{self, Service};
use crate::report::Table;

type Method = fn(&Service) -> Vec<f32>;

const METHODS: [(&str, Method); 4] = [
    ("random", random),
    ("PCA, 5 parts", pca),
    ("EWMA", ewma),
    ("**Stead** (`Season` and `Watch`)", season),
];

pub(crate) fn run(root: &Path) -> Result<String> {
    let services = data::jumpstarter(root)?;
    let mut table = Table::new(&["method", "first half of the services", "second half", "all"]);
    for (name, method) in METHODS {
        let areas: Vec<f64> = services
            .iter()
            .map(|service| area(&method(service), &service.anomalous))
            .collect();
        let (first, second) = areas.split_at(areas.len() / 2);
        table.row(&[
            name.to_owned(),
            three(mean(first)),
            three(mean(second)),
            three(mean(&areas)),
        ]);
    }
    Ok(format!("{} services, mean of their areas.\n\n{table}", services.len()))
}

fn three(value: f64) -> String {
    format!("{value:.3}")
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Average precision; rows of equal score count together.
fn area(scores: &[f32], anomalous: &[bool]) -> f64 {
    let mut rows: Vec<(f32, bool)> = scores.iter().copied().zip(anomalous.iter().copied()).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let total = rows.iter().filter(|(_, anomalous)| *anomalous).count() as f64;
    let (mut found, mut seen, mut area) = (0.0, 0.0, 0.0);
    for equal in rows.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let here = equal.iter().filter(|(_, anomalous)| *anomalous).count() as f64;
        found += here;
        seen += equal.len() as f64;
        area += here / total * (found / seen);
    }
    area
}

fn season(service: &Service) -> Vec<f32> {
    let mut season = Season::new(service.train.first().map_or(0, Vec::len));
    let mut watch = Watch::<1>::new();
    let (config, watching) = (SeasonConfig::default(), WatchConfig::default());
    let rows = service.train.iter().chain(&service.test).enumerate();
    let scores = rows.map(|(row, sample)| {
        let time = (row % DAY) as f32 / DAY as f32;
        watch.season(&watching, season.feed(&config, time, sample));
        watch.unusual()
    });
    scores.skip(service.train.len()).collect()
}

fn random(service: &Service) -> Vec<f32> {
    (0..service.test.len() as u64)
        .map(|row| draw(3, row) as f32 / u64::MAX as f32)
        .collect()
}

/// Distance from a slow mean, in deviations: the third largest of all metrics, smoothed over 6 samples.
fn ewma(service: &Service) -> Vec<f32> {
    let mut state: Vec<(f32, f32)> = service
        .train
        .first()
        .into_iter()
        .flatten()
        .map(|value| (*value, 0.0))
        .collect();
    let (mut smooth, mut seen) = (0.0, 0.0_f32);
    let rows = service.train.iter().chain(&service.test);
    let scores = rows.map(|sample| {
        seen += 1.0;
        let share = EWMA_SHARE.max(1.0 / seen);
        let distances = state.iter_mut().zip(sample).map(|((mean, dev), value)| {
            let off = value - *mean;
            let score = off.abs() / dev.max(1e-3);
            let clipped = if seen < 20.0 {
                off
            } else {
                off.clamp(-3.0 * dev.max(1e-3), 3.0 * dev.max(1e-3))
            };
            *mean += share * clipped;
            *dev += share * (clipped.abs() - *dev);
            score
        });
        let mut distances: Vec<f32> = distances.collect();
        distances.sort_by(|a, b| b.total_cmp(a));
        smooth += (distances.get(2).copied().unwrap_or(0.0) - smooth) / 6.0;
        smooth
    });
    scores.skip(service.train.len()).collect()
}

/// What the first parts of the training rows do not explain.
fn pca(service: &Service) -> Vec<f32> {
    let columns = service.train.first().map_or(0, Vec::len);
    let rows = service.train.len() as f32;
    let mean: Vec<f32> = (0..columns)
        .map(|c| service.train.iter().map(|row| row[c]).sum::<f32>() / rows)
        .collect();
    let dev: Vec<f32> = (0..columns)
        .map(|c| {
            (service.train.iter().map(|row| (row[c] - mean[c]).powi(2)).sum::<f32>() / rows)
                .sqrt()
                .max(1e-3)
        })
        .collect();
    let scaled = |row: &[f32]| -> Vec<f32> { (0..columns).map(|c| (row[c] - mean[c]) / dev[c]).collect() };
    let train: Vec<Vec<f32>> = service.train.iter().map(|row| scaled(row)).collect();
    let mut spread: Vec<Vec<f32>> = (0..columns)
        .map(|a| {
            (0..columns)
                .map(|b| train.iter().map(|row| row[a] * row[b]).sum::<f32>() / rows)
                .collect()
        })
        .collect();
    let mut parts: Vec<Vec<f32>> = Vec::new();
    for _ in 0..PCA_PARTS {
        let mut part: Vec<f32> = (0..columns).map(|c| 1.0 + c as f32 / 10.0).collect();
        for _ in 0..100 {
            let next: Vec<f32> = spread.iter().map(|row| dot(row, &part)).collect();
            let length = dot(&next, &next).sqrt().max(1e-9);
            part = next.into_iter().map(|value| value / length).collect();
        }
        let along: Vec<f32> = spread.iter().map(|row| dot(row, &part)).collect();
        let value = dot(&along, &part);
        for (a, row) in spread.iter_mut().enumerate() {
            for (b, cell) in row.iter_mut().enumerate() {
                *cell -= value * part[a] * part[b];
            }
        }
        parts.push(part);
    }
    let left = |row: &[f32]| {
        let row = scaled(row);
        let explained: f32 = parts.iter().map(|part| dot(&row, part).powi(2)).sum();
        (dot(&row, &row) - explained).max(0.0)
    };
    service.test.iter().map(|row| left(row)).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
