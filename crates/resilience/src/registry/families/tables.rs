//! The families, as they stand on the pages of `docs/patterns`.

use super::{Family, family};
use crate::degrade::Degraded;
use crate::registry::BreakerStatus;
use crate::{
    BudgetSnapshot, BulkheadSnapshot, ChaosSnapshot, FallbackSnapshot, HealthReport, HedgeSnapshot, LeakReport,
    LimiterSnapshot, RetrySnapshot, StaleSnapshot, TimeoutSnapshot,
};

pub(crate) const BREAKER: &[Family<BreakerStatus>] = &[
    family(
        "state",
        "stead_breaker_state",
        "1 for the state that the breaker is in",
        |is, out| {
            out.of("state", is.state.as_str(), 1);
        },
    ),
    family(
        "generation",
        "stead_breaker_transitions_total",
        "changes of state",
        |is, out| {
            out.count(is.generation);
        },
    ),
    family(
        "rejected",
        "stead_breaker_rejected_calls_total",
        "calls that were not admitted",
        |is, out| {
            out.count(is.counts.rejected);
        },
    ),
    family(
        "let_through",
        "stead_breaker_let_through_calls_total",
        "calls that would not have been admitted were the breaker enforced",
        |is, out| out.count(is.counts.let_through),
    ),
    family(
        "failed",
        "stead_breaker_failed_calls_total",
        "failures that were counted",
        |is, out| {
            out.count(is.counts.failed);
        },
    ),
    family(
        "slow",
        "stead_breaker_slow_calls_total",
        "slow calls that were counted",
        |is, out| {
            out.count(is.counts.slow);
        },
    ),
    family(
        "ignored",
        "stead_breaker_ignored_calls_total",
        "calls that say nothing about the service",
        |is, out| out.count(is.counts.ignored),
    ),
    family(
        "abandoned",
        "stead_breaker_abandoned_calls_total",
        "calls that never reported",
        |is, out| {
            out.count(is.counts.abandoned);
        },
    ),
    family(
        "late",
        "stead_breaker_late_results_total",
        "results of an earlier state, which changed nothing",
        |is, out| out.count(is.counts.late),
    ),
    family(
        "not_granted",
        "stead_breaker_unpaid_probes_total",
        "probes that the budget did not pay for",
        |is, out| out.count(is.counts.not_granted),
    ),
];

pub(crate) const BUDGET: &[Family<BudgetSnapshot>] = &[
    family(
        "saved",
        "stead_budget_saved_calls",
        "extra calls that are saved",
        |is, out| {
            out.count(is.saved);
        },
    ),
    family(
        "burst",
        "stead_budget_burst_calls",
        "extra calls that may be saved",
        |is, out| {
            out.count(is.burst);
        },
    ),
    family(
        "granted",
        "stead_budget_granted_calls_total",
        "extra calls that were granted",
        |is, out| {
            out.extra(&is.granted);
        },
    ),
    family(
        "refused",
        "stead_budget_refused_calls_total",
        "extra calls that were not",
        |is, out| {
            out.extra(&is.refused);
        },
    ),
];

pub(crate) const BULKHEAD: &[Family<BulkheadSnapshot>] = &[
    family(
        "max_concurrent_calls",
        "stead_bulkhead_seats",
        "the limit in force",
        |is, out| {
            out.count(is.max_concurrent_calls.into());
        },
    ),
    family(
        "in_flight",
        "stead_bulkhead_taken_seats",
        "calls under way",
        |is, out| {
            out.count(is.in_flight.into());
        },
    ),
    family(
        "waiting",
        "stead_bulkhead_waiting_calls",
        "callers that wait for a seat",
        |is, out| {
            out.number(is.waiting);
        },
    ),
    family(
        "admitted",
        "stead_bulkhead_admitted_calls_total",
        "calls that got a seat",
        |is, out| {
            out.count(is.admitted);
        },
    ),
    family(
        "waited",
        "stead_bulkhead_waited_calls_total",
        "calls that had to wait",
        |is, out| {
            out.count(is.waited);
        },
    ),
    family(
        "refused",
        "stead_bulkhead_refused_calls_total",
        "calls that found neither a seat nor a place to wait",
        |is, out| out.count(is.refused),
    ),
    family(
        "timed_out",
        "stead_bulkhead_timed_out_calls_total",
        "calls that waited in vain",
        |is, out| {
            out.count(is.timed_out);
        },
    ),
];

pub(crate) const CACHE: &[Family<StaleSnapshot>] = &[
    family("entries", "stead_cache_entries", "answers kept", |is, out| {
        out.number(is.entries);
    }),
    family(
        "served",
        "stead_cache_served_calls_total",
        "failed calls that got an old answer",
        |is, out| {
            out.count(is.served);
        },
    ),
    family(
        "missed",
        "stead_cache_missed_calls_total",
        "failed calls without a kept answer",
        |is, out| {
            out.count(is.missed);
        },
    ),
    family(
        "too_old",
        "stead_cache_too_old_calls_total",
        "failed calls whose kept answer was too old",
        |is, out| {
            out.count(is.too_old);
        },
    ),
];

