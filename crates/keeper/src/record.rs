//! What is written down of each instance: one line of JSON per change, so that the next keeper finds it.
//!
//! Nothing is synced: the lines must survive the keeper, not the machine, whose end is that of all its processes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stead_model::spec::LogSpec;
use stead_model::{AgentName, Epoch, InstanceId, Namespace, ProcessIdentity};

use crate::wire::End;

/// One line.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// It is about to be started. Always the first.
    Ordered(Box<Ordered>),
    /// Its process is about to run its program; written by that process itself. See [`BORN`].
    Born,
    /// It has a process.
    Spawned(ProcessIdentity),
    /// Another process of its tree is its main one.
    Main(ProcessIdentity),
    /// It said that it is ready.
    Ready,
    /// Its main process ended.
    Ended(End),
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

/// The version of the lines written here.
pub(crate) const VERSION: u32 = 1;

/// The line that a process adds to its record in the moment before it runs its program.
///
/// A keeper that is killed while it starts a process leaves a record that says by this whether the program ever ran.
pub(crate) const BORN: &[u8] = b"\"born\"\n";

/// Makes an empty record, replacing one of a try that failed.
pub(crate) fn create_empty(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    options.custom_flags(libc::O_APPEND).open(path)
}

/// Writes the first line of an empty record.
pub(crate) fn begin(mut file: File, ordered: &Ordered) -> io::Result<File> {
    write(&mut file, &Line::Ordered(Box::new(ordered.clone())))?;
    Ok(file)
}

/// Adds a line.
pub(crate) fn append(path: &Path, line: &Line) -> io::Result<()> {
    write(&mut OpenOptions::new().append(true).open(path)?, line)
}

/// Reads all records of a directory. Files that hold none are returned by name, for the log.
pub(crate) fn read_all(dir: &Path) -> io::Result<(Vec<Record>, Vec<PathBuf>)> {
    let mut records = Vec::new();
    let mut unread = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        match fs::read(&path).ok().and_then(|bytes| parse(&bytes)) {
            Some(record) => records.push(record),
            None => unread.push(path),
        }
    }
    records.sort_by_key(|record| record.ordered.instance);
    Ok((records, unread))
}

fn write(file: &mut File, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line).map_err(io::Error::other)?;
    text.push(b'\n');
    file.write_all(&text)
}

/// Lines of later versions are passed over; so is a last one that a kill cut short.
fn parse(bytes: &[u8]) -> Option<Record> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let Ok(Line::Ordered(ordered)) = serde_json::from_slice(lines.next()?) else {
        return None;
    };
    let mut record = Record {
        ordered: *ordered,
        born: false,
        spawned: None,
        main: None,
        ready: false,
        ended: None,
    };
    for line in lines.filter_map(|line| serde_json::from_slice(line).ok()) {
        match line {
            Line::Ordered(_) => return None,
            Line::Born => record.born = true,
            Line::Spawned(identity) => record.spawned = Some(identity),
            Line::Main(identity) => record.main = Some(identity),
            Line::Ready => record.ready = true,
            Line::Ended(end) => record.ended = Some(end),
        }
    }
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as version 1 wrote it. It must be readable for as long as version 1 may be upgraded from.
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

    #[test]
    fn a_record_of_version_1_is_read() {
        let record = parse(VERSION_1.as_bytes()).unwrap();
        assert_eq!(record.ordered.name.as_str(), "web");
        assert_eq!(record.spawned.unwrap().pid, 42);
        assert_eq!(record.ended.unwrap().swept, 1);
        assert!(record.born && record.ready && record.main.is_none());
    }

    #[test]
    fn what_a_process_adds_itself_is_a_line_of_the_record() {
        assert_eq!(serde_json::from_slice::<Line>(BORN).unwrap(), Line::Born);
        assert!(BORN.ends_with(b"\n"));
    }

    #[test]
    fn a_line_that_a_kill_cut_short_is_passed_over() {
        let cut = VERSION_1.len() - 20;
        let record = parse(&VERSION_1.as_bytes()[..cut]).unwrap();
        assert!(record.ready && record.ended.is_none());
        assert!(parse(&VERSION_1.as_bytes()[..20]).is_none());
    }
}
