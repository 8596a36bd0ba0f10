//! A clock of any kind, for what travels between policies with clocks of their own.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::sync::Arc;

use super::{Clock, Coarse, Moment, Precise, Ticker, TokioClock, Virtual};

/// Any of the clocks. Made by [`Clock::any`]; those of this crate need no box.
#[derive(Clone, Debug)]
pub struct AnyClock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Coarse,
    Precise,
    /// Behind a pointer, as it is larger than the others and for tests.
    Tokio(Arc<TokioClock>),
    Virtual(Virtual),
    Other(Arc<dyn Boxed>),
}

impl AnyClock {
    pub(crate) const COARSE: Self = Self(Kind::Coarse);

    /// The clock that keeps no state, if it is one of those.
    #[inline]
    pub(crate) const fn plain(&self) -> Option<Plain> {
        match &self.0 {
            Kind::Coarse => Some(Plain::Coarse),
            Kind::Precise => Some(Plain::Precise),
            Kind::Tokio(_) | Kind::Virtual(_) | Kind::Other(_) => None,
        }
    }

    pub(super) fn other(clock: &impl Clock) -> Self {
        Self(Kind::Other(Arc::new(Own(clock.clone()))))
    }
}

impl Clock for AnyClock {
    fn now(&self) -> Moment {
        match &self.0 {
            Kind::Coarse => Coarse.now(),
            Kind::Precise => Precise.now(),
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
                Kind::Tokio(clock) => clock.sleep_until(until).await,
                Kind::Virtual(clock) => clock.sleep_until(until).await,
                Kind::Other(clock) => clock.sleep_until(until).await,
            }
        }
    }

    fn lag(&self) -> Duration {
        match &self.0 {
            Kind::Coarse => Coarse.lag(),
            Kind::Precise => Precise.lag(),
            Kind::Tokio(clock) => clock.lag(),
            Kind::Virtual(clock) => clock.lag(),
            Kind::Other(clock) => clock.lag(),
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
    /// A ticker tells the time of [`Coarse`], only sooner: that one stands for it, and threads share no handle.
    fn from(_: Ticker) -> Self {
        Self(Kind::Coarse)
    }
}

impl From<TokioClock> for AnyClock {
    fn from(clock: TokioClock) -> Self {
        Self(Kind::Tokio(Arc::new(clock)))
    }
}

impl From<Virtual> for AnyClock {
    fn from(clock: Virtual) -> Self {
        Self(Kind::Virtual(clock))
    }
}

/// A clock that keeps no state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Plain {
    Coarse,
    Precise,
}

impl From<Plain> for AnyClock {
    fn from(plain: Plain) -> Self {
        match plain {
            Plain::Coarse => Coarse.into(),
            Plain::Precise => Precise.into(),
        }
    }
}

/// A [`Clock`] behind a pointer.
trait Boxed: fmt::Debug + Send + Sync {
    fn now(&self) -> Moment;
    fn lag(&self) -> Duration;
    fn sleep_until(&self, until: Moment) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Keeps the names of the two traits apart.
#[derive(Debug)]
struct Own<C>(C);

impl<C: Clock> Boxed for Own<C> {
    fn now(&self) -> Moment {
        self.0.now()
    }

    fn lag(&self) -> Duration {
        self.0.lag()
    }

    fn sleep_until(&self, until: Moment) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.0.sleep_until(until))
    }
}
