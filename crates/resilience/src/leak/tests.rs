use core::time::Duration;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::{HandleId, LeakConfig, LeakDetector, LeakReport, Resource, Sign, Tracked, Usage};
use crate::Virtual;

mod files;

const MINUTE: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;

/// A small and healthy process on a machine of 1 GiB.
const QUIET: Usage = Usage {
    memory: 100 * MIB,
    memory_limit: 1024 * MIB,
    file_handles: 40,
    connections: 4,
    threads: 8,
};

/// A detector on virtual time, of a process that holds what `usage` says at each minute.
fn watching(
    config: LeakConfig,
    mut usage: impl FnMut(u64) -> Usage + Send + 'static,
) -> (LeakDetector<Virtual>, Virtual) {
    let clock = Virtual::new();
    let mut minute = 0;
    let sampler = move || {
        minute += 1;
        io::Result::Ok(usage(minute - 1))
    };
    (LeakDetector::with(config, clock.clone(), sampler).unwrap(), clock)
}

/// The report after so many looks, a minute apart.
fn after(detector: &LeakDetector<Virtual>, clock: &Virtual, looks: u32) -> Arc<LeakReport> {
    for _ in 0..looks {
        detector.check();
        clock.advance(MINUTE);
    }
    detector.report()
}

/// A number from 0 up to `most`, the same for the same minute.
fn noise(minute: u64, most: u64) -> u64 {
    stead_policy::draw(7, minute) % most
}

#[test]
fn a_quiet_process_leaks_nothing_in_a_week() {
    let (detector, clock) = watching(LeakConfig::default(), |minute| Usage {
        memory: QUIET.memory + noise(minute, 30 * MIB),
        file_handles: 40 + noise(minute, 30),
        ..QUIET
    });
    for hour in 0..7 * 24 {
        assert_eq!(after(&detector, &clock, 60).findings, [], "hour {hour}");
    }
}

#[test]
fn each_resource_is_found_over_its_limit_and_not_at_it() {
    let at = Usage {
        memory: 800 * MIB,
        memory_limit: 1000 * MIB,
        file_handles: 1000,
        connections: 100,
        threads: 256,
    };
    assert_eq!(watching(LeakConfig::default(), move |_| at).0.check().findings, []);
    let over = [
        (
            Resource::Memory,
            Usage {
                memory: at.memory + MIB,
                ..at
            },
            0.801,
            0.8,
        ),
        (
            Resource::FileHandles,
            Usage {
                file_handles: 1001,
                ..at
            },
            1001.0,
            1000.0,
        ),
        (Resource::Connections, Usage { connections: 101, ..at }, 101.0, 100.0),
        (Resource::Threads, Usage { threads: 257, ..at }, 257.0, 256.0),
    ];
    for (resource, usage, value, limit) in over {
        let report = watching(LeakConfig::default(), move |_| usage).0.check();
        assert!(report.is_leaking());
        assert_eq!(report.findings.len(), 1);
        assert_eq!(report.findings[0].resource, resource);
        assert_eq!(report.findings[0].sign, Sign::OverLimit { value, limit });
    }
}

#[test]
fn a_file_every_other_minute_is_found_within_the_hour_long_before_its_limit() {
    let (detector, clock) = watching(LeakConfig::default(), |minute| Usage {
        file_handles: 40 + minute / 2,
        ..QUIET
    });
    let report = after(&detector, &clock, 60);
    let finding = &report.findings[0];
    let Sign::Growth {
        from,
        to,
        over,
        full_in,
    } = finding.sign
    else {
        panic!("{finding}");
    };
    assert_eq!((finding.resource, report.findings.len()), (Resource::FileHandles, 1));
    assert!((42.0..44.0).contains(&from) && (68.0..72.0).contains(&to), "{finding}");
    assert_eq!(over, 54 * MINUTE);
    let hours = full_in.unwrap().as_secs() / 3600;
    assert!((30..=33).contains(&hours), "{finding}");
}

#[test]
fn a_file_every_ten_minutes_under_noise_is_found_within_a_day() {
    let (detector, clock) = watching(LeakConfig::default(), |minute| Usage {
        file_handles: 40 + minute / 10 + noise(minute, 100),
        ..QUIET
    });
    let report = after(&detector, &clock, 24 * 60);
    assert_eq!(report.findings[0].resource, Resource::FileHandles, "{report:?}");
}

