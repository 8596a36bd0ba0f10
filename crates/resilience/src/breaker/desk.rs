//! What changes seldom, and is changed by one at a time.
//!
//! Every change of the mode happens under this lock, so that generations, the ends of open periods, probes and events
//! agree without further thought. Calls through a healthy breaker never come here, nor do those that an open one
//! rejects. Nothing foreign runs under it: the time is read before, listeners hear after.

use core::mem;
use core::time::Duration;
use std::sync::Arc;

use stead_policy::{
    BreakerSettings, CircuitState, Counts, Leaky, Mark, Outcome, RETRY_AFTER_MOST, Recorded, Tripped, Window,
};

use super::event::{BreakerEvent, Cause};
use super::word::{Shape, Word};
use super::{Breaker, Kind, Pass, Role};
use crate::sync::{MutexGuard, Ordering::AcqRel, Ordering::Acquire, Ordering::Release, lock};
use crate::{Budget, Clock, Moment};

pub(super) struct Desk {
    pub(super) settings: Arc<BreakerSettings>,
    trouble: Option<Box<Trouble>>,
}

/// What a breaker only knows once something went wrong, so that many healthy ones are small.
#[derive(Default)]
pub(super) struct Trouble {
    pub(super) generation: u64,
    pub(super) reopened: u32,
    pub(super) not_before: Moment,
    pub(super) leaky: Leaky,
    probes: Vec<(u32, Moment)>,
    next_probe: u32,
    /// What pays for probes.
    pub(super) budget: Option<Arc<Budget>>,
    pub(super) not_granted: u64,
    /// Successes of probes while half-open, failures of the step on a ramp.
    pub(super) tally: u32,
    pub(super) step: u32,
    /// What listeners have not heard yet, oldest first.
    untold: Vec<BreakerEvent>,
    telling: bool,
}

impl Desk {
    pub(super) fn new(settings: Arc<BreakerSettings>) -> Self {
        // A leaky count is kept here, and a failure shall not allocate.
        let leaky = matches!(settings.config().window, Window::Leaky { .. });
        Self {
            settings,
            trouble: leaky.then(Box::default),
        }
    }

    pub(super) fn trouble(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    pub(super) fn generation(&self) -> u64 {
        self.trouble.as_ref().map_or(0, |trouble| trouble.generation)
    }

    pub(super) fn not_granted(&self) -> u64 {
        self.trouble.as_ref().map_or(0, |trouble| trouble.not_granted)
    }

    fn has_news(&self) -> bool {
        self.trouble
            .as_ref()
            .is_some_and(|trouble| !trouble.telling && !trouble.untold.is_empty())
    }

    fn begin(&mut self, from: Word, to: Word, at: Moment, cause: Cause) {
        let trouble = self.trouble();
        trouble.generation += 1;
        let event = BreakerEvent {
            generation: trouble.generation,
            from: from.mode(),
            to: to.mode(),
            at,
            cause,
        };
        trouble.probes.clear();
        trouble.tally = 0;
        trouble.untold.push(event);
    }
}

impl<C: Clock> Breaker<C> {
    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }

    /// Does something under the lock, then tells what happened, in order.
    pub(super) fn under_lock<R>(&self, work: impl FnOnce(&mut Desk) -> R) -> R {
        let mut desk = self.desk();
        let result = work(&mut desk);
        let news = desk.has_news();
        drop(desk);
        if news {
            self.tell();
        }
        result
    }

    /// One caller at a time tells, so that events keep their order; what happens meanwhile is told by that one.
    fn tell(&self) {
        loop {
            let mut desk = self.desk();
            if !desk.has_news() {
                return;
            }
            let trouble = desk.trouble();
            trouble.telling = true;
            let untold = mem::take(&mut trouble.untold);
            drop(desk);
            let _done = Told(self);
            for event in untold {
                self.rare().events.tell(|| event);
            }
        }
    }

    pub(super) fn word(&self) -> Word {
        Word(self.hot.state.load(Acquire))
    }

    pub(super) fn exchange(&self, from: Word, to: Word) -> bool {
        // Acquire and release: who sees a word sees all that was written before it was true.
        self.hot.state.compare_exchange(from.0, to.0, AcqRel, Acquire).is_ok()
    }

    pub(super) fn until(&self) -> Moment {
        Moment::from_nanos(self.hot.until.load(Acquire))
    }

