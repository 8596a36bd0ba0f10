//! The life of a component and of a capability as the example tells it: every step is asserted there.

use std::path::Path;
use std::process::Command;

#[test]
fn the_example_of_a_components_life_sees_every_step_that_it_tells() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/component_lifecycle/run.py");
    let told = Command::new("python3")
        .arg(script)
        .env("STEAD", env!("CARGO_BIN_EXE_stead"))
        .env_remove("STEAD_URL")
        .env_remove("STEAD_TOKEN")
        .output()
        .unwrap();
    let (said, wrong) = (
        String::from_utf8_lossy(&told.stdout),
        String::from_utf8_lossy(&told.stderr),
    );
    assert!(told.status.success(), "{said}{wrong}");
    assert!(said.contains("everything was as it must be"), "{said}");
}
