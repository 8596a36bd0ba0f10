//! A spec that is given back: what `stead get NAME --spec` printed, changed or not.

use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use crate::failure::{Exit, Failure};

/// Reads one; `-` is standard input.
pub(super) fn read(file: &Path) -> Result<Value, Failure> {
    let value = value(file)?;
    check(&value).map_err(|why| refused(file, &why))?;
    Ok(value)
}

/// Reads JSON, whatever it says; `-` is standard input.
pub(super) fn value(file: &Path) -> Result<Value, Failure> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_bytes| text)
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|error| Failure::new(format!("{} cannot be read: {error}", file.display())))?;
    serde_json::from_str(&text).map_err(|error| refused(file, &format!("no JSON: {error}")))
}

fn refused(file: &Path, why: &str) -> Failure {
    let message = format!("{}: {why}", file.display());
    Failure::with(Exit::Refused, message).help("`stead get NAME --spec` prints what is taken here, as JSON")
}

fn check(value: &Value) -> Result<(), String> {
    let has = |field: &str| value.get(field).is_some();
    if has("phase") {
        Err("this is how an agent or group stands, not what it is told to be".to_owned())
    } else if has("spec") || has("template") {
        Ok(())
    } else {
        Err("an agent has a `spec`, a group has a `template`; this has neither".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_spec_is_told_from_a_state_and_from_anything_else() {
        assert!(check(&json!({ "revision": 1, "spec": { "command": ["web"] } })).is_ok());
        assert!(check(&json!({ "replicas": 2, "template": {} })).is_ok());
        let state = check(&json!({ "name": "web", "phase": "online", "spec": {} })).unwrap_err();
        assert!(state.contains("not what it is told to be"), "{state}");
        let other = check(&json!([])).unwrap_err();
        assert!(other.contains("neither"), "{other}");
    }
}
