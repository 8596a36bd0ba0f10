//! The rules of the house that no compiler checks.

mod arrows;
mod manifests;
pub(crate) mod metadata;
mod sources;

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell::{output, root, say};
use metadata::Metadata;

/// Checks every rule and says each breach.
///
/// # Errors
///
/// There is a breach, or the repository cannot be read.
pub(crate) fn run() -> Result<()> {
    let metadata = Metadata::read()?;
    let files = files()?;
    let mut breaches = arrows::check(&metadata);
    breaches.extend(manifests::check(&files));
    breaches.extend(sources::check(&files));
    for breach in &breaches {
        say(breach);
    }
    ensure!(
        breaches.is_empty(),
        "{} breaches of the rules of the house",
        breaches.len()
    );
    say(&format!(
        "tidy: {} files, {} packages",
        files.len(),
        metadata.packages.len()
    ));
    Ok(())
}

/// A text file that is, or is about to be, in the repository.
struct File {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

/// Every text file that git knows or would add.
fn files() -> Result<Vec<File>> {
    let mut git = Command::new("git");
    git.current_dir(root())
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let mut files = Vec::new();
    for path in output(&mut git)?.split_terminator('\0') {
        let full = root().join(path);
        // Deleted but not yet committed, a link, or binary: nothing to read.
        if !full.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            continue;
        }
        let bytes = std::fs::read(full).with_context(|| format!("cannot read {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File {
                path: path.to_owned(),
                text,
            });
        }
    }
    Ok(files)
}
