//! Orders of policies that do not do what they look like.

use core::fmt;

use serde::{Deserialize, Serialize};

/// What a policy does, as far as its place matters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// Answers in place of what failed.
    Fallback,
    /// Answers from a cache what failed.
    Cache,
    /// Cuts off what takes too long.
    Timeout,
    /// Tries again.
    Retry,
    /// Tries at once what is late.
    Hedge,
    /// Refuses what would fail.
    Breaker,
    /// Bounds calls per time.
    Limiter,
    /// Bounds calls at once.
    Bulkhead,
    /// Something whose place does not matter, or of which the linter knows nothing.
    Other,
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fallback => "fallback",
            Self::Cache => "cache",
            Self::Timeout => "timeout",
            Self::Retry => "retry",
            Self::Hedge => "hedge",
            Self::Breaker => "breaker",
            Self::Limiter => "limiter",
            Self::Bulkhead => "bulkhead",
            Self::Other => "other",
        })
    }
}

/// What the linter has to know of the operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Traits {
    /// Doing it twice is doing it once.
    Idempotent,
    /// Doing it twice does it twice.
    OnceOnly,
}

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Gravity {
    /// There may be a reason for it.
    Warning,
    /// It cannot work as meant: a pipeline from configuration is not built.
    Refused,
}

/// An order that does not do what it looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad it is.
    pub gravity: Gravity,
    /// The policy that stands outside, by its place from 0.
    pub outer: usize,
    /// The policy that stands inside of it; the same place where only one policy is concerned.
    pub inner: usize,
    /// What happens, and what to do.
    pub why: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gravity = match self.gravity {
            Gravity::Warning => "warning",
            Gravity::Refused => "refused",
        };
        write!(f, "{gravity}: policies {} and {}: {}", self.outer, self.inner, self.why)
    }
}

/// Looks at an order of policies, the outermost first.
#[must_use]
pub fn lint(order: &[PolicyKind], operation: Traits) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (outer, kind) in order.iter().enumerate() {
        findings.extend(alone(*kind, operation).map(|(gravity, why)| Finding {
            gravity,
            outer,
            inner: outer,
            why,
        }));
        for (inner, inside) in order.iter().enumerate().skip(outer + 1) {
            findings.extend(pair(*kind, *inside).map(|(gravity, why)| Finding {
                gravity,
                outer,
                inner,
                why,
            }));
        }
    }
    findings.extend(unbounded(order));
    findings
}

/// A retry that nothing bounds in time.
fn unbounded(order: &[PolicyKind]) -> Option<Finding> {
    let retry = order.iter().position(|kind| *kind == PolicyKind::Retry)?;
    let (outside, inside) = order.split_at(retry);
    let bounded = |part: &[PolicyKind]| part.contains(&PolicyKind::Timeout);
    let why = match (bounded(outside), bounded(inside)) {
        (true, true) => return None,
        (false, false) => {
            "nothing bounds the time of a try: one that hangs is never tried again; put a timeout inside of the retry"
        }
        (true, false) => {
            "a try that hangs takes the time of all others, and is never tried again; put a timeout inside of the retry, too"
        }
        (false, true) => {
            "nothing bounds the whole: tries and the waits between them add up; put a timeout outside of the retry, too"
        }
    };
    Some(Finding {
        gravity: Gravity::Warning,
        outer: retry,
        inner: retry,
        why,
    })
}

const fn alone(kind: PolicyKind, operation: Traits) -> Option<(Gravity, &'static str)> {
    match (kind, operation) {
        (PolicyKind::Hedge, Traits::OnceOnly) => Some((
            Gravity::Refused,
            "a hedge makes the call twice, and this one must be made once: leave it out or say `operation = \"idempotent\"`",
        )),
        (PolicyKind::Retry, Traits::OnceOnly) => Some((
            Gravity::Warning,
            "a try that failed may have been done all the same, and this operation must be done once",
        )),
        (_, Traits::Idempotent | Traits::OnceOnly) => None,
    }
}

/// What is wrong with `inner` standing somewhere inside of `outer`.
const fn pair(outer: PolicyKind, inner: PolicyKind) -> Option<(Gravity, &'static str)> {
    use PolicyKind::{Breaker, Bulkhead, Cache, Fallback, Hedge, Limiter, Other, Retry, Timeout};
    match (outer, inner) {
        (Breaker, Retry) => Some((
            Gravity::Warning,
            "the breaker counts all tries of a call as one: put it inside of the retry, so that it sees each",
        )),
        (Retry, Retry) => Some((
            Gravity::Refused,
            "tries multiply: three times three are nine; keep one retry, the one nearest to who can judge the error",
        )),
        (Hedge, Hedge) => Some((Gravity::Refused, "hedges multiply: keep one")),
        (Hedge, Retry) => Some((
            Gravity::Warning,
            "each of the calls beside each other is tried again, and their number multiplies: put the hedge inside of the retry",
        )),
        (Cache, Fallback) => Some((
            Gravity::Warning,
            "the cache keeps what the fallback answers, and gives it later as if it had been good: put the cache inside",
        )),
        (Retry | Hedge | Breaker, Fallback | Cache) => Some((
            Gravity::Refused,
            "a fallback inside turns failures into successes, so that this one never sees any: put the fallback outside",
        )),
        (Bulkhead, Retry) => Some((
            Gravity::Warning,
            "a seat is held while the retry waits between its tries: put the bulkhead inside",
        )),
        (Limiter, Retry | Hedge) => Some((
            Gravity::Warning,
            "tries beyond the first are not counted by the limiter: put it inside",
        )),
        (Bulkhead, Hedge) => Some((
            Gravity::Warning,
            "a second call beside the first takes no seat of its own: put the bulkhead inside",
        )),
        (Breaker, Hedge) => Some((
            Gravity::Warning,
            "the breaker sees only the faster of two calls: put it inside of the hedge, so that it sees each",
        )),
        (Breaker, Bulkhead) | (Bulkhead, Breaker) => None,
        (Breaker, Breaker) => Some((
            Gravity::Warning,
            "both count the same failures; the outer one also sees the refusals of the inner: keep one",
        )),
        (Fallback | Cache | Timeout | Retry | Hedge | Breaker | Limiter | Bulkhead | Other, _) => None,
    }
}
