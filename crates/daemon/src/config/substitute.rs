//! `${VAR}` and `${VAR:-default}` in texts; `$$` is one `$`.

use super::Environment;
use super::diagnostic::{Finding, Findings};
use super::source::Source;
use super::tree::{Node, Value};

/// Fills every text of a tree from the environment; keys are left as they are.
pub(super) fn fill(node: &mut Node, source: &Source<'_>, env: Environment<'_>, findings: &mut Findings) {
    match &mut node.value {
        Value::Text(text) if text.contains('$') => {
            node.value = match filled(text, env) {
                Ok(Some(text)) => Value::Filled(text),
                Ok(None) => Value::Text(text.replace("$$", "$")),
                Err(problem) => {
                    findings.add(problem.finding(node, source));
                    Value::Told
                }
            };
        }
        Value::List(items) => items.iter_mut().for_each(|item| fill(item, source, env, findings)),
        Value::Table(entries) => entries
            .iter_mut()
            .for_each(|entry| fill(&mut entry.node, source, env, findings)),
        Value::Text(_)
        | Value::Filled(_)
        | Value::Whole(_)
        | Value::Real(_)
        | Value::Truth(_)
        | Value::Date
        | Value::Told => {}
    }
}

/// What could not be filled: the reference as it is written, and why.
struct Problem {
    reference: String,
    message: String,
    help: &'static str,
}

impl Problem {
    /// Marks the reference itself, where it is written without escapes.
    fn finding(self, node: &Node, source: &Source<'_>) -> Finding {
        let written = source.text.get(node.at.clone()).unwrap_or_default();
        let at = match written.find(&self.reference) {
            Some(offset) => {
                let start = node.at.start + offset;
                start..start + self.reference.len()
            }
            None => node.at.clone(),
        };
        Finding::new(at, self.message).help(self.help)
    }
}

/// The text with its references filled in; `None` if it has no references.
fn filled(text: &str, env: Environment<'_>) -> Result<Option<String>, Problem> {
    let mut done = String::with_capacity(text.len());
    let (mut rest, mut references) = (text, 0);
    while let Some(at) = rest.find('$') {
        done.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        rest = if let Some(inner) = after.strip_prefix('{') {
            let Some(end) = inner.find('}') else {
                return Err(Problem {
                    reference: rest[at..].to_owned(),
                    message: "`${` is never closed".to_owned(),
                    help: "write ${NAME} or ${NAME:-default}, and $${ for a literal ${",
                });
            };
            done.push_str(&value(&inner[..end], env)?);
            references += 1;
            &inner[end + 1..]
        } else {
            done.push('$');
            after.strip_prefix('$').unwrap_or(after)
        };
    }
    done.push_str(rest);
    Ok((references > 0).then_some(done))
}

/// The value of what stands between the braces.
fn value(inner: &str, env: Environment<'_>) -> Result<String, Problem> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let problem = |message: String, help| Problem {
        reference: format!("${{{inner}}}"),
        message,
        help,
    };
    if !is_variable(name) {
        return Err(problem(
            format!("`${{{inner}}}` is no reference to a variable"),
            "write ${NAME} or ${NAME:-default}, and $${ for a literal ${",
        ));
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(problem(
            format!("the environment variable `{name}` is not set"),
            "set it before the start, or give a default: ${NAME:-default}",
        )),
    }
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOME" => Some("/home/ada".to_owned()),
            "EMPTY" => Some(String::new()),
            _other => None,
        }
    }

    fn text(text: &str) -> Result<Option<String>, String> {
        filled(text, &env).map_err(|problem| problem.message)
    }

    #[test]
    fn references_are_filled_and_defaults_stand_in_for_what_is_unset_or_empty() {
        for (written, read) in [
            ("${HOME}/x", "/home/ada/x"),
            ("${NONE:-7}", "7"),
            ("${EMPTY:-7}", "7"),
            ("<${EMPTY}>", "<>"),
            ("${HOME:-x} $${HOME} $$1", "/home/ada ${HOME} $1"),
        ] {
            assert_eq!(text(written), Ok(Some(read.to_owned())), "{written}");
        }
    }

    #[test]
    fn dollars_that_refer_to_nothing_stay() {
        assert_eq!(text("echo $HOME; exit $?"), Ok(None));
    }

    #[test]
    fn what_is_unset_unclosed_or_no_name_is_refused() {
        for (written, said) in [
            ("${NONE}", "`NONE` is not set"),
            ("${HOME", "never closed"),
            ("${}", "is no reference"),
            ("${A B}", "is no reference"),
            ("${1}", "is no reference"),
            ("${HOME:?x}", "is no reference"),
        ] {
            let error = text(written).unwrap_err();
            assert!(error.contains(said), "{written}: {error}");
        }
    }
}
