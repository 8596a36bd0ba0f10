use core::time::Duration;

use proptest::prelude::*;
use stead_policy::{BreakerConfig, BreakerSettings, Window};

use super::{Call, Ended, Hindsight, Outage, Replay, Trace, replay};

mod recorder;
mod trace;

const SECOND: Duration = Duration::from_secs(1);

/// One call a second, each taking a tenth: `.` succeeds, `x` fails, `t` is terminal, `r` was rejected, ` ` is no call.
fn trace(calls: &str) -> Trace {
    let heard = |letter| match letter {
        '.' => Some(Ended::Success),
        'x' => Some(Ended::Failure),
        't' => Some(Ended::Terminal),
        'r' => Some(Ended::Rejected),
        'i' => Some(Ended::Ignored),
        ' ' => None,
        other => panic!("{other:?}"),
    };
    let call = |(second, letter)| {
        let second = u32::try_from(second).unwrap();
        Some(Call {
            at: second * SECOND,
            took: SECOND / 10,
            outcome: heard(letter)?,
            retry_after: None,
        })
    };
    Trace::of(calls.chars().enumerate().filter_map(call).collect())
}

fn settings(config: BreakerConfig) -> BreakerSettings {
    BreakerSettings::try_from(config).unwrap()
}

/// Opens after so many failures in a row, for ten seconds; two successes close.
fn after(failures: u32) -> BreakerSettings {
    settings(BreakerConfig {
        failure_threshold: failures,
        open_for: 10 * SECOND,
        ..BreakerConfig::default()
    })
}

fn run(calls: &str, failures: u32) -> Replay {
    replay(&trace(calls), &after(failures), &Hindsight::default())
}

const OUT: &str = "....................xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..............................";

#[test]
fn an_outage_is_found_with_hindsight_from_its_first_failure_to_its_last() {
    let outage = Outage {
        begins: 20 * SECOND,
        ends: 49 * SECOND + SECOND / 10,
    };
    assert_eq!(trace(OUT).outages(&Hindsight::default()), [outage]);
    assert!(outage.contains(20 * SECOND) && outage.contains(outage.ends));
    assert!(!outage.contains(50 * SECOND));
}

#[test]
fn a_lucky_call_or_two_does_not_end_an_outage_and_a_third_does() {
    let outages = |calls: &str| trace(calls).outages(&Hindsight::default()).len();
    assert_eq!(outages("xxxxxx..xxxx"), 1);
    assert_eq!(outages("xxxxxx...xxxx"), 0, "neither part is one alone");
    assert_eq!(outages("xxxxxxxxxx...xxxxxxxxxx"), 2);
    assert_eq!(outages("xxxxxxxxx"), 0);
    assert_eq!(outages("xxxxxtttttriii"), 1);
    let night = " ".repeat(60);
    assert_eq!(outages(&format!("xxxxx{night}xxxxx")), 0, "a minute and a second apart");
    assert_eq!(outages(&format!("xxxxx{}xxxxx", &night[1..])), 1);
}

#[test]
fn a_breaker_that_trips_in_an_outage_is_as_late_as_the_failures_that_it_needs() {
    let replay = run(OUT, 5);
    assert_eq!((replay.trips.len(), replay.false_trips(), replay.missed()), (1, 0, 0));
    // The fifth failure ends at 24.1 s.
    assert_eq!(replay.trips[0].at, 24 * SECOND + SECOND / 10);
    assert_eq!(replay.outages[0].late, Some(4 * SECOND + SECOND / 10));
    assert_eq!(replay.latest(), Some(4 * SECOND + SECOND / 10));
    // Probes at 35 and 46 fail too, and so it stays open until 57; two successes close.
    assert_eq!((replay.outages[0].failed, replay.failed, replay.spared), (7, 7, 23));
    assert_eq!(replay.denied, 7);
    assert_eq!(replay.trips[0].closed_at, Some(58 * SECOND + SECOND / 10));
}

