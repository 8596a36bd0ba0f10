//! Looks at agents from outside, with the probes of Kubernetes, and hands in every result; what a result means is
//! decided elsewhere.
//!
//! ```text
//! watch ──> startup probe, alone ── successes in a row ──> liveness and readiness, side by side ──> unwatch
//! ```
//!
//! | bound | why |
//! |---|---|
//! | one attempt of a probe at a time | a slow target is not asked ever more often |
//! | [`EXECS`] commands at once | a fleet of exec probes is no fork bomb |
//! | [`REQUESTS`] requests at once | descriptors; wide enough that stalled targets delay nobody else |
//!
//! Waiting for a turn under a bound is no part of a probe's timeout. What fails for a shortage of this machine's own
//! (descriptors, processes, memory) says nothing of the agent, and is logged instead of handed in.
//!
//! An instance with probes costs one task and its timers; one without costs nothing.

mod attempt;
mod context;
mod exec;
mod grpc;
mod http;
mod pace;
mod rounds;
mod socket;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stead_model::spec::{ProbeKind, Probes};
use stead_model::{InstanceId, Observation};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use context::ExecContext;

use attempt::Bounds;
use rounds::Rounds;

/// How many commands of exec probes run at once, over all agents.
pub(crate) const EXECS: usize = 32;

/// How many requests of the other probes are under way at once, over all agents.
pub(crate) const REQUESTS: usize = 512;

/// Runs the probes of many instances; cheap to clone.
#[derive(Clone)]
pub(crate) struct Prober {
    shared: Arc<Shared>,
    runtime: Handle,
}

struct Shared {
    watches: Mutex<BTreeMap<InstanceId, Arc<Watch>>>,
    sink: Arc<Sink>,
    bounds: Arc<Bounds>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

type Sink = dyn Fn(Observation) + Send + Sync;

/// An instance that is looked at.
struct Watch {
    instance: InstanceId,
    probes: Probes,
    context: ExecContext,
    sink: Arc<Sink>,
    cancelled: CancellationToken,
    state: Mutex<State>,
}

/// What a watch knows beside what it does; the lock is held while a result is handed in.
#[derive(Clone, Copy)]
struct State {
    /// Whether results are still wanted.
    wanted: bool,
    /// Whether the startup probe has had its successes, or there is none.
    up: bool,
}

impl Prober {
    /// Makes a prober whose tasks run on the current runtime, are counted by `tasks` and end when `closing` is cancelled.
    ///
    /// `sink` gets every result as [`Observation::Probed`], from any thread. It must not block, nor call the prober.
    ///
    /// # Panics
    /// Outside a Tokio runtime. Afterwards the prober may be used from any thread.
    #[must_use]
    pub(crate) fn new(
        sink: impl Fn(Observation) + Send + Sync + 'static,
        closing: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                watches: Mutex::default(),
                sink: Arc::new(sink),
                bounds: Arc::default(),
                closing,
                tasks,
            }),
            runtime: Handle::current(),
        }
    }

    /// Looks at an instance from now on.
    ///
    /// Called again for the same instance: the same probes in the same context go on undisturbed, others take their
    /// place. An instance that has come up has come up: its startup probe is not asked again.
    pub(crate) fn watch(&self, instance: InstanceId, probes: Probes, context: ExecContext) {
        let mut watches = self.shared.watches();
        let up = match watches.entry(instance) {
            Entry::Occupied(known) if known.get().does(&probes, &context) => return,
            Entry::Occupied(known) => known.remove().end().up,
            Entry::Vacant(_) => false,
        };
        if probes == Probes::default() || self.shared.closing.is_cancelled() {
            return;
        }
        let watch = Arc::new(Watch {
            instance,
            probes,
            context,
            sink: Arc::clone(&self.shared.sink),
            cancelled: self.shared.closing.child_token(),
            state: Mutex::new(State { wanted: true, up }),
        });
        watches.insert(instance, Arc::clone(&watch));
        let rounds = Rounds::new(watch, Arc::clone(&self.shared.bounds));
        self.shared.tasks.spawn_on(rounds.run(), &self.runtime);
    }

    /// Ceases to look at an instance and ends what is under way. Once this returns no result of it is handed in.
    pub(crate) fn unwatch(&self, instance: InstanceId) {
        let ended = self.shared.watches().remove(&instance);
        if let Some(watch) = ended {
            watch.end();
        }
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").finish_non_exhaustive()
    }
}

impl Shared {
    fn watches(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Arc<Watch>>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Whether it already does what is asked for.
    fn does(&self, probes: &Probes, context: &ExecContext) -> bool {
        self.probes == *probes && self.context.same_place(context)
    }

    /// Hands in a result, unless nobody wants it any more.
    fn report(&self, kind: ProbeKind, result: Result<(), String>) {
        let state = self.state();
        if state.wanted {
            (self.sink)(Observation::Probed {
                instance: self.instance,
                kind,
                result,
            });
        }
    }

    /// Whether the instance has come up, as far as its startup probe can tell.
    fn is_up(&self) -> bool {
        self.state().up
    }

    /// Notes that the instance has come up.
    fn came_up(&self) {
        self.state().up = true;
    }

    /// Ends it; returns what it knew.
    fn end(&self) -> State {
        let mut state = self.state();
        state.wanted = false;
        let last = *state;
        drop(state);
        self.cancelled.cancel();
        last
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
