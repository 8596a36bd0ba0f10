//! `fleet.toml`: read whole, checked whole, and only then used.
//!
//! ```
//! use stead_daemon::config::Fleet;
//!
//! let text = "[agents.hello]\ncommand = [\"echo\", \"${WHO:-world}\"]\n";
//! let fleet = Fleet::parse(text, "/srv/fleet.toml".as_ref(), &|_| None).unwrap();
//! assert_eq!(fleet.agents[0].name.as_str(), "hello");
//!
//! let problems = Fleet::parse("[agents.hello]\ncomand = []\n", "fleet.toml".as_ref(), &|_| None).unwrap_err();
//! assert_eq!((problems[0].line, problems[0].help.as_deref()), (2, Some("did you mean `command`?")));
//! ```

mod agents;
mod capabilities;
mod de;
mod diagnostic;
mod features;
mod form;
mod mask;
mod merge;
mod order;
mod replicas;
mod retained;
mod shape;
mod source;
mod substitute;
mod suggest;
mod syntax;
mod together;
mod tree;

use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stead_model::{AgentName, AgentSpec, Driver, Namespace, Wall};

pub use self::diagnostic::Diagnostic;
pub use self::form::{DaemonSettings, fleet_schema};
pub use self::mask::masked;
pub use self::replicas::Replicas;
pub use self::retained::{Kept, Retained};
pub use self::shape::Shape;

use self::agents::Kind;
use self::diagnostic::{Finding, Findings};
use self::shape::Shapes;
use self::source::{Bounds, Source};
use self::suggest::{listed, nearest};
use self::tree::{Node, Value};
use crate::capability::Specs;
use crate::degradation::Degrading;

/// Gives the value of an environment variable, where it is set.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// A fleet file that was read and found to be right.
#[derive(Clone, PartialEq, Debug)]
pub struct Fleet {
    /// The file, as an absolute path.
    pub file: PathBuf,
    /// Where all of its agents live.
    pub namespace: Namespace,
    /// What the file says of the daemon itself; its paths are absolute.
    pub daemon: DaemonSettings,
    /// Agents and components in start order: each after those that it depends on, else as in the file.
    pub agents: Vec<FleetAgent>,
    /// Profiles and policies.
    pub shape: Shape,
    /// What can be asked of the fleet.
    pub(crate) capabilities: Specs,
    /// What users get of it, and what that needs.
    pub(crate) degrading: Degrading,
    /// How long history is kept.
    pub retention: Retained,
    /// The file as it is written, references to the environment unfilled. It may hold secrets.
    pub text: FleetSource,
    /// What the file was like before it was read; none for a text that came by itself.
    pub stamp: Option<FileStamp>,
    /// What the file comes to.
    pub hash: ContentHash,
}

/// One agent or component of a fleet file.
#[derive(Clone, PartialEq, Debug)]
pub struct FleetAgent {
    /// Unique in the file.
    pub name: AgentName,
    /// With the defaults of the file in it, the environment filled in and every path absolute.
    pub spec: AgentSpec,
    /// How many of it there are, where it is a group of them.
    pub replicas: Option<Replicas>,
    /// The line of its name in the file, from 1.
    pub line: u32,
}

/// The text of a fleet file. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct FleetSource(Arc<str>);

impl FleetSource {
    /// The text, secrets included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FleetSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FleetSource({} bytes)", self.0.len())
    }
}

/// Tells a file from what it was a moment ago, without reading it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl FileStamp {
    /// Looks at a file; nothing where there is none to look at.
    #[must_use]
    pub fn of(file: &Path) -> Option<Self> {
        let about = std::fs::metadata(file).ok()?;
        Some(Self {
            device: about.dev(),
            inode: about.ino(),
            size: about.size(),
            changed: (about.mtime(), about.mtime_nsec()),
        })
    }

    /// Whether it was changed after a time.
    #[must_use]
    pub const fn is_younger(&self, than: Wall) -> bool {
        self.changed.0.saturating_mul(1000) > than.unix_millis()
    }
}

/// Tells two versions of a fleet apart for people: equal for equal content, whatever the layout and comments.
///
/// Values of secrets have no part in it, because it is shown. To know what must be changed, compare specs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ContentHash(u64);

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FleetAgent {
    /// How many processes it may have at once: each replica one, and so may each that an update adds meanwhile.
    fn processes(&self) -> usize {
        match self.spec.driver {
            Driver::Process(_) => self.replicas.as_ref().map_or(1, |replicas| {
                let surge = replicas.update.max_surge.ceil_of(replicas.count);
                usize::try_from(replicas.count.saturating_add(surge)).unwrap_or(usize::MAX)
            }),
            Driver::None => 0,
        }
    }
}

