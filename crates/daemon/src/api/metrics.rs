//! `/metrics`: what there is and what has happened, in Prometheus' text format.
//!
//! Labels are words of Stead and names of profiles: never names of agents, so that a fleet of any size is a page of a few hundred lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use stead_engine::Glance;
use stead_model::{BeatCounts, Condition, DegradationLevel, Health, Wanted};

use super::Api;
use super::extract::{NoQuery, Read};
use super::find::{blocking, views};
use super::openapi::Sketch;
use super::operation::{About, Gives, Table};
use super::problem::Failure;
use crate::Part;

pub(super) fn mount(table: &mut Table) {
    let about = About::new("metrics", "daemon", "Gives metrics to Prometheus").more(
        "Counts of agents, circuits and levels are of one moment each; counters begin at nought when the daemon starts. The engine is not \
asked, so that they are there while it is busy.",
    );
    table.add(Method::GET, "/metrics", about, metrics);
}

async fn metrics(api: Api, _: Read<(), NoQuery>) -> Result<Exposition, Failure> {
    // Of very many agents this takes longer than others should wait.
    blocking(move || Exposition(render(&families(&api)))).await
}

/// 200 with the page.
struct Exposition(String);

impl IntoResponse for Exposition {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], self.0).into_response()
    }
}

impl Gives for Exposition {
    fn describe(sketch: &mut Sketch) {
        let text = serde_json::json!({ "type": "string" });
        sketch.response(200, "Prometheus' text format.", &[("text/plain", text)], &[]);
    }
}

/// A metric with all of its series.
struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    series: Vec<(Labels, u64)>,
}

type Labels = Vec<(&'static str, String)>;

#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
}

impl Family {
    fn one(name: &'static str, kind: Kind, help: &'static str, value: u64) -> Self {
        Self::of(name, kind, help, [(Vec::new(), value)])
    }

    fn of(name: &'static str, kind: Kind, help: &'static str, series: impl IntoIterator<Item = (Labels, u64)>) -> Self {
        Self {
            name,
            kind,
            help,
            series: series.into_iter().collect(),
        }
    }

    /// By one label.
    fn by<T: ToString>(
        (name, kind, help): (&'static str, Kind, &'static str),
        label: &'static str,
        counts: impl IntoIterator<Item = (T, u64)>,
    ) -> Self {
        let series = counts.into_iter();
        let series = series.map(|(word, count)| (vec![(label, word.to_string())], count));
        Self::of(name, kind, help, series)
    }
}

fn families(api: &Api) -> Vec<Family> {
    let mut families = of_daemon(api);
    families.extend(of_fleet(api));
    families.extend(of_events(api));
    families
}

/// The daemon itself.
fn of_daemon(api: &Api) -> Vec<Family> {
    use Kind::{Counter, Gauge};
    let info = api.state.ports.host.info();
    let status = api.state.handle.status().report();
    let parts = [
        ("store", &status.store),
        ("keeper", &status.keeper),
        ("adopted", &status.adopted),
    ];
    let written = api.state.handle.store().figures();
    let started = u64::try_from(info.started_at.unix_millis() / 1000).unwrap_or(0);
    vec![
        Family::by(
            ("stead_build_info", Gauge, "1, with the version."),
            "version",
            [(info.version, 1)],
        ),
        Family::one(
            "stead_start_time_seconds",
            Gauge,
            "When the daemon was started, in seconds since 1970.",
            started,
        ),
        Family::by(
            (
                "stead_part_up",
                Gauge,
                "1 where that part of the daemon works, 0 where it is away or not there yet.",
            ),
            "part",
            parts.map(|(part, state)| (part, u64::from(*state == Part::Up))),
        ),
        Family::one(
            "stead_store_appends_total",
            Counter,
            "Decisions that were written down.",
            written.appends,
        ),
        Family::one(
            "stead_store_commits_total",
            Counter,
            "Commits; one may hold many appends.",
            written.commits,
        ),
        Family::one(
            "stead_store_flushes_total",
            Counter,
            "Commits that were synced to the disk before anybody was told.",
            written.flushed,
        ),
        Family::one(
            "stead_refusals_total",
            Counter,
            "Requests that were refused by the agent's phase, by a policy, or by their own terms.",
            status.refused,
        ),
    ]
}

/// How an agent stands: what it is counted by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Standing {
    profile: String,
    phase: String,
    health: Health,
}

impl Standing {
    fn of(agent: &Glance<'_>) -> Self {
        Self {
            profile: agent.profile.to_owned(),
            phase: agent.phase.to_owned(),
            health: agent.health,
        }
    }

    fn is_of(&self, agent: &Glance<'_>) -> bool {
        self.health == agent.health && self.phase == agent.phase && self.profile == agent.profile
    }

