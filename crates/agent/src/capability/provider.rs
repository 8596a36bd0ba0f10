//! One function that offers a capability.

use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;
use stead_resilience::{BreakerConfig, Verdict};

/// How good a provider is: the highest that can is asked first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct Level(pub u8);

impl Level {
    /// What is wanted.
    pub const PRIMARY: Self = Self(100);
    /// What will do.
    pub const FALLBACK: Self = Self(50);
    /// Better than nothing.
    pub const EMERGENCY: Self = Self(10);
}

/// Why a provider gave no value, where it wants to say more than that it failed. Any other error counts as [`Failing::Now`].
#[derive(Debug, thiserror::Error)]
pub enum Failing {
    /// It failed; another try may succeed.
    #[error("{0}")]
    Now(String),
    /// It failed, and said when to come back: its circuit stays open until then.
    #[error("{why}; it may be asked again in {after:?}")]
    For {
        /// When, from now on.
        after: Duration,
        /// Why.
        why: String,
    },
    /// It refuses until somebody acts (credentials, billing): its circuit stays open until it is reset.
    #[error("{0}; somebody has to act")]
    UntilSomebodyActs(String),
    /// The call was at fault, not the provider: counts for no circuit.
    #[error("{0}")]
    Caller(String),
}

type Run = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<Value, Failing>> + Send + Sync>;
type Serves = Arc<dyn Fn() -> bool + Send + Sync>;

/// One function that offers a capability.
#[derive(Clone)]
pub struct Provider {
    pub(super) capability: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) level: Level,
    pub(super) description: String,
    pub(super) parameters: Option<Value>,
    pub(super) timeout: Duration,
    pub(super) breaker: BreakerConfig,
    pub(super) serves: Serves,
    run: Run,
}

impl Provider {
    /// A function that offers `capability` at `level`, and may take 30 s.
    pub fn new<F, Fut, T, E>(capability: impl Into<Arc<str>>, name: impl Into<Arc<str>>, level: Level, run: F) -> Self
    where
        F: Fn(Value) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Serialize,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self {
            capability: capability.into(),
            name: name.into(),
            level,
            description: String::new(),
            parameters: None,
            timeout: Duration::from_secs(30),
            breaker: BreakerConfig::default(),
            serves: Arc::new(|| true),
            run: Arc::new(move |parameters| {
                let begun = std::panic::catch_unwind(AssertUnwindSafe(|| run(parameters)));
                async move {
                    let panicked = || Failing::Now("it panicked".to_owned());
                    let working = begun.map_err(|_panic| panicked())?;
                    let ended = AssertUnwindSafe(working).catch_unwind().await;
                    let value = ended.map_err(|_panic| panicked())?.map_err(why)?;
                    serde_json::to_value(value).map_err(|error| Failing::Now(error.to_string()))
                }
                .boxed()
            }),
        }
    }

    /// Says what it does, for people and models.
    #[must_use]
    pub fn description(self, description: impl Into<String>) -> Self {
        Self {
            description: description.into(),
            ..self
        }
    }

    /// Says what it takes, as JSON Schema; one for all providers of a capability.
    #[must_use]
    pub fn parameters(self, schema: Value) -> Self {
        Self {
            parameters: Some(schema),
            ..self
        }
    }

    /// Sets how long a call may take; then it is dropped, and has failed.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sets its circuit. A provider that is registered again keeps the circuit that it has.
    #[must_use]
    pub fn breaker(self, breaker: BreakerConfig) -> Self {
        Self { breaker, ..self }
    }

    /// Passes it over while `serves` says no, such as while its agent does not work. It must be quick.
    #[must_use]
    pub fn serves_when(self, serves: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self {
            serves: Arc::new(serves),
            ..self
        }
    }

    /// Makes one call. Cancel safe as far as the function is.
    pub(super) async fn call(&self, parameters: Value) -> Result<Value, Failing> {
        let called = tokio::time::timeout(self.timeout, (self.run)(parameters)).await;
        called.unwrap_or_else(|_| Err(Failing::Now(format!("it took longer than {:?}", self.timeout))))
    }
}

impl Failing {
    pub(super) const fn verdict(&self) -> Verdict {
        match self {
            Self::Now(_) => Verdict::FAILURE,
            Self::For { after, .. } => Verdict::Failure {
                retry_after: Some(*after),
            },
            Self::UntilSomebodyActs(_) => Verdict::Terminal,
            Self::Caller(_) => Verdict::Ignored,
        }
    }
}

fn why(error: impl Into<Box<dyn Error + Send + Sync>>) -> Failing {
    match error.into().downcast::<Failing>() {
        Ok(failing) => *failing,
        Err(error) => Failing::Now(crate::store::whole(&*error)),
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("capability", &self.capability)
            .field("name", &self.name)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}