impl Fleet {
    /// The largest file that is read.
    pub const MAX_BYTES: u64 = 8 * 1024 * 1024;

    /// The most agents and components of one file.
    pub const MAX_AGENTS: usize = 100_000;

    /// How many processes it may have at once.
    #[must_use]
    pub fn processes(&self) -> usize {
        let each = self.agents.iter().map(FleetAgent::processes);
        each.fold(0, usize::saturating_add)
    }

    /// Reads a fleet file.
    ///
    /// # Errors
    /// All problems that can be found at once, up to 1,000, in the order of the file; at least one. Nothing is changed by reading.
    pub fn read(path: &Path, env: Environment<'_>) -> Result<Self, Vec<Diagnostic>> {
        let file = path.display().to_string();
        let refuse = |message: String, help: &str| vec![Diagnostic::of_file(&file, message, help)];
        let unreadable = |error: std::io::Error| {
            let help = match error.kind() {
                std::io::ErrorKind::NotFound => {
                    "check the path; a fleet file is written as docs/guides/fleet-file.md says"
                }
                std::io::ErrorKind::PermissionDenied => "let this user read it",
                _other => "it must be a file that this user can read",
            };
            refuse(format!("cannot read the fleet file: {error}"), help)
        };
        let stamp = FileStamp::of(path);
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > Self::MAX_BYTES {
            return Err(vec![too_large(&file)]);
        }
        // What has no size, such as a device or a pipe, is read no further than a file may be long.
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(path).map_err(unreadable)?;
        opened
            .take(Self::MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 > Self::MAX_BYTES {
            return Err(vec![too_large(&file)]);
        }
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(&text, path, env).map(|fleet| Self { stamp, ..fleet }),
            Err(_) => Err(refuse(
                "the fleet file is not UTF-8".to_owned(),
                "save it as UTF-8 text",
            )),
        }
    }

    /// How many agents and components it makes, each replica of a group counted.
    #[must_use]
    pub fn count(&self) -> usize {
        let of = |agent: &FleetAgent| agent.replicas.as_ref().map_or(1, |replicas| replicas.count);
        let counts = self.agents.iter().map(of);
        counts.fold(0, |all, some| {
            all.saturating_add(usize::try_from(some).unwrap_or(usize::MAX))
        })
    }

    /// Reads the text of a fleet file. `file` is what problems name, and its folder is where relative paths start; it need
    /// not exist.
    ///
    /// # Errors
    /// As [`Fleet::read`].
    pub fn parse(text: &str, file: &Path, env: Environment<'_>) -> Result<Self, Vec<Diagnostic>> {
        let shown = file.display().to_string();
        if text.len() as u64 > Self::MAX_BYTES {
            return Err(vec![too_large(&shown)]);
        }
        let absolute = std::path::absolute(file).ok().filter(|path| path.to_str().is_some());
        let Some(absolute) = absolute else {
            let message = "the path of the fleet file is not UTF-8, or there is no working folder".to_owned();
            return Err(vec![Diagnostic::of_file(
                &shown,
                message,
                "give the file by another path",
            )]);
        };
        let source = Source::new(text);
        let mut findings = Findings::default();
        let mut hidden = Vec::new();
        let fleet = document(&source, &absolute, env, &mut findings, &mut hidden);
        match fleet {
            Some(fleet) if findings.is_empty() => Ok(fleet),
            _refused => Err(findings.into_diagnostics(&shown, &source, hidden)),
        }
    }
}

fn too_large(file: &str) -> Diagnostic {
    let message = format!("a fleet file has at most {} MiB", Fleet::MAX_BYTES >> 20);
    Diagnostic::of_file(
        file,
        message,
        "split the fleet into several namespaces, each with its file",
    )
}

