//! What cargo knows about the workspace.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell::{cargo, output};

/// The packages of the workspace.
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

/// One package of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
    /// Names of its features, without the implied default.
    pub(crate) features: Vec<String>,
    /// Names of its integration test binaries.
    pub(crate) tests: Vec<String>,
    /// Whether it is a library, and that library's source where it starts.
    pub(crate) library: Option<String>,
}

/// A dependency as its package declares it.
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// What a dependency is needed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

impl Metadata {
    /// Asks cargo.
    ///
    /// # Errors
    ///
    /// Cargo cannot read the workspace.
    pub(crate) fn read() -> Result<Self> {
        let json = output(&mut cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
        Self::parse(&serde_json::from_str(&json)?)
    }

    fn parse(metadata: &Value) -> Result<Self> {
        let packages = array(metadata, "packages")?
            .iter()
            .map(Package::parse)
            .collect::<Result<_>>()?;
        Ok(Self { packages })
    }
}

impl Package {
    /// Whether it depends on `name` for anything.
    pub(crate) fn depends_on(&self, name: &str) -> bool {
        self.dependencies.iter().any(|dependency| dependency.name == name)
    }

    fn parse(package: &Value) -> Result<Self> {
        let targets = array(package, "targets")?;
        let of_kind = |kind: &'static str| {
            let is = move |target: &&Value| {
                target["kind"]
                    .as_array()
                    .is_some_and(|kinds| kinds.contains(&kind.into()))
            };
            targets.iter().filter(is)
        };
        let source = |target: &Value| std::fs::read_to_string(target["src_path"].as_str().unwrap_or_default()).ok();
        let features = package["features"]
            .as_object()
            .map(|features| features.keys().cloned().collect());
        Ok(Self {
            name: text(package, "name")?,
            dependencies: array(package, "dependencies")?
                .iter()
                .map(Dependency::parse)
                .collect::<Result<_>>()?,
            features: features.unwrap_or_default(),
            tests: of_kind("test")
                .map(|target| text(target, "name"))
                .collect::<Result<_>>()?,
            library: of_kind("lib").next().and_then(source),
        })
    }
}

impl Dependency {
    fn parse(dependency: &Value) -> Result<Self> {
        let kind = match dependency["kind"].as_str() {
            Some("dev") => Kind::Dev,
            Some("build") => Kind::Build,
            Some(_) | None => Kind::Normal,
        };
        Ok(Self {
            name: text(dependency, "name")?,
            kind,
        })
    }
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key]
        .as_array()
        .with_context(|| format!("cargo metadata without {key}"))
}

fn text(value: &Value, key: &str) -> Result<String> {
    value[key]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("cargo metadata without {key}"))
}
