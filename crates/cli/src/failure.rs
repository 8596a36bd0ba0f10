//! Why a command did not do what was asked, and the exit code that says so.

use std::io;

use stead_client::{ClientError, SettingsError};
use stead_model::Problem;

/// The exit codes; `--help` and the guide list the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// Something failed.
    Failure,
    /// The command line cannot be understood.
    Usage,
    /// No daemon answers.
    Unreachable,
    /// There is no such thing.
    NotFound,
    /// The daemon refused: what is does not permit it.
    Refused,
    /// What was waited for did not come in time.
    Timeout,
    /// The daemon cannot do it now.
    Unavailable,
    /// Whoever read the output has seen enough.
    Enough,
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Enough => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::NotFound => 4,
            Self::Refused => 5,
            Self::Timeout => 6,
            Self::Unavailable => 7,
        }
    }
}

/// Ctrl-C ended something that would have gone on.
pub(crate) const INTERRUPTED: u8 = 130;

/// A failure as people and programs are told it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// The daemon's own words, where it had any.
    pub(crate) problem: Option<Box<Problem>>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::with(Exit::Failure, message)
    }

    pub(crate) fn with(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            help: None,
            problem: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// An error with all of its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        told = format!("{told}: {source}");
        cause = source.source();
    }
    told
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::from(ClientError::Problem(Box::new(problem)))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let help = error.help();
        let message = match &error {
            ClientError::Problem(problem) => problem.detail.clone(),
            ClientError::Unreachable { sent: true, .. } => {
                format!("{error}; whether the request was carried out is unknown")
            }
            ClientError::Unreachable { .. } | ClientError::Timeout { .. } | ClientError::Protocol { .. } => {
                error.to_string()
            }
        };
        let (exit, problem) = match error {
            ClientError::Problem(problem) => (exit_of(problem.status), Some(problem)),
            ClientError::Unreachable { .. } => (Exit::Unreachable, None),
            ClientError::Timeout { .. } => (Exit::Unavailable, None),
            ClientError::Protocol { .. } => (Exit::Failure, None),
        };
        Self {
            exit,
            message,
            help,
            problem,
        }
    }
}

fn exit_of(status: u16) -> Exit {
    match status {
        400 => Exit::Usage,
        404 | 410 => Exit::NotFound,
        409 | 412 | 422 => Exit::Refused,
        429 | 503 => Exit::Unavailable,
        _ => Exit::Failure,
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        match &error {
            SettingsError::Url(_) => Self::with(Exit::Usage, error.to_string()),
            SettingsError::TokenFile { source, .. } => Self::new(format!("{error}: {source}")),
            SettingsError::Header(_) | SettingsError::Http(_) => Self::new(error.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::with(Exit::Enough, "the output is closed")
        } else {
            Self::new(format!("the output cannot be written: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use stead_model::ProblemCode;

    use super::*;

    #[test]
    fn every_problem_has_the_exit_code_of_its_status() {
        for code in ProblemCode::ALL {
            let failure = Failure::from(ClientError::Problem(Box::new(Problem::new(*code, "x"))));
            let expected = match code.status() {
                400 => 2,
                404 | 410 => 4,
                409 | 412 | 422 => 5,
                429 | 503 => 7,
                _ => 1,
            };
            assert_eq!(failure.exit.code(), expected, "{code}");
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.exit.code(), 0);
    }
}