#[test]
fn a_megabyte_a_minute_is_found_under_the_saw_of_a_collector() {
    let (detector, clock) = watching(LeakConfig::default(), |minute| Usage {
        memory: (100 + minute + 4 * (minute % 10)) * MIB,
        ..QUIET
    });
    assert_eq!(after(&detector, &clock, 65).findings[0].resource, Resource::Memory);
}

#[test]
fn a_cache_that_fills_and_then_stays_is_no_leak_once_it_stays() {
    let (detector, clock) = watching(LeakConfig::default(), |minute| Usage {
        memory: (100 + 2 * minute.min(40)) * MIB + noise(minute, MIB),
        ..QUIET
    });
    assert!(after(&detector, &clock, 40).is_leaking(), "it might be one");
    assert_eq!(after(&detector, &clock, 45).findings, []);
}

#[test]
fn growth_by_next_to_nothing_is_no_leak() {
    let (detector, clock) = watching(LeakConfig::default(), |minute| Usage {
        threads: 8 + minute / 10,
        connections: 90 + minute / 12,
        ..QUIET
    });
    assert_eq!(after(&detector, &clock, 65).findings, []);
}

#[test]
fn findings_say_for_how_long_they_have_been_found_and_go_with_their_cause() {
    let busy = |minute: u64| if (2..5).contains(&minute) { 101 } else { 4 };
    let (detector, clock) = watching(LeakConfig::default(), move |minute| Usage {
        connections: busy(minute),
        ..QUIET
    });
    assert!(!after(&detector, &clock, 2).is_leaking());
    assert_eq!(after(&detector, &clock, 1).findings[0].found_for, Duration::ZERO);
    assert_eq!(after(&detector, &clock, 2).findings[0].found_for, 2 * MINUTE);
    assert!(!after(&detector, &clock, 1).is_leaking());
}

#[test]
fn a_finding_names_who_holds_what_and_since_when() {
    let config = LeakConfig {
        connections: 2,
        ..LeakConfig::default()
    };
    let (detector, clock) = watching(config, |_| QUIET);
    let _first = detector.track(Resource::Connections, "importer to the database");
    clock.advance(MINUTE);
    let _second = detector.track(Resource::Connections, format!("importer to {}", "the queue"));
    let _file = detector.track(Resource::FileHandles, "a log");
    clock.advance(MINUTE);
    let report = detector.check();
    assert_eq!(report.tracked, [(Resource::FileHandles, 1), (Resource::Connections, 2)]);
    assert_eq!(
        report.findings[0].to_string(),
        "connections: 4.00 is over the limit of 2.00; importer to the database (#0, held for 120s); \
         importer to the queue (#1, held for 60s)"
    );
}

#[test]
fn a_second_holding_of_the_same_name_never_covers_the_first() {
    let (detector, _) = watching(LeakConfig::default(), |_| QUIET);
    let first = detector.track(Resource::Custom("lease"), "slot");
    let second = detector.track(Resource::Custom("lease"), "slot");
    assert_ne!(first.id(), second.id());
    drop(second);
    let held = detector.held(Resource::Custom("lease"));
    assert_eq!(held.iter().map(|holder| holder.id).collect::<Vec<_>>(), [first.id()]);
    assert_eq!(first.id().to_string(), "#0");
}

#[test]
fn guards_that_are_forgotten_are_found_by_their_number_and_their_growth() {
    let config = LeakConfig {
        tracked: 50,
        ..LeakConfig::default()
    };
    let (detector, clock) = watching(config, |_| QUIET);
    for _ in 0..51 {
        core::mem::forget(detector.track(Resource::Custom("tab"), "a page"));
        detector.check();
        clock.advance(MINUTE);
    }
    let report = detector.report();
    let signs: Vec<_> = report
        .findings
        .iter()
        .map(|finding| (finding.resource, finding.holders.len()))
        .collect();
    assert_eq!(signs, [(Resource::Custom("tab"), 10); 2]);
    assert!(matches!(report.findings[0].sign, Sign::OverLimit { .. }));
    assert!(matches!(report.findings[1].sign, Sign::Growth { .. }));
    assert!(
        report.findings[1].to_string().starts_with("tab: grew from "),
        "{}",
        report.findings[1]
    );
}

