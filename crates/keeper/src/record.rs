//! What is written down of each instance: one line of JSON per change, in one file for all, so that the next keeper finds it.
//!
//! A line is `["INSTANCE", CHANGE]`. The file only grows, until [`Records::compact`] writes it anew with what is still to be known; to make
//! a file for each run would take longer than everything else about its birth. Nothing is synced: the lines must survive the keeper,
//! not the machine, whose end is that of all its processes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stead_model::spec::LogSpec;
use stead_model::{AgentName, Epoch, Incarnation, InstanceId, Namespace, ProcessIdentity};

use crate::dir::parse_instance;
use crate::wire::End;

/// One change.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// It is about to be started. Always the first.
    Ordered(Box<Ordered>),
    /// Its process is about to run its program; written by that process itself. See [`birth`].
    Born,
    /// It has a process.
    Spawned(ProcessIdentity),
    /// Another process of its tree is its main one.
    Main(ProcessIdentity),
    /// It said that it is ready.
    Ready,
    /// Its main process ended.
    Ended(End),
    /// Its end was acknowledged, or it never began: there is nothing to be known of it any more.
    Forgotten,
}

/// What must be known of an instance to look after it. Holds nothing secret.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Ordered {
    pub(crate) version: u32,
    pub(crate) instance: InstanceId,
    pub(crate) name: AgentName,
    pub(crate) namespace: Namespace,
    pub(crate) epoch: Epoch,
    pub(crate) logs: LogSpec,
    /// Path of its notify socket.
    pub(crate) socket: PathBuf,
    /// Path of its cgroup, if it was given one.
    pub(crate) cgroup: Option<PathBuf>,
    /// The run after which its FIFOs are named, if it has those of an earlier one.
    #[serde(default)]
    pub(crate) pipes: Option<Incarnation>,
}

impl Ordered {
    /// The run after which its FIFOs are named.
    pub(crate) fn pipes(&self) -> Incarnation {
        self.pipes.unwrap_or(self.instance.incarnation)
    }
}

/// A record as read back.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Record {
    pub(crate) ordered: Ordered,
    pub(crate) born: bool,
    /// The process that it was started as; its pid is that of the session.
    pub(crate) spawned: Option<ProcessIdentity>,
    pub(crate) main: Option<ProcessIdentity>,
    pub(crate) ready: bool,
    pub(crate) ended: Option<End>,
}

/// The file of all records, open to be added to.
#[derive(Debug)]
pub(crate) struct Records {
    file: File,
    path: PathBuf,
    length: u64,
    /// How long it may get.
    bound: u64,
    /// A line may have been cut short, so the next one begins with an end of line.
    cut: bool,
}

/// The version of the lines written here.
pub(crate) const VERSION: u32 = 1;
/// Up to here the file is never written anew.
const LEAST_BOUND: u64 = 256 << 10;

impl Records {
    /// Opens the file in `dir`; makes it if there is none.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(&path)?;
        let length = file.metadata()?.len();
        Ok(Self {
            file,
            path,
            length,
            bound: LEAST_BOUND.max(4 * length),
            cut: length > 0,
        })
    }

    /// Adds a change of an instance.
    pub(crate) fn append(&mut self, instance: InstanceId, line: &Line) -> io::Result<()> {
        let mut text = if self.cut { vec![b'\n'] } else { Vec::new() };
        text.extend(text_of(instance, line)?);
        let written = self.file.write_all(&text);
        self.cut = written.is_err();
        self.length += text.len() as u64;
        written
    }

    /// Where a process adds by itself that it is born.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Whether it should be written anew.
    pub(crate) const fn is_long(&self) -> bool {
        self.length > self.bound
    }

    /// Puts a file in its place that has only these changes; all that was written before is forgotten. A kill leaves one or the other.
    pub(crate) fn compact(&mut self, lines: &[(InstanceId, Line)]) -> io::Result<()> {
        // Until it is done, as if it had been: a disk that refuses is not asked at every turn.
        self.bound = 2 * self.length;
        let mut text = Vec::new();
        for (instance, line) in lines {
            text.extend(text_of(*instance, line)?);
        }
        let new = self.path.with_extension("new");
        let mut options = OpenOptions::new();
        // Not cut to nothing if it is there: some file systems sync what replaces a file that was.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = options.append(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(&text)?;
        fs::rename(&new, &self.path)?;
        self.file = file;
        self.cut = false;
        self.length = text.len() as u64;
        self.bound = LEAST_BOUND.max(4 * self.length);
        Ok(())
    }
}

