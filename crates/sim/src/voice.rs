//! What a process says of itself: signs of life over HTTP, past the keeper.

use std::time::Duration;

use stead_model::spec::ProcessSpec;
use stead_model::{Beat, BeatOf, InstanceId, Metric};

/// How a process speaks; the second word of its command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    /// `beats`: each five seconds, as long as it lives.
    Steady,
    /// `hangs`: as `beats` for a minute; then it says and does nothing, and lives on.
    Hangs,
    /// `leaks`: as `beats`, each time with a thousandth more of its memory in use, until it is full.
    Leaks,
}

/// The beats of one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    manner: Manner,
    began: Duration,
    /// How often its time to speak has come.
    said: u64,
}

/// How far beats lie apart, whatever is asked for.
const EVERY: Duration = Duration::from_secs(5);

/// How often one speaks that hangs then.
const UNTIL_IT_HANGS: u64 = 12;

impl Voice {
    /// That of a process which begins now; none where it has none. Once all is calm, nobody falters who begins.
    pub(crate) fn of(process: &ProcessSpec, now: Duration, calm: bool) -> Option<Self> {
        let manner = match process.command.get(1).map(String::as_str)? {
            "beats" => Manner::Steady,
            "hangs" | "leaks" if calm => Manner::Steady,
            "hangs" => Manner::Hangs,
            "leaks" => Manner::Leaks,
            _ => return None,
        };
        Some(Self {
            manner,
            began: now,
            said: 0,
        })
    }

    /// Whether it has fallen silent for good.
    pub(crate) fn hangs(&self) -> bool {
        self.manner == Manner::Hangs && self.said >= UNTIL_IT_HANGS
    }

    /// When it speaks next.
    pub(crate) fn next(&self) -> Option<Duration> {
        let turns = u32::try_from(self.said + 1).unwrap_or(u32::MAX);
        (!self.hangs()).then(|| self.began + EVERY * turns)
    }

    /// What it says by now: of several beats the last, as the others are late.
    pub(crate) fn speak(&mut self, now: Duration, instance: InstanceId) -> Option<Beat> {
        let before = self.said;
        while self.next().is_some_and(|next| next <= now) {
            self.said += 1;
        }
        if self.said == before {
            return None;
        }
        let mut beat = Beat {
            incarnation: Some(instance.incarnation),
            sequence: Some(self.said),
            progress: Some(self.said),
            ..Beat::bare(BeatOf::Id(instance.agent))
        };
        let used = match self.manner {
            Manner::Steady | Manner::Hangs => 0.2,
            Manner::Leaks => f64::from(u32::try_from(self.said).unwrap_or(u32::MAX))
                .mul_add(0.001, 0.2)
                .min(1.0),
        };
        beat.vitals
            .set(Metric::MemoryUsage, used)
            .expect("a share is between 0 and 1");
        Some(beat)
    }
}
