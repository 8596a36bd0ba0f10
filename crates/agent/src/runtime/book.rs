//! The book of the runtime: what runs, what waits, what has ended. Decides; does nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use stead_model::Wall;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::history::History;
use super::id::Numbers;
use super::keys::{Keys, Ticket};
use super::live::{Birth, Live};
use super::{
    EntryPoint, Execution, ExecutionId, ExecutionStatus, PauseView, Refused, RuntimeConfig, RuntimeState, StreamId,
    StreamView,
};

/// Everything that is under the runtime's one lock.
#[derive(Debug)]
pub(super) struct Book {
    state: RuntimeState,
    numbers: Numbers,
    /// What runs, by id; also what was told to end and has not.
    live: BTreeMap<ExecutionId, Arc<Live>>,
    /// What goes on once the runtime runs and there is room, the oldest first.
    waiting: VecDeque<Arc<Live>>,
    /// Which execution has which stream, running or waiting.
    streams: BTreeMap<StreamId, ExecutionId>,
    /// Streams of which the store has work that cannot be resumed here, and why: another would take its place there.
    held: BTreeMap<StreamId, String>,
    tallies: Vec<Tally>,
    history: History,
    keys: Keys,
    totals: Totals,
    started: Option<Instant>,
    pub(super) pause: Option<PauseView>,
    pub(super) drain_until: Option<Instant>,
    /// Why the last start failed, where it did.
    pub(super) start_failure: Option<String>,
    /// Cancelled once the start that it belongs to is over, however it ended.
    epoch: CancellationToken,
    /// Set once the process is about to end: nothing starts any more.
    leaving: bool,
    /// Set once the tokio runtime under it goes down: whatever was begun now would be dropped at once, and begun again.
    gone: bool,
}

/// Counts of all entry points together.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    taken: u64,
    failed: u64,
}

/// Counts of one entry point.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Tries that have not ended.
    pub(crate) in_flight: usize,
    /// Executions taken in or resumed, each counted once.
    pub(crate) taken: u64,
    /// Executions that ended with a result.
    pub(crate) succeeded: u64,
    /// Executions that ended with an error.
    pub(crate) failed: u64,
    /// Executions that were told to end and did.
    pub(crate) cancelled: u64,
    /// Tries that were interrupted, to be resumed.
    pub(crate) interrupted: u64,
    /// How long ended tries took together.
    pub(crate) busy: Duration,
    /// Ended tries by how long they took: at most each of [`BOUNDS`], each counted in one.
    pub(crate) took: [u64; BOUNDS.len()],
}

/// Upper bounds of the histogram of durations, in milliseconds; what takes longer is in none of them.
pub(crate) const BOUNDS: [u64; 12] = [1, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 60_000, 300_000, 3_600_000];

/// What somebody wants to have executed, understood and within limits.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) place: usize,
    pub(super) stream: Option<StreamId>,
    pub(super) input: Arc<RawValue>,
    pub(super) ticket: Option<Ticket>,
}

/// What becomes of an ask.
#[derive(Debug)]
pub(super) enum Admitted {
    /// It is an execution of its own.
    New(Arc<Live>),
    /// It was asked before, with the same key.
    Known(ExecutionId),
}

/// How a try ended.
#[derive(Debug)]
pub(super) enum End {
    Succeeded(Arc<RawValue>),
    Failed(String),
    Cancelled(String),
    Interrupted,
}

impl Book {
    pub(super) fn new(config: &RuntimeConfig, entries: usize) -> Self {
        Self {
            state: RuntimeState::Stopped,
            numbers: Numbers::new(),
            live: BTreeMap::new(),
            waiting: VecDeque::new(),
            streams: BTreeMap::new(),
            held: BTreeMap::new(),
            tallies: vec![Tally::default(); entries],
            history: History::new(config.history, config.history_bytes),
            keys: Keys::default(),
            totals: Totals::default(),
            started: None,
            pause: None,
            drain_until: None,
            start_failure: None,
            epoch: CancellationToken::new(),
            leaving: false,
            gone: false,
        }
    }

    /// Begins nothing any more.
    pub(super) const fn give_up(&mut self) {
        self.gone = true;
    }

    pub(super) const fn state(&self) -> RuntimeState {
        self.state
    }

    /// Starts nothing any more.
    pub(super) const fn leave(&mut self) {
        self.leaving = true;
    }

    /// Begins a start, and gives what is cancelled when it is over.
    pub(super) fn begin_start(&mut self, now: Instant) -> Result<CancellationToken, Refused> {
        if self.leaving {
            return Err(Refused::Leaving);
        }
        self.advance("start", RuntimeState::Starting, now)?;
        self.start_failure = None;
        self.epoch = CancellationToken::new();
        Ok(self.epoch())
    }

    /// Of the start that is under way, or was last.
    pub(super) fn epoch(&self) -> CancellationToken {
        self.epoch.clone()
    }

    /// Why the last start did not come to its end.
    pub(super) fn not_started(&self) -> Refused {
        let failed = self.start_failure.clone().map(Refused::StartFailed);
        failed.unwrap_or(Refused::StoppedMeanwhile)
    }

