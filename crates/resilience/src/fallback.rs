//! Fallback: where the operation gives no answer, somebody else does, and the answer says who and why.

use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use std::borrow::Cow;
use std::sync::Arc;

use stead_policy::Extra;

use crate::budget::paid;
use crate::classify::judge;
use crate::count::Counter;
use crate::events::Events;
use crate::{AnyError, Budget, Classify, Deadline, Failure, Layer, Listener, Next, Verdict};

/// What stands in for an operation that fails: one provider after the other, until one answers.
///
/// Needed is a fallback where the classifier finds a failure or a terminal one, and where a policy gave no answer (an open
/// circuit, a timeout). What the classifier ignores is the caller's own mistake: nobody else would do better. A value is an
/// answer, whatever the classifier thinks of it.
///
/// | as set up | default |
/// |---|---|
/// | providers | none: failures go through |
/// | budget | none: every provider may be tried |
/// | classifier | every error is a failure |
///
/// # Examples
///
/// ```
/// use stead_resilience::{Failure, Fallback, Served};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let models = Fallback::new()
///     .then("small-model", |_| async { Err(Failure::Inner("overloaded")) })
///     .or_value("canned", |why| format!("sorry: {} providers failed", why.len()));
/// let answer = models.answer(|| async { Err::<String, _>("down") }).await.unwrap();
/// assert_eq!(answer.value, "sorry: 2 providers failed");
/// assert_eq!(answer.served, Served::Fallback("canned".into()));
/// assert_eq!(answer.reasons.to_string(), "primary: operation failed; small-model: operation failed");
/// # }
/// ```
pub struct Fallback<T, E, K = AnyError> {
    providers: Vec<Provider<T, E>>,
    classifier: K,
    budget: Option<Arc<Budget>>,
    events: Events<FallbackEvent>,
    needed: Counter,
    failed: Counter,
}

struct Provider<T, E> {
    name: Cow<'static, str>,
    kind: Kind<T, E>,
    served: Counter,
    failed: Counter,
}

enum Kind<T, E> {
    /// Makes a call of its own.
    Call(Make<E, Answering<T, E>>),
    /// Has the answer at hand.
    Value(Make<E, T>),
}

/// Makes something for who knows the reasons.
type Make<E, R> = Box<dyn Fn(&Reasons<E>) -> R + Send + Sync>;

type Answering<T, E> = Pin<Box<dyn Future<Output = Result<T, Failure<E>>> + Send>>;

impl<T, E> Fallback<T, E> {
    /// No provider yet; every error is a failure.
    #[must_use]
    pub fn new() -> Self {
        Self::with(AnyError)
    }
}

impl<T, E> Default for Fallback<T, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, E, K> Fallback<T, E, K> {
    /// No provider yet; failures are what `classifier` says.
    #[must_use]
    pub fn with(classifier: K) -> Self {
        Self {
            providers: Vec::new(),
            classifier,
            budget: None,
            events: Events::new(),
            needed: Counter::default(),
            failed: Counter::default(),
        }
    }

    /// Then asks `provider`, which learns why it is needed. It may be behind policies of its own.
    #[must_use]
    pub fn then<Fut>(
        mut self,
        name: impl Into<Cow<'static, str>>,
        provider: impl Fn(&Reasons<E>) -> Fut + Send + Sync + 'static,
    ) -> Self
    where
        Fut: Future<Output = Result<T, Failure<E>>> + Send + 'static,
    {
        self.push(name.into(), Kind::Call(Box::new(move |why| Box::pin(provider(why)))));
        self
    }

    /// Then gives the value that `make` has at hand: it never fails, and costs no budget.
    #[must_use]
    pub fn or_value(
        mut self,
        name: impl Into<Cow<'static, str>>,
        make: impl Fn(&Reasons<E>) -> T + Send + Sync + 'static,
    ) -> Self {
        self.push(name.into(), Kind::Value(Box::new(make)));
        self
    }