/// Reads a document; what comes out is whole only if nothing was found.
fn document(
    source: &Source<'_>,
    file: &Path,
    env: Environment<'_>,
    findings: &mut Findings,
    hidden: &mut Vec<Bounds>,
) -> Option<Fleet> {
    let mut root = syntax::read(source, findings)?;
    root.hidden(hidden);
    substitute::fill(&mut root, source, env, findings);
    let folder = file.parent().unwrap_or(file);
    let defaults = table(&mut root, "defaults", findings);
    let tables = [Kind::Agent, Kind::Component].map(|kind| (kind, table(&mut root, kind.table(), findings)));
    let [profiles, policies, types, capabilities, features, degradation] = [
        "profiles",
        "policies",
        "types",
        "capabilities",
        "features",
        "degradation",
    ]
    .map(|key| table(&mut root, key, findings));
    let namespace = namespace(&mut root, findings);
    let daemon = daemon(&mut root, folder, findings);
    let retention = retention(&mut root, findings);
    for entry in root.entries() {
        let help = match nearest(&entry.key, form::TOP) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("a fleet file has {}", listed(form::TOP)),
        };
        findings.add(Finding::new(entry.key_at.clone(), format!("unknown key `{}`", entry.key)).help(help));
    }
    let defaults = agents::defaults(defaults, findings);
    let shapes = Shapes::read(profiles, policies, types, findings);
    let read = agents::read_all(tables, defaults.as_ref(), &shapes, folder, findings)?;
    let capabilities = capabilities::read(capabilities, |file| agents::absolute(folder, file), findings);
    capabilities.tell_unknown(read.iter().map(|agent| agent.waiting.name.as_str()), findings);
    let mut features = features::read(features, degradation, findings);
    let said = read
        .iter()
        .map(|agent| (agent.waiting.name.as_str(), agent.criticality));
    features.settle(said, findings);
    let agents = in_order(read, source, findings);
    let mut fleet = Fleet {
        file: file.to_owned(),
        namespace: namespace?,
        daemon: daemon?,
        agents: agents?,
        shape: shapes.shape,
        capabilities: capabilities.specs,
        degrading: features.degrading,
        retention: retention?,
        text: FleetSource(source.text.into()),
        stamp: None,
        hash: ContentHash(0),
    };
    fleet.hash = hash(&fleet);
    Some(fleet)
}

/// Takes a table of the top out; what is no table is told.
fn table(root: &mut Node, key: &str, findings: &mut Findings) -> Option<tree::Entry> {
    let entry = root.take(key)?;
    if matches!(entry.node.value, Value::Table(_)) {
        return Some(entry);
    }
    let finding = Finding::new(entry.node.at, format!("`{key}` is a table"));
    findings.add(finding.help(match key {
        "defaults" => "write [defaults] and its keys below",
        "degradation" => "write [degradation] and its keys below",
        "profiles" | "policies" | "types" | "capabilities" | "features" => {
            "write a table for each, such as [profiles.NAME], and its keys below"
        }
        _of_agents => "write a table for each, such as [agents.NAME], and its keys below",
    }));
    None
}

fn namespace(root: &mut Node, findings: &mut Findings) -> Option<Namespace> {
    match root.take("namespace") {
        Some(mut entry) => {
            let at = entry.node.at.clone();
            de::read(&mut entry.node, &at, findings)
        }
        None => Some(Namespace::default()),
    }
}

/// Reads `[daemon]`. Who listens off loopback needs a token.
fn daemon(root: &mut Node, folder: &Path, findings: &mut Findings) -> Option<DaemonSettings> {
    let Some(mut entry) = root.take("daemon") else {
        return Some(DaemonSettings::default());
    };
    let written = entry.node.get("listen").map(|listen| listen.node.at.clone());
    let asks_for_token = entry.node.get("token_file").is_some();
    let mut daemon: DaemonSettings = de::what_fits(&mut entry.node, &entry.key_at, findings)?;
    for path in [&mut daemon.state_dir, &mut daemon.token_file].into_iter().flatten() {
        *path = agents::absolute(folder, path);
    }
    if let Some(listen) = daemon.listen
        && !listen.ip().is_loopback()
        && !asks_for_token
    {
        let message = format!("{listen} can be reached from other machines, and no token is asked for");
        let finding = Finding::new(written.unwrap_or_default(), message);
        findings.add(finding.help("add `token_file`, or listen on 127.0.0.1"));
        return None;
    }
    (!entry.node.damaged).then_some(daemon)
}

/// Reads `[retention]`.
fn retention(root: &mut Node, findings: &mut Findings) -> Option<Retained> {
    let Some(mut entry) = root.take("retention") else {
        return Some(Retained::default());
    };
    let written = entry.node.clone();
    let read: Retained = de::what_fits(&mut entry.node, &entry.key_at, findings)?;
    let whole = !entry.node.damaged;
    for (key, said) in read.wrong() {
        // What is too few beside another is not known where that could not be read.
        let Some((_, at)) = written.locate(&key).filter(|_| whole || !said.contains('`')) else {
            if whole {
                findings.add(Finding::new(entry.key_at.clone(), format!("`{key}` {said}")).help(TOO_FEW));
            }
            continue;
        };
        findings.add(Finding::new(at, format!("`{key}` {said}")).help(TOO_FEW));
    }
    whole.then_some(read)
}

