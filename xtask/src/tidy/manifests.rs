//! Where dependencies enter and what they must say.

use super::File;

pub(super) fn check(files: &[File]) -> Vec<String> {
    let manifests = files.iter().filter(|file| file.path.ends_with("Cargo.toml"));
    manifests
        .flat_map(|file| {
            if file.path == "Cargo.toml" {
                reasons(&file.text)
            } else if file.text.lines().any(|line| line.trim() == "[workspace]") {
                // Builds apart from the rest, so that nobody else has to build what it needs.
                Vec::new()
            } else {
                member(file)
            }
        })
        .collect()
}

/// Every third party in the root manifest says why it is there.
fn reasons(root: &str) -> Vec<String> {
    let entries = in_sections(root, |section| section == "workspace.dependencies");
    let without_reason = entries.filter(|line| !line.contains("path = ") && !line.contains(" # "));
    let name = |line: &str| line.split([' ', '=']).next().unwrap_or(line).to_owned();
    without_reason
        .map(|line| format!("Cargo.toml: {} needs a reason behind a # on its line", name(line)))
        .collect()
}

/// A member takes its dependencies and lints from the root.
fn member(file: &File) -> Vec<String> {
    let entries = in_sections(&file.text, |section| section.ends_with("dependencies"));
    let own = entries.filter(|line| !line.contains("workspace = true"));
    let mut breaches: Vec<String> = own
        .map(|line| format!("{}: `{line}` does not take its version from the root", file.path))
        .collect();
    if !in_sections(&file.text, |section| section == "lints").any(|line| line == "workspace = true") {
        breaches.push(format!("{}: takes its lints from the workspace", file.path));
    }
    breaches
}

/// The entries of every section whose name satisfies `wanted`, without comments and blank lines.
fn in_sections(manifest: &str, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = &str> {
    let mut inside = false;
    manifest.lines().map(str::trim).filter(move |line| {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = wanted(section);
            return false;
        }
        inside && !line.is_empty() && !line.starts_with('#')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(path: &str, text: &str) -> Vec<String> {
        check(&[File {
            path: path.to_owned(),
            text: text.to_owned(),
        }])
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let root = "[workspace.dependencies]\nstead-model = { path = \"crates/model\" }\n\n# Shell.\nanyhow = \"1\" # errors\nlibc = \"0.2\"\n";
        assert_eq!(
            manifest("Cargo.toml", root),
            ["Cargo.toml: libc needs a reason behind a # on its line"]
        );
    }

    #[test]
    fn a_workspace_of_its_own_may_need_what_it_needs() {
        let apart = "[workspace]\n[package]\nname = \"peers\"\n[dependencies]\nlibc = \"0.2\"\n";
        assert_eq!(manifest("bench/calls/Cargo.toml", apart), Vec::<String>::new());
    }

    #[test]
    fn a_member_with_a_version_of_its_own_is_found() {
        let member = "[lints]\nworkspace = true\n[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n";
        assert_eq!(manifest("crates/x/Cargo.toml", member).len(), 1);
    }

    #[test]
    fn a_member_that_takes_all_from_the_root_is_fine() {
        let member = "[lints]\nworkspace = true\n\n[dependencies]\nserde.workspace = true\n[dev-dependencies]\ntokio = { workspace = true, features = [\"rt\"] }\n";
        assert_eq!(manifest("crates/x/Cargo.toml", member), [""; 0]);
    }

    #[test]
    fn a_member_without_the_lints_is_found() {
        assert_eq!(
            manifest("crates/x/Cargo.toml", "[package]\n"),
            ["crates/x/Cargo.toml: takes its lints from the workspace"]
        );
    }
}