    /// Shares `budget`: each call deposits, each provider that makes a call withdraws.
    #[must_use]
    pub fn with_budget(mut self, budget: Arc<Budget>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Runs `operation`, then as many providers as it takes, and says who answered and why not the others.
    ///
    /// # Errors
    ///
    /// The caller's own mistake goes through as it is. Else nobody answered: [`Failure::NoFallback`] with each one's reason.
    pub async fn answer<F, Fut>(&self, operation: F) -> Result<Answer<T, E>, Failure<E>>
    where
        K: Classify<T, E>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.answer_for(async { operation().await.map_err(Failure::Inner) })
            .await
    }

    /// What is set up, and what has been.
    #[must_use]
    pub fn snapshot(&self) -> FallbackSnapshot {
        let providers = self.providers.iter().map(|provider| ProviderSnapshot {
            name: provider.name.clone(),
            served: provider.served.get(),
            failed: provider.failed.get(),
        });
        FallbackSnapshot {
            providers: providers.collect(),
            needed: self.needed.get(),
            failed: self.failed.get(),
        }
    }

    /// Hears what happens from now on.
    pub fn events(&self) -> Listener<FallbackEvent> {
        self.events.listen()
    }

    fn push(&mut self, name: Cow<'static, str>, kind: Kind<T, E>) {
        self.providers.push(Provider {
            name,
            kind,
            served: Counter::default(),
            failed: Counter::default(),
        });
    }

    async fn answer_for(&self, primary: impl Future<Output = Result<T, Failure<E>>>) -> Result<Answer<T, E>, Failure<E>>
    where
        K: Classify<T, E>,
    {
        self.deposit();
        let budget = self.budget.as_deref();
        let mut primary = pin!(primary);
        match poll_fn(|context| paid(budget, || primary.as_mut().poll(context))).await {
            Ok(value) => Ok(Answer::primary(value)),
            Err(failure) => self.after(failure).await,
        }
    }

    #[inline]
    fn deposit(&self) {
        if let Some(budget) = &self.budget {
            budget.deposit_once();
        }
    }

    /// What becomes of a call that failed, within the call that has paid. Boxed, so that calls that succeed carry none of it about.
    async fn after(&self, failure: Failure<E>) -> Result<Answer<T, E>, Failure<E>>
    where
        K: Classify<T, E>,
    {
        let mut after = Box::pin(self.judge_after(failure));
        poll_fn(|context| paid(self.budget.as_deref(), || after.as_mut().poll(context))).await
    }

    async fn judge_after(&self, failure: Failure<E>) -> Result<Answer<T, E>, Failure<E>>
    where
        K: Classify<T, E>,
    {
        let (verdict, result) = judge(&self.classifier, Err(failure));
        let failure = match result {
            Ok(value) => return Ok(Answer::primary(value)),
            Err(failure) => failure,
        };
        if verdict == Verdict::Ignored && matches!(failure, Failure::Inner(_)) {
            return Err(failure);
        }
        if self.providers.is_empty() {
            return Err(failure);
        }
        self.needed.add();
        self.stand_in(failure).await
    }

    /// Asks one provider after the other.
    async fn stand_in(&self, failure: Failure<E>) -> Result<Answer<T, E>, Failure<E>> {
        let mut reasons = Reasons(vec![Reason {
            provider: Cow::Borrowed(PRIMARY),
            why: Unserved::Failed(failure),
        }]);
        for provider in &self.providers {
            match self.ask(provider, &reasons).await {
                Ok(value) => {
                    provider.served.add();
                    self.events.tell(|| FallbackEvent::Served {
                        provider: provider.name.clone(),
                        after: reasons.len(),
                    });
                    return Ok(Answer {
                        value,
                        served: Served::Fallback(provider.name.clone()),
                        reasons,
                    });
                }
                Err(why) => {
                    provider.failed.add();
                    let provider = provider.name.clone();
                    reasons.0.push(Reason { provider, why });
                }
            }
        }
        self.failed.add();
        self.events.tell(|| FallbackEvent::Failed);
        Err(Failure::NoFallback { reasons })
    }