#[test]
fn a_breaker_that_needs_more_failures_is_later() {
    let late: Vec<_> = [1, 5, 20, 30]
        .map(|failures| run(OUT, failures).outages[0].late.unwrap().as_secs())
        .into();
    assert_eq!(late, [0, 4, 19, 29]);
    let never = run(OUT, 31);
    assert_eq!(
        (never.trips.len(), never.missed(), never.spared, never.failed),
        (0, 1, 0, 30)
    );
    assert_eq!(never.latest(), None);
}

#[test]
fn a_trip_over_a_hiccup_is_a_false_one() {
    let replay = run("..........xxx....................", 3);
    assert_eq!((replay.trips.len(), replay.false_trips(), replay.missed()), (1, 1, 0));
    assert_eq!(replay.trips[0].outage, None);
    assert_eq!((replay.spared, replay.denied), (0, 10));
}

#[test]
fn a_rate_over_a_window_trips_where_a_count_in_a_row_never_does() {
    let calls = "....................".to_owned() + &"x.".repeat(40);
    let rate = settings(BreakerConfig {
        window: Window::Count { calls: 10 },
        failure_rate: Some(0.5),
        ..BreakerConfig::default()
    });
    let (trace, hindsight) = (trace(&calls), Hindsight::default());
    assert_eq!(replay(&trace, &after(5), &hindsight).missed(), 1);
    assert_eq!(replay(&trace, &rate, &hindsight).missed(), 0);
}

#[test]
fn a_breaker_that_is_still_open_when_the_next_outage_begins_is_in_time_for_it() {
    let long = settings(BreakerConfig {
        open_for: 60 * SECOND,
        ..BreakerConfig::default()
    });
    let replay = replay(&trace("xxxxxxxxxx....xxxxxxxxxx"), &long, &Hindsight::default());
    assert_eq!((replay.trips.len(), replay.missed()), (1, 0));
    assert_eq!(replay.outages[1].late, Some(Duration::ZERO));
    assert_eq!(replay.trips[0].closed_at, None);
}

#[test]
fn calls_that_were_rejected_tell_nothing_and_a_terminal_one_isolates() {
    let replay = run("..rrr..t....", 5);
    assert_eq!((replay.calls, replay.unknown), (9, 3));
    assert_eq!(
        (replay.trips[0].at, replay.trips[0].closed_at),
        (7 * SECOND + SECOND / 10, None)
    );
    assert_eq!(replay.denied, 4);
}

#[test]
fn a_slow_call_is_heard_of_when_it_ends_and_not_before() {
    let slow = Call {
        at: Duration::ZERO,
        took: 10 * SECOND,
        outcome: Ended::Failure,
        retry_after: Some(300 * SECOND),
    };
    let quick = |second| Call {
        at: second * SECOND,
        took: Duration::ZERO,
        outcome: Ended::Success,
        retry_after: None,
    };
    let calls = [quick(5), quick(10), quick(200), slow, quick(310), quick(311)];
    let replay = replay(&Trace::of(calls.to_vec()), &after(1), &Hindsight::default());
    assert_eq!(replay.trips[0].at, 10 * SECOND);
    // What it was told to come back after is honoured: the calls at 10 s and 200 s are refused.
    assert_eq!((replay.denied, replay.trips[0].closed_at), (2, Some(311 * SECOND)));
}

