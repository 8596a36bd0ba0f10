//! Files that are generated and committed. The test that compares each with its source writes it anew where a variable is set.

use anyhow::{Context, Result};

use crate::shell::{cargo, run, say};

/// A generated file: the variable that has its test write it, and the arguments of `cargo test` that run that test.
struct Generated {
    files: &'static str,
    variable: &'static str,
    test: &'static [&'static str],
}

/// All of them. A new generated file needs a line here and a test that fails when it is stale.
const GENERATED: &[Generated] = &[
    Generated {
        files: "docs/api/v1.json",
        variable: "UPDATE_OPENAPI",
        test: &["-p", "stead-daemon", "--test", "it", "api::description"],
    },
    Generated {
        files: "docs/api/agent-v1.json",
        variable: "UPDATE_OPENAPI",
        test: &["-p", "stead-agent", "--test", "it", "description"],
    },
    Generated {
        files: "docs/fleet.schema.json",
        variable: "UPDATE_SCHEMA",
        test: &["-p", "stead-daemon", "--lib", "config::tests::schema"],
    },
    Generated {
        files: "docs/lifecycle/",
        variable: "UPDATE_LIFECYCLE",
        test: &["-p", "stead-sim", "--test", "it", "lifecycle"],
    },
];

/// Writes every generated file anew.
///
/// # Errors
///
/// A generator failed.
pub(crate) fn write() -> Result<()> {
    for Generated { files, variable, test } in GENERATED {
        let arguments: Vec<&str> = ["test", "--quiet"].iter().chain(*test).copied().collect();
        run(cargo(&arguments).env(variable, "1")).with_context(|| format!("cannot generate {files}"))?;
        say(&format!("wrote {files}"));
    }
    Ok(())
}
