use super::*;

#[test]
fn events_come_in_the_order_of_generations_with_their_causes() {
    let (breaker, clock) = breaker(BreakerConfig::default());
    let mut listener = breaker.listen();
    fail(&breaker, 5);
    clock.advance(60 * SECOND);
    fail(&breaker, 1);
    clock.advance(60 * SECOND);
    succeed(&breaker, 2);
    breaker.force_open();
    breaker.reset();
    let mut heard = Vec::new();
    while let Some(Heard::Event(event)) = listener.try_next() {
        heard.push((event.generation, event.to, event.cause));
    }
    assert_eq!(
        heard,
        [
            (1, CircuitState::Open, Cause::Failures),
            (2, CircuitState::HalfOpen, Cause::PeriodOver),
            (3, CircuitState::Open, Cause::ProbeFailed),
            (4, CircuitState::HalfOpen, Cause::PeriodOver),
            (5, CircuitState::Closed, Cause::ProbesSucceeded),
            (6, CircuitState::ForcedOpen, Cause::ByHand),
            (7, CircuitState::Closed, Cause::ByHand),
        ]
    );
}

#[test]
fn a_listener_that_is_slow_or_gone_holds_up_nobody() {
    let (breaker, _clock) = breaker(BreakerConfig::default());
    let mut slow = breaker.listen();
    drop(breaker.listen());
    for _ in 0..1000 {
        breaker.force_open();
        breaker.reset();
    }
    assert_eq!(slow.try_next(), Some(Heard::Lost(2000 - 256)));
    assert!(matches!(slow.try_next(), Some(Heard::Event(event)) if event.generation == 2000 - 255));
}

#[tokio::test]
async fn a_listener_that_uses_the_breaker_or_panics_harms_nobody() {
    let breaker = Arc::new(breaker(BreakerConfig::default()).0);
    let mut listener = breaker.listen();
    let reentrant = tokio::spawn({
        let breaker = Arc::clone(&breaker);
        async move {
            while let Some(heard) = listener.next().await {
                if matches!(heard, Heard::Event(event) if event.to == CircuitState::ForcedOpen) {
                    breaker.reset();
                    return breaker.state();
                }
            }
            breaker.state()
        }
    });
    let mut listener = breaker.listen();
    let panicking = tokio::spawn(async move {
        listener.next().await;
        panic!("a listener's own trouble");
    });
    breaker.force_open();
    assert_eq!(reentrant.await.unwrap(), CircuitState::Closed);
    assert!(panicking.await.unwrap_err().is_panic());
    fail(&breaker, 5);
    assert_eq!(breaker.state(), CircuitState::Open);
}

/// An executor that runs its task where it is woken: inside the very call that made the event.
#[test]
fn a_waker_that_uses_the_breaker_at_once_does_not_lock_it_up() {
    struct Inside(Arc<Breaker<Virtual>>);
    impl std::task::Wake for Inside {
        fn wake(self: Arc<Self>) {
            self.0.force_closed();
            assert_eq!(self.0.generation(), 2);
        }
    }
    let breaker = Arc::new(breaker(BreakerConfig::default()).0);
    let mut listener = breaker.listen();
    let mut next = std::pin::pin!(listener.next());
    let waker = Arc::new(Inside(Arc::clone(&breaker))).into();
    assert!(
        next.as_mut()
            .poll(&mut std::task::Context::from_waker(&waker))
            .is_pending()
    );
    breaker.force_open();
    assert_eq!(breaker.state(), CircuitState::ForcedClosed);
}
