//! What of files is mapped into this process.

use std::ops::Range;

/// Mappings of the program's own file that can be dropped and come back as they were: nobody may write them, they hold no page but the
/// file's, and they last as long as the process, so that nothing else can take their place meanwhile.
///
/// Sections that were relocated and made read-only afterwards hold pages of their own, and are not among them. None where the system
/// does not tell.
pub(super) fn unchanged() -> Vec<Range<usize>> {
    let (program, smaps) = (std::env::current_exe(), std::fs::read_to_string("/proc/self/smaps"));
    match (program, smaps) {
        (Ok(program), Ok(smaps)) => unchanged_of(&smaps, &program.to_string_lossy()),
        (Err(_), _) | (_, Err(_)) => Vec::new(),
    }
}

/// As [`unchanged`], of the text of `/proc/PID/smaps` and the path of its program: a line of each mapping, with lines `Name: value` after it.
fn unchanged_of(smaps: &str, program: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in smaps.lines() {
        if let Some(anonymous) = line.strip_prefix("Anonymous:") {
            let own: Option<Range<usize>> = candidate.take();
            found.extend(own.filter(|_| anonymous.trim() == "0 kB"));
        } else if !line.split_whitespace().next().is_some_and(|word| word.ends_with(':')) {
            candidate = read_only(line, program);
        }
    }
    found
}

/// The place of a mapping of this file that nobody may write, by its line: `start-end rights offset device inode path`.
fn read_only(line: &str, program: &str) -> Option<Range<usize>> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let rights = words.next()?;
    let path = words.nth(3)?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let place = number(start)?..number(end)?;
    (rights.starts_with("r-") && rights.ends_with('p') && path == program).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
55d0c0000000-55d0c0500000 r--p 00000000 fe:00 1234                       /usr/bin/stead
Size:               5120 kB
Rss:                 512 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
55d0c0500000-55d0c1600000 r-xp 00500000 fe:00 1234                       /usr/bin/stead
Anonymous:             0 kB
55d0c1600000-55d0c1690000 r--p 01600000 fe:00 1234                       /usr/bin/stead
Anonymous:           576 kB
55d0c1690000-55d0c16a0000 rw-p 01690000 fe:00 1234                       /usr/bin/stead
Anonymous:             0 kB
55d0c1700000-55d0c1800000 rw-p 00000000 00:00 0                          [heap]
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:00 99                         /usr/lib/libc.so.6
Anonymous:             0 kB
7f0000001000-7f0000002000 r--s 00000000 00:01 77                         /dev/shm/shared
Anonymous:             0 kB
7fff00000000-7fff00002000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
";

    #[test]
    fn what_was_relocated_or_can_be_written_or_is_shared_or_no_file_stays() {
        let found = unchanged_of(SMAPS, "/usr/bin/stead");
        assert_eq!(
            found,
            [0x55d0_c000_0000..0x55d0_c050_0000, 0x55d0_c050_0000..0x55d0_c160_0000]
        );
    }

    /// How many kilobytes of the mappings that can be dropped are in memory.
    fn resident() -> u64 {
        let places = unchanged();
        assert!(!places.is_empty(), "the program itself is mapped");
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let (mut counts, mut all) = (false, 0);
        for line in smaps.lines() {
            if let Some(kilobytes) = line.strip_prefix("Rss:").filter(|_| counts) {
                all += kilobytes.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
            } else if let Some((start, _)) = line.split_once('-')
                && let Ok(start) = usize::from_str_radix(start, 16)
            {
                counts = places.iter().any(|place| place.start == start);
            }
        }
        all
    }

    #[test]
    fn what_is_dropped_is_in_memory_no_more_and_comes_back_as_it_was() {
        static CONTENT: &str = "said before and after";
        // Other tests may run beside this one, and need what was just dropped.
        let falls = (0..100).any(|_| {
            let before = resident();
            super::super::give_back();
            resident() < before
        });
        assert!(falls, "nothing of the program is dropped");
        assert_eq!(CONTENT, ["said", "before", "and", "after"].join(" "));
    }
}
