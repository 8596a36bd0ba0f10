//! What can go wrong between here and the daemon.

use stead_model::Problem;

/// Why a request has no answer of the kind that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The daemon refused it, or could not do it; its state is as the problem's code says.
    #[error(transparent)]
    Problem(Box<Problem>),
    /// Nobody answers. Nothing was changed, unless the connection broke after the request was sent: `sent` says so.
    #[error("no daemon answers at {url}: {cause}")]
    Unreachable {
        /// Where one was looked for.
        url: String,
        /// What the system said.
        cause: String,
        /// The request may have been received; whether it was carried out is unknown.
        sent: bool,
    },
    /// The daemon took longer than the time limit. Whether a change was made is unknown.
    #[error("the daemon at {url} did not answer in time")]
    Timeout {
        /// Where it was asked.
        url: String,
    },
    /// Something answered that does not speak as a Stead daemon of this version does.
    #[error("the answer from {url} cannot be understood: {detail}")]
    Protocol {
        /// Where it was asked.
        url: String,
        /// What was wrong with it.
        detail: String,
    },
}

impl ClientError {
    /// The daemon's own words, where it had any.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Protocol { .. } => None,
        }
    }

    /// What a person can do about it, where that is known without knowing what they wanted.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Problem(problem) => problem_help(problem),
            Self::Unreachable { .. } => Some(
                "start one with `stead up FILE` or `stead serve`, or say where it is with --url or STEAD_URL"
                    .to_owned(),
            ),
            Self::Timeout { .. } => Some("look at the daemon with `stead doctor`; then ask again".to_owned()),
            Self::Protocol { url, .. } => Some(format!(
                "something other than a Stead daemon of this version may be listening at {url}; see `stead doctor`"
            )),
        }
    }

    pub(crate) fn transport(url: &str, error: &reqwest::Error) -> Self {
        if error.is_timeout() && !error.is_connect() {
            return Self::Timeout { url: url.to_owned() };
        }
        // Bodies are decoded here, not by the library: to it, a body that cannot be decoded is one that broke off.
        let cause = if error.is_decode() || error.is_body() {
            format!("the connection broke: {}", root_cause(error))
        } else {
            root_cause(error)
        };
        Self::Unreachable {
            url: url.to_owned(),
            cause,
            sent: !error.is_connect(),
        }
    }

    pub(crate) fn protocol(url: &str, detail: impl Into<String>) -> Self {
        Self::Protocol {
            url: url.to_owned(),
            detail: detail.into(),
        }
    }
}

/// The innermost cause: the outer ones repeat the URL and that it failed.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn problem_help(problem: &Problem) -> Option<String> {
    use stead_model::ProblemCode as Code;
    if !problem.verbs.is_empty() {
        return Some(format!("what can be asked of it now: {}", problem.verbs.join(", ")));
    }
    if !problem.possible.is_empty() {
        return Some(format!("from here it can go to: {}", problem.possible.join(", ")));
    }
    let help = match problem.code {
        Code::Unauthorized => "give the daemon's token with --token, STEAD_TOKEN or STEAD_TOKEN_FILE",
        Code::UnknownAgent => "`stead ps -A` lists every agent of every namespace",
        Code::NothingSelected => "`stead ps -o wide` shows labels",
        Code::UnknownGroup => "`stead ps --groups -A` lists every group of every namespace",
        Code::UnknownReader => "`stead readers list` shows those that there are",
        Code::NoRevision => "`stead rollout status GROUP` shows which revisions there are",
        Code::StaleRevision => "read it again and repeat the change on what it is now",
        Code::DuplicateName => "choose another name, or delete the agent that has it",
        Code::StoreUnavailable => "see `stead doctor` for what is wrong with the store; agents are kept up meanwhile",
        Code::Busy => "ask again in a moment",
        Code::OutcomeUnknown => "see `stead why AGENT`; asking again is safe",
        Code::ShuttingDown => "ask again when the daemon is back",
        Code::AgentGone => {
            "its history is kept: `stead history ID`; an agent of the same name is another one, with an id of its own"
        }
        Code::GroupGone => {
            "`stead audit ID` tells who deleted it; a group of the same name is another one, with an id of its own"
        }
        Code::CursorGone => "start again without the cursor",
        Code::UnknownCapability => "`stead capabilities` lists those of the fleet file",
        Code::UnknownCircuit => "`stead circuits` lists them all",
        Code::NoFallbackAvailable => {
            "`stead capabilities` shows who provides it, and `stead circuits` why it is not asked"
        }
        Code::InvalidRequest
        | Code::InvalidSpec
        | Code::InvalidParameters
        | Code::InvalidConfig
        | Code::ForeignOrigin
        | Code::NotFound
        | Code::PartOfGroup
        | Code::NotOffered
        | Code::PolicyRefused
        | Code::RateLimited
        | Code::NotScalable
        | Code::MethodNotAllowed
        | Code::NotPossible
        | Code::IdempotencyKeyReused
        | Code::TooLarge
        | Code::UnsupportedMediaType
        | Code::LimitReached
        | Code::Internal => return None,
    };
    Some(help.to_owned())
}
