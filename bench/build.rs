//! Builds the agent that the supervisors run: static and without libc, which a package's own binary cannot be.

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=agent/agent.rs");
    let agent = Path::new(&env::var_os("OUT_DIR").ok_or("no OUT_DIR")?).join("agent");
    let status = Command::new(env::var_os("RUSTC").ok_or("no RUSTC")?)
        .args(["--edition", "2024", "--crate-type", "bin", "--crate-name", "agent"])
        .args(["-C", "panic=abort", "-C", "opt-level=2", "-C", "strip=symbols"])
        .args(["-C", "relocation-model=static", "-C", "target-feature=+crt-static"])
        .args(["-C", "link-args=-nostartfiles -nostdlib -static"])
        .args(["--target", &env::var("TARGET")?])
        .arg("-o")
        .arg(&agent)
        .arg("agent/agent.rs")
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err("the agent did not build".into())
    }
}
