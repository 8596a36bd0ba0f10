//! What came of a call.

use stead_policy::{CircuitState, Counts, Mark, Outcome, Recorded, Window};

use super::Breaker;
use super::desk::Slowness;
use super::permit::{Pass, Role, UNTIMED};
use super::ring::{Added, Ring};
use super::shards::{At, Came, Shards};
use super::word::{Kind, Shape, Word};
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::fence;
use crate::{Clock, Moment};

impl<C: Clock> Breaker<C> {
    #[inline(always)]
    pub(super) fn success(&self, pass: Pass) {
        if !self.word().calm_since(pass.word) {
            self.record_success(pass.word, pass.since, pass.probe, pass.role);
        }
    }

    /// The usual ways of windows that have to be written to: that of a window of time here, which needs so few registers that
    /// none is put by. A pass in pieces, so that it comes in registers.
    #[inline(never)]
    fn record_success(&self, then: Word, since: u64, probe: u32, role: Role) {
        let (word, shape) = (self.word(), self.shape());
        if role == Role::Call && shape.number() == word.shape() {
            // Only a window of time is ever warm.
            if word.warm_since(then) {
                let now = at(word, shape, self.clock.now());
                let shards = self.hot.shards.get();
                match shards.map_or(Came::Not, |shards| shards.add_good(now)) {
                    Came::Counted => return,
                    Came::Crowded => return self.spread(self.shards()),
                    Came::Not => {}
                }
            } else if shape.kind() == Kind::Count && word.admits_at_once() && word.same_generation(then) {
                return self.record_success_in_ring(then, word, since, probe);
            }
        }
        self.record_other_success(then, since, probe, role);
    }

    #[inline(never)]
    fn record_success_in_ring(&self, then: Word, word: Word, since: u64, probe: u32) {
        let shape = self.shape();
        if shape.number() != word.shape() || !self.rings.add_good(ring(word, shape)) {
            self.record_other_success(then, since, probe, Role::Call);
        }
    }

    #[inline(never)]
    fn record_other_success(&self, word: Word, since: u64, probe: u32, role: Role) {
        let pass = Pass {
            word,
            since,
            probe,
            role,
        };
        self.record(pass, Outcome::Success);
    }

    #[inline(never)]
    pub(super) fn record(&self, pass: Pass, outcome: Outcome) {
        let recorded = match pass.role {
            Role::Bypass | Role::Settled => None,
            Role::Probe => {
                let now = self.clock.now();
                let slowness = self.slowness(pass, now);
                Some(self.report_at_desk(now, pass, outcome, slowness))
            }
            Role::Call => Some(self.record_call(pass, outcome)),
        };
        match outcome {
            Outcome::Failure { .. } if recorded == Some(Recorded::Noted) => self.failed.add(),
            Outcome::Success | Outcome::Failure { .. } | Outcome::Terminal => {}
            // So they are whatever became of the breaker meanwhile.
            Outcome::Ignored => self.rare().ignored.add(),
            Outcome::Abandoned => self.rare().abandoned.add(),
        }
        if recorded == Some(Recorded::Late) {
            self.rare().late.add();
        }
    }

    fn record_call(&self, pass: Pass, outcome: Outcome) -> Recorded {
        let word = self.word();
        if !word.same_generation(pass.word) {
            return Recorded::Late;
        }
        match (outcome, word.mode()) {
            (Outcome::Ignored | Outcome::Abandoned, _) => Recorded::Noted,
            (Outcome::Success, CircuitState::Recovering) => {
                let now = self.clock.now();
                let slowness = self.slowness(pass, now);
                if now < self.until() && slowness == Slowness::Usual {
                    return Recorded::Noted;
                }
                self.report_at_desk(now, pass, outcome, slowness)
            }
            (Outcome::Success, _) => self.count_timed(pass, word, Slowness::good),
            (Outcome::Failure { retry_after: None }, CircuitState::Closed) => {
                self.count_timed(pass, word, Slowness::failed)
            }
            (Outcome::Failure { .. } | Outcome::Terminal, _) => {
                let now = self.clock.now();
                let slowness = self.slowness(pass, now);
                let recorded = self.report_at_desk(now, pass, outcome, slowness);
                if word.mode() == CircuitState::Closed && recorded == Recorded::Noted && outcome != Outcome::Terminal {
                    return self.count(pass, slowness.failed(), Some(now));
                }
                recorded
            }
        }
    }

