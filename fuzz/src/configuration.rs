//! The text of a fleet file.

use std::path::Path;

use serde_json::{Map, Value, json};
use stead_daemon::config::{Diagnostic, Fleet, FleetAgent, Shape, masked};
use stead_model::AgentSpec;
use stead_model::spec::{Driver, EnvValue, SpecForm};

/// A fleet file is refused with places that are in it, or read: to the same again, and to what can be printed and read again. Shown,
/// it tells no secret.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Every second variable is there.
    let env = |name: &str| name.len().is_multiple_of(2).then(|| name.to_lowercase());
    let file = Path::new("/srv/fleet.toml");
    let shown = masked(text);
    match Fleet::parse(text, file, &env) {
        Err(problems) => refused(text, &problems),
        Ok(fleet) => {
            let again = Fleet::parse(text, file, &env).expect("what was right is right");
            assert_eq!(fleet, again, "the same text is the same fleet");
            tells_no_secret(&fleet, text, &shown);
            fleet.agents.iter().for_each(|agent| specs_survive(&agent.spec));
            if fleet.shape == Shape::default() {
                printed_it_is_the_same(&fleet, file);
            }
        }
    }
}

fn refused(text: &str, problems: &[Diagnostic]) {
    assert!(!problems.is_empty(), "a refusal says why");
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in problems {
        let line = usize::try_from(problem.line).expect("lines are few");
        let there = line.checked_sub(1).and_then(|index| lines.get(index));
        let there = there.unwrap_or_else(|| panic!("line {line} of {} of {problem}", lines.len()));
        let column = usize::try_from(problem.column).expect("columns are few");
        let columns = 1..=there.chars().count() + 1;
        assert!(columns.contains(&column), "column {column} of {columns:?} of {problem}");
        assert!(!problem.message.is_empty(), "a problem says what is wrong");
    }
    let shown = Diagnostic::render_all(problems);
    assert!(shown.contains("nothing was changed"), "{shown}");
}

/// Long and odd enough values of secrets that are written in the file do not stand in what is shown of it.
fn tells_no_secret(fleet: &Fleet, text: &str, shown: &str) {
    let processes = fleet.agents.iter().filter_map(|agent| match &agent.spec.driver {
        Driver::Process(process) => Some(process),
        Driver::None => None,
    });
    for value in processes.flat_map(|process| process.env.values()) {
        let EnvValue::Secret { secret } = value else { continue };
        if secret.len() >= 8 && text.matches(secret.as_str()).count() == 1 && !text.contains("${") {
            assert!(!shown.contains(secret.as_str()), "a secret is shown in {shown}");
        }
    }
}

/// As the API takes and gives it, a spec is the same again.
fn specs_survive(spec: &AgentSpec) {
    let form = serde_json::to_string(&SpecForm::from(spec.clone())).expect("a spec has JSON");
    let form: SpecForm = serde_json::from_str(&form).expect("a spec's JSON can be read");
    let again = AgentSpec::try_from(form).expect("what was right is right");
    assert_eq!(&again, spec);
}

/// Printed as a file with all defaults written out, a fleet is the same again.
fn printed_it_is_the_same(fleet: &Fleet, file: &Path) {
    let mut tables = [("agents", Map::new()), ("components", Map::new())];
    for agent in &fleet.agents {
        let place = usize::from(agent.spec.profile == "component");
        tables[place].1.insert(agent.name.to_string(), printed(agent));
    }
    let mut document = Map::from_iter([("namespace".to_owned(), json!(fleet.namespace))]);
    document.extend(tables.map(|(name, agents)| (name.to_owned(), Value::Object(agents))));
    let text = toml::to_string(&Value::Object(document)).expect("a fleet can be printed");
    let again = Fleet::parse(&text, file, &|_| None)
        .unwrap_or_else(|problems| panic!("{}\n{text}", Diagnostic::render_all(&problems)));
    let sorted = |fleet: &Fleet| {
        let mut agents: Vec<_> = fleet
            .agents
            .iter()
            .map(|one| (one.name.clone(), one.spec.clone()))
            .collect();
        agents.sort_by(|a, b| a.0.cmp(&b.0));
        agents
    };
    assert_eq!(sorted(&again), sorted(fleet), "{text}");
}

fn printed(agent: &FleetAgent) -> Value {
    let form = SpecForm::from(agent.spec.clone());
    let mut form = serde_json::to_value(form).expect("a spec has JSON");
    tidy(&mut form);
    form
}

/// Leaves out what is nothing, and escapes what would be a reference.
fn tidy(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('$', "$$"),
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(entries) => {
            entries.retain(|_, entry| !entry.is_null());
            entries.values_mut().for_each(tidy);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
