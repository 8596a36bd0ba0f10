//! The concurrent breaker against the plain machine, step by step.

use proptest::prelude::*;
use stead_policy::{BreakerSettings, Circuit, Outcome, Ticket};

use super::*;
use crate::{Clock, Permit};

#[derive(Clone, Debug)]
enum Op {
    Wait(Duration),
    Call,
    Probe,
    Report(usize, Outcome),
    /// Many calls that succeed at once: healthy times.
    Succeed(u32),
    Hand(CircuitState),
    Reconfigure(usize),
    Restore,
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        6 => Just(Outcome::Success),
        6 => Just(Outcome::Failure { retry_after: None }),
        1 => (1..200_u32).prop_map(|secs| Outcome::Failure { retry_after: Some(secs * SECOND) }),
        1 => Just(Outcome::Ignored),
        1 => Just(Outcome::Abandoned),
        1 => Just(Outcome::Terminal),
    ]
}

fn hands() -> impl Strategy<Value = CircuitState> {
    prop_oneof![
        3 => Just(CircuitState::Closed),
        1 => Just(CircuitState::ForcedOpen),
        1 => Just(CircuitState::ForcedClosed),
        1 => Just(CircuitState::Disabled),
    ]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let waits = prop_oneof![
        8 => 0..3_000_000_000_u64,
        4 => 0..80_000_000_000_u64,
        1 => 0..10_000_000_000_000_u64,
    ];
    let op = prop_oneof![
        12 => waits.prop_map(|nanos| Op::Wait(Duration::from_nanos(nanos))),
        30 => Just(Op::Call),
        1 => Just(Op::Probe),
        30 => (any::<usize>(), outcomes()).prop_map(|(n, outcome)| Op::Report(n, outcome)),
        3 => (1..40_u32).prop_map(Op::Succeed),
        1 => hands().prop_map(Op::Hand),
        2 => any::<usize>().prop_map(Op::Reconfigure),
        1 => Just(Op::Restore),
    ];
    prop::collection::vec(op, 0..300)
}

/// Settings between which a breaker is switched; those of one list all time calls, or none does.
fn settings() -> [Vec<BreakerSettings>; 2] {
    let base = || BreakerConfig {
        failure_threshold: 3,
        minimum_calls: 6,
        open_for: 5 * SECOND,
        open_growth: 2.0,
        open_max: 60 * SECOND,
        ..BreakerConfig::default()
    };
    let ramp = || {
        Some(Ramp {
            steps: [10, 40].into(),
            step_for: 3 * SECOND,
            failures: 2,
        })
    };
    let (count, time) = (Window::Count { calls: 10 }, Window::Time { span: 10 * SECOND });
    let slow = Some(SlowCalls {
        over: SECOND,
        rate: 0.4,
    });
    let untimed = [
        base(),
        BreakerConfig {
            ramp: ramp(),
            enforce: 30,
            ..base()
        },
        BreakerConfig {
            window: Window::Leaky { leak: 2 * SECOND },
            half_open_max_calls: 1,
            ..base()
        },
        BreakerConfig {
            window: Window::Leaky { leak: SECOND / 3 },
            ..base()
        },
        BreakerConfig {
            window: count,
            ..base()
        },
        BreakerConfig {
            window: Window::Count { calls: 33 },
            ramp: ramp(),
            ..base()
        },
        BreakerConfig {
            window: count,
            failure_rate: Some(0.5),
            ..base()
        },
        BreakerConfig {
            window: Window::Count { calls: 200 },
            failure_rate: Some(0.3),
            ..base()
        },
        BreakerConfig {
            window: Window::Count { calls: 6 },
            failure_rate: Some(0.3),
            ..base()
        },
        BreakerConfig { window: time, ..base() },
        BreakerConfig {
            window: time,
            failure_rate: Some(0.5),
            ..base()
        },
        BreakerConfig {
            window: Window::Time { span: 100 * SECOND },
            failure_rate: Some(0.3),
            enforce: 0,
            ..base()
        },
    ];
    let timed = [
        BreakerConfig {
            window: count,
            slow_calls: slow,
            ..base()
        },
        BreakerConfig {
            window: Window::Count { calls: 64 },
            slow_calls: slow,
            failure_rate: Some(0.5),
            ..base()
        },
        BreakerConfig {
            window: time,
            slow_calls: slow,
            ramp: ramp(),
            ..base()
        },
        BreakerConfig {
            window: time,
            slow_calls: slow,
            failure_rate: Some(0.5),
            ..base()
        },
    ];
    let valid = |config: BreakerConfig| BreakerSettings::try_from(config).expect("valid");
    [untimed.map(valid).into(), timed.map(valid).into()]
}

struct Pair<'a> {
    fast: &'a Breaker<Virtual>,
    plain: Circuit,
    clock: Virtual,
    held: Vec<(Permit<'a, Virtual>, Ticket)>,
    reconfigured: u32,
}