    pub(super) fn set_until(&self, until: Moment) {
        self.hot.until.store(until.as_nanos(), Release);
    }

    /// Changes the mode. `false` where the word is no longer `from`, which only happens to a closed breaker.
    fn enter(&self, desk: &mut Desk, now: Moment, from: Word, to: Word, cause: Cause) -> bool {
        let to = to.timing(desk.settings.timed());
        let done = self.exchange(from, to);
        if done {
            desk.begin(from, to, now, cause);
            // Whoever is rejected shall find it made.
            self.rare();
        }
        done
    }

    /// Begins a generation without a change of state; the caller sets the word.
    pub(super) fn turn_page(desk: &mut Desk, now: Moment, word: Word) {
        desk.begin(word, word, now, Cause::Reconfigured);
    }

    fn next(desk: &Desk, from: Word, mode: CircuitState) -> Word {
        Word::new(mode, desk.generation() + 1, from.shape())
    }

    pub(super) fn open(&self, desk: &mut Desk, now: Moment, from: Word, cause: Cause) -> bool {
        let (reopened, not_before) = (desk.trouble().reopened, desk.trouble().not_before);
        let period = desk.settings.open_period(reopened).saturating_add(self.clock.lag());
        let until = now.after(period).max(not_before);
        // Before the word, so that nobody finds it open with a time that is over.
        self.set_until(until);
        let to = Self::next(desk, from, CircuitState::Open);
        self.enter(desk, now, from, to, cause)
    }

    pub(super) fn close(&self, desk: &mut Desk, now: Moment, from: Word, cause: Cause) -> bool {
        let to = fresh(Self::next(desk, from, CircuitState::Closed), &desk.settings);
        let done = self.enter(desk, now, from, to, cause);
        if done {
            let trouble = desk.trouble();
            trouble.reopened = 0;
            trouble.not_before = Moment::default();
            trouble.leaky = Leaky::default();
        }
        done
    }

    pub(super) fn half_open(&self, desk: &mut Desk, now: Moment, from: Word) {
        self.set_until(Moment::default());
        let to = Self::next(desk, from, CircuitState::HalfOpen);
        self.enter(desk, now, from, to, Cause::PeriodOver);
    }

    fn climb(&self, desk: &mut Desk, now: Moment, from: Word, step: u32, cause: Cause) {
        let share = desk.settings.share(step as usize);
        let (Some(ramp), Some(share)) = (&desk.settings.config().ramp, share) else {
            self.close(desk, now, from, cause);
            return;
        };
        self.set_until(now.after(ramp.step_for));
        self.hot.arrivals.store(0, Release);
        let to = Self::next(desk, from, CircuitState::Recovering).with_failed(share.into());
        self.enter(desk, now, from, to, cause);
        desk.trouble().step = step;
    }

    fn reopen(&self, desk: &mut Desk, now: Moment, from: Word, cause: Cause) {
        let trouble = desk.trouble();
        trouble.reopened = trouble.reopened.saturating_add(1);
        self.open(desk, now, from, cause);
    }

    /// By hand, or because the service refuses for good. Asking for the mode that is there changes nothing.
    pub(super) fn force(&self, mode: CircuitState, cause: Cause) {
        let now = self.clock.now();
        self.under_lock(|desk| {
            loop {
                let from = self.word();
                if from.mode() == mode && mode != CircuitState::Closed {
                    return;
                }
                let done = match mode {
                    CircuitState::Closed => self.close(desk, now, from, cause),
                    CircuitState::ForcedOpen
                    | CircuitState::ForcedClosed
                    | CircuitState::Disabled
                    | CircuitState::Isolated
                    | CircuitState::Open
                    | CircuitState::HalfOpen
                    | CircuitState::Recovering => {
                        self.set_until(Moment::default());
                        let to = Self::next(desk, from, mode);
                        self.enter(desk, now, from, to, cause)
                    }
                };
                if done {
                    return;
                }
            }
        });
    }