    /// Follows an edge of the profile, or refuses to.
    pub(super) fn advance(&mut self, verb: &'static str, to: RuntimeState, now: Instant) -> Result<(), Refused> {
        if !self.state.may_become(to) {
            return Err(Refused::WrongState {
                verb,
                state: self.state,
            });
        }
        if self.state == RuntimeState::Starting {
            self.epoch.cancel();
        }
        self.state = to;
        match to {
            RuntimeState::Starting => self.started = Some(now),
            RuntimeState::Stopped => {
                self.started = None;
                self.drain_until = None;
            }
            RuntimeState::Running | RuntimeState::Paused | RuntimeState::Stopping => {}
        }
        Ok(())
    }

    /// Takes in an execution and gives it its stream and its place.
    pub(super) fn admit(&mut self, ask: Ask, entry: &EntryPoint, now: Instant) -> Result<Admitted, Refused> {
        if let Some(ticket) = &ask.ticket {
            match self.keys.find(ticket) {
                // Also while it drains: it was taken in before.
                Ok(Some(execution)) => return Ok(Admitted::Known(execution)),
                Ok(None) => {}
                Err(execution) => return Err(Refused::KeyReused(execution)),
            }
        }
        self.admits(now)?;
        if let Some(stream) = &ask.stream
            && let Some(execution) = self.streams.get(stream)
        {
            let status = match self.live.get(execution) {
                Some(live) => live.status(),
                None => ExecutionStatus::ToBeResumed,
            };
            return Err(Refused::StreamBusy {
                stream: stream.clone(),
                execution: *execution,
                status,
            });
        }
        if let Some(stream) = &ask.stream
            && let Some(why) = self.held.get(stream)
        {
            return Err(Refused::StreamHeld {
                stream: stream.clone(),
                why: why.clone(),
            });
        }
        let waiting = self.waiting.iter().filter(|live| live.place == ask.place).count();
        let tally = &mut self.tallies[ask.place];
        if tally.in_flight + waiting >= entry.max_concurrent {
            return Err(Refused::Full {
                entry_point: Arc::clone(&entry.name),
                max: entry.max_concurrent,
            });
        }
        tally.in_flight += 1;
        tally.taken += 1;
        self.totals.taken += 1;
        let id = self.numbers.execution();
        let live = Arc::new(Live::new(Birth {
            id,
            stream: ask.stream.unwrap_or_else(|| StreamId::of(id)),
            entry: entry.clone(),
            place: ask.place,
            input: ask.input,
            ticket: ask.ticket,
        }));
        live.begins(now);
        self.note_key(&live);
        self.streams.insert(live.stream.clone(), id);
        self.live.insert(id, Arc::clone(&live));
        Ok(Admitted::New(live))
    }

    fn admits(&self, now: Instant) -> Result<(), Refused> {
        match self.state {
            _ if self.gone => Err(Refused::Internal("its tokio runtime is gone".to_owned())),
            RuntimeState::Running => Ok(()),
            RuntimeState::Paused => Err(Refused::Paused {
                note: self.pause.as_ref().and_then(|pause| pause.note.clone()),
            }),
            RuntimeState::Stopping => Err(Refused::Draining {
                in_flight: self.live.len(),
                left: self
                    .drain_until
                    .map_or(Duration::ZERO, |until| until.saturating_duration_since(now)),
            }),
            RuntimeState::Stopped | RuntimeState::Starting => Err(Refused::NotRunning(self.state)),
        }
    }

    /// Takes back an execution that could not be written down: it never was.
    pub(super) fn forget(&mut self, live: &Live) {
        let tally = &mut self.tallies[live.place];
        tally.in_flight -= 1;
        tally.taken -= 1;
        self.totals.taken -= 1;
        self.live.remove(&live.id);
        self.streams.remove(&live.stream);
        self.keys.forget(live.id);
    }

    /// Puts what an earlier process left behind in line. False where its stream is taken already.
    pub(super) fn inherit(&mut self, live: Live) -> bool {
        if self.streams.contains_key(&live.stream) {
            return false;
        }
        self.tallies[live.place].taken += 1;
        self.totals.taken += 1;
        self.streams.insert(live.stream.clone(), live.id);
        self.note_key(&live);
        self.waiting.push_back(Arc::new(live));
        true
    }

    /// Keeps a stream free of other work: what the store has of it cannot be resumed here.
    pub(super) fn hold(&mut self, stream: StreamId, why: String) {
        self.held.insert(stream, why);
    }

    /// Takes in what an earlier process left behind as failed: too many tries of it ended with their process.
    pub(super) fn give_up_on(&mut self, live: &Live, wall: Wall) {
        let tally = &mut self.tallies[live.place];
        tally.taken += 1;
        tally.failed += 1;
        self.totals.taken += 1;
        self.totals.failed += 1;
        self.note_key(live);
        let tries = live.tries();
        let error =
            format!("it was given up: {tries} tries ended with their process, and it did not get further in between");
        self.keep(Execution {
            attempt: live.attempt.saturating_sub(1),
            ended_at: Some(wall),
            error: Some(error),
            ..live.show(ExecutionStatus::Failed)
        });
    }

