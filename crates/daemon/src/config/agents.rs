//! From the tables of agents and components to their specs.

use std::path::{Path, PathBuf};

use stead_model::spec::{EnvValue, ProbeAction, SpecForm};
use stead_model::{AgentName, AgentSpec, Criticality, Driver};

use super::diagnostic::{Finding, Findings};
use super::features;
use super::form::OWN;
use super::order::Waiting;
use super::replicas::{self, Replicas};
use super::shape::Shapes;
use super::source::Bounds;
use super::tree::{Entry, Node, Value};
use super::{de, merge};

/// Which table an agent stands in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Agent,
    Component,
}

impl Kind {
    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Agent => "agents",
            Self::Component => "components",
        }
    }
}

/// One agent as it was read; without a spec where something was wrong.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) at: Bounds,
    pub(super) waiting: Waiting,
    pub(super) spec: Option<(AgentName, AgentSpec)>,
    /// What makes it a group, if it is one.
    pub(super) replicas: Option<Replicas>,
    /// How much depends on it, where it says so.
    pub(super) criticality: Option<Criticality>,
    /// Where the port stands on which it takes word of pauses, if it does.
    pub(super) lifecycle_at: Option<Bounds>,
}

/// Checks `[defaults]` by themselves, whether or not an agent takes them, and leaves in them what is fine.
pub(super) fn defaults(entry: Option<Entry>, findings: &mut Findings) -> Option<Node> {
    let mut entry = entry?;
    for own in OWN {
        if let Some(misplaced) = entry.node.take(own) {
            let message = format!("`{own}` is no default: each agent has its own");
            findings.add(Finding::new(misplaced.key_at, message).help("move it into [agents.NAME]"));
        }
    }
    // The form of one agent; that its parts fit together is asked only where they are together.
    de::read::<SpecForm>(&mut entry.node, &entry.key_at, findings);
    entry.node.damaged = false;
    Some(entry.node)
}

/// Reads the agents of all tables, in the order of the file; nothing if they are too many to be read.
pub(super) fn read_all(
    tables: [(Kind, Option<Entry>); 2],
    defaults: Option<&Node>,
    shapes: &Shapes,
    folder: &Path,
    findings: &mut Findings,
) -> Option<Vec<Read>> {
    let count: usize = tables
        .iter()
        .flat_map(|(_, table)| table)
        .map(|table| table.node.entries().len())
        .sum();
    if let Some(defaults) = defaults
        && defaults.count().saturating_mul(count) > MOST_DEFAULTS
    {
        let message = format!("these defaults are too long to be given to {count} agents");
        findings
            .add(Finding::new(defaults.at.clone(), message).help("keep what many agents share in files of their own"));
        return None;
    }
    if let Some(defaults) = defaults {
        shapes.check_states(defaults, findings);
    }
    let mut agents = Vec::with_capacity(count);
    for (kind, table) in tables {
        let Some(Value::Table(entries)) = table.map(|table| table.node.value) else {
            continue;
        };
        for entry in entries {
            if findings.is_full() {
                return None;
            }
            agents.push(read(entry, kind, (defaults, shapes), folder, findings));
        }
    }
    agents.sort_by_key(|agent| agent.at.start);
    Some(agents)
}

/// So many values may come from the defaults in all: a hundred for each of the most agents that a file may have.
const MOST_DEFAULTS: usize = 10_000_000;

/// Reads one agent. `folder` is where relative paths start.
fn read(
    mut entry: Entry,
    kind: Kind,
    (defaults, shapes): (Option<&Node>, &Shapes),
    folder: &Path,
    findings: &mut Findings,
) -> Read {
    let name = match entry.key.parse::<AgentName>() {
        Ok(name) => Some(name),
        Err(invalid) => {
            let said = invalid.to_string();
            let (message, help) = said.split_once(": ").unwrap_or((&said, ""));
            findings.add(Finding::new(entry.key_at.clone(), message).help(help));
            None
        }
    };
    shapes.check_states(&entry.node, findings);
    let kind_of = |node: &Node| match &node.get("type")?.node.value {
        Value::Text(kind) | Value::Filled(kind) => Some(kind.clone()),
        _no_text => None,
    };
    let sort = kind_of(&entry.node).or_else(|| defaults.and_then(kind_of));
    if let Some(shared) = shapes.of_type(sort.as_deref().unwrap_or(DEFAULT_TYPE)) {
        merge::merge(&mut entry.node, &entry.key, shared);
    }
    if let Some(defaults) = defaults {
        merge::merge(&mut entry.node, &entry.key, defaults);
    }
    profile_of(&mut entry, kind, shapes, findings);
    let replicas = replicas::take(&mut entry, kind, findings);
    let criticality = features::take(&mut entry, findings);
    let waiting = waiting(&entry);
    let spec = de::what_fits::<AgentSpec>(&mut entry.node, &entry.key_at, findings);
    if let Some(spec) = &spec {
        tell_nonsense(spec, &entry, findings);
    }
    let spec = spec.filter(|_| !entry.node.damaged);
    let lifecycle_at = entry.node.locate("lifecycle.port").map(|(_, at)| at);
    let spec = name.zip(spec).map(|(name, spec)| {
        let spec = AgentSpec {
            profile: match kind {
                Kind::Agent => spec.profile,
                Kind::Component => COMPONENT.to_owned(),
            },
            ..spec
        };
        (name, with_places(spec, folder))
    });
    Read {
        at: entry.key_at,
        waiting,
        spec,
        replicas,
        criticality,
        lifecycle_at,
    }
}