    /// Opens it until then, or longer where it is open for longer already. What was forced or isolated stays as it is.
    pub(super) fn rest_until(&self, now: Moment, until: Moment) {
        self.under_lock(|desk| {
            loop {
                let from = self.word();
                match from.mode() {
                    CircuitState::Closed | CircuitState::HalfOpen | CircuitState::Recovering => {
                        self.set_until(until);
                        let to = Self::next(desk, from, CircuitState::Open);
                        if self.enter(desk, now, from, to, Cause::AskedFor) {
                            return;
                        }
                    }
                    CircuitState::Open => return self.set_until(self.until().max(until)),
                    CircuitState::Isolated
                    | CircuitState::ForcedOpen
                    | CircuitState::ForcedClosed
                    | CircuitState::Disabled => return,
                }
            }
        });
    }

    /// A place for a probe, or when the next one is free.
    pub(super) fn lease(&self, desk: &mut Desk, now: Moment, limit: u32) -> Result<u32, Moment> {
        self.room(desk, now, limit)?;
        let until = now.after(desk.settings.config().trial_timeout);
        let trouble = desk.trouble();
        let id = trouble.next_probe;
        trouble.next_probe = id.wrapping_add(1);
        trouble.probes.push((id, until));
        self.set_until(Moment::default());
        Ok(id)
    }

    /// Whether there is a place for a probe, or when the next one is free.
    pub(super) fn room(&self, desk: &mut Desk, now: Moment, limit: u32) -> Result<(), Moment> {
        let trouble = desk.trouble();
        trouble.probes.retain(|(_, until)| *until > now);
        if trouble.probes.len() < limit as usize {
            return Ok(());
        }
        let free = trouble.probes.iter().map(|(_, until)| *until).min().unwrap_or(now);
        // From here on callers are rejected without coming to the desk, until then or until a probe reports.
        self.set_until(free);
        Err(free)
    }

    /// Whether the lease of the probe was still running; its place is free again.
    fn give_back(&self, desk: &mut Desk, now: Moment, id: u32) -> bool {
        let probes = &mut desk.trouble().probes;
        probes.retain(|(_, until)| *until > now);
        let held = probes.len();
        probes.retain(|(lease, _)| *lease != id);
        let found = probes.len() < held;
        if found {
            self.set_until(Moment::default());
        }
        found
    }

    /// What a probe or a call on a ramp came to, and what is terminal or asks for a pause, wherever it happened.
    pub(super) fn report_at_desk(&self, now: Moment, pass: Pass, outcome: Outcome, slow: Slowness) -> Recorded {
        self.under_lock(|desk| {
            let word = self.word();
            if !word.same_generation(pass.word) {
                return Recorded::Late;
            }
            if pass.role == Role::Probe && !self.give_back(desk, now, pass.probe) {
                return Recorded::Late;
            }
            match outcome {
                Outcome::Ignored | Outcome::Abandoned => {}
                Outcome::Terminal => self.isolate(desk, now, pass),
                Outcome::Success => {
                    self.note_slow(word, slow);
                    self.judge(desk, now, word, slow.good());
                }
                Outcome::Failure { retry_after } => {
                    if let Some(wait) = retry_after {
                        let not_before = &mut desk.trouble().not_before;
                        *not_before = now.after(wait.min(RETRY_AFTER_MOST)).max(*not_before);
                    }
                    self.note_slow(word, slow);
                    self.judge(desk, now, word, slow.failed());
                }
            }
            Recorded::Noted
        })
    }

    /// Counts a slow probe, or a slow call on a ramp. Those of a closed breaker are counted with its window.
    fn note_slow(&self, word: Word, slow: Slowness) {
        if slow == Slowness::Slow && word.mode() != CircuitState::Closed {
            self.rare().slow.add();
        }
    }

    fn judge(&self, desk: &mut Desk, now: Moment, word: Word, mark: Mark) {
        let good = mark == Mark::Good;
        match word.mode() {
            CircuitState::HalfOpen if !good => self.reopen(desk, now, word, Cause::ProbeFailed),
            CircuitState::HalfOpen => {
                desk.trouble().tally += 1;
                let enough = desk.settings.config().success_threshold;
                if desk.trouble().tally >= enough {
                    self.climb(desk, now, word, 0, Cause::ProbesSucceeded);
                }
            }
            CircuitState::Recovering if good => {
                if now >= self.until() {
                    let next = desk.trouble().step + 1;
                    self.climb(desk, now, word, next, Cause::StepPassed);
                }
            }
            CircuitState::Recovering => {
                desk.trouble().tally += 1;
                let most = desk.settings.config().ramp.as_ref().map_or(1, |ramp| ramp.failures);
                if desk.trouble().tally >= most {
                    match desk.trouble().step.checked_sub(1) {
                        Some(lower) => self.climb(desk, now, word, lower, Cause::StepFailed),
                        None => self.reopen(desk, now, word, Cause::StepFailed),
                    }
                }
            }
            CircuitState::Isolated if good => self.climb(desk, now, word, 0, Cause::ProbesSucceeded),
            // A closed breaker's calls are counted by its window, not here; only their pause was noted.
            CircuitState::Isolated
            | CircuitState::Closed
            | CircuitState::Open
            | CircuitState::ForcedOpen
            | CircuitState::ForcedClosed
            | CircuitState::Disabled => {}
        }
    }

