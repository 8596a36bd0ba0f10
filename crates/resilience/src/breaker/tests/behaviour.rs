use core::time::Duration;
use std::sync::Arc;

use stead_policy::{BreakerConfig, CircuitState, PhaseImage, Ramp, SlowCalls, Window, WindowImage};

use super::super::{Breaker, Cause};
use crate::{Failure, Heard, Verdict, Virtual};

mod crowd;
mod differential;
mod listening;
mod paying;

const SECOND: Duration = Duration::from_secs(1);

fn breaker(config: BreakerConfig) -> (Breaker<Virtual>, Virtual) {
    let clock = Virtual::new();
    (Breaker::with_clock(config, clock.clone()).expect("valid"), clock)
}

fn opened(config: BreakerConfig) -> (Breaker<Virtual>, Virtual) {
    let (breaker, clock) = breaker(config);
    fail(&breaker, breaker.settings().config().failure_threshold);
    assert_eq!(breaker.state(), CircuitState::Open);
    (breaker, clock)
}

fn fail(breaker: &Breaker<Virtual>, times: u32) {
    for _ in 0..times {
        breaker.try_acquire().expect("admitted").failure();
    }
}

fn succeed(breaker: &Breaker<Virtual>, times: u32) {
    for _ in 0..times {
        breaker.try_acquire().expect("admitted").success();
    }
}

fn windows() -> [Window; 4] {
    [
        Window::Consecutive,
        Window::Leaky { leak: 60 * SECOND },
        Window::Count { calls: 100 },
        Window::Time { span: 60 * SECOND },
    ]
}

#[test]
fn it_opens_at_exactly_the_nth_failure_also_after_a_hundred_thousand_successes() {
    for window in windows() {
        let (breaker, _clock) = breaker(BreakerConfig {
            window,
            ..BreakerConfig::default()
        });
        succeed(&breaker, 100_000);
        fail(&breaker, 4);
        assert_eq!(breaker.state(), CircuitState::Closed, "{window:?}");
        fail(&breaker, 1);
        assert_eq!(breaker.state(), CircuitState::Open, "{window:?}");
    }
}