pub(crate) const CHAOS: &[Family<ChaosSnapshot>] = &[
    family(
        "calls",
        "stead_chaos_calls_total",
        "calls that passed while it was on",
        |is, out| {
            out.count(is.calls);
        },
    ),
    family(
        "struck",
        "stead_chaos_struck_calls_total",
        "those of them that were struck",
        |is, out| {
            out.count(is.struck);
        },
    ),
];

pub(crate) const DEGRADATION: &[Family<Degraded>] = &[
    family(
        "level",
        "stead_degradation_level",
        "1 for the level that is in force",
        |is, out| {
            out.of("level", is.level.as_str(), 1);
        },
    ),
    family(
        "down",
        "stead_degradation_down_components",
        "components that count as down",
        |is, out| {
            out.number(is.down.len());
        },
    ),
    family(
        "off",
        "stead_degradation_off_features",
        "features that are off",
        |is, out| {
            out.number(is.off.len());
        },
    ),
    family(
        "features_off",
        "stead_degradation_off_features_ratio",
        "the share of features that are off",
        |is, out| {
            out.share(is.features_off);
        },
    ),
    family(
        "impact",
        "stead_degradation_impact_ratio",
        "the same by weight",
        |is, out| out.share(is.impact),
    ),
];

pub(crate) const FALLBACK: &[Family<FallbackSnapshot>] = &[
    family(
        "providers",
        "stead_fallback_provider_served_calls_total",
        "calls that the provider answered",
        |is, out| {
            for provider in &is.providers {
                out.of("provider", &provider.name, provider.served);
            }
        },
    ),
    family(
        "providers",
        "stead_fallback_provider_failed_calls_total",
        "calls that the provider did not answer",
        |is, out| {
            for provider in &is.providers {
                out.of("provider", &provider.name, provider.failed);
            }
        },
    ),
    family(
        "needed",
        "stead_fallback_needed_calls_total",
        "calls that needed a provider",
        |is, out| {
            out.count(is.needed);
        },
    ),
    family(
        "failed",
        "stead_fallback_failed_calls_total",
        "calls that nobody answered",
        |is, out| {
            out.count(is.failed);
        },
    ),
];

pub(crate) const HEALTH: &[Family<HealthReport>] = &[
    family(
        "health",
        "stead_health_state",
        "1 for how well the whole does",
        |is, out| {
            out.of("health", &is.health.to_string(), 1);
        },
    ),
    family(
        "health",
        "stead_health_check_state",
        "1 for how well what is checked does",
        |is, out| {
            for check in &is.checks {
                out.of_two([("check", &check.name), ("health", &check.health.to_string())], 1);
            }
        },
    ),
    family(
        "age",
        "stead_health_check_age_seconds",
        "how old the finding is",
        |is, out| {
            out.each(is, |check| check.age.map(|age| age.as_secs_f64()));
        },
    ),
    family(
        "took",
        "stead_health_check_run_seconds",
        "how long the run took",
        |is, out| {
            out.each(is, |check| check.took.map(|took| took.as_secs_f64()));
        },
    ),
    family(
        "unchanged_for",
        "stead_health_check_unchanged_seconds",
        "for how long runs have found the same",
        |is, out| out.each(is, |check| check.unchanged_for.map(|span| span.as_secs_f64())),
    ),
    family(
        "runs",
        "stead_health_check_runs_total",
        "runs that came to a finding",
        |is, out| {
            out.each(is, |check| Some(check.runs));
        },
    ),
    family(
        "failed_in_a_row",
        "stead_health_check_failures_in_a_row",
        "runs up to the last that found anything but healthy",
        |is, out| out.each(is, |check| Some(check.failed_in_a_row)),
    ),
];

pub(crate) const HEDGE: &[Family<HedgeSnapshot>] = &[
    family(
        "delay",
        "stead_hedge_delay_seconds",
        "the wait before a further call",
        |is, out| {
            out.span(is.delay);
        },
    ),
    family(
        "hedged",
        "stead_hedge_further_calls_total",
        "further calls that were made",
        |is, out| {
            out.count(is.hedged);
        },
    ),
    family(
        "won",
        "stead_hedge_won_calls_total",
        "calls that a further one answered",
        |is, out| {
            out.count(is.won);
        },
    ),
    family(
        "not_granted",
        "stead_hedge_unpaid_calls_total",
        "further calls that the budget did not pay for",
        |is, out| {
            out.count(is.not_granted);
        },
    ),
];

