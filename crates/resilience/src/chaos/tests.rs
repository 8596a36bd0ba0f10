use core::cell::Cell;
use core::time::Duration;

use proptest::prelude::*;

use super::{Chaos, ChaosConfig, ChaosSnapshot};
use crate::{Clock, Failure, Layer, Virtual};

const SECOND: Duration = Duration::from_secs(1);

fn chaos(rate: f64, seed: u64) -> Chaos {
    Chaos::new(ChaosConfig { rate, seed }).unwrap()
}

/// What the layer makes of so many calls that would all succeed: whether each was struck, and how many were really made.
async fn calls(layer: &impl Layer<u32, &'static str>, calls: u32) -> (Vec<bool>, u32) {
    let made = Cell::new(0);
    let made_one = || {
        made.set(made.get() + 1);
        core::future::ready(Ok(1))
    };
    let mut struck = Vec::new();
    for _ in 0..calls {
        struck.push(layer.run(made_one).await != Ok(1));
    }
    (struck, made.get())
}

#[tokio::test]
async fn nothing_is_struck_unless_it_is_enabled() {
    let chaos = chaos(1.0, 1);
    let layer = chaos.error(|| "no");
    assert_eq!(calls(&layer, 100).await.1, 100);
    assert_eq!(chaos.snapshot(), ChaosSnapshot::default());
    chaos.enable();
    assert!(chaos.is_enabled());
    assert_eq!(calls(&layer, 100).await.1, 0);
    chaos.disable();
    assert_eq!(calls(&layer, 100).await.1, 100);
    assert_eq!(
        chaos.snapshot(),
        ChaosSnapshot {
            calls: 100,
            struck: 100
        }
    );
}

#[tokio::test]
async fn struck_calls_are_not_made_and_end_as_told() {
    let chaos = chaos(1.0, 1);
    chaos.enable();
    let next = || core::future::ready(Ok::<_, Failure<&str>>(1));
    assert_eq!(chaos.error(|| "no").run(next).await, Err(Failure::Inner("no")));
    assert_eq!(chaos.outcome(|| Ok(0)).run(next).await, Ok(0));
    assert_eq!(chaos.outcome(|| Err("no")).run(next).await, Err(Failure::Inner("no")));
}

#[tokio::test]
async fn latency_comes_before_the_call_which_then_is_made() {
    let (chaos, clock) = (chaos(1.0, 1), Virtual::new());
    chaos.enable();
    let layer = chaos.latency_on(clock.clone(), SECOND..=3 * SECOND).unwrap();
    let begun = clock.now();
    let task = tokio::spawn({
        let clock = clock.clone();
        async move {
            let next = || core::future::ready(Ok::<_, Failure<&str>>(clock.now()));
            layer.run(next).await
        }
    });
    clock.run_for(10 * SECOND).await;
    let wait = task.await.unwrap().unwrap().since(begun);
    assert!((SECOND..=3 * SECOND).contains(&wait), "{wait:?}");
}

#[test]
fn waits_fill_their_range_whatever_the_rate() {
    for rate in [0.05, 1.0] {
        let chaos = chaos(rate, 3);
        chaos.enable();
        let layer = chaos.latency(SECOND..=3 * SECOND).unwrap();
        let waits: Vec<_> = (0..4000)
            .filter_map(|_| chaos.strikes())
            .map(|n| layer.wait_of(n))
            .collect();
        assert!(waits.iter().all(|wait| (SECOND..=3 * SECOND).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < SECOND + SECOND / 5), "rate {rate}");
        assert!(waits.iter().any(|wait| *wait > 3 * SECOND - SECOND / 5), "rate {rate}");
    }
}

#[test]
fn a_range_the_wrong_way_round_is_refused() {
    let refused = chaos(1.0, 1).latency(RANGE).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "chaos latency from 3s to 1s ends before it begins; turn it round"
    );
}

/// From three seconds to one.
const RANGE: core::ops::RangeInclusive<Duration> = core::ops::RangeInclusive::new(Duration::from_secs(3), SECOND);

#[tokio::test]
async fn clones_share_switch_and_counts() {
    let chaos = chaos(1.0, 1);
    let (one, other) = (chaos.error(|| "no"), chaos.outcome(|| Ok(0)));
    chaos.clone().enable();
    calls(&one, 3).await;
    calls(&other, 4).await;
    assert_eq!(chaos.snapshot().struck, 7);
    assert!(format!("{one:?} {other:?}").contains("ChaosOutcome"));
}

#[test]
fn a_rate_that_is_no_share_is_refused() {
    for rate in [-0.1, 1.1, 90.0, f64::NAN, f64::INFINITY] {
        let refusal = Chaos::new(ChaosConfig { rate, seed: 0 }).unwrap_err().to_string();
        assert!(refusal.contains("is not a share from 0 to 1"), "{refusal}");
    }
}

proptest! {
    /// The share that is struck is the rate, and the same seed strikes the same calls.
    #[test]
    fn seeds_repeat_and_rates_hold(seed: u64, rate in 0.0..=1.0) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let run = || {
            let chaos = chaos(rate, seed);
            chaos.enable();
            runtime.block_on(calls(&chaos.error(|| "no"), 2000))
        };
        let (struck, made) = run();
        let count = struck.iter().filter(|struck| **struck).count();
        prop_assert_eq!(2000 - count, made as usize);
        prop_assert!((count as f64 / 2000.0 - rate).abs() < 0.07, "{} of 2000 at {}", count, rate);
        prop_assert_eq!(run().0, struck);
    }
}
