//! A clock that is moved by hand.

use core::fmt;
use core::future::poll_fn;
use core::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use core::task::{Poll, Waker};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{AnyClock, Clock, Moment};

/// A clock that stands still until it is told to move: hours of retries, windows and leases pass in no time, and twice
/// the same. Clones share one time.
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// use stead_resilience::{Clock, Virtual};
///
/// let clock = Virtual::new();
/// let begun = clock.now();
/// clock.advance(Duration::from_secs(3600));
/// assert_eq!(clock.now().since(begun), Duration::from_secs(3600));
/// ```
#[derive(Clone, Default)]
pub struct Virtual(Arc<Shared>);

#[derive(Default)]
struct Shared {
    now: AtomicU64,
    sleepers: Mutex<Sleepers>,
}

/// Who waits, by when; the number sets sleepers of one moment apart and keeps them in the order in which they came.
#[derive(Default)]
pub(super) struct Sleepers {
    next: u64,
    pub(super) waiting: BTreeMap<(Moment, u64), Waker>,
}

impl Virtual {
    /// A clock that reads zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the time `by` and wakes everybody whose wait is over, in the order in which their waits end.
    ///
    /// The woken tasks run when their executor does; [`Virtual::run_for`] lets them run in between.
    pub fn advance(&self, by: Duration) {
        self.advance_to(self.now().after(by));
    }

    /// Lets `span` pass the way real time would: stops wherever somebody's wait ends and lets the woken tasks of this
    /// (single-threaded) runtime run before it goes on. Cancelled, it stays where it got to.
    pub async fn run_for(&self, span: Duration) {
        let end = self.now().after(span);
        loop {
            settle().await;
            match self.next_wake() {
                Some(wake) if wake <= end => self.advance_to(wake),
                Some(_) | None => break,
            }
        }
        self.advance_to(end);
        settle().await;
    }

    fn next_wake(&self) -> Option<Moment> {
        let sleepers = self.sleepers();
        sleepers.waiting.keys().next().map(|(until, _)| *until)
    }

    fn advance_to(&self, to: Moment) {
        let due = {
            let mut sleepers = self.sleepers();
            // Release: a task that sees the new time also sees what its mover did before. Under the lock, so that a
            // sleeper that signs in meanwhile either is woken here or sees the time in its own check.
            self.0.now.fetch_max(to.as_nanos(), Release);
            let later = sleepers.waiting.split_off(&(to, u64::MAX));
            core::mem::replace(&mut sleepers.waiting, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    pub(super) fn sleepers(&self) -> MutexGuard<'_, Sleepers> {
        self.0.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many turns of the executor let a chain of tasks that wake each other come to rest.
const TURNS: u32 = 64;

async fn settle() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

impl Clock for Virtual {
    fn now(&self) -> Moment {
        Moment::from_nanos(self.0.now.load(Acquire))
    }

    fn sleep_until(&self, until: Moment) -> impl Future<Output = ()> + Send + 'static {
        let mut sleeper = Sleeper {
            clock: self.clone(),
            place: None,
            until,
        };
        poll_fn(move |context| sleeper.poll(context.waker()))
    }

    fn any(&self) -> AnyClock {
        self.clone().into()
    }
}

impl fmt::Debug for Virtual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Virtual")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

/// One wait; signs out when dropped.
struct Sleeper {
    clock: Virtual,
    place: Option<u64>,
    until: Moment,
}

impl Sleeper {
    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        let mut sleepers = self.clock.sleepers();
        if self.clock.now() >= self.until {
            return Poll::Ready(());
        }
        let place = *self.place.get_or_insert_with(|| {
            sleepers.next += 1;
            sleepers.next
        });
        sleepers.waiting.insert((self.until, place), waker.clone());
        Poll::Pending
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.clock.sleepers().waiting.remove(&(self.until, place));
        }
    }
}
