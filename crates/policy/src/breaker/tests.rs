use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::*;

const FAILED: Outcome = Outcome::Failure { retry_after: None };

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn circuit(config: BreakerConfig) -> Circuit {
    Circuit::new(BreakerSettings::try_from(config).unwrap())
}

fn call(circuit: &mut Circuit, now: Duration, outcome: Outcome) {
    let ticket = circuit.acquire(now).unwrap();
    circuit.record(now, ticket, outcome);
}

fn opened(config: BreakerConfig) -> Circuit {
    let mut circuit = circuit(config);
    for _ in 0..circuit.settings().config().failure_threshold {
        call(&mut circuit, Duration::ZERO, FAILED);
    }
    assert_eq!(circuit.state(), CircuitState::Open);
    circuit
}

fn windows() -> [Window; 4] {
    [
        Window::Consecutive,
        Window::Leaky { leak: secs(60) },
        Window::Count { calls: 10 },
        Window::Time { span: secs(60) },
    ]
}

#[test]
fn it_opens_at_exactly_the_nth_failure_also_after_a_hundred_thousand_successes() {
    for window in windows() {
        let mut circuit = circuit(BreakerConfig {
            window,
            ..BreakerConfig::default()
        });
        for _ in 0..100_000 {
            call(&mut circuit, Duration::ZERO, Outcome::Success);
        }
        for _ in 0..4 {
            call(&mut circuit, Duration::ZERO, FAILED);
            assert_eq!(circuit.state(), CircuitState::Closed, "{window:?}");
        }
        call(&mut circuit, Duration::ZERO, FAILED);
        assert_eq!(circuit.state(), CircuitState::Open, "{window:?}");
    }
}

#[test]
fn it_is_never_half_open_before_its_time() {
    let open_for = Duration::from_micros(1500);
    let mut circuit = opened(BreakerConfig {
        open_for,
        ..BreakerConfig::default()
    });
    let early = open_for - Duration::from_nanos(1);
    assert_eq!(
        circuit.acquire(early),
        Err(Refusal {
            state: CircuitState::Open,
            retry_after: Some(Duration::from_nanos(1)),
        })
    );
    let _probe = circuit.acquire(open_for).unwrap();
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
}

