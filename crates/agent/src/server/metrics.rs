//! Metrics in Prometheus' text format.

use std::fmt::Write as _;

use super::Server;
use crate::runtime::{BOUNDS, DependencyHealth, RuntimeState};
use crate::sampler::{as_f64, cpu_seconds};

/// Renders everything. Labels are names of entry points, checks and states: never ids.
pub(super) fn render(server: &Server) -> String {
    let runtime = server.runtime();
    let status = runtime.status();
    let mut page = Page::default();
    page.head("stead_agent_state", "gauge", "1 for the state that the runtime is in.");
    for state in RuntimeState::ALL {
        let value = u64::from(*state == status.state);
        page.line("stead_agent_state", &[("state", state.as_str())], value);
    }
    page.one(
        "stead_agent_uptime_seconds",
        "gauge",
        "Since the runtime was started.",
        status.uptime_seconds,
    );
    page.one(
        "stead_agent_active_streams",
        "gauge",
        "Streams with an execution that has not ended.",
        status.active_streams as u64,
    );
    page.one(
        "stead_agent_to_be_resumed",
        "gauge",
        "Executions that go on when the runtime runs again.",
        runtime.to_be_resumed() as u64,
    );
    page.one(
        "stead_agent_progress_total",
        "counter",
        "Steps of useful work.",
        runtime.progress(),
    );
    page.head(
        "stead_agent_dependency_health",
        "gauge",
        "1 for the health of each dependency.",
    );
    for (name, health) in &status.health {
        for (word, known) in HEALTH {
            let value = u64::from(known == health);
            page.line(
                "stead_agent_dependency_health",
                &[("dependency", name), ("health", word)],
                value,
            );
        }
    }
    entry_points(&mut page, server);
    let usage = server.usage();
    page.head("process_cpu_seconds_total", "counter", "Processor time used.");
    page.float("process_cpu_seconds_total", cpu_seconds());
    page.one("process_resident_memory_bytes", "gauge", "Memory in use.", usage.memory);
    page.one(
        "process_open_fds",
        "gauge",
        "Open files, sockets and pipes.",
        usage.file_handles,
    );
    page.one("process_threads", "gauge", "Threads.", usage.threads);
    page.0
}

fn entry_points(page: &mut Page, server: &Server) {
    let tallies = server.runtime().tallies();
    page.head(
        "stead_agent_executions_total",
        "counter",
        "Executions that ended, by how.",
    );
    for (name, _, tally) in &tallies {
        for (outcome, count) in [
            ("succeeded", tally.succeeded),
            ("failed", tally.failed),
            ("cancelled", tally.cancelled),
        ] {
            page.line(
                "stead_agent_executions_total",
                &[("entry_point", name), ("outcome", outcome)],
                count,
            );
        }
    }
    page.head(
        "stead_agent_executions_started_total",
        "counter",
        "Executions taken in or resumed, each once.",
    );
    for (name, _, tally) in &tallies {
        page.line(
            "stead_agent_executions_started_total",
            &[("entry_point", name)],
            tally.taken,
        );
    }
    page.head(
        "stead_agent_executions_interrupted_total",
        "counter",
        "Tries that were interrupted, to be resumed.",
    );
    for (name, _, tally) in &tallies {
        page.line(
            "stead_agent_executions_interrupted_total",
            &[("entry_point", name)],
            tally.interrupted,
        );
    }
    page.head(
        "stead_agent_executions_in_flight",
        "gauge",
        "Executions that have not ended.",
    );
    for (name, _, tally) in &tallies {
        page.line(
            "stead_agent_executions_in_flight",
            &[("entry_point", name)],
            tally.in_flight as u64,
        );
    }
    page.head("stead_agent_executions_limit", "gauge", "How many may run at once.");
    for (name, max, _) in &tallies {
        page.line("stead_agent_executions_limit", &[("entry_point", name)], *max as u64);
    }
    let histogram = "stead_agent_execution_duration_seconds";
    page.head(histogram, "histogram", "How long tries took.");
    for (name, _, tally) in &tallies {
        let mut sum = 0;
        for (bound, count) in BOUNDS.iter().zip(tally.took) {
            sum += count;
            let bound = (as_f64(*bound) / 1_000.0).to_string();
            page.line(
                &format!("{histogram}_bucket"),
                &[("entry_point", name), ("le", &bound)],
                sum,
            );
        }
        let all = tally.succeeded + tally.failed + tally.cancelled + tally.interrupted;
        page.line(
            &format!("{histogram}_bucket"),
            &[("entry_point", name), ("le", "+Inf")],
            all,
        );
        let labels = labels(&[("entry_point", name)]);
        let _infallible = writeln!(page.0, "{histogram}_sum{labels} {}", tally.busy.as_secs_f64());
        page.line(&format!("{histogram}_count"), &[("entry_point", name)], all);
    }
}

/// The text so far. Writing to a string cannot fail.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _infallible = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, name: &str, pairs: &[(&str, &str)], value: u64) {
        let labels = labels(pairs);
        let _infallible = writeln!(self.0, "{name}{labels} {value}");
    }

    fn float(&mut self, name: &str, value: f64) {
        let _infallible = writeln!(self.0, "{name} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        self.line(name, &[], value);
    }
}

fn labels(pairs: &[(&str, &str)]) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    let escaped = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

const HEALTH: [(&str, &DependencyHealth); 4] = [
    ("healthy", &DependencyHealth::Healthy),
    ("degraded", &DependencyHealth::Degraded),
    ("unhealthy", &DependencyHealth::Unhealthy),
    ("unknown", &DependencyHealth::Unknown),
];
