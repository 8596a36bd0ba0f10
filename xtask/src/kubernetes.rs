//! Holds the manifests to the schemas that Kubernetes publishes, and what holds them to finding a field that is wrong.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell::{root, run, say, target, tool, words};

/// The oldest that the manifests are for.
const VERSION: &str = "1.30";

/// Fields, one of each kind of object, that are misspelt to see whether that is found.
const FIELDS: &[&str] = &[
    "maxSurge",
    "volumeClaimTemplates",
    "failureThreshold",
    "targetPort",
    "maxUnavailable: 1",
    "averageUtilization",
    "namespaceSelector",
];

/// Where kubernetes-validate is, if it is anywhere: named by `STEAD_KUBERNETES_VALIDATE`, in the environment that `.ci/run` makes, or
/// installed.
pub(crate) fn validator() -> Option<PathBuf> {
    tool("STEAD_KUBERNETES_VALIDATE", "kubernetes-validate")
}

/// Holds every manifest of `deploy/kubernetes` to the schemas, as it is and with fields misspelt.
///
/// # Errors
///
/// kubernetes-validate is not there, a manifest is not as the schemas say, or a wrong field is not found.
pub(crate) fn manifests() -> Result<()> {
    let validator = validator().context("kubernetes-validate is not here: pip install kubernetes-validate")?;
    let folder = root().join("deploy/kubernetes");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        files.push(entry?.path());
    }
    files.sort();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    ensure!(!files.is_empty(), "no manifest in {}", folder.display());
    run(validate(&validator).args(&files))?;
    let spoilt = spoil(&files, &target().join("kubernetes"))?;
    let mut command = validate(&validator);
    let refused = command.arg("--quiet").args(&spoilt);
    let output = refused
        .output()
        .with_context(|| format!("cannot start {}", words(refused)))?;
    let said = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    ensure!(!output.status.success(), "misspelt fields were not found: {said}");
    for file in &spoilt {
        let file = file.display().to_string();
        ensure!(
            said.lines().any(|line| line.contains("ERROR") && line.contains(&file)),
            "nothing was found in {file}"
        );
    }
    say(&format!(
        "{} manifests, and {} with a field misspelt, which was found",
        files.len(),
        spoilt.len()
    ));
    Ok(())
}

fn validate(validator: &Path) -> Command {
    let mut command = Command::new(validator);
    command.args(["--strict", "-k", VERSION]);
    command
}

/// Copies with one field each misspelt; each field is in some of them.
fn spoil(files: &[PathBuf], folder: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut spoilt = Vec::new();
    for field in FIELDS {
        let before = spoilt.len();
        for file in files {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            if !text.contains(field) {
                continue;
            }
            let copy = folder.join(format!("spoilt-{}.yaml", spoilt.len()));
            std::fs::write(&copy, text.replacen(field, &format!("x{field}"), 1))?;
            spoilt.push(copy);
        }
        ensure!(spoilt.len() > before, "no manifest has a field {field}");
    }
    Ok(spoilt)
}
