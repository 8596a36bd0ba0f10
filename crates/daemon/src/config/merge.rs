//! `[defaults]` beneath each agent.

use super::tree::{Node, Value};

/// Puts what an agent does not say itself from the defaults into it.
///
/// Tables are merged key by key, save what is one thing with several keys: a variable of `env` and a probe are taken whole.
pub(super) fn merge(agent: &mut Node, name: &str, defaults: &Node) {
    let runs = agent.get("command").is_some() && !agent.get("driver").is_some_and(|driver| is_none(&driver.node));
    let fits = |key: &str| runs || !OF_PROCESSES.contains(&key);
    for default in defaults.entries().iter().filter(|default| fits(&default.key)) {
        let mut given = default.node.clone();
        if default.key == "depends_on" {
            // Whoever everybody waits for does not wait for itself.
            given.take(name);
        }
        let Value::Table(entries) = &mut agent.value else {
            return;
        };
        match entries.iter_mut().find(|entry| entry.key == default.key) {
            Some(entry) => beneath(&mut entry.node, given, depth(&default.key)),
            None => {
                let mut entry = default.clone();
                entry.node = given;
                entries.push(entry);
            }
        }
    }
}

/// Adds to a table what it lacks; tables in it too, down to `depth` of them.
fn beneath(own: &mut Node, given: Node, depth: usize) {
    let (Value::Table(own), Value::Table(given)) = (&mut own.value, given.value) else {
        return;
    };
    for default in given {
        match own.iter_mut().find(|entry| entry.key == default.key) {
            Some(entry) if depth > 0 => beneath(&mut entry.node, default.node, depth - 1),
            Some(_said_otherwise) => {}
            None => own.push(default),
        }
    }
}

fn depth(key: &str) -> usize {
    match key {
        "env" | "probes" => 0,
        _table => usize::MAX,
    }
}

fn is_none(driver: &Node) -> bool {
    matches!(&driver.value, Value::Text(text) | Value::Filled(text) if text == "none")
}

/// What has no meaning for an agent that nothing runs.
const OF_PROCESSES: [&str; 8] = ["dir", "env", "user", "limits", "stop", "logs", "notify", "watchdog"];