#[test]
fn a_probe_that_is_dropped_frees_its_place_and_neither_closes_nor_wedges() {
    let (breaker, clock) = opened(BreakerConfig {
        half_open_max_calls: 1,
        success_threshold: 1,
        ..BreakerConfig::default()
    });
    clock.advance(60 * SECOND);
    for _ in 0..10 {
        let probe = breaker.try_acquire().unwrap();
        assert!(breaker.try_acquire().is_err());
        drop(probe);
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
    }
    assert_eq!(breaker.counts().abandoned, 10);
    succeed(&breaker, 1);
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn a_probe_that_panics_is_an_abandoned_one() {
    let (breaker, clock) = opened(BreakerConfig::default());
    clock.advance(60 * SECOND);
    let call = std::panic::AssertUnwindSafe(|| breaker.call(|| -> Result<(), ()> { panic!("in the call") }));
    assert!(std::panic::catch_unwind(call).is_err());
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    succeed(&breaker, 2);
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn a_probe_that_is_forgotten_frees_its_place_when_its_lease_ends() {
    let (breaker, clock) = opened(BreakerConfig::default());
    clock.advance(60 * SECOND);
    for _ in 0..2 {
        core::mem::forget(breaker.try_acquire().unwrap());
    }
    clock.advance(10 * SECOND - Duration::from_nanos(1));
    assert_eq!(
        breaker.try_acquire().unwrap_err().retry_after,
        Some(Duration::from_nanos(1))
    );
    clock.advance(Duration::from_nanos(1));
    succeed(&breaker, 2);
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test]
async fn a_cancelled_probe_frees_its_place() {
    let (breaker, clock) = opened(BreakerConfig {
        half_open_max_calls: 1,
        ..BreakerConfig::default()
    });
    clock.advance(60 * SECOND);
    {
        let call = breaker.call_async(core::future::pending::<Result<(), ()>>());
        let mut call = core::pin::pin!(call);
        let waker = core::task::Waker::noop();
        assert!(
            call.as_mut()
                .poll(&mut core::task::Context::from_waker(waker))
                .is_pending()
        );
        assert!(breaker.try_acquire().is_err());
    }
    assert!(breaker.try_acquire().is_ok());
}

#[test]
fn a_late_result_of_an_earlier_generation_changes_nothing() {
    let (breaker, clock) = breaker(BreakerConfig {
        success_threshold: 1,
        ..BreakerConfig::default()
    });
    let (old_success, old_failure) = (breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap());
    fail(&breaker, 5);
    clock.advance(60 * SECOND);
    let probe = breaker.try_acquire().unwrap();
    old_success.success();
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    old_failure.failure();
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    probe.success();
    assert_eq!(breaker.state(), CircuitState::Closed);
    let counts = breaker.counts();
    assert_eq!(
        (counts.late, counts.failed),
        (2, 5),
        "what came late is not counted as a failure"
    );
}

#[test]
fn it_is_never_half_open_before_its_time_also_at_sub_second_periods() {
    for period in [1, 999, 1_500_000, 250_000_000] {
        let (breaker, clock) = opened(BreakerConfig {
            open_for: Duration::from_nanos(period),
            ..BreakerConfig::default()
        });
        clock.advance(Duration::from_nanos(period - 1));
        assert!(breaker.try_acquire().is_err());
        clock.advance(Duration::from_nanos(1));
        assert!(breaker.try_acquire().is_ok());
    }
}

#[test]
fn on_the_coarse_clock_it_is_open_for_all_of_its_time_by_a_precise_one() {
    use std::time::Instant;

    let open_for = Duration::from_millis(15);
    for _ in 0..10 {
        let breaker = Breaker::new(BreakerConfig {
            open_for,
            ..BreakerConfig::default()
        })
        .unwrap();
        let before = Instant::now();
        while breaker.state() == CircuitState::Closed {
            assert!(breaker.call(|| Err::<(), _>(())).is_err());
        }
        while breaker.try_acquire().is_err() {
            std::thread::yield_now();
        }
        let lasted = before.elapsed();
        assert!(lasted >= open_for, "{lasted:?}");
    }
}

#[test]
fn classifiers_judge_errors_and_results() {
    let (breaker, _clock) = breaker(BreakerConfig::default());
    let judged = breaker.judged_by(|result: &Result<u16, &str>| match result {
        Ok(500..) => Verdict::FAILURE,
        Ok(_) => Verdict::Success,
        Err("my own mistake") => Verdict::Ignored,
        Err(_) => Verdict::FAILURE,
    });
    for _ in 0..10 {
        assert_eq!(
            judged.call(|| Err("my own mistake")),
            Err(Failure::Inner("my own mistake"))
        );
    }
    assert_eq!(breaker.counts().ignored, 10);
    for _ in 0..5 {
        assert_eq!(judged.call(|| Ok(503)), Ok(503));
    }
    assert_eq!(breaker.state(), CircuitState::Open);
    assert_eq!(
        judged.call(|| Ok(200)),
        Err(Failure::CircuitOpen {
            retry_after: Some(60 * SECOND)
        })
    );
}

#[test]
fn a_terminal_failure_isolates_until_somebody_acts() {
    let config = BreakerConfig::default();
    let (breaker, clock) = breaker(config.clone());
    breaker.try_acquire().unwrap().terminal();
    clock.advance(1_000_000 * SECOND);
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after, None);
    breaker.reconfigure(config.clone()).unwrap();
    assert_eq!(
        breaker.state(),
        CircuitState::Isolated,
        "the same settings are no change"
    );
    breaker
        .reconfigure(BreakerConfig {
            open_for: SECOND,
            ..config
        })
        .unwrap();
    assert_eq!(breaker.state(), CircuitState::Closed);
    breaker.try_acquire().unwrap().terminal();
    breaker.try_probe().unwrap().failure();
    assert_eq!(breaker.state(), CircuitState::Isolated, "a failed probe clears nothing");
    breaker.try_probe().unwrap().success();
    assert_eq!(breaker.state(), CircuitState::Closed);
    breaker.try_acquire().unwrap().terminal();
    breaker.reset();
    assert_eq!(breaker.state(), CircuitState::Closed, "a person may clear it, too");
}

#[test]
fn retry_after_keeps_it_open_for_as_long_as_the_service_asks() {
    let (breaker, clock) = breaker(BreakerConfig::default());
    fail(&breaker, 4);
    breaker.try_acquire().unwrap().failure_until(7200 * SECOND);
    clock.advance(7199 * SECOND);
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after, Some(SECOND));
    clock.advance(SECOND);
    assert!(breaker.try_acquire().is_ok());
}

