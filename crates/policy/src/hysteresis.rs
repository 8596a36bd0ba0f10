//! One bad beat is no illness and one good beat no cure.

/// How many beats of one kind it takes.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `bad` | 3 | a spike degrades | trouble is said late |
/// | `good` | 2 | it is restored into the next trouble | it stays degraded though it is well |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Bad beats in a row that worsen; 0 counts as 1.
    pub bad: u16,
    /// Good beats in a row that restore; 0 counts as 1.
    pub good: u16,
}

impl Default for Patience {
    fn default() -> Self {
        Self { bad: 3, good: 2 }
    }
}

/// What a beat says about the one who sent it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// All is within its thresholds.
    Good,
    /// Something is not.
    Bad,
}

/// Which of the two it is, and what speaks for the other: 4 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hysteresis {
    against: u16,
    held: Settled,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Settled {
    #[default]
    Good,
    Bad,
}

/// A change, told once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// It is bad now.
    Worse,
    /// It is good again.
    Restored,
}

impl Hysteresis {
    /// Good until shown otherwise.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            against: 0,
            held: Settled::Good,
        }
    }

    /// One that is bad, found by other means; good beats restore it.
    #[must_use]
    pub const fn bad() -> Self {
        Self {
            against: 0,
            held: Settled::Bad,
        }
    }

    /// Takes one beat; the change that it makes, if it does.
    pub fn feed(&mut self, patience: &Patience, sign: Sign) -> Option<Turn> {
        let (needed, turned, turn) = match (self.held, sign) {
            (Settled::Good, Sign::Good) | (Settled::Bad, Sign::Bad) => {
                self.against = 0;
                return None;
            }
            (Settled::Good, Sign::Bad) => (patience.bad, Settled::Bad, Turn::Worse),
            (Settled::Bad, Sign::Good) => (patience.good, Settled::Good, Turn::Restored),
        };
        self.against = self.against.saturating_add(1);
        if self.against < needed {
            return None;
        }
        *self = Self {
            against: 0,
            held: turned,
        };
        Some(turn)
    }

    /// Whether it is bad.
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        match self.held {
            Settled::Good => false,
            Settled::Bad => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn feed(signs: &str) -> Vec<Turn> {
        let mut state = Hysteresis::new();
        signs
            .chars()
            .filter_map(|sign| state.feed(&Patience::default(), if sign == 'b' { Sign::Bad } else { Sign::Good }))
            .collect()
    }

    #[test]
    fn twenty_bad_beats_degrade_once_and_two_good_ones_restore() {
        assert_eq!(feed("bbbbbbbbbbbbbbbbbbbb"), [Turn::Worse]);
        assert_eq!(feed("bbbbbbgg"), [Turn::Worse, Turn::Restored]);
        assert_eq!(feed("bbbgbgbg"), [Turn::Worse]);
    }

    #[test]
    fn spikes_change_nothing() {
        assert_eq!(feed("bbgbbgbbgb"), []);
    }

    proptest! {
        #[test]
        fn turns_alternate_and_are_never_closer_than_patience(
            signs in proptest::collection::vec(any::<bool>(), 0..200), bad in 1_u16..6, good in 1_u16..6,
        ) {
            let (patience, mut state) = (Patience { bad, good }, Hysteresis::new());
            let (mut wanted, mut since) = (Turn::Worse, 0);
            for sign in signs {
                since += 1;
                if let Some(turn) = state.feed(&patience, if sign { Sign::Bad } else { Sign::Good }) {
                    prop_assert_eq!(turn, wanted);
                    let (least, next) = match turn {
                        Turn::Worse => (bad, Turn::Restored),
                        Turn::Restored => (good, Turn::Worse),
                    };
                    prop_assert!(since >= least);
                    (wanted, since) = (next, 0);
                }
            }
        }
    }
}
