//! What policies report as Prometheus families: a table for each kind of snapshot.

use core::time::Duration;
use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Listed, PolicySnapshot};
use crate::{CheckReport, ExtraCounts, HealthReport};

mod tables;

pub(crate) use tables::*;

/// One family of the snapshot `S`.
pub(crate) struct Family<S> {
    /// The field that it shows, for the pages that name both.
    #[cfg_attr(not(test), expect(dead_code, reason = "the pages are compared with it"))]
    pub(crate) field: &'static str,
    /// As Prometheus knows it; a counter where it ends in `_total`, else a gauge.
    pub(crate) name: &'static str,
    help: &'static str,
    read: fn(&S, &mut Samples<'_>),
}

const fn family<S>(
    field: &'static str,
    name: &'static str,
    help: &'static str,
    read: fn(&S, &mut Samples<'_>),
) -> Family<S> {
    Family {
        field,
        name,
        help,
        read,
    }
}

/// Renders everything that is listed.
pub(super) fn render(listed: &[Listed]) -> String {
    let mut text = BTreeMap::new();
    for listed in listed {
        let labels = labels(listed);
        let text = &mut text;
        match &listed.is {
            PolicySnapshot::Breaker(is) => read(BREAKER, is, &labels, text),
            PolicySnapshot::Budget(is) => read(BUDGET, is, &labels, text),
            PolicySnapshot::Bulkhead(is) => read(BULKHEAD, is, &labels, text),
            PolicySnapshot::Cache(is) => read(CACHE, is, &labels, text),
            PolicySnapshot::Chaos(is) => read(CHAOS, is, &labels, text),
            PolicySnapshot::Degradation(is) => read(DEGRADATION, is, &labels, text),
            PolicySnapshot::Fallback(is) => read(FALLBACK, is, &labels, text),
            PolicySnapshot::Health(is) => read(HEALTH, is, &labels, text),
            PolicySnapshot::Hedge(is) => read(HEDGE, is, &labels, text),
            PolicySnapshot::Leaks(is) => read(LEAKS, is, &labels, text),
            PolicySnapshot::Limiter(is) => read(LIMITER, is, &labels, text),
            PolicySnapshot::Retry(is) => read(RETRY, is, &labels, text),
            PolicySnapshot::Timeout(is) => read(TIMEOUT, is, &labels, text),
        }
    }
    text.into_values().collect()
}

/// The text of each family, by its name.
type Text = BTreeMap<&'static str, String>;

fn read<S>(families: &[Family<S>], is: &S, labels: &str, text: &mut Text) {
    for family in families {
        let name = family.name;
        let text = text.entry(name).or_insert_with(|| {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            format!("# HELP {name} {}\n# TYPE {name} {kind}\n", family.help)
        });
        (family.read)(is, &mut Samples { name, labels, text });
    }
}

fn labels(listed: &Listed) -> String {
    let name = quoted(&listed.name);
    match listed.place {
        None => format!("policy={name}"),
        Some(place) => format!("pipeline={name},place=\"{place}\""),
    }
}

fn quoted(value: &str) -> String {
    let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    format!("\"{value}\"")
}

/// Where the samples of one family of one policy go.
struct Samples<'a> {
    name: &'static str,
    labels: &'a str,
    text: &'a mut String,
}

impl Samples<'_> {
    fn count(&mut self, count: u64) {
        self.line("", &count.to_string());
    }

    fn number(&mut self, number: usize) {
        self.line("", &number.to_string());
    }

    fn share(&mut self, share: f64) {
        self.line("", &share.to_string());
    }

    fn span(&mut self, span: Duration) {
        self.line("", &span.as_secs_f64().to_string());
    }

    /// One of several, told apart by `label`.
    fn of(&mut self, label: &str, value: &str, count: impl ToString) {
        let more = format!(",{label}={}", quoted(value));
        self.line(&more, &count.to_string());
    }

    fn of_two(&mut self, [one, two]: [(&str, &str); 2], count: u64) {
        let more = format!(",{}={}", one.0, quoted(one.1));
        self.line(&format!("{more},{}={}", two.0, quoted(two.1)), &count.to_string());
    }

    /// As [`Samples::of`], where there is a value for each check.
    fn each<T: ToString>(&mut self, report: &HealthReport, value: impl Fn(&CheckReport) -> Option<T>) {
        for check in &report.checks {
            if let Some(value) = value(check) {
                self.of("check", &check.name, value);
            }
        }
    }

    fn extra(&mut self, counts: &ExtraCounts) {
        let ExtraCounts {
            retry,
            hedge,
            probe,
            fallback,
        } = counts;
        let kinds = [
            ("retry", retry),
            ("hedge", hedge),
            ("probe", probe),
            ("fallback", fallback),
        ];
        for (kind, count) in kinds {
            self.of("for", kind, count);
        }
    }

    fn line(&mut self, more: &str, value: &str) {
        let (name, labels) = (self.name, self.labels);
        // Writing to a text does not fail.
        let _written = writeln!(self.text, "{name}{{{labels}{more}}} {value}");
    }
}