#[test]
fn enough_successes_close_at_once_and_one_failure_reopens_for_longer() {
    let mut circuit = opened(BreakerConfig {
        open_growth: 2.0,
        ..BreakerConfig::default()
    });
    call(&mut circuit, secs(60), FAILED);
    assert_eq!(circuit.state(), CircuitState::Open);
    assert!(circuit.acquire(secs(60 + 119)).is_err());
    call(&mut circuit, secs(60 + 120), Outcome::Success);
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    call(&mut circuit, secs(60 + 120), Outcome::Success);
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[test]
fn a_lost_probe_frees_its_place_when_its_lease_ends_and_its_result_is_ignored() {
    let mut circuit = opened(BreakerConfig::default());
    let (lost, given_up) = (circuit.acquire(secs(60)).unwrap(), circuit.acquire(secs(60)).unwrap());
    let full = circuit.acquire(secs(61)).unwrap_err();
    assert_eq!(full.retry_after, Some(secs(9)));
    assert_eq!(circuit.record(secs(62), given_up, Outcome::Abandoned), Recorded::Noted);
    let _third = circuit.acquire(secs(62)).unwrap();
    let _fourth = circuit.acquire(secs(70)).unwrap();
    assert_eq!(circuit.record(secs(71), lost, FAILED), Recorded::Late);
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
}

#[test]
fn a_late_success_from_before_the_outage_does_not_close() {
    let mut circuit = circuit(BreakerConfig {
        success_threshold: 1,
        ..BreakerConfig::default()
    });
    let old = circuit.acquire(Duration::ZERO).unwrap();
    for _ in 0..5 {
        call(&mut circuit, Duration::ZERO, FAILED);
    }
    let probe = circuit.acquire(secs(60)).unwrap();
    assert_eq!(circuit.record(secs(61), old, Outcome::Success), Recorded::Late);
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    circuit.record(secs(61), probe, Outcome::Success);
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[test]
fn retry_after_keeps_it_open_for_as_long_as_the_service_asks() {
    let mut circuit = circuit(BreakerConfig::default());
    let hour = Outcome::Failure {
        retry_after: Some(secs(3600)),
    };
    call(&mut circuit, Duration::ZERO, hour);
    for _ in 0..4 {
        call(&mut circuit, secs(1), FAILED);
    }
    assert_eq!(circuit.acquire(secs(3599)).unwrap_err().retry_after, Some(secs(1)));
    assert!(circuit.acquire(secs(3600)).is_ok());
}

#[test]
fn a_terminal_failure_isolates_until_a_deliberate_probe_succeeds() {
    let mut circuit = circuit(BreakerConfig::default());
    call(&mut circuit, Duration::ZERO, Outcome::Terminal);
    assert_eq!(circuit.acquire(secs(1_000_000)).unwrap_err().retry_after, None);
    let probe = circuit.acquire_probe(secs(10)).unwrap();
    assert!(circuit.acquire_probe(secs(10)).is_err());
    circuit.record(secs(10), probe, FAILED);
    assert_eq!(circuit.state(), CircuitState::Isolated);
    let probe = circuit.acquire_probe(secs(20)).unwrap();
    circuit.record(secs(20), probe, Outcome::Success);
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[test]
fn a_ramp_admits_a_growing_share_and_goes_back_a_step_at_a_failure() {
    let mut circuit = opened(BreakerConfig {
        success_threshold: 1,
        ramp: Some(Ramp::default()),
        ..BreakerConfig::default()
    });
    call(&mut circuit, secs(60), Outcome::Success);
    let admitted = |circuit: &mut Circuit, now| (0..100).filter(|_| circuit.acquire(now).is_ok()).count();
    let succeed = |circuit: &mut Circuit, now| {
        while circuit
            .acquire(now)
            .map(|ticket| circuit.record(now, ticket, Outcome::Success))
            .is_err()
        {}
    };
    assert_eq!(admitted(&mut circuit, secs(60)), 10);
    succeed(&mut circuit, secs(70));
    assert_eq!(admitted(&mut circuit, secs(70)), 25);
    succeed(&mut circuit, secs(80));
    assert_eq!(admitted(&mut circuit, secs(80)), 50);
    let ticket = loop {
        if let Ok(ticket) = circuit.acquire(secs(80)) {
            break ticket;
        }
    };
    circuit.record(secs(80), ticket, FAILED);
    assert_eq!(admitted(&mut circuit, secs(80)), 25);
    succeed(&mut circuit, secs(90));
    succeed(&mut circuit, secs(100));
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[test]
fn a_rate_opens_once_the_window_holds_enough_calls() {
    for window in [Window::Count { calls: 20 }, Window::Time { span: secs(60) }] {
        let mut circuit = circuit(BreakerConfig {
            window,
            failure_rate: Some(0.5),
            ..BreakerConfig::default()
        });
        for _ in 0..5 {
            call(&mut circuit, Duration::ZERO, FAILED);
        }
        for _ in 0..4 {
            call(&mut circuit, Duration::ZERO, Outcome::Success);
        }
        assert_eq!(circuit.state(), CircuitState::Closed);
        call(&mut circuit, Duration::ZERO, Outcome::Success);
        assert_eq!(circuit.state(), CircuitState::Open);
    }
}

#[test]
fn slow_calls_open_by_their_rate() {
    let mut circuit = circuit(BreakerConfig {
        window: Window::Count { calls: 10 },
        slow_calls: Some(SlowCalls {
            over: secs(2),
            rate: 0.5,
        }),
        ..BreakerConfig::default()
    });
    for n in 0..10 {
        let ticket = circuit.acquire(secs(n * 10)).unwrap();
        circuit.record(secs(n * 10 + 2 + n % 2), ticket, Outcome::Success);
    }
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[test]
fn in_shadow_mode_every_call_is_let_through_and_the_states_are_the_same() {
    let mut circuit = opened(BreakerConfig {
        enforce: 0,
        ..BreakerConfig::default()
    });
    call(&mut circuit, secs(1), Outcome::Success);
    assert_eq!(circuit.state(), CircuitState::Open);
    let mut enforced = opened(BreakerConfig {
        enforce: 30,
        ..BreakerConfig::default()
    });
    let refused = (0..100).filter(|_| enforced.acquire(secs(1)).is_err()).count();
    assert_eq!(refused, 30);
}

#[test]
fn reconfiguring_keeps_state_and_window() {
    let mut circuit = circuit(BreakerConfig::default());
    for _ in 0..4 {
        call(&mut circuit, Duration::ZERO, FAILED);
    }
    let mut config = circuit.settings().config().clone();
    config.open_for = secs(5);
    circuit.reconfigure(Duration::ZERO, config.try_into().unwrap());
    call(&mut circuit, Duration::ZERO, FAILED);
    assert_eq!(circuit.acquire(Duration::ZERO).unwrap_err().retry_after, Some(secs(5)));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn settings_that_make_no_sense_are_refused() {
    let good = BreakerConfig::default;
    let count = Window::Count { calls: 10 };
    let refused = [
        BreakerConfig {
            failure_threshold: 0,
            ..good()
        },
        BreakerConfig {
            failure_threshold: 11,
            window: count,
            ..good()
        },
        BreakerConfig {
            success_threshold: 0,
            ..good()
        },
        BreakerConfig {
            half_open_max_calls: 0,
            ..good()
        },
        BreakerConfig {
            open_for: Duration::ZERO,
            ..good()
        },
        BreakerConfig {
            open_max: secs(1),
            ..good()
        },
        BreakerConfig {
            trial_timeout: Duration::ZERO,
            ..good()
        },
        BreakerConfig {
            open_growth: f64::NAN,
            ..good()
        },
        BreakerConfig {
            open_growth: 0.5,
            ..good()
        },
        BreakerConfig { enforce: 101, ..good() },
        BreakerConfig {
            failure_rate: Some(0.5),
            ..good()
        },
        BreakerConfig {
            failure_rate: Some(f64::NAN),
            window: count,
            ..good()
        },
        BreakerConfig {
            failure_rate: Some(-0.5),
            window: count,
            ..good()
        },
        BreakerConfig {
            failure_rate: Some(1.5),
            window: count,
            ..good()
        },
        BreakerConfig {
            failure_rate: Some(0.5),
            minimum_calls: 11,
            window: count,
            ..good()
        },
        BreakerConfig {
            slow_calls: Some(SlowCalls {
                over: Duration::ZERO,
                rate: 0.5,
            }),
            window: count,
            ..good()
        },
        BreakerConfig {
            window: Window::Count { calls: 0 },
            ..good()
        },
        BreakerConfig {
            window: Window::Time { span: Duration::ZERO },
            ..good()
        },
        BreakerConfig {
            window: Window::Leaky { leak: Duration::ZERO },
            ..good()
        },
        BreakerConfig {
            ramp: Some(Ramp {
                steps: [50, 25].into(),
                ..Ramp::default()
            }),
            ..good()
        },
        BreakerConfig {
            ramp: Some(Ramp {
                steps: [50, 100].into(),
                ..Ramp::default()
            }),
            ..good()
        },
        BreakerConfig {
            ramp: Some(Ramp {
                step_for: Duration::ZERO,
                ..Ramp::default()
            }),
            ..good()
        },
    ];
    for config in refused {
        assert!(BreakerSettings::try_from(config.clone()).is_err(), "{config:?}");
    }
    BreakerSettings::try_from(good()).unwrap();
}

#[test]
fn settings_are_refused_where_they_are_read_and_the_error_says_what_is_meant() {
    let text = r#"{"failure_threshold": 0}"#;
    let error = serde_json::from_str::<BreakerSettings>(text).unwrap_err().to_string();
    assert!(
        error.contains("failure_threshold must be a number from 1 to 8000, not 0"),
        "{error}"
    );
    let error = serde_json::from_str::<BreakerSettings>(r#"{"open_for": "-5s"}"#)
        .unwrap_err()
        .to_string();
    assert!(error.contains("`-5s` is no span of time"), "{error}");
    let read: BreakerSettings =
        serde_json::from_str(r#"{"open_for": "5s", "window": {"kind": "time", "span": "1m"}}"#).unwrap();
    assert_eq!(read.config().window, Window::Time { span: secs(60) });
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Wait(u64),
    Call,
    Report(usize, Outcome),
    Forget(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Success),
        6 => Just(FAILED),
        1 => Just(Outcome::Ignored),
        1 => Just(Outcome::Abandoned),
    ];
    let op = prop_oneof![
        (0..20_000_u64).prop_map(Op::Wait),
        Just(Op::Call),
        Just(Op::Call),
        (any::<usize>(), outcome).prop_map(|(n, outcome)| Op::Report(n, outcome)),
        any::<usize>().prop_map(Op::Forget),
    ];
    prop::collection::vec(op, 0..200)
}

proptest! {
    #[test]
    fn whatever_its_callers_forget_to_report_it_admits_again(ops in ops(), kind in 0..4_usize, ramp in any::<bool>()) {
        let mut circuit = circuit(BreakerConfig {
            window: windows()[kind],
            ramp: ramp.then(Ramp::default),
            ..BreakerConfig::default()
        });
        let (mut now, mut held, mut generation) = (Duration::ZERO, Vec::new(), 0);
        for op in ops {
            match op {
                Op::Wait(millis) => now += Duration::from_millis(millis),
                Op::Call => held.extend(circuit.acquire(now)),
                Op::Report(n, outcome) if !held.is_empty() => {
                    let ticket = held.swap_remove(n % held.len());
                    circuit.record(now, ticket, outcome);
                }
                Op::Forget(n) if !held.is_empty() => drop(held.swap_remove(n % held.len())),
                Op::Report(..) | Op::Forget(_) => {}
            }
            prop_assert!(circuit.generation() >= generation, "generations only grow");
            generation = circuit.generation();
            if let Phase::HalfOpen { probes, .. } = &circuit.phase {
                prop_assert!(probes.leases.iter().filter(|(_, until)| *until > now).count() <= 2);
            }
            let image = circuit.image(now);
            let text = serde_json::to_string(&image).unwrap();
            prop_assert_eq!(&serde_json::from_str::<BreakerImage>(&text).unwrap(), &image);
            let restored = Circuit::restore(circuit.settings().clone(), &image, now);
            prop_assert_eq!(restored.image(now), image);
        }
        // A day on all leases have ended; then nothing but successes.
        for _ in 0..400 {
            now += Duration::from_secs(86_400);
            if let Ok(ticket) = circuit.acquire(now) {
                circuit.record(now, ticket, Outcome::Success);
            }
        }
        prop_assert_eq!(circuit.state(), CircuitState::Closed);
    }
}