#[test]
fn by_hand_it_admits_all_or_none_until_it_is_reset() {
    let (breaker, _clock) = breaker(BreakerConfig::default());
    breaker.force_open();
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after, None);
    breaker.force_closed();
    fail(&breaker, 100);
    assert_eq!(breaker.state(), CircuitState::ForcedClosed);
    breaker.disable();
    fail(&breaker, 100);
    assert_eq!(breaker.state(), CircuitState::Disabled);
    assert_eq!(breaker.counts().failed, 0, "nothing was counted");
    breaker.reset();
    fail(&breaker, 5);
    assert_eq!(breaker.state(), CircuitState::Open);
    assert_eq!(breaker.counts().failed, 5);
}

#[test]
fn reconfiguring_keeps_the_window_of_every_kind() {
    for window in windows() {
        let config = BreakerConfig {
            window,
            ..BreakerConfig::default()
        };
        let (breaker, _clock) = breaker(config.clone());
        succeed(&breaker, 3);
        fail(&breaker, 4);
        let larger = match window {
            Window::Consecutive => window,
            Window::Leaky { .. } => Window::Leaky { leak: 30 * SECOND },
            Window::Count { .. } => Window::Count { calls: 2000 },
            Window::Time { .. } => Window::Time { span: 3600 * SECOND },
        };
        breaker
            .reconfigure(BreakerConfig {
                window: larger,
                open_for: 5 * SECOND,
                ..config
            })
            .unwrap();
        assert_eq!(breaker.state(), CircuitState::Closed);
        fail(&breaker, 1);
        assert_eq!(breaker.state(), CircuitState::Open, "{window:?}");
        assert_eq!(breaker.try_acquire().unwrap_err().retry_after, Some(5 * SECOND));
    }
}

#[test]
fn reconfiguring_over_and_over_keeps_the_window() {
    for (window, other) in [
        (Window::Count { calls: 100 }, Window::Count { calls: 3000 }),
        (Window::Time { span: 60 * SECOND }, Window::Time { span: 600 * SECOND }),
    ] {
        let config = |window| BreakerConfig {
            window,
            ..BreakerConfig::default()
        };
        let (breaker, clock) = breaker(config(window));
        fail(&breaker, 4);
        for _ in 0..100 {
            breaker.reconfigure(config(other)).unwrap();
            breaker.reconfigure(config(window)).unwrap();
        }
        clock.advance(SECOND);
        assert_eq!(breaker.state(), CircuitState::Closed);
        fail(&breaker, 1);
        assert_eq!(breaker.state(), CircuitState::Open, "{window:?}");
    }
}

