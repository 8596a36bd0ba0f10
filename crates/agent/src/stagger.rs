//! Where in an interval an instance has its place, so that not all of them come at once.

use std::time::Duration;

/// A part of `interval` that is always the same for one instance: by who it is, and where.
pub(crate) fn stagger(interval: Duration) -> Duration {
    let variable = |name| std::env::var(name).unwrap_or_default();
    // In a container each process has the same number, and what tells it apart is the host's name.
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let process = std::process::id().to_string();
    let who = [&variable("STEAD_AGENT"), &variable("STEAD_INSTANCE"), &*host, &process];
    interval * part(&who.map(|word| word)) / 1_000
}

/// A thousandth from 0 to 999: FNV-1a, which is the same in every version of this program.
fn part(who: &[&str]) -> u32 {
    let bytes = who.iter().flat_map(|word| word.bytes().chain([0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    u32::try_from((hash >> 32) % 1_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spread_and_never_change() {
        let places: Vec<_> = (0..1_000)
            .map(|number| part(&["web", &number.to_string(), "pod", "1"]))
            .collect();
        for quarter in 0..4 {
            let there = places.iter().filter(|place| **place / 250 == quarter).count();
            assert!((200..300).contains(&there), "{there} of 1,000 in quarter {quarter}");
        }
        assert_eq!(part(&["web", "7", "pod", "1"]), places[7]);
        assert!(stagger(Duration::from_secs(5)) < Duration::from_secs(5));
    }
}
