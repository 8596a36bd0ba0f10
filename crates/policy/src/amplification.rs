//! How much extra load a client may make: retries, hedges, probes and fallbacks together.
//!
//! Each call of the client's own deposits a share of a token, each extra call costs one. So extra calls are a share of the
//! calls, whatever fails, and retries upon retries cannot pile up on a service that is down. The idea is that of the retry
//! budgets of Finagle and of gRPC's retry throttling (gRFC A6).

use serde::{Deserialize, Serialize};

use crate::OutOfRange;

/// What one call deposits, and how much may be saved up. A token is [`Amplification::TOKEN`] parts.
///
/// The state is the caller's: a balance in parts, which starts at [`Amplification::most`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Amplification {
    deposit: u64,
    most: u64,
}

/// For what an extra call is made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extra {
    /// Another try after a failure.
    Retry,
    /// A second try beside one that is slow. Leaves the lower half of the savings to the others: it is a comfort, they
    /// are a need.
    Hedge,
    /// A try whether a service is back.
    Probe,
    /// Another provider instead of one that failed.
    Fallback,
}

impl Extra {
    /// All of them, in the order of [`Extra::index`].
    pub const ALL: [Self; 4] = [Self::Retry, Self::Hedge, Self::Probe, Self::Fallback];

    /// A number from 0 to 3 that sets the kinds apart, for tables.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Retry => 0,
            Self::Hedge => 1,
            Self::Probe => 2,
            Self::Fallback => 3,
        }
    }
}

impl Amplification {
    /// Parts of one token.
    pub const TOKEN: u64 = 1_000_000;

    /// Lets extra calls be `ratio` of the calls in the long run, and `burst` at once after a rest.
    ///
    /// # Errors
    ///
    /// `ratio` is not a number from 0 to 10, or `burst` is 0.
    pub fn new(ratio: f64, burst: u32) -> Result<Self, OutOfRange> {
        if !(0.0..=10.0).contains(&ratio) {
            return Err(OutOfRange::Ratio(ratio));
        }
        if burst == 0 {
            return Err(OutOfRange::Burst);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a ratio is 0 to 10, so this is 0 to 10 million"
        )]
        let deposit = (ratio * 1e6 + 0.5) as u64;
        Ok(Self {
            deposit,
            most: Self::TOKEN * u64::from(burst),
        })
    }

    /// Rebuilds a rule from [`Amplification::deposited`] and [`Amplification::most`], so that both can be kept in atomics.
    #[must_use]
    pub const fn from_parts(deposit: u64, most: u64) -> Self {
        Self { deposit, most }
    }

    /// Parts that one call deposits.
    #[must_use]
    pub const fn deposited(self) -> u64 {
        self.deposit
    }

    /// The largest balance, in parts.
    #[must_use]
    pub const fn most(self) -> u64 {
        self.most
    }

    /// The balance after one call, or nothing where the savings are full (the usual case, which then costs no write).
    #[inline]
    #[must_use]
    pub const fn deposit(self, balance: u64) -> Option<u64> {
        if balance >= self.most || self.deposit == 0 {
            return None;
        }
        let more = balance + self.deposit;
        Some(if more < self.most { more } else { self.most })
    }

    /// The balance after one extra call, or nothing where it must not be made.
    #[must_use]
    pub const fn withdraw(self, balance: u64, extra: Extra) -> Option<u64> {
        let untouched = match extra {
            Extra::Hedge => self.most / 2,
            Extra::Retry | Extra::Probe | Extra::Fallback => 0,
        };
        let there = if balance < self.most { balance } else { self.most };
        if there >= untouched.saturating_add(Self::TOKEN) {
            Some(there - Self::TOKEN)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests;
