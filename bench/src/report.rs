//! What is printed: the machine, the peers and their delays, a table for each case; and all of it as JSON.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::{Value, json};

use crate::peers::Peer;

/// A table; the same cells make the JSON.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    /// What else must be known to read it.
    note: String,
    columns: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, note: impl Into<String>, columns: &'static [&'static str]) -> Self {
        Self {
            title: title.into(),
            note: note.into(),
            columns,
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// A row that says why there are no figures.
    pub(crate) fn absent(&mut self, name: &str, why: &anyhow::Error) {
        let mut cells = vec![name.to_owned(), format!("{why:#}").replace('|', "/")];
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let columns: Vec<_> = self.columns.iter().map(|&column| column.to_owned()).collect();
        let rule: Vec<_> = self.columns.iter().map(|_| "---".to_owned()).collect();
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!(
            "\n## {}\n\n{}\n\n{}{}{rows}",
            self.title,
            self.note,
            line(&columns),
            line(&rule)
        )
    }

    fn json(&self) -> Value {
        let object = |row: &Vec<String>| -> Value { self.columns.iter().copied().zip(row.iter()).map(pair).collect() };
        json!({ "title": self.title, "note": self.note, "rows": self.rows.iter().map(object).collect::<Vec<_>>() })
    }
}

/// A cell as a number where it is one.
fn pair((column, cell): (&'static str, &String)) -> (String, Value) {
    let value = cell.parse::<f64>().map_or_else(|_| json!(cell), |number| json!(number));
    (column.to_owned(), value)
}

/// Everything that a run found out.
#[derive(Debug)]
pub(crate) struct Report {
    machine: Value,
    tables: Vec<Table>,
}

impl Report {
    pub(crate) fn new(peers: &[Box<dyn Peer>], short: bool) -> Self {
        let mut systems = Table::new("Systems", "", &["system", "version", "delay before a restart"]);
        for peer in peers {
            match peer.version() {
                Ok(version) => systems.row([peer.name().to_owned(), version, peer.delay().to_owned()]),
                Err(why) => systems.absent(peer.name(), &why),
            }
        }
        Self {
            machine: machine(short),
            tables: vec![systems],
        }
    }

    pub(crate) fn add(&mut self, tables: Vec<Table>) {
        self.tables.extend(tables);
    }

    #[expect(clippy::print_stdout, reason = "the result")]
    pub(crate) fn print(&self) {
        println!("Machine: `{}`", self.machine);
        for table in &self.tables {
            print!("{}", table.markdown());
        }
    }

    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        let tables: Vec<_> = self.tables.iter().map(Table::json).collect();
        fs::write(
            path,
            serde_json::to_string_pretty(&json!({ "machine": self.machine, "tables": tables }))?,
        )?;
        Ok(())
    }
}

/// Says on stderr what is going on.
#[expect(clippy::print_stderr, reason = "a run takes minutes")]
pub(crate) fn progress(what: &str) {
    eprintln!("{what}");
}

/// What the figures were taken on.
fn machine(short: bool) -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value_of = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key));
        line.and_then(|line| line.split(':').nth(1))
            .unwrap_or("?")
            .trim()
            .to_owned()
    };
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "processor": value_of(&read("/proc/cpuinfo"), "model name"),
        "memory": value_of(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load_before": read("/proc/loadavg").split(' ').next(),
        "unix_time": SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        "short": short,
    })
}
