//! One check, and its runs: at most one at a time, whoever asks.

use core::pin::Pin;
use core::time::Duration;
use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError};

use super::{CheckConfig, CheckReport, Finding, Health};
use crate::{Clock, Moment};

type Probe = dyn Fn() -> Pin<Box<dyn Future<Output = Finding> + Send>> + Send + Sync;

/// One check.
pub(super) struct Check<C: Clock> {
    pub(super) name: Arc<str>,
    pub(super) config: CheckConfig,
    clock: C,
    probe: Arc<Probe>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: Option<Record>,
    runs: u64,
    failed_in_a_row: u64,
    /// Closes when the run in flight ends.
    in_flight: Option<watch::Receiver<()>>,
    /// The task of a run that overran its time, and when that began; it may ignore its cancellation.
    overrun: Option<(AbortHandle, Moment)>,
}

#[derive(Clone)]
struct Record {
    finding: Finding,
    at: Moment,
    took: Duration,
    /// When runs began to find this health.
    since: Moment,
}

/// A run that somebody waits for.
pub(super) enum Begun {
    /// The last finding is good enough.
    Fresh,
    /// A run is in flight; the channel closes with it.
    InFlight(watch::Receiver<()>),
}

impl Begun {
    pub(super) async fn ended(self) {
        match self {
            Self::Fresh => {}
            // Nothing is ever sent: the answer is the closing.
            Self::InFlight(mut run) => while run.changed().await.is_ok() {},
        }
    }
}

impl<C: Clock> Check<C> {
    pub(super) fn new<F, Fut>(name: Arc<str>, config: CheckConfig, clock: C, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Into<Finding>,
    {
        let check = Arc::new(check);
        Self {
            name,
            config,
            clock,
            // The call itself is made inside the task, so that what it panics about is a finding too.
            probe: Arc::new(move || {
                let check = Arc::clone(&check);
                Box::pin(async move { check().await.into() })
            }),
            state: Mutex::default(),
        }
    }

    /// Makes sure that a finding comes which is not older than `cache`: starts a run, or joins the one in flight.
    pub(super) fn begin(self: &Arc<Self>) -> Begun {
        let now = self.clock.now();
        let mut state = self.state();
        if let Some(run) = state.in_flight.as_ref().filter(|run| run.has_changed().is_ok()) {
            return Begun::InFlight(run.clone());
        }
        let fresh = |last: &Record| !self.config.cache.is_zero() && now.since(last.at) < self.config.cache;
        if state.last.as_ref().is_some_and(fresh) {
            return Begun::Fresh;
        }
        state.overrun = state.overrun.take().filter(|(task, _)| !task.is_finished());
        if let Some((_, since)) = &state.overrun {
            let stuck = format!("a run has not ended for {:?}, not even when told to", now.since(*since));
            state.record(Finding::unhealthy(stuck), now, Duration::ZERO);
            return Begun::Fresh;
        }
        let Ok(runtime) = Handle::try_current() else {
            state.record(
                Finding::unknown("no tokio runtime to run the check on"),
                now,
                Duration::ZERO,
            );
            return Begun::Fresh;
        };
        let (running, run) = watch::channel(());
        state.in_flight = Some(run.clone());
        let check = Arc::clone(self);
        runtime.spawn(async move {
            check.supervise(now).await;
            drop(running);
        });
        Begun::InFlight(run)
    }

    /// Runs the probe in a task of its own: if it blocks its thread, the time still runs out here.
    async fn supervise(&self, begun: Moment) {
        let mut task = tokio::spawn((self.probe)());
        let overran = tokio::select! {
            biased;
            ended = &mut task => Ok(ended),
            () = self.clock.sleep_until(begun.after(self.config.timeout)) => Err(task.abort_handle()),
        };
        let now = self.clock.now();
        let took = now.since(begun);
        let mut state = self.state();
        match overran {
            Ok(ended) => state.record(ended.unwrap_or_else(broken), now, took),
            Err(task) => {
                task.abort();
                state.overrun = Some((task, begun));
                let late = format!("no answer within {:?}", self.config.timeout);
                state.record(Finding::unhealthy(late), now, took);
            }
        }
    }

    pub(super) fn report(&self, now: Moment) -> CheckReport {
        let state = self.state();
        let last = state.last.as_ref();
        let (health, message) = match last {
            None => (Health::Unknown, "has not run yet".into()),
            Some(last) if now.since(last.at) > self.config.stale_after => (
                Health::Unknown,
                format!(
                    "was {} {:?} ago, and not looked at since",
                    last.finding.health,
                    now.since(last.at)
                )
                .into(),
            ),
            Some(last) => (last.finding.health, last.finding.message.clone()),
        };
        CheckReport {
            name: Arc::clone(&self.name),
            criticality: self.config.criticality,
            health,
            message,
            age: last.map(|last| now.since(last.at)),
            took: last.map(|last| last.took),
            unchanged_for: last.map(|last| now.since(last.since)),
            runs: state.runs,
            failed_in_a_row: state.failed_in_a_row,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn record(&mut self, finding: Finding, at: Moment, took: Duration) {
        let finding = finding.bounded();
        self.runs = self.runs.saturating_add(1);
        self.failed_in_a_row = match finding.health {
            Health::Healthy => 0,
            Health::Unknown | Health::Degraded | Health::Unhealthy => self.failed_in_a_row.saturating_add(1),
        };
        let since = match &self.last {
            Some(last) if last.finding.health == finding.health => last.since,
            Some(_) | None => at,
        };
        self.last = Some(Record {
            finding,
            at,
            took,
            since,
        });
    }
}

/// A run that panicked, or was cancelled by others.
fn broken(error: JoinError) -> Finding {
    match error.try_into_panic() {
        Ok(payload) => Finding::unhealthy(format!("panicked: {}", words(&*payload))),
        Err(error) => Finding::unknown(error.to_string()),
    }
}

fn words(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words")
}
