//! Where cgroups lie in the file system.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// One of the hierarchies that may lie side by side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hierarchy {
    /// The unified one.
    V2,
    /// That of the memory controller of version 1.
    Memory,
}

impl Hierarchy {
    /// The path in a line of `/proc/self/cgroup`, if it is about this one.
    fn path_in(self, line: &[u8]) -> Option<&[u8]> {
        match self {
            Self::V2 => line.strip_prefix(b"0::"),
            Self::Memory => {
                let mut fields = line.splitn(3, |byte| *byte == b':').skip(1);
                fields.next().filter(|names| has_memory(names))?;
                fields.next()
            }
        }
    }

    /// Whether a mount of this type and with these options is of this one.
    fn is_mounted_as(self, kind: &[u8], options: &[u8]) -> bool {
        match self {
            Self::V2 => kind == b"cgroup2",
            Self::Memory => kind == b"cgroup" && has_memory(options),
        }
    }
}

fn has_memory(names: &[u8]) -> bool {
    names.split(|byte| *byte == b',').any(|name| name == b"memory")
}

/// What is mounted, and in which cgroups this process is.
pub(super) fn read() -> Option<(Vec<u8>, Vec<u8>)> {
    Some((
        fs::read("/proc/self/mountinfo").ok()?,
        fs::read("/proc/self/cgroup").ok()?,
    ))
}

/// Where the cgroup of `/proc/self/cgroup` in a hierarchy is in the file system, by `/proc/self/mountinfo`.
pub(super) fn own_path(mounts: &[u8], own: &[u8], hierarchy: Hierarchy) -> Option<PathBuf> {
    let own = lines(own).find_map(|line| hierarchy.path_in(line))?;
    let own = Path::new(OsStr::from_bytes(own));
    lines(mounts).find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let dash = fields.iter().position(|field| *field == b"-")?;
        if !hierarchy.is_mounted_as(fields.get(dash + 1)?, fields.last()?) {
            return None;
        }
        let (root, point) = (unescape(fields.get(3)?), unescape(fields.get(4)?));
        let below = own.strip_prefix(Path::new(OsStr::from_bytes(&root))).ok()?;
        Some(Path::new(OsStr::from_bytes(&point)).join(below))
    })
}

pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

/// Blanks and the like are written as `\040` in mountinfo.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let octal = match rest {
            [b'\\', digits @ ..] => digits
                .get(..3)
                .and_then(|digits| std::str::from_utf8(digits).ok())
                .and_then(|digits| u8::from_str_radix(digits, 8).ok()),
            _ => None,
        };
        match octal {
            Some(byte) => {
                out.push(byte);
                rest = rest.get(4..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &[u8] = b"14 35 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        20 41 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";

    #[test]
    fn a_hybrid_hierarchy_has_its_v2_mount_found_beside_v1() {
        let own = b"4:memory:/a/b\n0::/user.slice/x\n";
        assert_eq!(
            own_path(HYBRID, own, Hierarchy::V2),
            Some("/sys/fs/cgroup/unified/user.slice/x".into())
        );
    }

    #[test]
    fn a_mount_of_a_part_of_the_hierarchy_is_entered_at_that_part() {
        let mounts = b"20 41 0:38 /docker/abc /sys/fs/my\\040cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(
            own_path(mounts, b"0::/docker/abc/x\n", Hierarchy::V2),
            Some("/sys/fs/my cgroup/x".into())
        );
        assert_eq!(own_path(mounts, b"0::/elsewhere\n", Hierarchy::V2), None);
    }

    #[test]
    fn without_a_v2_mount_there_is_none() {
        assert_eq!(
            own_path(
                b"14 35 0:32 / /c rw - cgroup cgroup rw,memory\n",
                b"0::/\n",
                Hierarchy::V2
            ),
            None
        );
    }

    #[test]
    fn the_memory_controller_of_version_1_is_found_wherever_it_is_mounted() {
        let mounts = b"13 35 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
            14 35 0:32 /box /sys/fs/cgroup/all rw,relatime - cgroup cgroup rw,blkio,memory\n";
        let own = b"5:blkio,memory:/box/a\n4:memoryless:/x\n0::/\n";
        assert_eq!(
            own_path(mounts, own, Hierarchy::Memory),
            Some("/sys/fs/cgroup/all/a".into())
        );
        assert_eq!(own_path(mounts, b"4:cpu:/x\n0::/\n", Hierarchy::Memory), None);
        assert_eq!(own_path(mounts, own, Hierarchy::V2), None);
    }
}