    #[inline]
    fn count_timed(&self, pass: Pass, word: Word, mark: fn(Slowness) -> Mark) -> Recorded {
        if word.timed() {
            let now = self.clock.now();
            return self.count(pass, mark(self.slowness(pass, now)), Some(now));
        }
        self.count(pass, mark(Slowness::Usual), None)
    }

    /// Counts a call through a closed breaker. The clock is read where the window needs it.
    #[inline]
    fn count(&self, pass: Pass, mark: Mark, now: Option<Moment>) -> Recorded {
        let recorded = self.count_in_window(pass, mark, now);
        if mark.slow() && recorded == Recorded::Noted {
            self.rare().slow.add();
        }
        recorded
    }

    #[inline]
    fn count_in_window(&self, pass: Pass, mark: Mark, now: Option<Moment>) -> Recorded {
        loop {
            let word = self.word();
            if !word.same_generation(pass.word) {
                return Recorded::Late;
            }
            let shape = self.shape();
            if shape.number() != word.shape() {
                // Somebody rebuilds the window; under the lock it is done.
                drop(self.desk());
                continue;
            }
            let now = || now.unwrap_or_else(|| self.clock.now());
            let recorded = match shape.kind() {
                Kind::Consecutive => self.count_streak(pass, word, shape, mark, now),
                Kind::Leaky => self.count_leaky(pass, mark, now),
                Kind::Count => self.count_ring(pass, word, shape, mark, now),
                Kind::Time => self.count_time(pass, word, shape, mark, now()),
            };
            if let Some(recorded) = recorded {
                return recorded;
            }
        }
    }

    /// Nothing where the word has changed meanwhile.
    fn count_streak(
        &self,
        pass: Pass,
        word: Word,
        shape: Shape,
        mark: Mark,
        now: impl Fn() -> Moment,
    ) -> Option<Recorded> {
        let next = if mark.failed() {
            let failures = word.failed() + 1;
            if failures >= shape.failures_at_least() {
                return Some(self.decide(now(), pass, |_, word| {
                    let failures = word.failed() + 1;
                    let counts = in_a_row(failures);
                    Some((counts, word.with_failed(failures).calmed(false)))
                }));
            }
            word.with_failed(failures).calmed(false)
        } else {
            word.with_failed(0).calmed(true)
        };
        (next == word || self.exchange(word, next)).then_some(Recorded::Noted)
    }

    fn count_leaky(&self, pass: Pass, mark: Mark, now: impl Fn() -> Moment) -> Option<Recorded> {
        if !mark.failed() {
            return Some(Recorded::Noted);
        }
        let window = self.desk().settings.config().window;
        match window {
            Window::Leaky { leak } => Some(self.leak(now(), pass, leak)),
            Window::Consecutive | Window::Count { .. } | Window::Time { .. } => None,
        }
    }

    /// Nothing where the window was rebuilt before this call got its place, or where the time is needed and was not read.
    fn count_ring(
        &self,
        pass: Pass,
        word: Word,
        shape: Shape,
        mark: Mark,
        now: impl Fn() -> Moment,
    ) -> Option<Recorded> {
        if mark == Mark::Good && (word.calm() || self.rings.add_good(ring(word, shape))) {
            return Some(Recorded::Noted);
        }
        let may_open = |word: Word| {
            let (failed, slow) = (u32::from(mark.failed()), u32::from(mark.slow()));
            shape.may_open(word.failed() + failed, word.slow() + slow)
        };
        let now = may_open(word).then(now);
        self.under_lock(|desk| {
            let (seen, word) = (word, self.word());
            if !word.same_generation(pass.word) {
                return Some(Recorded::Late);
            }
            if word.epoch() != seen.epoch() || (now.is_none() && may_open(word)) {
                return None;
            }
            let Added { total, failed, slow } = self.rings.add(ring(word, shape), mark);
            let moved = word.moved(failed, slow);
            let next = moved.calmed(total == shape.size() && moved.uneventful());
            let counts = Counts {
                total,
                failed: next.failed(),
                slow: next.slow(),
            };
            let looked_at = mark != Mark::Good || total == shape.looks_at();
            match now.filter(|_| looked_at) {
                Some(now) => self.open_or(desk, now, word, counts, next),
                None => next == word || self.exchange(word, next),
            };
            Some(Recorded::Noted)
        })
    }

