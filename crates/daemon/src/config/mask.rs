//! The text of a fleet file as it may be shown.

use super::diagnostic::Findings;
use super::source::{Source, secrets_in};
use super::syntax;

/// The text with the values of secrets replaced by `"***"`. One that is nothing but a reference to the environment stays.
#[must_use]
pub fn masked(text: &str) -> String {
    let source = Source::new(text);
    let mut hidden = secrets_in(text);
    if let Some(root) = syntax::read(&source, &mut Findings::default()) {
        root.hidden(&mut hidden);
    }
    hidden.sort_by_key(|bounds| (bounds.start, bounds.end));
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for bounds in hidden {
        // What lies within a piece that is replaced already.
        let start = bounds.start.max(from);
        if bounds.end <= from {
            continue;
        }
        let value = text.get(start..bounds.end).unwrap_or_default();
        shown.push_str(text.get(from..start).unwrap_or_default());
        shown.push_str(if is_reference(value) { value } else { "\"***\"" });
        from = bounds.end;
    }
    shown.push_str(text.get(from..).unwrap_or_default());
    shown
}

fn is_reference(value: &str) -> bool {
    let inner = value.trim().trim_matches(['"', '\'']);
    let name = inner.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_are_replaced_and_references_and_all_else_stay() {
        let text = "[agents.a]\ncommand = ['x']\nenv = { K = { secret = 'hunter2' }, L = { secret = \"${KEY}\" }, M = 'plain' }\n\
                    [defaults.env.N]\nsecret = \"${KEY:-hunter2}\" # why\n[agents.b.env.O]\nsecet = 'hunter2'\n";
        assert_eq!(
            masked(text),
            "[agents.a]\ncommand = ['x']\nenv = { K = { secret = \"***\" }, L = { secret = \"${KEY}\" }, M = 'plain' }\n\
             [defaults.env.N]\nsecret = \"***\" # why\n[agents.b.env.O]\nsecet = \"***\"\n"
        );
        assert!(!masked("env.K.secret = 'hunter2\nno toml").contains("hunter2"));
    }
}