    /// Takes those out of the line that may go on now.
    pub(super) fn next_of_line(&mut self, now: Instant) -> Vec<Arc<Live>> {
        if self.waiting.is_empty() || self.state != RuntimeState::Running || self.gone {
            return Vec::new();
        }
        let mut next = Vec::new();
        for live in std::mem::take(&mut self.waiting) {
            let tally = &mut self.tallies[live.place];
            let held = live.held_until().is_some_and(|until| now < until);
            if tally.in_flight < live.entry.max_concurrent && !held {
                tally.in_flight += 1;
                live.begins(now);
                self.live.insert(live.id, Arc::clone(&live));
                next.push(live);
            } else {
                self.waiting.push_back(live);
            }
        }
        next
    }

    /// Closes a try. Whoever waits for the execution is woken by the caller, where nothing more becomes of it. Gives when the next
    /// try may begin, where that is not as soon as there is room.
    pub(super) fn close(&mut self, live: &Live, end: End, now: Instant, wall: Wall) -> Option<Instant> {
        self.live.remove(&live.id)?;
        let took = live.took(now);
        let tally = &mut self.tallies[live.place];
        tally.in_flight -= 1;
        tally.busy += took;
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if let Some(bucket) = BOUNDS.iter().position(|bound| millis <= *bound) {
            tally.took[bucket] += 1;
        }
        let (status, result, error) = match end {
            End::Interrupted => {
                tally.interrupted += 1;
                let next = match self.state {
                    RuntimeState::Running => live.again_later(now),
                    RuntimeState::Stopped | RuntimeState::Starting | RuntimeState::Paused | RuntimeState::Stopping => {
                        live.again()
                    }
                };
                let held = next.held_until();
                self.waiting.push_back(Arc::new(next));
                return held;
            }
            End::Succeeded(result) => {
                tally.succeeded += 1;
                (ExecutionStatus::Succeeded, Some(result), None)
            }
            End::Failed(error) => {
                tally.failed += 1;
                self.totals.failed += 1;
                (ExecutionStatus::Failed, None, Some(error))
            }
            End::Cancelled(error) => {
                tally.cancelled += 1;
                (ExecutionStatus::Cancelled, None, Some(error))
            }
        };
        self.streams.remove(&live.stream);
        self.keep(Execution {
            ended_at: Some(wall),
            result,
            error,
            ..live.show(status)
        });
        None
    }

    /// Takes one out of the line for good.
    pub(super) fn drop_waiting(&mut self, id: ExecutionId, wall: Wall) -> Option<Arc<Live>> {
        let place = self.waiting.iter().position(|live| live.id == id)?;
        let live = self.waiting.remove(place)?;
        self.tallies[live.place].cancelled += 1;
        self.streams.remove(&live.stream);
        self.keep(Execution {
            ended_at: Some(wall),
            error: Some("it was cancelled before it was resumed".to_owned()),
            ..live.show(ExecutionStatus::Cancelled)
        });
        Some(live)
    }

    fn keep(&mut self, execution: Execution) {
        for evicted in self.history.push(execution) {
            self.keys.forget(evicted);
        }
    }

    fn note_key(&mut self, live: &Live) {
        if let Some(ticket) = &live.ticket {
            self.keys.add(ticket, live.id);
        }
    }

    pub(super) fn find(&self, id: ExecutionId) -> Option<Arc<Live>> {
        self.live.get(&id).cloned()
    }

    pub(super) fn show(&self, id: ExecutionId) -> Option<Arc<Execution>> {
        if let Some(live) = self.live.get(&id) {
            return Some(Arc::new(live.show(live.status())));
        }
        let waiting = self.waiting.iter().find(|live| live.id == id);
        let waiting = waiting.map(|live| Arc::new(live.show(ExecutionStatus::ToBeResumed)));
        waiting.or_else(|| self.history.get(id))
    }

    /// Whom to wake when the execution ends; none where it has.
    pub(super) fn end_of(&self, id: ExecutionId) -> Option<Arc<tokio::sync::Notify>> {
        let waiting = || self.waiting.iter().find(|live| live.id == id);
        let live = self.live.get(&id).or_else(waiting)?;
        Some(Arc::clone(&live.done))
    }

    pub(super) fn live(&self) -> Vec<Arc<Live>> {
        self.live.values().cloned().collect()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.live.len()
    }

    pub(super) fn to_be_resumed(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn streams(&self) -> Vec<StreamView> {
        let streams = self.live.values().map(|live| StreamView {
            id: live.stream.clone(),
            entry_point: Arc::clone(&live.entry.name),
            execution_id: live.id,
            started_at: live.started_at,
            state: live.status(),
        });
        streams.collect()
    }

    /// Executions taken in and executions failed.
    pub(super) const fn totals(&self) -> (u64, u64) {
        (self.totals.taken, self.totals.failed)
    }

    pub(super) fn tallies(&self) -> Vec<Tally> {
        self.tallies.clone()
    }

    pub(super) fn uptime(&self, now: Instant) -> Duration {
        self.started
            .map_or(Duration::ZERO, |started| now.saturating_duration_since(started))
    }
}
