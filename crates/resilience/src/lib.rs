//! Call protection for whoever calls a model, a tool or a database: correct first, then fast.
//!
//! Every policy stands alone, takes its time from a [`Clock`] and tells what it did in a [`Failure`]. Those that go around a
//! call are each a [`Layer`], so that one goes around another in a [`Pipeline`]; `docs/patterns` has a page for each and says in
//! which order.
//!
//! | | |
//! |---|---|
//! | [`Fallback`], [`StaleCache`] | somebody else's answer, or the last good one, where there is none |
//! | [`Timeout`], [`Deadline`] | how long a call may take, and until when its answer is of use |
//! | [`Retry`], [`Hedge`], [`Budget`] | trying again, trying beside, and how much of both there may be |
//! | [`Breaker`] | refusing calls to what is down |
//! | [`Limiter`], [`Bulkhead`], [`AdaptiveBulkhead`] | how many per second, how many at once |
//! | [`Pipeline`], [`NamedPipeline`], [`Registry`] | policies as one, in code or from configuration, and all of them by name |
//! | [`HealthChecker`], [`degrade`] | whether what is needed works, and what to give up while it does not |
//! | [`LeakDetector`] | what is held and not let go |
//! | [`Chaos`], [`replay`], [`Virtual`] | trouble on purpose, what other settings would have made of it, and time to try it in |
//!
//! ```
//! use core::time::Duration;
//! use stead_resilience::{Breaker, BreakerConfig, Layer, Pipeline, Preset, Retry, Timeout, TimeoutConfig};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn core::error::Error>> {
//! let limit = Some(Duration::from_secs(2));
//! let pipeline = Pipeline::new()
//!     .with(Retry::new(Preset::Api.into())?)
//!     .with(Breaker::new(BreakerConfig::default())?)
//!     .with(Timeout::new(TimeoutConfig { limit })?);
//!
//! let found = pipeline.call(|| async { Ok::<_, std::io::Error>("found") }).await?;
//! assert_eq!(found, "found");
//! # Ok(()) }
//! ```

// Blocks where an `async fn` would do: it moves its arguments once more when it is first polled, and a value that was written in
// pieces and is moved in one costs more than a policy does.
#![expect(clippy::manual_async_fn, reason = "on the way of every call, see above")]

mod breaker;
mod budget;
mod bulkhead;
mod chaos;
mod check;
mod classify;
mod clock;
mod count;
mod deadline;
pub mod degrade;
mod events;
mod failure;
mod fallback;
mod hedge;
mod lanes;
mod layer;
mod leak;
mod limiter;
#[cfg(any(test, doctest))]
mod patterns;
mod pipeline;
mod preset;
mod procfs;
mod registry;
pub mod replay;
mod retry;
mod rounds;
mod seats;
mod setting;
mod stale;
mod sync;
mod timeout;
#[cfg(feature = "tower")]
pub mod tower;
mod watch;

pub use breaker::{Breaker, BreakerCounts, BreakerEvent, Cause, Judged, OwnedPermit, Permit};
pub use budget::{Budget, BudgetConfig, BudgetEvent, BudgetSnapshot, ExtraCounts};
pub use bulkhead::{
    AdaptiveBulkhead, AdaptiveConfig, Bulkhead, BulkheadConfig, BulkheadEvent, BulkheadSnapshot, LimitRule, NoSeat,
    OwnedSeat, Seat,
};
pub use chaos::{Chaos, ChaosConfig, ChaosError, ChaosLatency, ChaosOutcome, ChaosRefused, ChaosSnapshot};
pub use check::{CheckConfig, CheckRefused, CheckReport, Finding, Health, HealthChecker, HealthReport};
pub use classify::{AnyError, Classify, StopOn, Verdict};
pub use clock::{AnyClock, Clock, Coarse, Moment, Precise, Ticker, TokioClock, Virtual};
pub use deadline::{Deadline, InvalidHeader};
pub use events::{Heard, Listener};
pub use failure::Failure;
pub use fallback::{
    Answer, Fallback, FallbackEvent, FallbackSnapshot, ProviderSnapshot, Reason, Reasons, Served, Unserved,
};
pub use hedge::{Hedge, HedgeConfig, HedgeDelay, HedgeEvent, HedgeSnapshot};
pub use layer::{Layer, Next};
pub use leak::{
    HandleId, Holder, LeakConfig, LeakConfigRefused, LeakDetector, LeakFinding, LeakReport, ProcSampler, Resource,
    Sample, Sign, Tracked, Usage,
};
pub use limiter::{Limiter, LimiterConfig, LimiterEvent, LimiterSnapshot, Priced, RateExceeded};
pub use pipeline::{
    Answers, Around, Bare, BulkheadPolicy, CacheKey, Gravity, GrowthPolicy, HandedIn, HedgePolicy, JitterPolicy,
    LimiterPolicy, NamedGrowth, NamedJitter, NamedPipeline, Nested, Nobody, Parts, Pipeline, PipelineConfig,
    PipelineFinding, PipelineRefused, Placed, Places, PolicyConfig, PolicyKind, RetryPolicy, Shared, StandIn,
    StandInPolicy, StandIns, TimeoutPolicy, Traits, Within, lint,
};
pub use preset::{Preset, UnknownPreset};
pub use registry::{
    BreakerStatus, Force, Inspect, Listed, NameTaken, NotReloaded, PolicySnapshot, Registry, RegistryConfig,
    ReloadRefused, Settings,
};
pub use retry::{GaveUp, Retry, RetryConfig, RetryEvent, RetrySnapshot};
pub use seats::Order;
pub use setting::InvalidSetting;
pub use stale::{Recalled, Stale, StaleAt, StaleCache, StaleConfig, StaleEvent, StaleSnapshot};
pub use stead_policy::{
    Backoff, BreakerConfig, BreakerImage, BreakerRefused, BreakerSettings, CircuitState, Criticality, Extra, Factor,
    First, Growth, Jitter, LimitRange, PhaseImage, Quota, Ramp, Refusal, SlowCalls, Spread, Window, WindowImage,
};
pub use timeout::{Timeout, TimeoutConfig, TimeoutEvent, TimeoutSnapshot};
pub use watch::Watch;
