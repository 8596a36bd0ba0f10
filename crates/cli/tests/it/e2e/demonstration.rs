//! What the examples demonstrate, as they tell it: every step is asserted there.

use std::path::Path;
use std::process::Command;

/// Runs an example to its end; gives what it said.
fn demonstrates(script: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(script);
    let told = Command::new("python3")
        .arg(script)
        .env("STEAD", env!("CARGO_BIN_EXE_stead"))
        // Machines that run tests are busy: how soon something must be seen is what users are told, not what is tested here.
        .env("SLACK", "10")
        .env_remove("STEAD_URL")
        .env_remove("STEAD_TOKEN")
        .output()
        .unwrap();
    let (said, wrong) = (
        String::from_utf8_lossy(&told.stdout),
        String::from_utf8_lossy(&told.stderr),
    );
    assert!(told.status.success(), "{said}{wrong}");
    said.into_owned()
}

#[test]
fn the_example_of_a_components_life_sees_every_step_that_it_tells() {
    let said = demonstrates("component_lifecycle/run.py");
    assert!(said.contains("everything was as it must be"), "{said}");
}

#[test]
fn the_example_of_an_incident_detects_explains_and_recovers_or_holds_each_misfortune() {
    let said = demonstrates("incident/run.py");
    for misfortune in ["crash loop", "hang", "leak", "outage", "credential", "loop"] {
        assert!(said.contains(&format!("\n{misfortune}: ")), "{said}");
    }
    assert_eq!(said.matches("  explained ").count(), 6, "{said}");
    assert!(
        said.contains("was detected, explained, and recovered or held"),
        "{said}"
    );
}
