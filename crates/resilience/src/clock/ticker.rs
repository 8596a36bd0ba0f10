//! A clock that a thread winds, so that reading it is one load.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::io;
use std::sync::{Arc, Weak};

use super::system::sleep_by;
use super::{AnyClock, Clock, Moment, Precise};
use crate::lanes::Apart;
use crate::setting::require;

/// A clock that a thread of its own winds once per period. The thread ends with the last handle.
///
/// Reading it costs a load; keeping it costs a wake-up per period, wanted or not: share one per process.
#[derive(Clone, Debug)]
pub struct Ticker(pub(super) Arc<Apart<AtomicU64>>);

impl Ticker {
    /// A ticker that is wound every millisecond.
    ///
    /// # Errors
    ///
    /// The system gave no thread.
    pub fn start() -> io::Result<Self> {
        Self::every(Duration::from_millis(1))
    }

    /// A ticker that is wound once per `period`. Shorter than 100 µs costs a noticeable part of a core.
    ///
    /// # Errors
    ///
    /// The system gave no thread; or `period` is nothing (`InvalidInput`), as a thread would then do nothing else.
    pub fn every(period: Duration) -> io::Result<Self> {
        require(
            !period.is_zero(),
            "ticker.period",
            period,
            "it must be more than nothing; a millisecond is usual",
        )
        .map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        // On a line that nobody else writes to.
        let time = Arc::new(Apart(AtomicU64::new(Precise.now().as_nanos())));
        let watched = Arc::downgrade(&time);
        std::thread::Builder::new()
            .name("stead-ticker".to_owned())
            .spawn(move || wind(&watched, period))?;
        Ok(Self(time))
    }
}

fn wind(time: &Weak<Apart<AtomicU64>>, period: Duration) {
    while let Some(time) = time.upgrade() {
        // Relaxed: the number itself is the message, nothing is published with it.
        time.0.store(Precise.now().as_nanos(), Relaxed);
        drop(time);
        std::thread::sleep(period);
    }
}

impl Clock for Ticker {
    fn now(&self) -> Moment {
        Moment::from_nanos(self.0.0.load(Relaxed))
    }

    fn sleep_until(&self, until: Moment) -> impl Future<Output = ()> + Send + 'static {
        sleep_by(self.clone(), until)
    }

    fn any(&self) -> AnyClock {
        AnyClock::COARSE
    }
}
