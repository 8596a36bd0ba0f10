//! What it costs to look for leaks.

use std::io;

use stead_resilience::{LeakConfig, LeakDetector, Resource, Usage, Virtual};

use crate::allocations::allocated;

#[expect(clippy::unnecessary_wraps, reason = "as samplers are")]
fn nothing_open() -> io::Result<Usage> {
    Ok(Usage::default())
}

#[test]
fn a_look_allocates_for_what_it_names_however_much_is_held() {
    let spent = [1000, 100_000].map(|held| {
        let config = LeakConfig {
            connections: 100,
            ..LeakConfig::default()
        };
        let detector = LeakDetector::with(config, Virtual::new(), nothing_open).unwrap();
        let guards: Vec<_> = (0..held)
            .map(|_| detector.track(Resource::Connections, "to the database"))
            .collect();
        let (spent, report) = allocated(|| detector.check());
        assert_eq!(report.tracked, [(Resource::Connections, guards.len() as u64)]);
        assert_eq!(report.findings.len(), 1, "more than 100 connections are found");
        spent
    });
    assert_eq!(spent[0], spent[1]);
}
