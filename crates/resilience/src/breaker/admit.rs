//! Who may call.

use core::time::Duration;
use std::sync::Arc;

use stead_policy::{CircuitState, Extra, Refusal, share};

use super::Breaker;
use super::desk::Desk;
use super::permit::{Pass, Role};
use super::word::Word;
use crate::sync::Ordering::Relaxed;
use crate::{Budget, Clock, Moment};

impl<C: Clock> Breaker<C> {
    #[inline]
    pub(super) fn pass(&self) -> Result<Pass, Refusal> {
        let word = self.word();
        if word.admits_at_once() {
            return Ok(Pass::call(word));
        }
        self.admit(word)
    }

    /// Whether a breaker that is open, or has no place for a probe, refuses at once, and when a call may be admitted.
    #[inline]
    pub(super) fn refuses_at_once(&self, word: Word) -> Option<Duration> {
        let now = match word.mode() {
            CircuitState::Open | CircuitState::HalfOpen => self.clock.now(),
            CircuitState::Closed
            | CircuitState::Recovering
            | CircuitState::Isolated
            | CircuitState::ForcedOpen
            | CircuitState::ForcedClosed
            | CircuitState::Disabled => return None,
        };
        let until = self.until();
        // Relaxed: whoever changes it means no call in particular.
        if now >= until || self.hot.enforce.load(Relaxed) < 100 {
            return None;
        }
        self.rare().refuse();
        Some(until.since(now))
    }

    #[inline(never)]
    fn admit(&self, mut word: Word) -> Result<Pass, Refusal> {
        loop {
            let mode = word.mode();
            match mode {
                CircuitState::Closed => return Ok(timed(word, self.clock.now())),
                CircuitState::ForcedClosed | CircuitState::Disabled => return Ok(bypass(word)),
                CircuitState::ForcedOpen | CircuitState::Isolated => return self.refuse(word, None),
                CircuitState::Recovering => return self.ramp(word),
                CircuitState::Open | CircuitState::HalfOpen => {
                    let (now, until) = (self.clock.now(), self.until());
                    if now < until {
                        return self.refuse(word, Some((now, until)));
                    }
                    match self.under_lock(|desk| self.place(desk, now, word)) {
                        Some(Ok(pass)) => return Ok(pass),
                        Some(Err(wait)) => {
                            // Listeners hear outside of the lock.
                            if let Some(budget) = wait.unpaid {
                                budget.tell_refused(Extra::Probe);
                            }
                            return self.refuse(wait.word, Some((now, wait.until)));
                        }
                        None => word = self.word(),
                    }
                }
            }
        }
    }

    /// A place for a probe, or when one is free; nothing where the breaker is no longer what it was.
    fn place(&self, desk: &mut Desk, now: Moment, seen: Word) -> Option<Result<Pass, Wait>> {
        let mut word = self.word();
        if word != seen {
            return None;
        }
        let wait = |until, unpaid| {
            Some(Err(Wait {
                word: seen,
                until,
                unpaid,
            }))
        };
        if word.mode() == CircuitState::Open && now < self.until() {
            return wait(self.until(), None);
        }
        let limit = desk.settings.config().half_open_max_calls;
        if let Err(free) = self.room(desk, now, limit) {
            return wait(free, None);
        }
        if let Some((budget, again)) = self.unpaid(desk, now) {
            return wait(again, Some(budget));
        }
        if word.mode() == CircuitState::Open {
            self.half_open(desk, now, word);
            word = self.word();
        }
        match self.lease(desk, now, limit) {
            Ok(id) => Some(Ok(probe(word, now, id))),
            Err(free) => wait(free, None),
        }
    }

    /// The budget that does not pay for a probe, and when to ask it again: until then nobody does.
    fn unpaid(&self, desk: &mut Desk, now: Moment) -> Option<(Arc<Budget>, Moment)> {
        let budget = desk.trouble().budget.as_ref()?;
        if budget.take(Extra::Probe) {
            return None;
        }
        let budget = Arc::clone(budget);
        desk.trouble().not_granted += 1;
        let again = now.after(desk.settings.open_period(0).min(ASK_AGAIN));
        self.set_until(again);
        Some((budget, again))
    }

    fn ramp(&self, word: Word) -> Result<Pass, Refusal> {
        // Relaxed: each arrival needs a number of its own, no more.
        let arrival = self.hot.arrivals.fetch_add(1, Relaxed).into();
        let percent = u8::try_from(word.failed()).unwrap_or(100);
        if !word.timed() && share(arrival, percent) {
            return Ok(Pass::call(word));
        }
        let now = self.clock.now();
        if share(arrival, percent) {
            return Ok(timed(word, now));
        }
        self.refuse(word, Some((now, self.until())))
    }

    #[inline(never)]
    pub(super) fn probe_pass(&self) -> Result<Pass, Refusal> {
        let now = self.clock.now();
        let placed = self.under_lock(|desk| {
            let word = self.word();
            (word.mode() == CircuitState::Isolated).then(|| (word, self.lease(desk, now, 1)))
        });
        match placed {
            None => self.pass(),
            Some((word, Ok(id))) => Ok(probe(word, now, id)),
            Some((word, Err(free))) => Err(Refusal {
                state: word.mode(),
                retry_after: Some(free.since(now)),
            }),
        }
    }

    fn refuse(&self, word: Word, until: Option<(Moment, Moment)>) -> Result<Pass, Refusal> {
        // Relaxed: whoever changes it means no call in particular.
        let enforce = self.hot.enforce.load(Relaxed);
        if enforce >= 100 {
            self.rare().refuse();
        } else if self.lets_through(word, enforce) {
            return Ok(bypass(word));
        }
        Err(Refusal {
            state: word.mode(),
            retry_after: until.map(|(now, until)| until.since(now)),
        })
    }

    #[cold]
    fn lets_through(&self, word: Word, enforce: u32) -> bool {
        // Relaxed: each needs a number of its own, no more.
        let n = self.rare().refused.fetch_add(1, Relaxed);
        let lets = word.mode() != CircuitState::ForcedOpen && !share(n, u8::try_from(enforce).unwrap_or(100));
        if lets {
            self.rare().let_through.add();
        }
        lets
    }
}

/// Why there is no place for a probe now.
struct Wait {
    word: Word,
    until: Moment,
    /// The budget that did not pay.
    unpaid: Option<Arc<Budget>>,
}

/// A budget that did not pay for a probe is asked again after so long, or after an open period where that is shorter.
const ASK_AGAIN: Duration = Duration::from_secs(1);

const fn timed(word: Word, now: Moment) -> Pass {
    Pass {
        since: now.as_nanos(),
        ..Pass::call(word)
    }
}

const fn probe(word: Word, now: Moment, probe: u32) -> Pass {
    Pass {
        role: Role::Probe,
        probe,
        ..timed(word, now)
    }
}

const fn bypass(word: Word) -> Pass {
    Pass {
        role: Role::Bypass,
        ..Pass::call(word)
    }
}
