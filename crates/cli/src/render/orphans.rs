//! Processes of agents that nobody keeps.

use stead_keeper::orphans::Orphan;

use super::age::span;
use super::paint::Cell;
use super::table::table;

/// The longest command in a table.
const COMMAND: usize = 40;

/// A table of them with what they cost, and what to do.
pub(crate) fn orphans(found: &[Orphan]) -> String {
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
        "{}{} processes that nobody keeps: {} of memory, {} of processor time\n`stead orphans --end` ends them\n",
        table(&headings, &rows),
        found.len(),
        size(memory),
        span(cpu)
    )
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
    format!("ended {} processes, {} of memory{left}\n", ended.len(), size(memory))
}

/// So many bytes, as people read them.
pub(crate) fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    match bytes / KIB {
        kib if kib < 10 * KIB => format!("{kib} KiB"),
        kib => format!("{} MiB", kib / KIB),
    }
}