#[test]
fn one_thing_that_is_held_too_long_is_found_where_there_is_such_a_limit() {
    let config = LeakConfig {
        held_for: Some(10 * MINUTE),
        ..LeakConfig::default()
    };
    let (detector, clock) = watching(config, |_| QUIET);
    let lease = detector.track(Resource::Custom("lease"), "slot");
    clock.advance(10 * MINUTE);
    assert!(!detector.check().is_leaking());
    clock.advance(MINUTE);
    assert_eq!(
        detector.check().findings[0].to_string(),
        "lease: held for 660s, longer than 600s; slot (#0, held for 660s)"
    );
    drop(lease);
    assert!(!detector.check().is_leaking());
}

#[test]
fn a_sampler_that_fails_or_panics_is_told_and_forgets_nothing() {
    let calls = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&calls);
    let sampler = move || match count.fetch_add(1, SeqCst) {
        n @ 0..40 => Ok(Usage {
            file_handles: 40 + u64::from(n),
            ..QUIET
        }),
        40 => Err(io::Error::other("/proc is not mounted")),
        41 => panic!("of all things"),
        n => Ok(Usage {
            file_handles: 40 + u64::from(n),
            ..QUIET
        }),
    };
    let clock = Virtual::new();
    let detector = LeakDetector::with(LeakConfig::default(), clock.clone(), sampler).unwrap();
    assert!(after(&detector, &clock, 40).is_leaking());
    let failed = after(&detector, &clock, 1);
    assert_eq!(
        (failed.error.as_deref(), failed.usage),
        (Some("/proc is not mounted"), None)
    );
    assert_eq!(
        after(&detector, &clock, 1).error.as_deref(),
        Some("the sampler panicked")
    );
    assert!(after(&detector, &clock, 1).is_leaking());
}

#[tokio::test]
async fn looks_go_on_until_they_are_stopped_and_what_is_tracked_stays() {
    let looks = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&looks);
    let (detector, clock) = watching(LeakConfig::default(), move |_| {
        count.fetch_add(1, SeqCst);
        QUIET
    });
    let _guard = detector.track(Resource::Threads, "a worker");
    let mut watch = detector.watch();
    detector.start();
    detector.clone().start();
    clock.run_for(5 * MINUTE).await;
    assert_eq!(looks.load(SeqCst), 6);
    assert_eq!(watch.changed().await.unwrap().usage, Some(QUIET));
    detector.stop().await;
    clock.run_for(5 * MINUTE).await;
    assert_eq!(looks.load(SeqCst), 6);
    assert_eq!(detector.held(Resource::Threads).len(), 1);
    detector.start();
    clock.run_for(MINUTE).await;
    drop(detector);
    clock.run_for(5 * MINUTE).await;
    assert_eq!(looks.load(SeqCst), 8);
}

#[test]
fn what_makes_no_sense_is_refused_and_says_why() {
    let base = LeakConfig::default;
    let refused = [
        (
            LeakConfig {
                check_interval: Duration::ZERO,
                ..base()
            },
            "check_interval is zero",
        ),
        (LeakConfig { memory: 0.0, ..base() }, "memory 0 is not a share"),
        (LeakConfig { memory: 80.0, ..base() }, "memory 80 is not a share"),
        (
            LeakConfig {
                memory: f64::NAN,
                ..base()
            },
            "memory NaN is not a share",
        ),
        (
            LeakConfig {
                file_handles: 0,
                ..base()
            },
            "file_handles is zero",
        ),
        (
            LeakConfig {
                connections: 0,
                ..base()
            },
            "connections is zero",
        ),
        (LeakConfig { threads: 0, ..base() }, "threads is zero"),
        (LeakConfig { tracked: 0, ..base() }, "tracked is zero"),
        (
            LeakConfig {
                held_for: Some(Duration::ZERO),
                ..base()
            },
            "held_for is zero",
        ),
        (LeakConfig { window: 11, ..base() }, "window of 11 samples"),
        (LeakConfig { window: 1001, ..base() }, "window of 1001 samples"),
    ];
    for (config, why) in refused {
        let refusal = LeakDetector::new(config).unwrap_err().to_string();
        assert!(refusal.starts_with(why), "{refusal}");
    }
}

