//! What keeps a keeper from running, and a client from reaching one.

use std::io;
use std::path::PathBuf;

use crate::wire::Refusal;

/// Why the keeper cannot run. No agent was touched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The state directory cannot be used.
    #[error("cannot use {}", path.display())]
    StateDir {
        /// Which part of it.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The names of its sockets would not fit.
    #[error(
        "the state directory {} has more than {} bytes in its path; sockets in it would have no valid name: choose a shorter one",
        path.display(),
        crate::dir::MAX_STATE_DIR
    )]
    StateDirTooLong {
        /// Which.
        path: PathBuf,
    },
    /// Another keeper has it.
    #[error("{} is held by another keeper ({holder})", path.display())]
    Held {
        /// Which directory.
        path: PathBuf,
        /// Who holds it.
        holder: String,
    },
    /// A file of the keeper does not hold what it wrote.
    #[error("{} is damaged", path.display())]
    Corrupt {
        /// Which.
        path: PathBuf,
    },
    /// The process that was to be the keeper could not be it.
    #[error("{detail}")]
    Background {
        /// Why, in its own words.
        detail: String,
    },
    /// The system refused something that the keeper cannot do without.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Wraps the failure of `what`.
    pub(crate) fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System {
            what,
            source: source.into(),
        }
    }
}

/// Why a client got no answer. What the keeper did is unknown unless the variant says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No keeper answers on the socket.
    #[error("no keeper answers at {}", path.display())]
    Absent {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The connection broke, or the keeper left.
    #[error("the connection to the keeper broke")]
    Broken(#[source] io::Error),
    /// The keeper takes nothing, and too much is kept for it. The request was not sent.
    #[error("the keeper takes nothing: {bytes} bytes wait for it")]
    Behind {
        /// How much waits.
        bytes: usize,
    },
    /// The keeper said something that is not understood.
    #[error("the keeper said something that is not understood: {0}")]
    Protocol(String),
    /// The keeper refused. Nothing was changed.
    #[error("the keeper refused: {detail}")]
    Refused {
        /// For programs.
        code: Refusal,
        /// For people.
        detail: String,
    },
    /// The keeper could not be started.
    #[error("the keeper could not be started: {0}")]
    Launch(String),
}