impl<'a> Pair<'a> {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.clock.now().as_nanos())
    }

    fn call(&mut self) {
        let now = self.now();
        match (self.fast.try_acquire(), self.plain.acquire(now)) {
            (Ok(permit), Ok(ticket)) => self.held.push((permit, ticket)),
            (fast, plain) => assert_eq!(fast.err(), plain.err(), "one of them admits"),
        }
    }

    fn probe(&mut self) {
        let now = self.now();
        match (self.fast.try_probe(), self.plain.acquire_probe(now)) {
            (Ok(permit), Ok(ticket)) => self.held.push((permit, ticket)),
            (fast, plain) => assert_eq!(fast.err(), plain.err(), "one of them admits"),
        }
    }

    fn report(&mut self, n: usize, outcome: Outcome) {
        if self.held.is_empty() {
            return;
        }
        let (permit, ticket) = self.held.swap_remove(n % self.held.len());
        match outcome {
            Outcome::Success => permit.success(),
            Outcome::Failure { retry_after: None } => permit.failure(),
            Outcome::Failure {
                retry_after: Some(wait),
            } => permit.failure_until(wait),
            Outcome::Terminal => permit.terminal(),
            Outcome::Ignored => permit.ignore(),
            Outcome::Abandoned => drop(permit),
        }
        self.plain.record(self.now(), ticket, outcome);
    }

    fn hand(&mut self, state: CircuitState) {
        match state {
            CircuitState::ForcedOpen => (self.fast.force_open(), self.plain.force_open()),
            CircuitState::ForcedClosed => (self.fast.force_closed(), self.plain.force_closed()),
            CircuitState::Disabled => (self.fast.disable(), self.plain.disable()),
            _ => (self.fast.reset(), self.plain.reset()),
        };
    }

    fn step(&mut self, op: &Op, settings: &[BreakerSettings]) {
        match op {
            Op::Wait(wait) => self.clock.advance(*wait),
            Op::Call => self.call(),
            Op::Probe => self.probe(),
            Op::Report(n, outcome) => self.report(*n, *outcome),
            Op::Succeed(times) => {
                for _ in 0..*times {
                    let held = self.held.len();
                    self.call();
                    if self.held.len() > held {
                        self.report(held, Outcome::Success);
                    }
                }
            }
            Op::Hand(state) => self.hand(*state),
            // The eighth window of one generation begins another, which the plain machine has no need for.
            Op::Reconfigure(_) if self.reconfigured == 7 => {}
            Op::Reconfigure(n) => {
                self.reconfigured += 1;
                let settings = &settings[n % settings.len()];
                self.fast.apply(settings.clone());
                self.plain.reconfigure(self.now(), settings.clone());
            }
            Op::Restore => {}
        }
        assert_eq!(self.fast.snapshot(), self.plain.image(self.now()), "after {op:?}");
        assert_eq!(self.fast.generation(), self.plain.generation());
    }
}

fn walk(ops: &[Op], settings: &[BreakerSettings], first: usize) {
    let first = settings[first % settings.len()].clone();
    let clock = Virtual::new();
    clock.advance(SECOND);
    let mut pair = (
        Breaker::with_settings(first.clone(), clock.clone()),
        Circuit::new(first),
    );
    for ops in ops.split_inclusive(|op| matches!(op, Op::Restore)) {
        pair = walk_until_restored(ops, settings, pair, &clock);
    }
}

fn walk_until_restored(
    ops: &[Op],
    settings: &[BreakerSettings],
    (fast, plain): (Breaker<Virtual>, Circuit),
    clock: &Virtual,
) -> (Breaker<Virtual>, Circuit) {
    let mut pair = Pair {
        fast: &fast,
        plain,
        clock: clock.clone(),
        held: Vec::new(),
        reconfigured: 0,
    };
    for op in ops {
        pair.step(op, settings);
    }
    let (image, now, settings) = (fast.snapshot(), pair.now(), fast.settings());
    let restored = Breaker::restore(settings.clone(), &image, clock.clone());
    assert_eq!(restored.snapshot(), image);
    (restored, Circuit::restore((*settings).clone(), &image, now))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn it_does_what_the_plain_machine_does(ops in ops(), timed in any::<bool>(), first in any::<usize>()) {
        walk(&ops, &settings()[usize::from(timed)], first);
    }
}

/// Settings never change here, and time moves little by little, so that windows fill, roll and empty many times over.
#[test]
fn its_windows_equal_the_plain_ones_over_millions_of_steps() {
    let draw = |n, of: u64| stead_policy::draw(7, n) % of;
    let all = settings().concat();
    for (kind, settings) in all.iter().enumerate() {
        let clock = Virtual::new();
        let fast = Breaker::with_settings(settings.clone(), clock.clone());
        let mut pair = Pair {
            fast: &fast,
            plain: Circuit::new(settings.clone()),
            clock,
            held: Vec::new(),
            reconfigured: 0,
        };
        for n in 0..150_000_u64 {
            let n = n + 1_000_000 * kind as u64;
            // Long healthy stretches, then trouble; most pauses short, some longer than any window.
            let trouble = if (n / 500).is_multiple_of(4) { 3 } else { 60 };
            let pause = match (draw(n, 3000), draw(3 * n, 6)) {
                (0, _) => 300_000,
                (_, 0..3) => 0,
                (_, 3) => 1,
                (_, 4) => 20,
                (..) => 300,
            };
            pair.clock.advance(Duration::from_millis(pause));
            pair.call();
            let outcome = match draw(3 * n + 1, trouble) {
                0 => Outcome::Failure { retry_after: None },
                _ => Outcome::Success,
            };
            if draw(3 * n + 2, 4) > 0 {
                pair.report(0, outcome);
            }
            assert_eq!(pair.fast.state(), pair.plain.state(), "step {n} of {settings:?}");
            if n.is_multiple_of(16) {
                assert_eq!(
                    pair.fast.snapshot(),
                    pair.plain.image(pair.now()),
                    "step {n} of {settings:?}"
                );
            }
        }
    }
}
