//! Leaving a service alone because it asked for it.

use core::time::Duration;

use stead_policy::RETRY_AFTER_MOST;

use super::Breaker;
use crate::Clock;

impl<C: Clock> Breaker<C> {
    /// Opens it for `wait` from now on, up to a day, whatever its window holds: the service said when to come back, and asking it
    /// before would only be refused.
    ///
    /// [`Permit::failure_until`](super::Permit::failure_until) reports one such call, which counts like any other; this is for who
    /// takes the service at its word. What is open for longer stays so, and what was forced or isolated is left as it is.
    pub fn rest(&self, wait: Duration) {
        let now = self.clock.now();
        self.rest_until(now, now.after(wait.min(RETRY_AFTER_MOST)));
    }
}

#[cfg(test)]
mod tests {
    use stead_policy::{BreakerConfig, CircuitState};

    use super::*;
    use crate::{Cause, Heard, Virtual};

    const MINUTE: Duration = Duration::from_secs(60);

    fn breaker() -> (Breaker<Virtual>, Virtual) {
        let clock = Virtual::new();
        let config = BreakerConfig {
            success_threshold: 1,
            open_for: MINUTE,
            ..BreakerConfig::default()
        };
        (Breaker::with_clock(config, clock.clone()).unwrap(), clock)
    }

    #[test]
    fn a_service_that_asked_for_it_is_left_alone_exactly_so_long() {
        for wait in [MINUTE / 60, MINUTE * 60] {
            let (breaker, clock) = breaker();
            let mut heard = breaker.listen();
            breaker.rest(wait);
            assert_eq!(breaker.try_acquire().unwrap_err().retry_after, Some(wait));
            let Some(Heard::Event(event)) = heard.try_next() else {
                panic!("it is not told");
            };
            assert_eq!((event.to, event.cause), (CircuitState::Open, Cause::AskedFor));
            clock.advance(wait);
            breaker.try_acquire().unwrap().success();
            assert_eq!(breaker.state(), CircuitState::Closed);
        }
    }

    #[test]
    fn a_rest_makes_an_open_period_longer_and_never_shorter() {
        let (breaker, _clock) = breaker();
        breaker.rest(MINUTE);
        breaker.rest(MINUTE / 2);
        assert_eq!(breaker.try_acquire().unwrap_err().retry_after, Some(MINUTE));
        breaker.rest(MINUTE * 3);
        assert_eq!(breaker.try_acquire().unwrap_err().retry_after, Some(MINUTE * 3));
    }

    #[test]
    fn a_rest_lasts_a_day_at_most_and_undoes_nothing_that_was_done_by_hand() {
        let (breaker, _clock) = breaker();
        breaker.rest(Duration::MAX);
        assert_eq!(breaker.try_acquire().unwrap_err().retry_after, Some(RETRY_AFTER_MOST));
        for (force, state) in [
            (Breaker::force_open as fn(&Breaker<Virtual>), CircuitState::ForcedOpen),
            (Breaker::force_closed, CircuitState::ForcedClosed),
            (Breaker::disable, CircuitState::Disabled),
        ] {
            force(&breaker);
            breaker.rest(MINUTE);
            assert_eq!(breaker.state(), state);
        }
    }

    #[test]
    fn a_call_from_before_a_rest_changes_nothing() {
        let (breaker, _clock) = breaker();
        let permit = breaker.try_acquire().unwrap();
        breaker.rest(MINUTE);
        permit.success();
        assert_eq!((breaker.state(), breaker.counts().late), (CircuitState::Open, 1));
    }
}