/// Tells values that are well formed and cannot be meant, at their keys.
fn tell_nonsense(spec: &AgentSpec, entry: &Entry, findings: &mut Findings) {
    for nonsense in spec.nonsense() {
        // A key may be written as Kubernetes spells it; then the table that it is in is pointed at.
        let mut key = nonsense.key.as_str();
        let at = loop {
            match (entry.node.locate(key), key.rsplit_once('.')) {
                (Some((_, at)), _) => break at,
                (None, Some((above, _))) => key = above,
                (None, None) => break entry.key_at.clone(),
            }
        };
        findings.add(Finding::new(at, format!("`{}` {}", nonsense.key, nonsense.wrong)).help(nonsense.help));
    }
}

/// Checks the name of the profile, which a table of components settles.
fn profile_of(entry: &mut Entry, kind: Kind, shapes: &Shapes, findings: &mut Findings) {
    let Some(Entry { node, .. }) = entry.node.get("profile") else {
        return;
    };
    let (Value::Text(given) | Value::Filled(given)) = &node.value else {
        return;
    };
    let finding = if !shapes.knows(given) {
        shapes.no_profile(given, node.at.clone())
    } else if kind == Kind::Component && given != COMPONENT {
        Finding::new(
            node.at.clone(),
            format!("a component cannot have the profile `{given}`"),
        )
        .help("remove it, or move the table to [agents.NAME]")
    } else {
        return;
    };
    findings.add(finding);
    entry.node.damaged = true;
}

fn waiting(entry: &Entry) -> Waiting {
    let depends_on = entry
        .node
        .get("depends_on")
        .map(|entry| entry.node.entries())
        .unwrap_or_default();
    Waiting {
        name: entry.key.clone(),
        depends_on: depends_on
            .iter()
            .map(|on| (on.key.clone(), on.key_at.clone()))
            .collect(),
    }
}

/// Makes every path absolute: folders and files start at the fleet file's folder, programs at the agent's.
fn with_places(mut spec: AgentSpec, folder: &Path) -> AgentSpec {
    let dir = match &spec.driver {
        Driver::Process(process) => absolute(folder, process.dir.as_deref().unwrap_or(".")),
        Driver::None => absolute(folder, "."),
    };
    let probes = &mut spec.probes;
    for probe in [
        &mut probes.startup,
        &mut probes.liveness,
        &mut probes.readiness,
        &mut probes.clear,
    ]
    .into_iter()
    .flatten()
    {
        if let ProbeAction::Exec(exec) = &mut probe.action {
            resolve(&mut exec.command, Path::new(&dir));
        }
    }
    let Driver::Process(process) = &mut spec.driver else {
        return spec;
    };
    resolve(&mut process.command, Path::new(&dir));
    for value in process.env.values_mut() {
        if let EnvValue::File { file } = value {
            *file = absolute(folder, file);
        }
    }
    process.dir = Some(dir);
    spec
}

/// A program with a slash in its name is a file; one without is looked for in `PATH`.
fn resolve(command: &mut [String], dir: &Path) {
    if let Some(program) = command.first_mut()
        && program.contains('/')
    {
        *program = absolute(dir, program);
    }
}

/// The path from `folder`, without `.` in it; `..` stays, because a link may lie before it.
pub(super) fn absolute(folder: &Path, path: &str) -> String {
    let joined: PathBuf = folder.join(path).components().collect();
    joined.to_string_lossy().into_owned()
}

/// The profile of everything in `[components]`.
const COMPONENT: &str = "component";

/// The type of an agent that names none.
const DEFAULT_TYPE: &str = "worker";