#[test]
fn resources_are_named_as_people_name_them() {
    let all = [
        Resource::Memory,
        Resource::FileHandles,
        Resource::Connections,
        Resource::Threads,
    ];
    let names: Vec<_> = all.iter().map(Resource::to_string).collect();
    assert_eq!(names, ["memory", "file handles", "connections", "threads"]);
    assert!(Usage::default().memory_ratio().abs() < f64::EPSILON);
    assert!((QUIET.memory_ratio() - 100.0 / 1024.0).abs() < 1e-9);
    assert!(format!("{:?}", watching(LeakConfig::default(), |_| QUIET).0).contains("findings"));
}

#[derive(Clone, Debug)]
enum Op {
    Hold(u8),
    GiveBack(prop::sample::Index),
    Forget(prop::sample::Index),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => (0_u8..3).prop_map(Op::Hold),
        2 => any::<prop::sample::Index>().prop_map(Op::GiveBack),
        1 => any::<prop::sample::Index>().prop_map(Op::Forget),
    ];
    prop::collection::vec(op, 0..200)
}

proptest! {
    /// Whatever is held, given back and forgotten, in any order: what is listed is what was not given back.
    #[test]
    fn the_list_is_what_was_not_given_back(ops in ops()) {
        let (detector, _) = watching(LeakConfig::default(), |_| QUIET);
        let kinds = [Resource::Connections, Resource::FileHandles, Resource::Custom("x")];
        let mut mine: Vec<(Resource, Tracked)> = Vec::new();
        let mut expected: Vec<(Resource, HandleId)> = Vec::new();
        for op in ops {
            match op {
                Op::Hold(kind) => {
                    let kind = kinds[usize::from(kind)];
                    let guard = detector.track(kind, "the same");
                    expected.push((kind, guard.id()));
                    mine.push((kind, guard));
                }
                Op::GiveBack(index) if !mine.is_empty() => {
                    let (_, guard) = mine.remove(index.index(mine.len()));
                    expected.retain(|(_, id)| *id != guard.id());
                }
                Op::Forget(index) if !mine.is_empty() => core::mem::forget(mine.remove(index.index(mine.len())).1),
                Op::GiveBack(_) | Op::Forget(_) => {}
            }
            for kind in kinds {
                let held: Vec<_> = detector.held(kind).iter().map(|holder| (kind, holder.id)).collect();
                let want: Vec<_> = expected.iter().filter(|(other, _)| *other == kind).copied().collect();
                prop_assert_eq!(held, want);
            }
        }
    }
}

#[test]
fn guards_of_many_threads_are_all_listed_and_all_given_back() {
    let (detector, _) = watching(LeakConfig::default(), |_| QUIET);
    let kept = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..1000 {
                    let guard = detector.track(Resource::Custom("x"), "y");
                    if n % 10 == 0 {
                        kept.lock().unwrap().push(guard);
                    }
                }
            });
        }
    });
    assert_eq!(detector.held(Resource::Custom("x")).len(), 400);
    kept.lock().unwrap().clear();
    assert_eq!(detector.held(Resource::Custom("x")), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever the level and the seed: what stays within four percent of it never counts as growing.
    #[test]
    fn what_stays_about_the_same_never_grows(level in 10.0..900.0_f64, seed: u64) {
        let (detector, clock) = watching(LeakConfig::default(), move |minute| Usage {
            file_handles: wavering(level, 0.04, seed, minute),
            ..QUIET
        });
        for _ in 0..20 {
            prop_assert_eq!(&after(&detector, &clock, 10).findings, &[]);
        }
    }

    /// Whatever the level: what grows by half of it in an hour is found before the second is over, under noise of a tenth.
    #[test]
    fn what_grows_is_found_within_two_hours(level in 40.0..300.0_f64, seed: u64) {
        let (detector, clock) = watching(LeakConfig::default(), move |minute| Usage {
            file_handles: wavering(level + level / 120.0 * minute as f64, 0.1, seed, minute),
            ..QUIET
        });
        let mut looks = (0..120).map(|_| after(&detector, &clock, 1));
        let found = looks.any(|report| report.findings.iter().any(|finding| finding.resource == Resource::FileHandles));
        prop_assert!(found);
    }
}

/// A level, and up to a share more or less.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small and positive"
)]
fn wavering(level: f64, share: f64, seed: u64, minute: u64) -> u64 {
    let unit = (stead_policy::draw(seed, minute) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
    (level * (1.0 + share * unit)).round() as u64
}
