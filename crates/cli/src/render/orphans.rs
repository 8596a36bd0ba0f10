//! Processes of agents that nobody keeps.

use std::collections::BTreeSet;
use std::path::Path;

use stead_keeper::orphans::{Lost, Orphan};

use super::age::span;
use super::paint::Cell;
use super::table::table;

/// The longest command in a table.
const COMMAND: usize = 40;

/// A table of them with what they cost, and what to do.
pub(crate) fn orphans(found: &[Orphan]) -> String {
    format!("{}{}\n", costs(found), advice(found).join("\n"))
}

/// A table of them with what they cost.
pub(crate) fn costs(found: &[Orphan]) -> String {
    let headings = [
        "PID",
        "AGENT",
        "AGE",
        "MEMORY",
        "CPU",
        "STATE DIRECTORY",
        "COMMAND",
        "WHY",
    ];
    let rows: Vec<_> = found.iter().map(row).collect();
    let memory: u64 = found.iter().map(|orphan| orphan.memory.0).sum();
    let cpu = found.iter().map(|orphan| orphan.cpu.0).sum();
    format!(
        "{}{} that nobody keeps: {} of memory, {} of processor time\n",
        table(&headings, &rows),
        processes(found.len()),
        size(memory),
        span(cpu)
    )
}

/// How each of them is ended, or kept again: those of a directory that is there only where it is named.
pub(crate) fn advice(found: &[Orphan]) -> Vec<String> {
    let endable = || found.iter().filter(|orphan| orphan.endable);
    let unnamed = |orphan: &&Orphan| orphan.why == Lost::NoKeeper;
    let dirs: BTreeSet<&Path> = endable()
        .filter(unnamed)
        .filter_map(|orphan| orphan.state_dir.as_deref())
        .collect();
    let lost = endable().filter(|orphan| !unnamed(orphan)).count();
    let mut told = match (lost, dirs.is_empty()) {
        (0, true) => vec!["none of them is this user's to end".to_owned()],
        (0, false) => Vec::new(),
        (_, true) => vec!["`stead orphans --end` ends them".to_owned()],
        (some, false) => vec![format!("`stead orphans --end` ends {}", processes(some))],
    };
    told.extend(dirs.into_iter().map(|dir| {
        let dir = dir.display();
        format!("a daemon that is started on {dir} adopts those of it; `stead orphans --end --of {dir}` ends them")
    }));
    told
}

fn processes(count: usize) -> String {
    match count {
        1 => "1 process".to_owned(),
        many => format!("{many} processes"),
    }
}

fn row(orphan: &Orphan) -> Vec<Cell> {
    let mut command = orphan.command.clone();
    if command.chars().count() > COMMAND {
        command = command.chars().take(COMMAND - 1).collect::<String>() + "…";
    }
    let dir = orphan.state_dir.as_ref();
    let left = if orphan.endable { "" } else { "; not ours to end" };
    vec![
        Cell::plain(orphan.pid.to_string()),
        Cell::plain(orphan.agent.as_str()),
        Cell::plain(span(orphan.age.0)),
        Cell::plain(size(orphan.memory.0)),
        Cell::plain(span(orphan.cpu.0)),
        Cell::plain(dir.map_or_else(|| "?".to_owned(), |dir| dir.display().to_string())),
        Cell::plain(command),
        Cell::dim(format!("{}{left}", orphan.why)),
    ]
}

/// What became of them.
pub(crate) fn ended(ended: &[Orphan], left: usize) -> String {
    let memory: u64 = ended.iter().map(|orphan| orphan.memory.0).sum();
    let left = match left {
        0 => String::new(),
        left => format!("; {left} left alone: another user's, or of a directory that must be named by --of"),
    };
    format!("ended {}, {} of memory{left}\n", processes(ended.len()), size(memory))
}

/// So many bytes, as people read them.
pub(crate) fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    match bytes / KIB {
        kib if kib < 10 * KIB => format!("{kib} KiB"),
        kib => format!("{} MiB", kib / KIB),
    }
}

#[cfg(test)]
mod tests {
    use stead_model::{Bytes, Span};

    use super::*;

    fn orphan(dir: &str, why: Lost, endable: bool) -> Orphan {
        Orphan {
            pid: 42,
            start_time: 1,
            command: "sleep 1000".into(),
            agent: "web".into(),
            instance: "agt_0000000000001.1".into(),
            state_dir: Some(dir.into()),
            age: Span::secs(1),
            memory: Bytes(1),
            cpu: Span::secs(0),
            why,
            endable,
        }
    }

    #[test]
    fn what_is_advised_ends_those_that_there_are() {
        let (kept, lost) = (
            orphan("/s", Lost::NoKeeper, true),
            orphan("/gone", Lost::DirectoryGone, true),
        );
        let other = orphan("/t", Lost::NoKeeper, false);
        assert_eq!(advice(std::slice::from_ref(&lost)), ["`stead orphans --end` ends them"]);
        let named = "a daemon that is started on /s adopts those of it; `stead orphans --end --of /s` ends them";
        assert_eq!(advice(&[kept.clone(), kept.clone()]), [named]);
        assert_eq!(advice(&[kept, lost]), ["`stead orphans --end` ends 1 process", named]);
        assert_eq!(advice(&[other]), ["none of them is this user's to end"]);
    }
}
