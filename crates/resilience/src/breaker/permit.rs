//! Leave to make one call.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use stead_policy::Outcome;

use super::Breaker;
use super::word::Word;
use crate::{Clock, Coarse, Verdict};

/// What a permit carries: the word that admitted it, and what it is good for.
#[derive(Clone, Copy)]
pub(super) struct Pass {
    pub(super) word: Word,
    /// When the call was admitted, in nanoseconds, where calls are timed; else [`UNTIMED`].
    pub(super) since: u64,
    /// Which probe it is, if it is one.
    pub(super) probe: u32,
    pub(super) role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Counts.
    Call,
    /// Decides; its place is held until it reports or its lease ends.
    Probe,
    /// Was let through although the breaker would refuse, or does not care.
    Bypass,
    /// Has reported.
    Settled,
}

pub(super) const UNTIMED: u64 = u64::MAX;

impl Pass {
    #[inline]
    pub(super) const fn call(word: Word) -> Self {
        Self {
            word,
            since: UNTIMED,
            probe: 0,
            role: Role::Call,
        }
    }
}

/// Leave to make one call. Say what came of it; dropped without a word, the call is abandoned.
#[must_use = "a permit that is dropped at once is an abandoned call"]
pub struct Permit<'a, C: Clock = Coarse> {
    breaker: &'a Breaker<C>,
    pass: Pass,
}

/// A [`Permit`] that keeps its breaker alive and may travel.
#[must_use = "a permit that is dropped at once is an abandoned call"]
pub struct OwnedPermit<C: Clock = Coarse> {
    breaker: Arc<Breaker<C>>,
    pass: Pass,
}

macro_rules! permit {
    ($permit:ident $(<$life:lifetime>)?, $breaker:ty) => {
        impl<$($life,)? C: Clock> $permit<$($life,)? C> {
            #[inline]
            pub(super) const fn new(breaker: $breaker, pass: Pass) -> Self {
                Self { breaker, pass }
            }

            /// The service did what it was asked.
            #[inline(always)]
            pub fn success(mut self) {
                self.breaker.success(self.pass);
                self.pass.role = Role::Settled;
            }

            /// The service failed.
            pub fn failure(self) {
                self.settle(Outcome::Failure { retry_after: None });
            }

            /// The service failed and said when to come back, from now on (`Retry-After`). Up to a day is honoured.
            pub fn failure_until(self, retry_after: Duration) {
                self.settle(Outcome::Failure {
                    retry_after: Some(retry_after),
                });
            }

            /// The service refuses until somebody acts: the breaker isolates it.
            pub fn terminal(self) {
                self.settle(Outcome::Terminal);
            }

            /// The call says nothing about the service.
            pub fn ignore(self) {
                self.settle(Outcome::Ignored);
            }

            /// Reports what a classifier made of the call.
            #[inline(always)]
            pub fn report(self, verdict: Verdict) {
                match verdict {
                    Verdict::Success => self.success(),
                    Verdict::Ignored => self.ignore(),
                    Verdict::Failure { retry_after } => self.settle(Outcome::Failure { retry_after }),
                    Verdict::Terminal => self.terminal(),
                }
            }

            fn settle(mut self, outcome: Outcome) {
                self.breaker.record(self.pass, outcome);
                self.pass.role = Role::Settled;
            }
        }

        impl<$($life,)? C: Clock> Drop for $permit<$($life,)? C> {
            #[inline]
            fn drop(&mut self) {
                if self.pass.role != Role::Settled {
                    self.breaker.record(self.pass, Outcome::Abandoned);
                }
            }
        }

        impl<$($life,)? C: Clock> fmt::Debug for $permit<$($life,)? C> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($permit)).field("breaker", &self.breaker).finish_non_exhaustive()
            }
        }
    };
}

permit!(Permit<'a>, &'a Breaker<C>);
permit!(OwnedPermit, Arc<Breaker<C>>);