    async fn ask(&self, provider: &Provider<T, E>, reasons: &Reasons<E>) -> Result<T, Unserved<E>> {
        let call = match &provider.kind {
            Kind::Value(make) => return Ok(make(reasons)),
            Kind::Call(call) => call,
        };
        if Deadline::remaining_now().is_some_and(|left| left.is_zero()) {
            return Err(Unserved::Failed(Failure::DeadlineExceeded));
        }
        if self
            .budget
            .as_ref()
            .is_some_and(|budget| !budget.withdraw(Extra::Fallback))
        {
            return Err(Unserved::NotGranted);
        }
        call(reasons).await.map_err(Unserved::Failed)
    }
}

/// What the operation itself is called among the reasons.
const PRIMARY: &str = "primary";

impl<T, E, K: Classify<T, E>> Layer<T, E> for Fallback<T, E, K> {
    #[inline]
    fn run<N: Next<Value = T, Error = E>>(&self, next: N) -> impl Future<Output = Result<T, Failure<E>>> {
        async move {
            self.deposit();
            let budget = self.budget.as_deref();
            let mut first = pin!(next.once());
            match poll_fn(|context| paid(budget, || first.as_mut().poll(context))).await {
                Ok(value) => Ok(value),
                Err(failure) => Ok(self.after(failure).await?.value),
            }
        }
    }
}

impl<T, E, K> fmt::Debug for Fallback<T, E, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.providers.iter().map(|provider| &provider.name);
        f.debug_struct("Fallback")
            .field("providers", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// An answer, from whom, and why not from somebody before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer<T, E> {
    /// The answer.
    pub value: T,
    /// Who gave it.
    pub served: Served,
    /// Why those before did not, in the order in which they were asked; nothing where the operation itself answered.
    pub reasons: Reasons<E>,
}

impl<T, E> Answer<T, E> {
    const fn primary(value: T) -> Self {
        Self {
            value,
            served: Served::Primary,
            reasons: Reasons(Vec::new()),
        }
    }
}

/// Who gave an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Served {
    /// The operation itself.
    Primary,
    /// The fallback of this name.
    Fallback(Cow<'static, str>),
}

/// Why a fallback is needed: one reason per provider that was asked, the operation itself (`primary`) first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reasons<E>(Vec<Reason<E>>);

impl<E> Reasons<E> {
    /// How many gave no answer.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody failed to answer.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The reasons, in the order in which providers were asked.
    pub fn iter(&self) -> core::slice::Iter<'_, Reason<E>> {
        self.0.iter()
    }
}

impl<'a, E> IntoIterator for &'a Reasons<E> {
    type Item = &'a Reason<E>;
    type IntoIter = core::slice::Iter<'a, Reason<E>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<E> fmt::Display for Reasons<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Reason { provider, why }) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            match why {
                Unserved::Failed(failure) => write!(f, "{comma}{provider}: {failure}")?,
                Unserved::NotGranted => write!(f, "{comma}{provider}: the budget for extra calls is used up")?,
            }
        }
        Ok(())
    }
}

/// Why one provider gave no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason<E> {
    /// Which one; `primary` is the operation itself.
    pub provider: Cow<'static, str>,
    /// Why.
    pub why: Unserved<E>,
}

/// What became of one provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unserved<E> {
    /// It failed, or a policy around it did.
    Failed(Failure<E>),
    /// The [`Budget`] did not pay for it: it was not asked.
    NotGranted,
}

/// A fallback at one moment. The counters are since its making.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FallbackSnapshot {
    /// The providers, in their order.
    pub providers: Vec<ProviderSnapshot>,
    /// Calls that needed one.
    pub needed: u64,
    /// Calls that nobody answered.
    pub failed: u64,
}

/// One provider of a [`FallbackSnapshot`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProviderSnapshot {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Calls that it answered.
    pub served: u64,
    /// Calls that it did not answer.
    pub failed: u64,
}

/// What happens where an operation gives no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FallbackEvent {
    /// A fallback answered.
    Served {
        /// Which one.
        provider: Cow<'static, str>,
        /// How many before it did not.
        after: usize,
    },
    /// Nobody answered.
    Failed,
}

#[cfg(test)]
mod tests;
