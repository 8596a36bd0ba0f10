//! What a result means to the policies: which errors count, and which results are failures in disguise.

use core::time::Duration;

use crate::Failure;

/// What one finished call says about the service that was called.
///
/// A call that never finished (cancelled, panicked, dropped) has no verdict: it is *abandoned*, and says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The service did what it was asked.
    Success,
    /// Says nothing about the service (the caller's own mistake, say): neither counted nor tried again.
    Ignored,
    /// The service failed; another try may succeed.
    Failure {
        /// When the service said to come back, from now on (`Retry-After`, a quota's reset).
        retry_after: Option<Duration>,
    },
    /// The service refuses, and will go on refusing until somebody changes something (401, 402, 403, billing).
    Terminal,
}

impl Verdict {
    /// A failure that did not say when to come back.
    pub const FAILURE: Self = Self::Failure { retry_after: None };
}

/// Judges results. Any `Fn(&Result<T, E>) -> Verdict` is one.
pub trait Classify<T, E> {
    /// Says what `result` means. Called once per finished call, on the caller's own thread: it must not block.
    fn classify(&self, result: &Result<T, E>) -> Verdict;

    /// Whether every value is a success, so that policies need not look at one. The default says no, and is always right.
    #[inline]
    fn trusts_values(&self) -> bool {
        false
    }

    /// Says what the result of an operation under other policies means; it is as before afterwards. The default judges by
    /// [`Classify::classify`] what the operation itself said, and by [`Failure::verdict`] what a policy said instead.
    /// Written anew only where that saves moving the result.
    #[inline]
    fn classify_under_policies(&self, result: &mut Result<T, Failure<E>>) -> Verdict {
        // Something small stands in while the result is looked at on its own.
        let own = match core::mem::replace(result, Err(Failure::DeadlineExceeded)) {
            Ok(value) => Ok(value),
            Err(Failure::Inner(error)) => Err(error),
            Err(policy) => {
                let verdict = policy.verdict();
                *result = Err(policy);
                return verdict;
            }
        };
        let verdict = self.classify(&own);
        *result = own.map_err(Failure::Inner);
        verdict
    }
}

impl<T, E, F> Classify<T, E> for F
where
    F: Fn(&Result<T, E>) -> Verdict,
{
    fn classify(&self, result: &Result<T, E>) -> Verdict {
        self(result)
    }
}

/// The default: every error is a failure, every value a success.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AnyError;

impl<T, E> Classify<T, E> for AnyError {
    fn classify(&self, result: &Result<T, E>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::FAILURE,
        }
    }

    #[inline]
    fn trusts_values(&self) -> bool {
        true
    }

    #[inline]
    fn classify_under_policies(&self, result: &mut Result<T, Failure<E>>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(failure) => failure.verdict(),
        }
    }
}

/// Judges as another classifier does, except that errors which `stop` picks are ignored: neither counted nor tried again.
///
/// # Examples
///
/// ```
/// use stead_resilience::{AnyError, Classify, StopOn, Verdict};
///
/// let classifier = StopOn(AnyError, |error: &u16| *error == 404);
/// assert_eq!(classifier.classify(&Err::<(), _>(404)), Verdict::Ignored);
/// assert_eq!(classifier.classify(&Err::<(), _>(503)), Verdict::FAILURE);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StopOn<K, P>(
    /// Judges the rest.
    pub K,
    /// Picks the errors that end the tries.
    pub P,
);

impl<T, E, K: Classify<T, E>, P: Fn(&E) -> bool> Classify<T, E> for StopOn<K, P> {
    fn classify(&self, result: &Result<T, E>) -> Verdict {
        match result {
            Err(error) if (self.1)(error) => Verdict::Ignored,
            Ok(_) | Err(_) => self.0.classify(result),
        }
    }
}

/// Judges what an operation under inner policies gave: the classifier what the operation itself said, and
/// [`Failure::verdict`] what a policy said instead.
#[inline]
pub(crate) fn judge<T, E>(
    classifier: &impl Classify<T, E>,
    mut result: Result<T, Failure<E>>,
) -> (Verdict, Result<T, Failure<E>>) {
    let verdict = classifier.classify_under_policies(&mut result);
    (verdict, result)
}
