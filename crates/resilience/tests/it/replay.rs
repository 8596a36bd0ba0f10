//! The example that compares settings on a trace.

use std::fs;

#[expect(dead_code, reason = "a test has a main of its own")]
#[path = "../../examples/replay.rs"]
mod example;

fn told(arguments: &[&str]) -> Result<String, String> {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let mut out = Vec::new();
    example::run(&arguments, &mut out).map_err(|why| why.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn its_own_trace_tells_an_eager_breaker_from_a_patient_one() {
    let told = told(&[]).unwrap();
    let (before, eager) = told.split_once("eager\n").unwrap();
    assert!(before.contains("tripped 2.200s late, 5 failed first"), "{told}");
    assert!(
        !before.contains("falsely") && eager.matches("falsely").count() == 10,
        "{told}"
    );
}

#[test]
fn files_are_read_and_what_is_wrong_with_them_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (trace, candidates) = (path("trace.jsonl"), path("candidates.json"));
    fs::write(&trace, "{\"trace\":1}\n{\"at\":1,\"outcome\":\"failure\"}\n").unwrap();
    fs::write(&candidates, r#"{ "one": { "failure_threshold": 1 } }"#).unwrap();
    assert!(told(&[&trace, &candidates]).unwrap().starts_with("one\n  1 calls: "));
    fs::write(&candidates, r#"{ "none": { "failure_threshold": 0 } }"#).unwrap();
    let refusal = told(&[&trace, &candidates]).unwrap_err();
    assert!(
        refusal.contains("failure_threshold must be a number from 1"),
        "{refusal}"
    );
    assert!(told(&["one"]).unwrap_err().contains("two files"));
}
