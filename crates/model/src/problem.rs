//! Problems as the API tells them (RFC 9457), with stable codes.

use alloc::string::String;
use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares the codes with their title and status.
macro_rules! codes {
    ($($variant:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// A stable code of a problem; its `type` is `urn:stead:problem:` and the code.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum ProblemCode { $(#[doc = $title] $variant,)* }

        impl ProblemCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code as text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status that it comes with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// What it says in general.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid-request", 400, "The request cannot be understood";
    InvalidSpec = "invalid-spec", 422, "The spec does not hold together";
    InvalidConfig = "invalid-config", 422, "The configuration does not hold together";
    Unauthorized = "unauthorized", 401, "A valid token is needed";
    ForeignOrigin = "foreign-origin", 403, "The request came by way of another site";
    InvalidParameters = "invalid-parameters", 422, "The parameters do not fit the capability's schema";
    NotFound = "not-found", 404, "There is nothing here";
    UnknownCapability = "unknown-capability", 404, "There is no such capability";
    UnknownCircuit = "unknown-circuit", 404, "There is no such circuit";
    UnknownAgent = "unknown-agent", 404, "There is no such agent";
    UnknownGroup = "unknown-group", 404, "There is no such group";
    UnknownReader = "unknown-reader", 404, "There is no such reader";
    GroupGone = "group-gone", 410, "The group was deleted";
    AgentGone = "agent-gone", 410, "The agent was deleted";
    CursorGone = "cursor-gone", 410, "What the cursor points at is no longer kept";
    MethodNotAllowed = "method-not-allowed", 405, "This cannot be done here";
    DuplicateName = "duplicate-name", 409, "The name is taken";
    NotPossible = "not-possible", 409, "The agent's phase does not permit it";
    IdempotencyKeyReused = "idempotency-key-reused", 422, "The idempotency key was used for another request";
    PolicyRefused = "policy-refused", 409, "A transition policy stands against it";
    RateLimited = "rate-limited", 429, "The agent was moved too often";
    NothingSelected = "nothing-selected", 404, "The selector matches nothing";
    NotOffered = "not-offered", 409, "The agent does not offer this";
    PartOfGroup = "part-of-group", 409, "The agent is a replica of a group";
    NotScalable = "not-scalable", 409, "The agent cannot be scaled";
    NoRevision = "no-revision", 409, "There is no such revision to go back to";
    StaleRevision = "stale-revision", 412, "The agent has changed since";
    TooLarge = "too-large", 413, "The request is too large";
    UnsupportedMediaType = "unsupported-media-type", 415, "The body must be JSON";
    LimitReached = "limit-reached", 422, "A limit is reached";
    Busy = "busy", 503, "Too much is under way; try again soon";
    StoreUnavailable = "store-unavailable", 503, "Changes cannot be written down now";
    OutcomeUnknown = "outcome-unknown", 503, "Whether the change was written down is unknown";
    NoFallbackAvailable = "no-fallback-available", 503, "No provider gave an answer";
    ShuttingDown = "shutting-down", 503, "The daemon is going down";
    Internal = "internal", 500, "Something went wrong here";
}

impl core::fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A problem as `application/problem+json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `urn:stead:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says in general.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: ProblemCode,
    /// What was wrong, where, and what to do.
    pub detail: String,
    /// The phases that may follow, where a phase did not permit what was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub possible: Vec<String>,
    /// What can be asked of the agent instead, as verbs of `lifecycle/{verb}`, and `delete`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verbs: Vec<String>,
    /// In how many seconds to ask again, where that is known; also in `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// Each single fault, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// The request's correlation id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

impl Problem {
    /// A problem of a code with what was wrong.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            kind: alloc::format!("urn:stead:problem:{code}"),
            title: code.title().into(),
            status: code.status(),
            code,
            detail: detail.into(),
            possible: Vec::new(),
            verbs: Vec::new(),
            retry_after: None,
            errors: Vec::new(),
            correlation_id: None,
        }
    }
}

