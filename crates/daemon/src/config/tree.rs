//! A fleet file as a tree whose every key and value knows where it stands.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Finding, Findings};
use super::source::Bounds;

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Bounds,
    pub(super) value: Value,
    /// Something below was wrong and was taken away, so that the whole is not what was meant.
    pub(super) damaged: bool,
}

/// What TOML knows, and one thing more: what was wrong and has been told already.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    /// A text made from the environment: where a number is wanted, it may be one.
    Filled(String),
    Whole(i128),
    Real(f64),
    Truth(bool),
    Date,
    List(Vec<Node>),
    Table(Vec<Entry>),
    Told,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: Bounds,
    pub(super) node: Node,
}

/// Tables within tables deeper than this are refused: nothing in a fleet is so deep.
const DEEPEST: usize = 32;

impl Node {
    fn new(at: Bounds, value: Value) -> Self {
        Self {
            at,
            value,
            damaged: false,
        }
    }

    /// Reads the tree from what the parser made.
    pub(super) fn read(document: &Spanned<DeTable<'_>>, findings: &mut Findings) -> Self {
        Self::new(document.span(), table(document.get_ref(), 0, findings))
    }

    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _other => &[],
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// Takes an entry out of a table.
    pub(super) fn take(&mut self, key: &str) -> Option<Entry> {
        match &mut self.value {
            Value::Table(entries) => {
                let index = entries.iter().position(|entry| entry.key == key)?;
                Some(entries.remove(index))
            }
            _other => None,
        }
    }

    /// Takes away what a path of positions leads to; everything on the way counts as damaged.
    pub(super) fn remove(&mut self, path: &[usize]) {
        self.damaged = true;
        let Some((&index, below)) = path.split_first() else {
            return;
        };
        let exists = index < self.len();
        match &mut self.value {
            Value::Table(entries) if exists && below.is_empty() => drop(entries.remove(index)),
            Value::List(items) if exists && below.is_empty() => drop(items.remove(index)),
            _deeper => {
                if let Some(child) = self.child_mut(index) {
                    child.remove(below);
                }
            }
        }
    }

    /// What a path of positions leads to.
    pub(super) fn follow(&self, path: &[usize]) -> Option<&Self> {
        match path.split_first() {
            None => Some(self),
            Some((&index, below)) => match &self.value {
                Value::Table(entries) => entries.get(index)?.node.follow(below),
                Value::List(items) => items.get(index)?.follow(below),
                _leaf => None,
            },
        }
    }

    /// Finds the path of a key such as `restart.intensity.max`, and where it stands.
    pub(super) fn locate(&self, dotted: &str) -> Option<(Vec<usize>, Bounds)> {
        let mut node = self;
        let (mut path, mut at) = (Vec::new(), None);
        let mut rest = dotted;
        while !rest.is_empty() {
            // Names of variables may have dots in them; the whole rest is tried first.
            let find = |key: &str| node.entries().iter().position(|entry| entry.key == key);
            let (index, after) = match (find(rest), rest.split_once('.')) {
                (Some(index), _) => (index, ""),
                (None, Some((key, after))) => (find(key)?, after),
                (None, None) => return None,
            };
            let entry = node.entries().get(index)?;
            path.push(index);
            at = Some(entry.key_at.clone());
            (node, rest) = (&entry.node, after);
        }
        at.map(|at| (path, at))
    }

    /// The places of all texts in the tables that are values of environment variables or headers, save names of files: they may be
    /// secrets, even where their key is misspelt.
    pub(super) fn hidden(&self, found: &mut Vec<Bounds>) {
        if let Value::List(items) = &self.value {
            items.iter().for_each(|item| item.hidden(found));
        }
        for entry in self.entries() {
            if entry.key == "env" || entry.key == "headers" {
                for variable in entry.node.entries() {
                    let values = variable.node.entries().iter().filter(|value| value.key != "file");
                    found.extend(values.map(|value| value.node.at.clone()));
                }
            }
            entry.node.hidden(found);
        }
    }

    /// How many values there are, this one and all below it.
    pub(super) fn count(&self) -> usize {
        let below: usize = match &self.value {
            Value::Table(entries) => entries.iter().map(|entry| entry.node.count()).sum(),
            Value::List(items) => items.iter().map(Self::count).sum(),
            _leaf => 0,
        };
        below + 1
    }

    fn len(&self) -> usize {
        match &self.value {
            Value::Table(entries) => entries.len(),
            Value::List(items) => items.len(),
            _leaf => 0,
        }
    }

    fn child_mut(&mut self, index: usize) -> Option<&mut Self> {
        match &mut self.value {
            Value::Table(entries) => entries.get_mut(index).map(|entry| &mut entry.node),
            Value::List(items) => items.get_mut(index),
            _leaf => None,
        }
    }
}

fn node(value: &Spanned<DeValue<'_>>, depth: usize, findings: &mut Findings) -> Node {
    let at = value.span();
    if depth > DEEPEST {
        let finding = Finding::new(
            at.clone(),
            format!("tables or lists lie more than {DEEPEST} deep in one another"),
        );
        findings.add(finding.help("no setting of a fleet is so deep"));
        return Node::new(at, Value::Told);
    }
    let read = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Whole(number),
            Err(_too_long) => {
                findings.add(Finding::new(at.clone(), "this number is too large"));
                Value::Told
            }
        },
        DeValue::Float(number) => Value::Real(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(truth) => Value::Truth(*truth),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(item, depth + 1, findings)).collect()),
        DeValue::Table(entries) => table(entries, depth, findings),
    };
    Node::new(at, read)
}

fn table(read: &DeTable<'_>, depth: usize, findings: &mut Findings) -> Value {
    let mut entries: Vec<Entry> = read
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_at: key.span(),
            node: node(value, depth + 1, findings),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_at.start);
    Value::Table(entries)
}
