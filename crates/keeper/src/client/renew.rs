//! Which program a keeper runs, and another one in its place.

use std::fs::metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::net::sockopt::socket_peercred;

use super::{Session, unexpected};
use crate::error::ClientError;
use crate::upgrade;
use crate::wire::{Refusal, Request};

impl Session {
    /// Whether the keeper runs the very file that lies at `program` now; a copy of it is another. None where that cannot be told, as
    /// from within another pid namespace.
    #[must_use]
    pub fn runs(&self, program: &Path) -> Option<bool> {
        let peer = socket_peercred(&self.receiver.stream).ok()?.pid.as_raw_nonzero().get();
        if peer != self.welcome.pid {
            return None;
        }
        // What it runs is told even when its file was removed, and its number is not given to another file as long as it runs.
        let [runs, lies] = [format!("/proc/{peer}/exe").as_ref(), program].map(metadata);
        let (runs, lies) = (runs.ok()?, lies.ok()?);
        Some((runs.dev(), runs.ino()) == (lies.dev(), lies.ino()))
    }

    /// Has the keeper go on as `program`, which must be one with this very library; its agents notice nothing. The session ends by it:
    /// open another, after [`launch`](super::launch).
    ///
    /// # Errors
    ///
    /// The program cannot be run, or could not read what the keeper hands over. Nothing was changed, and the session goes on.
    pub fn upgrade(&mut self, program: &Path) -> Result<(), ClientError> {
        let refused = |detail| ClientError::Refused {
            code: Refusal::Failed,
            detail,
        };
        let handover = self.welcome.handover;
        if handover > upgrade::VERSION {
            let detail = format!(
                "it hands over in form {handover}, and {} is the last known",
                upgrade::VERSION
            );
            return Err(refused(detail));
        }
        let Some(program) = program.to_str() else {
            return Err(refused(format!("the path {} is not UTF-8", program.display())));
        };
        let program = Some(program.to_owned());
        match self.ask(Request::Upgrade { program }) {
            Err(ClientError::Broken(_)) => Ok(()),
            Err(error) => Err(error),
            Ok(reply) => Err(unexpected(&reply)),
        }
    }
}