#[test]
fn a_replay_reads_as_a_report() {
    let report = run(OUT, 5).to_string();
    assert_eq!(
        report,
        "80 calls: 23 failing ones refused, 7 let through; 7 good ones refused; 0 unknown\n  \
         24.100s tripped, closed at 58.100s\n  \
         outage at 20.000s: tripped 4.100s late, 7 failed first\n"
    );
    let report = run("..xxxxx.............", 5).to_string();
    assert!(report.contains("6.100s tripped falsely, closed at 18.100s"), "{report}");
    assert!(
        run(OUT, 31)
            .to_string()
            .contains("outage at 20.000s: missed, 30 failed")
    );
    assert!(run("t", 31).to_string().contains("not closed since"));
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let heard = [
        Ended::Success,
        Ended::Failure,
        Ended::Terminal,
        Ended::Ignored,
        Ended::Abandoned,
        Ended::Rejected,
    ];
    let heard = prop::sample::select(heard.repeat(2)).prop_map(|heard| {
        if heard == Ended::Terminal {
            Ended::Failure
        } else {
            heard
        }
    });
    let call = (0_u64..300_000, 0_u64..20_000, heard, prop::option::of(0_u64..60));
    let call = call.prop_map(|(at, took, outcome, retry_after)| Call {
        at: Duration::from_millis(at),
        took: Duration::from_millis(took),
        outcome,
        retry_after: retry_after.map(Duration::from_secs),
    });
    prop::collection::vec(call, 0..300)
}

proptest! {
    /// Every call is let through or refused, and counted once; trips follow each other; what opens late opened within.
    #[test]
    fn every_call_is_counted_once(calls in calls(), failures in 1_u32..20, open_for in 1_u32..60) {
        let config = BreakerConfig { failure_threshold: failures, open_for: open_for * SECOND, ..BreakerConfig::default() };
        let trace = Trace::of(calls.clone());
        let replay = replay(&trace, &settings(config), &Hindsight::default());
        let count = |heard| calls.iter().filter(|call| call.outcome == heard).count() as u64;
        prop_assert_eq!(replay.unknown, count(Ended::Rejected));
        prop_assert_eq!(replay.calls + replay.unknown, calls.len() as u64);
        prop_assert_eq!(replay.failed + replay.spared, count(Ended::Failure));
        prop_assert!(replay.denied <= count(Ended::Success));
        for pair in replay.trips.windows(2) {
            prop_assert!(pair[0].closed_at.unwrap() <= pair[1].at);
        }
        for trip in &replay.trips {
            if let Some(outage) = trip.outage {
                prop_assert!(replay.outages[outage].outage.contains(trip.at));
                prop_assert!(replay.outages[outage].late.is_some());
            }
        }
        // In any order of its lines it is the same trace.
        let backwards: Vec<_> = calls.iter().rev().copied().collect();
        prop_assert_eq!(Trace::of(backwards).calls().len(), calls.len());
    }

    /// A breaker that needs more failures never trips earlier for the first time.
    #[test]
    fn patience_never_trips_earlier(calls in calls(), failures in 1_u32..10, more in 1_u32..10) {
        let trace = Trace::of(calls);
        let first = |failures| replay(&trace, &after(failures), &Hindsight::default()).trips.first().map(|trip| trip.at);
        if let Some(late) = first(failures + more) {
            prop_assert!(first(failures).unwrap() <= late);
        }
    }

    /// Outages follow each other, hold as many failures as they must, and begin and end with one.
    #[test]
    fn outages_are_apart_and_full_of_failures(calls in calls(), failures in 1_u32..5, pardon in 0_u32..5) {
        let hindsight = Hindsight { failures, pardon, ..Hindsight::default() };
        let trace = Trace::of(calls);
        let outages = trace.outages(&hindsight);
        for pair in outages.windows(2) {
            prop_assert!(pair[0].begins < pair[1].begins);
        }
        let failures_of = |outage: &Outage| {
            let inside = |call: &&Call| outage.contains(call.at) && call.outcome == Ended::Failure;
            trace.calls().iter().filter(inside).copied().collect::<Vec<_>>()
        };
        for outage in &outages {
            let inside = failures_of(outage);
            prop_assert!(inside.len() >= failures as usize);
            prop_assert!(inside.iter().any(|call| call.at == outage.begins));
            prop_assert!(inside.iter().any(|call| call.at + call.took == outage.ends));
        }
    }
}
