//! Where a state directory lies, and what to do where it cannot be used there.

use std::io;
use std::path::Path;

/// The network file system that a directory, or the nearest one above it that exists, lies on.
pub(crate) fn network(dir: &Path) -> Option<&'static str> {
    let existing = dir.ancestors().find(|dir| dir.exists())?;
    let magic = rustix::fs::statfs(existing).ok()?.f_type;
    // The kernel's numbers have 32 bits, whatever the width of the field.
    let magic = u32::try_from(magic & 0xffff_ffff).ok()?;
    let known = NETWORK.iter().find(|(number, _)| *number == magic);
    known.map(|(_, name)| *name)
}

/// What to do about a state directory that cannot be used.
pub(crate) fn help(dir: &Path, error: &io::Error) -> String {
    let shown = dir.display();
    let elsewhere = "choose another with --state-dir or STEAD_STATE_DIR";
    if let Some(network) = network(dir) {
        return format!(
            "{shown} lies on {network}, where locks and syncs cannot be relied on; put it on a local disk: {elsewhere}"
        );
    }
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!("let this user write to {shown}, or {elsewhere}"),
        io::ErrorKind::ReadOnlyFilesystem => format!("{shown} lies on a file system that is read-only; {elsewhere}"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("free some room for {shown}, or {elsewhere}")
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            format!("a part of {shown} is no directory; {elsewhere}")
        }
        _ => elsewhere.to_owned(),
    }
}

/// Numbers of `statfs(2)` of file systems that are reached by a network.
const NETWORK: [(u32, &str); 8] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x5346_414f, "AFS"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_depends_on_what_is_wrong_and_names_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let said = |kind: io::ErrorKind| help(dir.path(), &io::Error::from(kind));
        if network(dir.path()).is_none() {
            assert!(said(io::ErrorKind::PermissionDenied).starts_with("let this user write to /"));
            assert!(said(io::ErrorKind::ReadOnlyFilesystem).contains("read-only"));
            assert!(said(io::ErrorKind::StorageFull).contains("free some room"));
        }
        assert!(said(io::ErrorKind::Other).contains("--state-dir"));
    }

    #[test]
    fn a_directory_that_is_not_there_yet_lies_where_the_one_above_it_does() {
        assert_eq!(network(Path::new("/proc/nothing/here")), network(Path::new("/proc")));
    }
}