#[test]
fn a_window_of_time_counts_also_where_nobody_has_for_thousands_of_generations() {
    let (breaker, _clock) = breaker(BreakerConfig {
        window: Window::Time { span: 60 * SECOND },
        ..BreakerConfig::default()
    });
    fail(&breaker, 4);
    for _ in 0..750 {
        breaker.force_open();
        breaker.reset();
    }
    fail(&breaker, 4);
    assert_eq!(breaker.state(), CircuitState::Closed);
    fail(&breaker, 1);
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[test]
fn settings_that_make_no_sense_leave_everything_as_it_was() {
    let (breaker, _clock) = breaker(BreakerConfig::default());
    let before = breaker.settings();
    let error = breaker.reconfigure(BreakerConfig {
        failure_threshold: 0,
        ..BreakerConfig::default()
    });
    assert!(error.is_err());
    assert_eq!(breaker.settings(), before);
}

#[test]
fn a_snapshot_restores_on_another_clock() {
    let (breaker, clock) = opened(BreakerConfig::default());
    clock.advance(20 * SECOND);
    let image = breaker.snapshot();
    let text = serde_json::to_string(&image).unwrap();
    assert_eq!(
        text,
        r#"{"generation":1,"reopened":0,"not_before":"0s","state":"open","left":"40s"}"#
    );
    let other = Virtual::new();
    other.advance(1000 * SECOND);
    let restored = Breaker::restore(breaker.settings(), &serde_json::from_str(&text).unwrap(), other.clone());
    assert_eq!(restored.snapshot(), image);
    other.advance(39 * SECOND);
    assert!(restored.try_acquire().is_err());
    other.advance(SECOND);
    assert!(restored.try_acquire().is_ok());
}

#[test]
fn a_window_can_be_looked_at() {
    let (breaker, _clock) = breaker(BreakerConfig {
        window: Window::Count { calls: 4 },
        failure_threshold: 4,
        ..BreakerConfig::default()
    });
    succeed(&breaker, 2);
    fail(&breaker, 2);
    succeed(&breaker, 1);
    let PhaseImage::Closed {
        window: WindowImage::Count { calls },
    } = breaker.snapshot().phase
    else {
        panic!("it is closed")
    };
    assert_eq!(String::from(calls), ".FF.");
}

#[test]
fn on_a_ramp_a_growing_share_is_admitted() {
    let (breaker, clock) = opened(BreakerConfig {
        ramp: Some(Ramp::default()),
        ..BreakerConfig::default()
    });
    clock.advance(60 * SECOND);
    succeed(&breaker, 2);
    for share in [10, 25, 50] {
        assert_eq!(breaker.state(), CircuitState::Recovering);
        let admitted = (0..100)
            .filter_map(|_| breaker.try_acquire().ok())
            .map(crate::Permit::success);
        assert_eq!(admitted.count(), share);
        clock.advance(10 * SECOND);
        while breaker.try_acquire().map(crate::Permit::success).is_err() {}
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn slow_calls_open_by_their_rate() {
    let (breaker, clock) = breaker(BreakerConfig {
        window: Window::Time { span: 60 * SECOND },
        slow_calls: Some(SlowCalls {
            over: SECOND,
            rate: 0.5,
        }),
        ..BreakerConfig::default()
    });
    succeed(&breaker, 5);
    for _ in 0..5 {
        let permit = breaker.try_acquire().unwrap();
        clock.advance(2 * SECOND);
        permit.success();
    }
    assert_eq!(breaker.state(), CircuitState::Open);
    assert_eq!(breaker.counts().slow, 5);
}

#[test]
fn slow_probes_and_slow_calls_on_a_ramp_are_counted_once_each() {
    let (breaker, clock) = opened(BreakerConfig {
        window: Window::Count { calls: 100 },
        slow_calls: Some(SlowCalls {
            over: SECOND,
            rate: 1.0,
        }),
        ramp: Some(Ramp {
            steps: vec![99],
            ..Ramp::default()
        }),
        half_open_max_calls: 3,
        ..BreakerConfig::default()
    });
    clock.advance(60 * SECOND);
    let [slow, late, fast] = [(); 3].map(|()| breaker.try_acquire().unwrap());
    drop(fast);
    clock.advance(2 * SECOND);
    slow.success();
    assert_eq!(breaker.state(), CircuitState::Open, "a slow probe is a failed one");
    late.failure();
    let counts = breaker.counts();
    assert_eq!((counts.slow, counts.late), (1, 1), "a late one is not slow as well");

    clock.advance(60 * SECOND);
    succeed(&breaker, 2);
    assert_eq!(breaker.state(), CircuitState::Recovering);
    let permit = (0..2).find_map(|_| breaker.try_acquire().ok()).unwrap();
    clock.advance(2 * SECOND);
    permit.failure();
    let counts = breaker.counts();
    assert_eq!((counts.slow, counts.failed), (2, 6));
}

#[test]
fn an_owned_permit_travels() {
    let breaker = Arc::new(breaker(BreakerConfig::default()).0);
    let permit = breaker.try_acquire_owned().unwrap();
    std::thread::spawn(move || permit.failure()).join().unwrap();
    assert_eq!(breaker.counts().failed, 1);
    assert_eq!(Arc::strong_count(&breaker), 1);
}

#[test]
fn nobody_writes_beside_what_every_call_reads() {
    // Memory is handed out in steps of 16 bytes, so 48 before and 64 from it on may lie on its line.
    let state = core::mem::offset_of!(Breaker, hot.state);
    let cursor = core::mem::offset_of!(Breaker, rings) + crate::breaker::ring::CURSOR;
    assert!(state >= 48 && cursor >= state + 64, "{state} and {cursor}");
    assert!(size_of::<Breaker>() <= 144 && size_of::<Breaker<crate::Ticker>>() <= 152);
}
