//! What differs between two settings, key by key.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;
use stead_model::AgentSpec;
use stead_model::group::GroupSpec;

use crate::api::FieldChange;

/// Says which keys of a spec change. Values of secrets are not in it, but that they change is.
pub(super) fn of_specs(before: &AgentSpec, after: &AgentSpec) -> Vec<FieldChange> {
    of_shown((before, after), (&before.redacted(), &after.redacted()))
}

/// Says which keys of settings change, with their values as they are `shown`: what is not shown of one is still told to change.
pub(super) fn of_shown<T: Serialize>((before, after): (&T, &T), shown: (&T, &T)) -> Vec<FieldChange> {
    let (was, is) = (flat(before), flat(after));
    let (was_shown, is_shown) = (flat(shown.0), flat(shown.1));
    changes(&was, &is, |key| {
        (was_shown.get(key).cloned(), is_shown.get(key).cloned())
    })
}

/// Says which keys of a group change; those of its template have no prefix, as in the file.
pub(super) fn of_groups(before: &GroupSpec, after: &GroupSpec) -> Vec<FieldChange> {
    let rules = |spec: &GroupSpec| serde_json::json!({ "replicas": spec.replicas, "update": spec.update });
    let mut changed = of(&rules(before), &rules(after));
    changed.extend(of_specs(&before.template, &after.template));
    changed
}

/// Says which keys of any settings change.
pub(super) fn of<T: Serialize>(before: &T, after: &T) -> Vec<FieldChange> {
    let (was, is) = (flat(before), flat(after));
    changes(&was, &is, |key| (was.get(key).cloned(), is.get(key).cloned()))
}

/// Keys with dots, and the text of their values.
type Flat = BTreeMap<String, String>;

fn changes(was: &Flat, is: &Flat, shown: impl Fn(&str) -> (Option<String>, Option<String>)) -> Vec<FieldChange> {
    let keys = was.keys().chain(is.keys().filter(|key| !was.contains_key(*key)));
    let mut changed: Vec<FieldChange> = keys
        .filter(|key| was.get(*key) != is.get(*key))
        .take(MOST_FIELDS)
        .map(|key| {
            let (before, after) = shown(key);
            FieldChange {
                field: key.clone(),
                before,
                after,
            }
        })
        .collect();
    changed.sort_by(|a, b| a.field.cmp(&b.field));
    changed
}

fn flat<T: Serialize>(value: &T) -> Flat {
    let mut found = Flat::new();
    // What is always writable as JSON: specs and settings.
    gather(&serde_json::to_value(value).unwrap_or_default(), "", &mut found);
    found
}

fn gather(value: &Json, key: &str, found: &mut Flat) {
    match value {
        Json::Object(members) => {
            for (name, member) in members {
                let key = if key.is_empty() {
                    name.clone()
                } else {
                    format!("{key}.{name}")
                };
                gather(member, &key, found);
            }
        }
        Json::Null => {}
        Json::Array(_) | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            let mut text = value.to_string();
            if text.chars().count() > LONGEST_VALUE {
                text = text.chars().take(LONGEST_VALUE).chain(['…']).collect();
            }
            found.insert(key.to_owned(), text);
        }
    }
}

/// So many keys of one agent are told at most.
const MOST_FIELDS: usize = 64;

/// So many characters of a value are told at most.
const LONGEST_VALUE: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: &str) -> AgentSpec {
        serde_json::from_str(json).unwrap()
    }

    fn told(before: &str, after: &str) -> Vec<(String, Option<String>, Option<String>)> {
        let changes = of_specs(&spec(before), &spec(after));
        changes
            .into_iter()
            .map(|change| (change.field, change.before, change.after))
            .collect()
    }

    #[test]
    fn a_change_names_the_key_and_both_values() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            told(
                r#"{"command":["a"],"stop":{"grace":"3s"}}"#,
                r#"{"command":["a","b"],"stop":{"grace":"3s"},"labels":{"x":"y"}}"#
            ),
            [
                ("command".to_owned(), text(r#"["a"]"#), text(r#"["a","b"]"#)),
                ("labels.x".to_owned(), None, text(r#""y""#)),
            ]
        );
    }

    #[test]
    fn a_secret_that_changes_is_named_and_not_shown() {
        let told = told(
            r#"{"command":["a"],"env":{"K":{"secret":"hunter2"}}}"#,
            r#"{"command":["a"],"env":{"K":{"secret":"hunter3"}}}"#,
        );
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].0, "env.K.secret");
        assert!(!format!("{told:?}").contains("hunter"), "{told:?}");
    }
}