/// The line that a process adds in the moment before it runs its program.
///
/// A keeper that is killed while it starts a process leaves a record that says by this whether the program ever ran.
pub(crate) fn birth(instance: InstanceId) -> io::Result<Vec<u8>> {
    text_of(instance, &Line::Born)
}

/// Reads what is to be known of each instance, also in the form of earlier keepers, who had a file for each: those are named, to be
/// removed once they are written down anew.
pub(crate) fn read_all(dir: &Path) -> io::Result<(Vec<Record>, Vec<PathBuf>)> {
    let mut records = read(&dir.join(FILE))?;
    let mut earlier = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let lines = fs::read(&path)?;
            let mut one = None;
            for line in lines.split(|byte| *byte == b'\n') {
                take(&mut one, serde_json::from_slice(line).ok());
            }
            records.extend(one.map(|record| (record.ordered.instance, record)));
            earlier.push(path);
        }
    }
    Ok((records.into_values().collect(), earlier))
}

/// The instances of which something is to be known, by what the file in `dir` says at this moment.
pub(crate) fn known(dir: &Path) -> io::Result<BTreeSet<InstanceId>> {
    Ok(read_all(dir)?
        .0
        .into_iter()
        .map(|record| record.ordered.instance)
        .collect())
}

fn read(path: &Path) -> io::Result<BTreeMap<InstanceId, Record>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(parse(&text))
}

/// Changes of later versions are passed over; so is a last line that a kill cut short.
fn parse(text: &[u8]) -> BTreeMap<InstanceId, Record> {
    let mut records: BTreeMap<InstanceId, Option<Record>> = BTreeMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Ok((instance, change)) = serde_json::from_slice::<(String, serde_json::Value)>(line) else {
            continue;
        };
        let Some(instance) = parse_instance(&instance) else {
            continue;
        };
        take(
            records.entry(instance).or_default(),
            serde_json::from_value(change).ok(),
        );
    }
    let known = |(instance, record): (_, Option<Record>)| Some((instance, record?));
    records.into_iter().filter_map(known).collect()
}

/// Takes in a change. What is not begun with an order is nothing.
fn take(record: &mut Option<Record>, line: Option<Line>) {
    match (line, record) {
        (Some(Line::Ordered(ordered)), record) => {
            *record = Some(Record {
                ordered: *ordered,
                born: false,
                spawned: None,
                main: None,
                ready: false,
                ended: None,
            });
        }
        (Some(Line::Forgotten), record) => *record = None,
        (Some(Line::Born), Some(record)) => record.born = true,
        (Some(Line::Spawned(identity)), Some(record)) => record.spawned = Some(identity),
        (Some(Line::Main(identity)), Some(record)) => record.main = Some(identity),
        (Some(Line::Ready), Some(record)) => record.ready = true,
        (Some(Line::Ended(end)), Some(record)) => record.ended = Some(end),
        (Some(Line::Born | Line::Spawned(_) | Line::Main(_) | Line::Ready | Line::Ended(_)), None) | (None, _) => {}
    }
}

fn text_of(instance: InstanceId, line: &Line) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(&(instance.to_string(), line)).map_err(io::Error::other)?;
    text.push(b'\n');
    Ok(text)
}

const FILE: &str = "records";

#[cfg(test)]
mod tests {
    use stead_model::{AgentId, Slot};

    use super::*;

