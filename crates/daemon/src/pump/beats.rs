//! Signs of life on their way into the engine, and waits that are over.

use std::time::Duration;

use stead_engine::Input;
use stead_model::{AgentRef, Beat, BeatAnswer, BeatOf, BeatOutcome, Moment, Problem, ProblemCode};
use tracing::warn;

use super::{Pump, Waiter};

/// How often the pump comes by while the silence of anybody is judged, so that its own absence is noticed.
const ROUND: Duration = Duration::from_secs(1);

/// How long a round may last before the pump was away.
const ABSENCE: Duration = Duration::from_millis(1500);

/// How many waits are handled before others have their turn.
const MOST_TICKS: usize = 256;

impl Pump {
    /// Takes in one beat, and decides what follows from it.
    pub(super) fn beat(&mut self, beat: Beat) -> Result<BeatAnswer, Problem> {
        let mut answers = Vec::with_capacity(1);
        self.engine
            .beats(self.clock.now(), std::slice::from_ref(&beat), &mut answers);
        self.status.tally().beats(self.engine.beat_counts());
        let Some(answer) = answers.pop().filter(|answer| answer.outcome != BeatOutcome::Unknown) else {
            return Err(self.nobody(&beat.of));
        };
        self.tick();
        Ok(answer)
    }

    /// Takes in many beats. What follows from them is decided in the next turns.
    pub(super) fn beats(&mut self, beats: &[Beat], malformed: usize) -> Vec<BeatAnswer> {
        let mut answers = Vec::new();
        for _ in 0..malformed {
            self.engine.unheard(BeatOutcome::Malformed);
        }
        self.engine.beats(self.clock.now(), beats, &mut answers);
        self.status.tally().beats(self.engine.beat_counts());
        answers
    }

    /// Why a beat is of nobody.
    fn nobody(&self, of: &BeatOf) -> Problem {
        let known = match of {
            BeatOf::Named(named) => self.engine.spec(&named.0, &named.1),
            BeatOf::Id(id) => self.engine.spec(&stead_model::Namespace::default(), &AgentRef::Id(*id)),
            BeatOf::Handle(_) => {
                return Problem::new(
                    ProblemCode::UnknownAgent,
                    "the handle is of an agent that is gone, or of an earlier start of the daemon; beat by name once",
                );
            }
        };
        match known {
            Err(refusal) => refusal.into(),
            Ok(_) => Problem::new(ProblemCode::Internal, "the agent has no place among those that beat"),
        }
    }

    /// When there is something to do by itself.
    pub(super) fn wake_in(&self) -> Option<Duration> {
        let due = self.engine.next_deadline();
        let wait = due.map(|due| due.since(self.clock.now().moment));
        if self.engine.listens() {
            Some(wait.map_or(ROUND, |wait| wait.min(ROUND)))
        } else {
            wait
        }
    }

    /// Says so when the daemon itself was away, stopped or held up: that is nobody's silence. It shows in the time between two rounds, or in
    /// waking long after it was planned.
    pub(super) fn notice_absence(&mut self, planned: Option<Moment>) {
        let now = self.clock.now();
        let away = now.moment.since(self.seen);
        self.seen = now.moment;
        let late = planned.is_some_and(|planned| now.moment.since(planned) > ABSENCE);
        if late || away > ABSENCE && self.engine.listens() {
            warn!(
                seconds = away.as_secs_f64(),
                "the daemon was held up; nobody is judged by that time"
            );
            self.engine.stalled(now, away);
        }
    }

    /// Handles waits that are over, as many as may be handled at once.
    pub(super) fn tick(&mut self) {
        let now = self.clock.now();
        for _ in 0..MOST_TICKS {
            if self.engine.next_deadline().is_none_or(|due| due > now.moment) {
                return;
            }
            self.step(Input::Tick, Waiter::Nobody);
        }
    }
}