    fn isolate(&self, desk: &mut Desk, now: Moment, pass: Pass) {
        loop {
            let from = self.word();
            if !from.same_generation(pass.word) || from.mode() == CircuitState::Isolated {
                return;
            }
            self.set_until(Moment::default());
            let to = Self::next(desk, from, CircuitState::Isolated);
            if self.enter(desk, now, from, to, Cause::Terminal) {
                return;
            }
        }
    }

    /// Decides under the lock whether a window opens: `look` says, for the word as it is, what the window holds and what
    /// the word becomes where it does not.
    pub(super) fn decide(
        &self,
        now: Moment,
        pass: Pass,
        look: impl Fn(&mut Desk, Word) -> Option<(Counts, Word)>,
    ) -> Recorded {
        self.under_lock(|desk| {
            loop {
                let word = self.word();
                if !word.same_generation(pass.word) {
                    return Recorded::Late;
                }
                let Some((counts, otherwise)) = look(desk, word) else {
                    return Recorded::Noted;
                };
                if self.open_or(desk, now, word, counts, otherwise) {
                    return Recorded::Noted;
                }
            }
        })
    }

    /// Opens where a window that holds `counts` does, else makes the word `otherwise`. `false` where the word is no longer
    /// `from`.
    pub(super) fn open_or(&self, desk: &mut Desk, now: Moment, from: Word, counts: Counts, otherwise: Word) -> bool {
        match desk.settings.trips(counts) {
            Some(Tripped::Failures) => self.open(desk, now, from, Cause::Failures),
            Some(Tripped::SlowCalls) => self.open(desk, now, from, Cause::SlowCalls),
            None => otherwise == from || self.exchange(from, otherwise),
        }
    }

    /// Counts a failure of a leaky count.
    pub(super) fn leak(&self, now: Moment, pass: Pass, leak: Duration) -> Recorded {
        let counted = core::cell::Cell::new(None);
        self.decide(now, pass, |desk, word| {
            let level = counted
                .get()
                .unwrap_or_else(|| desk.trouble().leaky.record(since_origin(now), leak));
            counted.set(Some(level));
            let counts = Counts {
                total: level,
                failed: level,
                slow: 0,
            };
            Some((counts, word))
        })
    }
}

/// A span since the clock's origin, as the pure policies count time.
pub(super) const fn since_origin(moment: Moment) -> Duration {
    Duration::from_nanos(moment.as_nanos())
}

/// Whether a call took longer than it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slowness {
    Usual,
    Slow,
}

impl Slowness {
    pub(super) const fn good(self) -> Mark {
        match self {
            Self::Usual => Mark::Good,
            Self::Slow => Mark::Slow,
        }
    }

    pub(super) const fn failed(self) -> Mark {
        match self {
            Self::Usual => Mark::Failed,
            Self::Slow => Mark::FailedSlowly,
        }
    }
}

/// The word of a breaker that just closed: what its empty window makes of a success.
pub(super) fn fresh(word: Word, settings: &BreakerSettings) -> Word {
    let calm = match Shape::new(0, settings).kind() {
        Kind::Consecutive | Kind::Leaky => true,
        Kind::Count => false,
        Kind::Time => !settings.by_rate(),
    };
    word.calmed(calm).timing(settings.timed())
}

/// Lets the next one tell, also where a listener's executor panicked.
struct Told<'a, C: Clock>(&'a Breaker<C>);

impl<C: Clock> Drop for Told<'_, C> {
    fn drop(&mut self) {
        self.0.desk().trouble().telling = false;
    }
}
