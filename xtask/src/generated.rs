//! Files that are generated, committed, and compared with what generates them.

use anyhow::{Context, Result};

use crate::shell::{cargo, output, root, say};

/// One generated file: the arguments of `cargo` whose stdout it is, and where it lives.
struct Generated {
    cargo: &'static [&'static str],
    file: &'static str,
}

/// All of them. A new generated file needs a line here and nothing else.
const GENERATED: &[Generated] = &[];

/// Writes every generated file anew.
///
/// # Errors
///
/// A generator failed, or a file cannot be written.
pub(crate) fn write() -> Result<()> {
    for generated in GENERATED {
        let path = root().join(generated.file);
        std::fs::write(&path, generated.make()?).with_context(|| format!("cannot write {}", generated.file))?;
        say(&format!("wrote {}", generated.file));
    }
    Ok(())
}

/// Names every generated file that is not what its generator makes today.
///
/// # Errors
///
/// A generator failed.
pub(crate) fn stale() -> Result<Vec<String>> {
    let mut stale = Vec::new();
    for generated in GENERATED {
        let committed = std::fs::read_to_string(root().join(generated.file)).unwrap_or_default();
        if committed != generated.make()? {
            stale.push(format!("{} is not fresh: run `cargo xtask generate`", generated.file));
        }
    }
    Ok(stale)
}

impl Generated {
    fn make(&self) -> Result<String> {
        output(&mut cargo(self.cargo)).with_context(|| format!("cannot generate {}", self.file))
    }
}
