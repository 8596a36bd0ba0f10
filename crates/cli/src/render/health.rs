//! How well all do.

use stead_model::{Health, HealthSummary, Metric, MetricSummary, Troubled, Wall};

use super::age::relative;
use super::paint::{self, Cell};
use super::table::{facts, table};

/// Levels, conditions and metrics in lines, and those that do not do well in a table.
pub(crate) fn health_summary(summary: &HealthSummary, now: Wall) -> String {
    let mut rows: Vec<(&str, Vec<String>)> = vec![("Agents", vec![summary.total.to_string()])];
    let levels: Vec<String> = Health::ALL
        .iter()
        .filter_map(|level| {
            let count = summary.levels.get(level).filter(|count| **count > 0)?;
            Some(format!("{count} {}", paint::health(*level).painted(0)))
        })
        .collect();
    if !levels.is_empty() {
        rows.push(("Health", vec![levels.join(", ")]));
    }
    let conditions: Vec<String> = summary
        .conditions
        .iter()
        .map(|(condition, count)| format!("{count} {condition}"))
        .collect();
    if !conditions.is_empty() {
        rows.push(("Conditions", vec![conditions.join(", ")]));
    }
    let metrics: Vec<String> = summary
        .metrics
        .iter()
        .map(|(metric, told)| line(*metric, told))
        .collect();
    if !metrics.is_empty() {
        rows.push(("Metrics", metrics));
    }
    let mut text = facts(&rows);
    if !summary.troubled.is_empty() {
        text.push('\n');
        text.push_str(&troubled(&summary.troubled, now));
    }
    let shown = u64::try_from(summary.troubled.len()).unwrap_or(u64::MAX);
    if summary.troubled_total > shown {
        text.push_str(&format!(
            "and {} more; `--limit` shows them, `stead why NAME` explains one\n",
            summary.troubled_total - shown
        ));
    }
    text
}

fn line(metric: Metric, told: &MetricSummary) -> String {
    let MetricSummary { agents, mean, max } = told;
    let unit = match metric {
        Metric::RequestLatency => " ms",
        Metric::Throughput => " per second",
        Metric::CpuUsage | Metric::MemoryUsage | Metric::ErrorRate => "",
    };
    format!("{metric} {mean:.2}{unit} on average, {max:.2}{unit} at most, told by {agents}")
}

fn troubled(rows: &[Troubled], now: Wall) -> String {
    let headings = ["NAMESPACE", "NAME", "HEALTH", "PHASE", "FOR", "CONDITIONS", "DETAIL"];
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let conditions: Vec<_> = row.conditions.iter().map(|condition| condition.as_str()).collect();
            let conditions = if conditions.is_empty() {
                "-".to_owned()
            } else {
                conditions.join(",")
            };
            vec![
                Cell::dim(row.namespace.as_str()),
                Cell::plain(row.name.as_str()),
                paint::health(row.health),
                Cell::plain(row.phase.as_str()),
                Cell::plain(relative(now, row.since).trim_end_matches(" ago")),
                Cell::plain(conditions),
                Cell::dim(row.detail.as_str()),
            ]
        })
        .collect();
    table(&headings, &rows)
}