    /// A record as version 1 wrote it, in a file of its own. It must be readable for as long as version 1 may be upgraded from.
    const VERSION_1: &str = concat!(
        r#"{"ordered":{"version":1,"instance":{"agent":"agt_0000000000007","incarnation":3},"name":"web","namespace":"default","epoch":2,"logs":{"files":5},"socket":"/s/n/a","cgroup":null}}"#,
        "\n",
        r#""born""#,
        "\n",
        r#"{"spawned":{"boot":"b","pid_namespace":1,"pid":42,"start_time":7}}"#,
        "\n",
        r#"{"later_version":true}"#,
        "\n",
        r#""ready""#,
        "\n",
        r#"{"ended":{"exit":{"kind":"code","code":3},"swept":1,"at":"2026-01-01T00:00:00.000Z"}}"#,
        "\n",
    );

    fn ordered() -> Ordered {
        let record = earlier();
        record.ordered
    }

    fn earlier() -> Record {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("agt_0000000000007.3.jsonl"), VERSION_1).unwrap();
        let (mut records, files) = read_all(dir.path()).unwrap();
        assert_eq!(files.len(), 1);
        records.remove(0)
    }

    fn run(incarnation: u64) -> InstanceId {
        InstanceId {
            agent: AgentId::new(Slot::try_from(7).unwrap(), 7),
            incarnation: Incarnation(incarnation),
        }
    }

    fn order(instance: InstanceId) -> Line {
        Line::Ordered(Box::new(Ordered { instance, ..ordered() }))
    }

    #[test]
    fn a_record_of_version_1_is_read() {
        let record = earlier();
        assert_eq!(record.ordered.name.as_str(), "web");
        assert_eq!(record.ordered.pipes(), Incarnation(3));
        assert_eq!(record.spawned.unwrap().pid, 42);
        assert_eq!(record.ended.unwrap().swept, 1);
        assert!(record.born && record.ready && record.main.is_none());
    }

    #[test]
    fn what_is_known_of_each_instance_is_read_back_and_what_is_forgotten_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut records = Records::open(dir.path()).unwrap();
        for instance in [run(1), run(2), run(3)] {
            records.append(instance, &order(instance)).unwrap();
        }
        records.file.write_all(&birth(run(2)).unwrap()).unwrap();
        records.append(run(1), &Line::Forgotten).unwrap();
        let (read, _) = read_all(dir.path()).unwrap();
        let born: Vec<_> = read
            .iter()
            .map(|record| (record.ordered.instance, record.born))
            .collect();
        assert_eq!(born, [(run(2), true), (run(3), false)]);
        assert_eq!(known(dir.path()).unwrap(), [run(2), run(3)].into());
    }

    #[test]
    fn an_order_that_is_given_again_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut records = Records::open(dir.path()).unwrap();
        for line in [order(run(1)), Line::Born, order(run(1))] {
            records.append(run(1), &line).unwrap();
        }
        assert!(!read_all(dir.path()).unwrap().0[0].born);
    }

    #[test]
    fn a_line_that_a_kill_cut_short_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let mut records = Records::open(dir.path()).unwrap();
        records.append(run(1), &order(run(1))).unwrap();
        records.file.write_all(b"[\"agt_").unwrap();
        let mut records = Records::open(dir.path()).unwrap();
        records.append(run(1), &Line::Born).unwrap();
        assert!(read_all(dir.path()).unwrap().0[0].born);
    }

    #[test]
    fn a_file_that_got_long_is_written_anew_with_what_is_still_to_be_known() {
        let dir = tempfile::tempdir().unwrap();
        let mut records = Records::open(dir.path()).unwrap();
        records.append(run(1), &order(run(1))).unwrap();
        while !records.is_long() {
            records.append(run(1), &Line::Ready).unwrap();
        }
        records
            .compact(&[(run(1), order(run(1))), (run(1), Line::Born)])
            .unwrap();
        assert!(!records.is_long());
        records.append(run(1), &Line::Ready).unwrap();
        let (read, _) = read_all(dir.path()).unwrap();
        assert!(read[0].born && read[0].ready);
        assert!(fs::metadata(dir.path().join(FILE)).unwrap().len() < 2_000);
    }
}