pub(crate) const LEAKS: &[Family<LeakReport>] = &[
    family("usage", "stead_leak_memory_bytes", "resident memory", |is, out| {
        if let Some(usage) = &is.usage {
            out.count(usage.memory);
        }
    }),
    family(
        "usage",
        "stead_leak_memory_limit_bytes",
        "what of it is allowed",
        |is, out| {
            if let Some(usage) = &is.usage {
                out.count(usage.memory_limit);
            }
        },
    ),
    family(
        "usage",
        "stead_leak_open_handles",
        "files, connections and threads that are open",
        |is, out| {
            if let Some(usage) = &is.usage {
                out.of("resource", "file handles", usage.file_handles);
                out.of("resource", "connections", usage.connections);
                out.of("resource", "threads", usage.threads);
            }
        },
    ),
    family(
        "tracked",
        "stead_leak_tracked_handles",
        "guards that are held",
        |is, out| {
            for (resource, held) in &is.tracked {
                out.of("resource", &resource.to_string(), held);
            }
        },
    ),
    family(
        "findings",
        "stead_leak_findings",
        "signs of leaks that were found",
        |is, out| {
            out.number(is.findings.len());
        },
    ),
];

pub(crate) const LIMITER: &[Family<LimiterSnapshot>] = &[
    family(
        "free",
        "stead_limiter_free_units",
        "units that could be taken now",
        |is, out| {
            out.count(is.free);
        },
    ),
    family(
        "debt",
        "stead_limiter_debt_units",
        "units charged that have yet to come back",
        |is, out| {
            out.count(is.debt);
        },
    ),
    family(
        "waiting",
        "stead_limiter_waiting_calls",
        "callers that wait for units",
        |is, out| {
            out.number(is.waiting);
        },
    ),
    family(
        "waited",
        "stead_limiter_waited_calls_total",
        "calls that had to wait",
        |is, out| {
            out.count(is.waited);
        },
    ),
    family(
        "refused",
        "stead_limiter_refused_calls_total",
        "calls that got nothing",
        |is, out| {
            out.count(is.refused);
        },
    ),
    family(
        "pauses",
        "stead_limiter_pauses_total",
        "pauses that were asked for",
        |is, out| {
            out.count(is.pauses);
        },
    ),
];

const GIVEN_UP: &str = "stead_retry_given_up_calls_total";
const WHY_GIVEN_UP: &str = "calls that were given up, and why";

pub(crate) const RETRY: &[Family<RetrySnapshot>] = &[
    family(
        "max_attempts",
        "stead_retry_attempts_limit",
        "tries that a call may take",
        |is, out| {
            out.count(is.max_attempts.into());
        },
    ),
    family(
        "retries",
        "stead_retry_further_tries_total",
        "further tries",
        |is, out| out.count(is.retries),
    ),
    family(
        "recovered",
        "stead_retry_recovered_calls_total",
        "calls that a further try saved",
        |is, out| {
            out.count(is.recovered);
        },
    ),
    family("out_of_attempts", GIVEN_UP, WHY_GIVEN_UP, |is, out| {
        out.of("why", "attempts", is.out_of_attempts);
    }),
    family("asked_to_wait_too_long", GIVEN_UP, WHY_GIVEN_UP, |is, out| {
        out.of("why", "retry_after", is.asked_to_wait_too_long);
    }),
    family("out_of_time", GIVEN_UP, WHY_GIVEN_UP, |is, out| {
        out.of("why", "elapsed", is.out_of_time);
    }),
    family("out_of_deadline", GIVEN_UP, WHY_GIVEN_UP, |is, out| {
        out.of("why", "deadline", is.out_of_deadline);
    }),
    family("out_of_budget", GIVEN_UP, WHY_GIVEN_UP, |is, out| {
        out.of("why", "budget", is.out_of_budget);
    }),
    family(
        "not_begun",
        "stead_retry_unbegun_calls_total",
        "calls whose deadline left no time for a first try",
        |is, out| out.count(is.not_begun),
    ),
    family(
        "hook_panics",
        "stead_retry_hook_panics_total",
        "hooks that panicked",
        |is, out| {
            out.count(is.hook_panics);
        },
    ),
];

pub(crate) const TIMEOUT: &[Family<TimeoutSnapshot>] = &[
    family(
        "limit",
        "stead_timeout_limit_seconds",
        "the limit in force, where there is one",
        |is, out| {
            if let Some(limit) = is.limit {
                out.span(limit);
            }
        },
    ),
    family(
        "cut_off",
        "stead_timeout_cut_off_calls_total",
        "calls that took too long",
        |is, out| {
            out.count(is.cut_off);
        },
    ),
    family(
        "not_begun",
        "stead_timeout_unbegun_calls_total",
        "calls whose deadline had passed",
        |is, out| {
            out.count(is.not_begun);
        },
    ),
];
