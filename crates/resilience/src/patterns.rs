//! Holds the pages of `docs/patterns` to the code: their examples run, their tables are compared.

/// Runs the examples of a page with the documentation's tests.
macro_rules! pages {
    ($($page:ident $file:literal)*) => { $(
        #[cfg(doctest)]
        #[doc = include_str!(concat!("../../../docs/patterns/", $file))]
        struct $page;
    )*

        #[cfg(test)]
        const PAGES: &[(&str, &str)] = &[$(($file, include_str!(concat!("../../../docs/patterns/", $file)))),*];
    };
}

pages! {
    Index "README.md"
    Bulkhead "bulkhead.md"
    CacheOnFailure "cache-on-failure.md"
    Chaos "chaos.md"
    CircuitBreaker "circuit-breaker.md"
    Degradation "degradation.md"
    Fallback "fallback.md"
    HealthChecks "health-checks.md"
    Hedging "hedging.md"
    LeakDetector "leak-detector.md"
    Pipeline "pipeline.md"
    Presets "presets.md"
    RateLimiter "rate-limiter.md"
    Replay "replay.md"
    Retry "retry.md"
    RetryBudget "retry-budget.md"
    Timeouts "timeouts.md"
}

#[cfg(test)]
mod tests;