const TOO_FEW: &str = "what is kept no longer cannot be looked up; leave it out for the default";

/// Checks what concerns several agents: their number, their names, and who waits for whom.
fn in_order(read: Vec<agents::Read>, source: &Source<'_>, findings: &mut Findings) -> Option<Vec<FleetAgent>> {
    if let Some(beyond) = read.get(Fleet::MAX_AGENTS) {
        let message = format!("a fleet has at most {} agents and components", Fleet::MAX_AGENTS);
        findings
            .add(Finding::new(beyond.at.clone(), message).help("split it into several namespaces, each with its file"));
        return None;
    }
    let mut lines: HashMap<&str, u32> = HashMap::with_capacity(read.len());
    for agent in &read {
        let line = source.place(agent.at.start).line;
        if let Some(first) = lines.insert(&agent.waiting.name, line) {
            let message = format!("`{}` is both an agent and a component", agent.waiting.name);
            findings.add(
                Finding::new(agent.at.clone(), message).help(format!("its other table is on line {first}; rename one")),
            );
        }
    }
    tell_taken_names(&read, &lines, findings);
    together::check(&read, findings);
    let (waiting, specs): (Vec<_>, Vec<_>) = read
        .into_iter()
        .map(|agent| (agent.waiting, (agent.at, agent.spec, agent.replicas)))
        .unzip();
    let order = order::order(&waiting, findings);
    let mut specs: Vec<_> = specs.into_iter().map(Some).collect();
    let placed = |place: usize| {
        let (at, spec, replicas) = specs.get_mut(place)?.take()?;
        let (name, spec) = spec?;
        let line = source.place(at.start).line;
        Some(FleetAgent {
            name,
            spec,
            replicas,
            line,
        })
    };
    order.into_iter().map(placed).collect()
}

/// Tells the names that replicas of a group would need and that somebody else in the file has.
fn tell_taken_names(read: &[agents::Read], lines: &HashMap<&str, u32>, findings: &mut Findings) {
    let groups: HashMap<&str, u32> = read
        .iter()
        .filter_map(|agent| Some((agent.waiting.name.as_str(), agent.replicas.as_ref()?.count)))
        .collect();
    if groups.is_empty() {
        return;
    }
    for agent in read {
        let Some((group, number)) = agent.waiting.name.rsplit_once('-') else {
            continue;
        };
        let plain = !number.starts_with(['0', '+']);
        let number = number.parse::<u32>().ok().filter(|_| plain);
        if let (Some(count), Some(number)) = (groups.get(group), number)
            && number <= *count
        {
            let message = format!("`{}` is the name of a replica of group `{group}`", agent.waiting.name);
            let line = lines.get(group).copied().unwrap_or_default();
            findings
                .add(Finding::new(agent.at.clone(), message).help(format!("the group is on line {line}; rename one")));
        }
    }
}

/// FNV-1a over what the fleet is when it is shown.
fn hash(fleet: &Fleet) -> ContentHash {
    let mut agents: Vec<&FleetAgent> = fleet.agents.iter().collect();
    agents.sort_by(|a, b| a.name.cmp(&b.name));
    let shown = agents.iter().map(|agent| {
        let replicas = agent
            .replicas
            .as_ref()
            .map(|replicas| (replicas.count, &replicas.update));
        (&agent.name, agent.spec.redacted(), replicas)
    });
    let capabilities = fleet.capabilities.iter().map(|(name, spec)| (name, spec.redacted()));
    let parts = std::iter::once(serde_json::to_vec(&(&fleet.namespace, &fleet.daemon)))
        .chain(std::iter::once(serde_json::to_vec(&(&fleet.shape, &fleet.retention))))
        .chain(std::iter::once(serde_json::to_vec(&fleet.degrading)))
        .chain(capabilities.map(|capability| serde_json::to_vec(&capability)))
        .chain(shown.map(|agent| serde_json::to_vec(&agent)));
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.flat_map(Result::unwrap_or_default).chain([b'\n']) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    ContentHash(hash)
}

#[cfg(test)]
mod tests;
