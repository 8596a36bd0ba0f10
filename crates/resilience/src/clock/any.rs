//! A clock of any kind, for what travels between policies with clocks of their own.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use super::{Clock, Coarse, Moment, Precise, Ticker, TokioClock, Virtual};

/// Any of the clocks. Made by [`Clock::any`]; those of this crate need no box.
#[derive(Clone, Debug)]
pub struct AnyClock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Coarse,
    Precise,
    Ticker(Ticker),
    Tokio(TokioClock),
    Virtual(Virtual),
    Other(Arc<dyn Boxed>),
}

impl AnyClock {
    pub(super) fn other(clock: &impl Clock) -> Self {
        Self(Kind::Other(Arc::new(Own(clock.clone()))))
    }
}

impl Clock for AnyClock {
    fn now(&self) -> Moment {
        match &self.0 {
            Kind::Coarse => Coarse.now(),
            Kind::Precise => Precise.now(),
            Kind::Ticker(clock) => clock.now(),
            Kind::Tokio(clock) => clock.now(),
            Kind::Virtual(clock) => clock.now(),
            Kind::Other(clock) => clock.now(),
        }
    }

    fn sleep_until(&self, until: Moment) -> impl Future<Output = ()> + Send + 'static {
        let clock = self.clone();
        async move {
            match clock.0 {
                Kind::Coarse => Coarse.sleep_until(until).await,
                Kind::Precise => Precise.sleep_until(until).await,
                Kind::Ticker(clock) => clock.sleep_until(until).await,
                Kind::Tokio(clock) => clock.sleep_until(until).await,
                Kind::Virtual(clock) => clock.sleep_until(until).await,
                Kind::Other(clock) => clock.sleep_until(until).await,
            }
        }
    }

    fn any(&self) -> AnyClock {
        self.clone()
    }
}

impl From<Coarse> for AnyClock {
    fn from(Coarse: Coarse) -> Self {
        Self(Kind::Coarse)
    }
}

impl From<Precise> for AnyClock {
    fn from(Precise: Precise) -> Self {
        Self(Kind::Precise)
    }
}

impl From<Ticker> for AnyClock {
    fn from(clock: Ticker) -> Self {
        Self(Kind::Ticker(clock))
    }
}

impl From<TokioClock> for AnyClock {
    fn from(clock: TokioClock) -> Self {
        Self(Kind::Tokio(clock))
    }
}

impl From<Virtual> for AnyClock {
    fn from(clock: Virtual) -> Self {
        Self(Kind::Virtual(clock))
    }
}

/// A [`Clock`] behind a pointer.
trait Boxed: fmt::Debug + Send + Sync {
    fn now(&self) -> Moment;
    fn sleep_until(&self, until: Moment) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Keeps the names of the two traits apart.
#[derive(Debug)]
struct Own<C>(C);

impl<C: Clock> Boxed for Own<C> {
    fn now(&self) -> Moment {
        self.0.now()
    }

    fn sleep_until(&self, until: Moment) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.0.sleep_until(until))
    }
}