    fn labels(self) -> Labels {
        vec![
            ("profile", self.profile),
            ("phase", self.phase),
            ("health", self.health.to_string()),
        ]
    }
}

/// Agents, groups, circuits and levels as they are.
fn of_fleet(api: &Api) -> Vec<Family> {
    use Kind::Gauge;
    let mut agents: Vec<(Standing, u64)> = Vec::new();
    let mut wanted: BTreeMap<Wanted, u64> = Wanted::ALL.iter().map(|wanted| (*wanted, 0)).collect();
    let mut conditions: BTreeMap<Condition, u64> = Condition::ALL.iter().map(|held| (*held, 0)).collect();
    views(api).each(|shown| {
        let agent = shown.glance();
        // Of very many agents few stand differently: nothing is allocated for one that stands as another does.
        match agents.iter_mut().find(|(standing, _)| standing.is_of(&agent)) {
            Some((_, count)) => *count += 1,
            None => agents.push((Standing::of(&agent), 1)),
        }
        *wanted.entry(agent.intent).or_default() += 1;
        if agent.has_conditions {
            for held in shown.view().conditions {
                *conditions.entry(held.condition).or_default() += 1;
            }
        }
    });
    agents.sort_unstable();
    let agents = agents.into_iter().map(|(standing, count)| (standing.labels(), count));
    let mut circuits: BTreeMap<String, u64> = BTreeMap::new();
    for circuit in api.state.handle.capabilities().circuits() {
        *circuits.entry(circuit.state).or_default() += 1;
    }
    let mut levels: BTreeMap<DegradationLevel, u64> = DegradationLevel::ALL.iter().map(|level| (*level, 0)).collect();
    for namespace in views(api).degradations() {
        *levels.entry(namespace.level).or_default() += 1;
    }
    vec![
        Family::of(
            "stead_agents",
            Gauge,
            "Agents and components, by profile, phase and health.",
            agents,
        ),
        Family::by(
            (
                "stead_agents_wanted",
                Gauge,
                "Agents and components, by what is wanted of them.",
            ),
            "intent",
            wanted,
        ),
        Family::by(
            (
                "stead_agents_condition",
                Gauge,
                "Agents and components of which a condition holds.",
            ),
            "condition",
            conditions,
        ),
        Family::one(
            "stead_groups",
            Gauge,
            "Groups of replicas.",
            views(api).groups().len() as u64,
        ),
        Family::by(
            ("stead_circuits", Gauge, "Circuits before providers, by state."),
            "state",
            circuits,
        ),
        Family::by(
            (
                "stead_namespaces_degraded",
                Gauge,
                "Namespaces with features, by how much they have given up.",
            ),
            "level",
            levels,
        ),
    ]
}

/// What has happened since the start.
fn of_events(api: &Api) -> Vec<Family> {
    use Kind::Counter;
    let counts = api.state.handle.status().tally().counts();
    let BeatCounts {
        accepted,
        stale,
        fenced,
        unknown,
        malformed,
    } = counts.beats;
    let beats = [
        ("accepted", accepted),
        ("stale", stale),
        ("fenced", fenced),
        ("unknown", unknown),
        ("malformed", malformed),
    ];
    let requests = counts.requests.into_iter().map(|((method, outcome), count)| {
        let labels = vec![("method", method.to_owned()), ("outcome", outcome.to_owned())];
        (labels, count)
    });
    vec![
        Family::by(
            (
                "stead_beats_total",
                Counter,
                "Signs of life that were handed in, by what became of them.",
            ),
            "outcome",
            beats,
        ),
        Family::by(
            ("stead_transitions_total", Counter, "Changes of phase, by reason."),
            "reason",
            counts.transitions,
        ),
        Family::by(
            ("stead_events_total", Counter, "Events, by type."),
            "type",
            counts.events,
        ),
        Family::of(
            "stead_http_requests_total",
            Counter,
            "Requests that were answered, by method and by what came of them: `ok`, or the code of the problem.",
            requests,
        ),
    ]
}

fn render(families: &[Family]) -> String {
    let mut page = String::new();
    for Family {
        name,
        kind,
        help,
        series,
    } in families
    {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        // A string takes whatever is written to it.
        let _infallible = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (labels, value) in series {
            let labels: Vec<_> = labels
                .iter()
                .map(|(label, word)| format!("{label}=\"{}\"", escaped(word)))
                .collect();
            let _infallible = match labels.as_slice() {
                [] => writeln!(page, "{name} {value}"),
                labels => writeln!(page, "{name}{{{}}} {value}", labels.join(",")),
            };
        }
    }
    page
}

/// A word between quotes.
fn escaped(word: &str) -> String {
    word.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
