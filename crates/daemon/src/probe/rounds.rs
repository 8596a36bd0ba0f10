//! What the task of one instance does: startup alone, then liveness and readiness side by side; or, of one that is held, `clear`.

use std::sync::Arc;
use std::time::Duration;

use stead_model::spec::{Probe, ProbeKind};
use tokio::time::sleep;

use super::Watch;
use super::attempt::{Bounds, Fault, attempt};
use super::pace::{Pace, spread_found};

/// The probing of one instance.
pub(super) struct Rounds {
    watch: Arc<Watch>,
    bounds: Arc<Bounds>,
}

impl Rounds {
    pub(super) fn new(watch: Arc<Watch>, bounds: Arc<Bounds>) -> Self {
        Self { watch, bounds }
    }

    /// Probes until cancelled, or until nothing is left to be asked.
    pub(super) async fn run(self) {
        let cancelled = self.watch.cancelled.clone();
        tokio::select! {
            biased;
            () = cancelled.cancelled() => {}
            () = self.probe() => {}
        }
    }

    async fn probe(&self) {
        let probes = &self.watch.probes;
        spread_found(self.watch.context.started, self.watch.instance.agent).await;
        if let Some(startup) = &probes.startup
            && !self.watch.is_up()
        {
            self.until_up(startup).await;
        }
        self.watch.came_up();
        tokio::join!(
            self.for_ever(ProbeKind::Liveness, probes.liveness.as_ref()),
            self.for_ever(ProbeKind::Readiness, probes.readiness.as_ref()),
            self.until_cleared(probes.clear.as_ref()),
        );
    }

    /// Probes until it succeeded as often in a row as it must.
    async fn until_up(&self, startup: &Probe) {
        let mut pace = self.pace(startup);
        let mut in_row = 0;
        while in_row < startup.success_threshold {
            pace.turn().await;
            match self.once(ProbeKind::Startup, startup).await {
                Some(Success::Yes) => in_row += 1,
                Some(Success::No) => in_row = 0,
                None => {}
            }
        }
    }

    async fn for_ever(&self, kind: ProbeKind, probe: Option<&Probe>) {
        let Some(probe) = probe else { return };
        let mut pace = self.pace(probe);
        loop {
            pace.turn().await;
            self.once(kind, probe).await;
        }
    }

    /// Asks whether a cause is gone: after a period at the earliest, as it was just seen, and after each failure twice as late as before.
    async fn until_cleared(&self, probe: Option<&Probe>) {
        let Some(probe) = probe else { return };
        let period = probe.period.duration();
        let mut wait = period.max(probe.initial_delay.duration());
        loop {
            sleep(wait).await;
            wait = match self.once(ProbeKind::Clear, probe).await {
                Some(Success::No) => wait.saturating_mul(2).min(SELDOM.max(period)),
                Some(Success::Yes) | None => period,
            };
        }
    }

    /// Makes one attempt and hands its result in; `None` if it said nothing of the agent.
    async fn once(&self, kind: ProbeKind, probe: &Probe) -> Option<Success> {
        // On the heap only while it lasts: an instance waits far longer than it is asked.
        let result = Box::pin(attempt(probe, &self.watch.context, &self.bounds)).await;
        let (result, success) = match result {
            Ok(()) => (Ok(()), Success::Yes),
            Err(Fault::Seen(seen)) => (Err(seen), Success::No),
            Err(Fault::Own(error)) => {
                let instance = self.watch.instance;
                tracing::warn!(%instance, %kind, %error, "a probe could not be made, which says nothing of the agent");
                return None;
            }
        };
        self.watch.report(kind, result);
        Some(success)
    }

    fn pace(&self, probe: &Probe) -> Pace {
        let due = self.watch.context.started + probe.initial_delay.duration();
        Pace::new(due, probe.period.duration(), self.watch.instance.agent)
    }
}

/// How far apart the questions become whether a cause is gone.
const SELDOM: Duration = Duration::from_secs(300);

/// Whether an attempt succeeded.
enum Success {
    Yes,
    No,
}