    /// Nothing where the window was rebuilt before this call was counted.
    #[inline]
    fn count_time(&self, pass: Pass, word: Word, shape: Shape, mark: Mark, now: Moment) -> Option<Recorded> {
        if mark == Mark::Good && !shape.by_rate() {
            return Some(Recorded::Noted);
        }
        let at = at(word, shape, now);
        let shards = self.shards();
        let turned = shards.turns(at);
        if turned && !self.turn(shards, at) {
            return None;
        }
        let warm = word.warm() && !(turned && self.cooled(at, shape));
        match shards.add(at, mark) {
            Came::Counted => {}
            Came::Crowded => self.spread(shards),
            Came::Not => {
                let _desk = self.desk();
                if self.word().epoch() == at.epoch {
                    // What lies there is left from long ago.
                    shards.clear(at);
                }
                return None;
            }
        }
        if mark == Mark::Good && warm {
            return Some(Recorded::Noted);
        }
        Some(self.look_at_time(pass, shape, mark, now, at, warm))
    }

    /// Goes on to the tick of `at`, unless the window is no longer that of `at`.
    #[cold]
    fn turn(&self, shards: &Shards, at: At) -> bool {
        let _desk = self.desk();
        let same = self.word().epoch() == at.epoch;
        if same {
            shards.turn(at);
        }
        same
    }

    #[cold]
    fn spread(&self, shards: &Shards) {
        if !shards.is_spread() {
            let _desk = self.desk();
            shards.spread();
        }
    }

    /// Notes that so much was forgotten that a rate means nothing, if that is so.
    #[cold]
    fn cooled(&self, at: At, shape: Shape) -> bool {
        if self.shards().counts(at).total >= shape.minimum() {
            return false;
        }
        self.warm(at.epoch, false);
        true
    }

    #[inline(never)]
    fn look_at_time(&self, pass: Pass, shape: Shape, mark: Mark, now: Moment, at: At, warm: bool) -> Recorded {
        if mark != Mark::Good {
            // Of those who fail at once in different shards, the last one sees all others.
            fence(SeqCst);
        }
        let counts = self.shards().counts(at);
        // With this call in it, for the window that is there now.
        let taken = mark != Mark::Good && self.shards().taken(at);
        let enough_now = shape.by_rate() && !warm && counts.total >= shape.minimum();
        if enough_now {
            self.warm(at.epoch, true);
        }
        let may_open = shape.may_open(counts.failed, counts.slow) && (mark != Mark::Good || enough_now);
        if !may_open && !taken {
            return Recorded::Noted;
        }
        self.decide(now, pass, |_, word| {
            // As it is under the lock, whatever it was rebuilt for.
            let shape = self.shape();
            let held = || self.shards().counts(self::at(word, shape, now));
            (shape.kind() == Kind::Time).then(|| (held(), word))
        })
    }

    fn warm(&self, epoch: u64, warm: bool) {
        loop {
            let word = self.word();
            let next = word.warmed(warm);
            if word.epoch() != epoch || next == word || self.exchange(word, next) {
                return;
            }
        }
    }

    fn slowness(&self, pass: Pass, now: Moment) -> Slowness {
        // Relaxed: whoever changes it means no call in particular.
        let over = self.slow_over.load(Relaxed);
        if pass.since != UNTIMED && now.as_nanos().saturating_sub(pass.since) > over {
            Slowness::Slow
        } else {
            Slowness::Usual
        }
    }
}

pub(super) const fn at(word: Word, shape: Shape, now: Moment) -> At {
    At {
        epoch: word.epoch(),
        tick: shape.tick(now.as_nanos()),
        reach: shape.reach(),
    }
}

const fn ring(word: Word, shape: Shape) -> Ring {
    Ring {
        epoch: word.epoch(),
        size: shape.size(),
        looks_at: shape.looks_at(),
    }
}

const fn in_a_row(failed: u32) -> Counts {
    Counts {
        total: failed,
        failed,
        slow: 0,
    }
}