impl core::fmt::Display for Problem {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl core::error::Error for Problem {}

impl From<crate::Refusal> for Problem {
    fn from(refusal: crate::Refusal) -> Self {
        use crate::Refusal;
        let code = match &refusal {
            Refusal::Unknown(_) => ProblemCode::UnknownAgent,
            Refusal::Gone(_) => ProblemCode::AgentGone,
            Refusal::Duplicate { .. } => ProblemCode::DuplicateName,
            Refusal::Stale { .. } => ProblemCode::StaleRevision,
            Refusal::KeyReused(_) => ProblemCode::IdempotencyKeyReused,
            Refusal::NotPossible { .. } => ProblemCode::NotPossible,
            Refusal::UnknownProfile(_)
            | Refusal::ProfileChange
            | Refusal::DriverChange
            | Refusal::SelfDependency(_) => ProblemCode::InvalidSpec,
            Refusal::NotOffered { .. } => ProblemCode::NotOffered,
            Refusal::PauseSpan => ProblemCode::InvalidRequest,
            Refusal::Policy { .. } => ProblemCode::PolicyRefused,
            Refusal::RateLimited { .. } => ProblemCode::RateLimited,
            Refusal::UnknownGroup(_) => ProblemCode::UnknownGroup,
            Refusal::Replica { .. } => ProblemCode::PartOfGroup,
            Refusal::NotScalable(_) => ProblemCode::NotScalable,
            Refusal::NoRevision { .. } => ProblemCode::NoRevision,
            Refusal::TooManyReplicas { .. } | Refusal::TooManyTasks(_) | Refusal::TooLong { .. } | Refusal::Full(_) => {
                ProblemCode::LimitReached
            }
        };
        let mut problem = Self::new(code, alloc::format!("{refusal}"));
        if let Refusal::RateLimited { retry_after, .. } = &refusal {
            problem.retry_after = u32::try_from(retry_after.up_to_secs().0.as_secs().max(1)).ok();
        }
        if let Refusal::NotPossible { possible, verbs, .. } = refusal {
            problem.possible = possible;
            problem.verbs = verbs.into_iter().map(String::from).collect();
        }
        problem
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;
    use crate::{AgentId, Refusal, Revision};

    #[test]
    fn every_code_is_written_as_it_is_read_and_has_a_status_of_an_error() {
        for code in ProblemCode::ALL {
            assert_eq!(serde_json::to_string(code).unwrap(), alloc::format!("\"{code}\""));
            assert!((400..=599).contains(&code.status()) && !code.title().is_empty());
        }
    }

    #[test]
    fn every_refusal_is_a_problem_of_its_own_code() {
        let name = "web".parse().unwrap();
        let id = AgentId::from_bits(1);
        let refusals = [
            (Refusal::Unknown("web".into()), ProblemCode::UnknownAgent),
            (Refusal::Gone(id), ProblemCode::AgentGone),
            (Refusal::Duplicate { name, id }, ProblemCode::DuplicateName),
            (
                Refusal::Stale {
                    expected: Revision(1),
                    current: Revision(2),
                },
                ProblemCode::StaleRevision,
            ),
            (Refusal::KeyReused("k".into()), ProblemCode::IdempotencyKeyReused),
            (Refusal::UnknownProfile("x".into()), ProblemCode::InvalidSpec),
            (Refusal::ProfileChange, ProblemCode::InvalidSpec),
            (Refusal::DriverChange, ProblemCode::InvalidSpec),
            (
                Refusal::SelfDependency("web".parse().unwrap()),
                ProblemCode::InvalidSpec,
            ),
            (Refusal::TooManyTasks(9), ProblemCode::LimitReached),
            (
                Refusal::TooLong {
                    what: "task",
                    limit: 255,
                },
                ProblemCode::LimitReached,
            ),
            (Refusal::Full(9), ProblemCode::LimitReached),
        ];
        for (refusal, code) in refusals {
            let said = refusal.to_string();
            let problem = Problem::from(refusal);
            assert_eq!((problem.code, problem.detail), (code, said));
        }
    }

    #[test]
    fn an_impossible_wish_names_what_is_possible() {
        let refusal = Refusal::NotPossible {
            verb: "pause",
            phase: "offline".into(),
            possible: vec!["starting".into()],
            verbs: vec!["start"],
        };
        let problem = Problem::from(refusal);
        assert_eq!(problem.possible, ["starting"]);
        assert_eq!(problem.verbs, ["start"]);
        assert_eq!(
            problem.to_string(),
            "The agent's phase does not permit it: pause is not possible in phase offline"
        );
    }
}
