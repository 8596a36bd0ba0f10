//! From text to a tree, or what of it is no TOML.

use toml::de::DeTable;

use super::diagnostic::{Finding, Findings};
use super::source::Source;
use super::tree::Node;

/// Reads the tree, or tells everything that is not TOML, in a thread of its own with room for any depth.
pub(super) fn read(source: &Source<'_>, findings: &mut Findings) -> Option<Node> {
    let read = std::thread::scope(|scope| {
        let reader = std::thread::Builder::new()
            .name("fleet-file".to_owned())
            .stack_size(STACK);
        let reader = reader.spawn_scoped(scope, || {
            let mut findings = Findings::default();
            (tree(source, &mut findings), findings)
        });
        reader.ok().and_then(|reader| reader.join().ok())
    });
    if let Some((node, found)) = read {
        findings.extend(found);
        return node;
    }
    let finding = Finding::new(0..0, "no thread could be started to read the file with");
    findings.add(finding.help("raise the limit of processes (ulimit -u) or of memory, and try again"));
    None
}

fn tree(source: &Source<'_>, findings: &mut Findings) -> Option<Node> {
    let (mut from, mut read) = (0, 0);
    while from == 0 || read < MOST_READ_AGAIN {
        let text = source.text.get(from..)?;
        let (document, errors) = DeTable::parse_recoverable(text);
        let first = errors.iter().min_by_key(|error| error.span().unwrap_or_default().start);
        let Some(error) = first else {
            return (from == 0).then(|| Node::read(&document, findings));
        };
        let span = error.span().unwrap_or_default();
        let at = from + span.start..from + span.end;
        let help = match error.message() {
            "duplicate key" => "a key or a table is given once; merge the two",
            _plain => {
                "the file is no TOML here: texts are in quotes, names of tables in [brackets] on a line of their own"
            }
        };
        findings.add(Finding::new(at.clone(), error.message()).help(help));
        // What follows a mistake is misread up to the next table.
        from = at.start + source.text.get(at.start..)?.find("\n[")? + 1;
        read += text.len();
        if findings.is_full() {
            return None;
        }
    }
    None
}

/// Room for the deepest text that the TOML parser takes, 80 keys of 80 parts in one another, which it walks by recursion.
const STACK: usize = 64 * 1024 * 1024;

/// After so many bytes no further mistake of this kind is looked for: each of them has the rest of the file read once more.
const MOST_READ_AGAIN: usize = 1024 * 1024;
