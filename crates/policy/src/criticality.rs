//! How much depends on something.

use serde::{Deserialize, Serialize};

/// How much depends on something, the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criticality {
    /// Nice to have.
    Optional,
    /// Missed, and worked around.
    Important,
    /// Little works without it.
    Critical,
    /// Nothing works without it.
    Essential,
}

impl Criticality {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Optional, Self::Important, Self::Critical, Self::Essential];

    /// How much it weighs beside others: 1, 2, 4 or 8.
    #[must_use]
    pub const fn weight(self) -> u32 {
        match self {
            Self::Optional => 1,
            Self::Important => 2,
            Self::Critical => 4,
            Self::Essential => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Criticality;

    #[test]
    fn what_is_more_critical_weighs_twice_as_much() {
        for pair in Criticality::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
            assert_eq!(pair[1].weight(), 2 * pair[0].weight());
        }
    }
}
