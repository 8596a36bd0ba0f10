//! Calls that come round and round.

/// How often the same calls may come.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `times` | 5 | an honest retry or a poll is called a loop | a loop burns tokens for long |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoundsConfig {
    /// The same round so many times in a row is a loop; 0 and 1 count as 2.
    pub times: u16,
}

impl Default for RoundsConfig {
    fn default() -> Self {
        Self { times: 5 }
    }
}

/// A loop: rounds of `calls` calls, made `times` times in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Round {
    /// How many different calls go round, 1 to 4.
    pub calls: usize,
    /// How often they did.
    pub times: u16,
}

/// The last calls, by a hash of each with its arguments: finds the same call K times in a row, and rounds of up to four
/// calls as well. 40 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rounds {
    /// The last calls, the newest first.
    last: [u64; LONGEST],
    /// How many calls in a row were the same as the one `index + 1` before.
    same: [u16; LONGEST],
}

impl Rounds {
    /// Takes one call; the loop that it is part of, if it is, the shortest round first.
    pub fn feed(&mut self, config: &RoundsConfig, call: u64) -> Option<Round> {
        // 0 marks a place that was never used.
        let call = call.max(1);
        for (same, before) in self.same.iter_mut().zip(&self.last) {
            *same = if *before == call { same.saturating_add(1) } else { 0 };
        }
        self.last.rotate_right(1);
        self.last[0] = call;
        (1..=LONGEST).zip(&self.same).find_map(|(calls, same)| {
            let each = u16::try_from(calls).unwrap_or(1);
            let times = (same / each).saturating_add(1);
            (times >= config.times.max(2)).then_some(Round { calls, times })
        })
    }

    /// Forgets all calls: something useful came of them.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

const LONGEST: usize = 4;
