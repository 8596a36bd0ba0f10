//! What is shown of an agent that could not run, where `main` returns it.

use std::fmt;

use crate::agent::AgentError;
use crate::store::whole;

/// A sentence with all that led to it: `main` shows what it returns by its `Debug`, and people read that.
impl fmt::Debug for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&whole(self))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{InvalidConfig, StoreError, Token};

    #[test]
    fn main_ends_with_a_sentence_that_says_what_to_do() {
        let shown = |error: AgentError| format!("{error:?}");
        let taken = AgentError::Listen {
            address: ([127, 0, 0, 1], 18_690).into(),
            source: io::Error::from_raw_os_error(98),
        };
        assert_eq!(
            shown(taken),
            "cannot listen on 127.0.0.1:18690; choose another with STEAD_LIFECYCLE_PORT: Address already in use (os error 98)"
        );
        let used = StoreError::InUse("/a/checkpoints".to_owned());
        let told = shown(used.into());
        assert!(
            told.ends_with("/a/checkpoints is in use by another process; give each agent a directory of its own"),
            "{told}"
        );
        let port = shown(InvalidConfig::Port("abc".to_owned()).into());
        assert_eq!(port, "STEAD_LIFECYCLE_PORT is `abc`; use a number from 0 to 65535");
        let short = shown(Token::new("short").unwrap_err().into());
        assert!(
            short.contains("STEAD_LIFECYCLE_TOKEN") && short.contains("at least 16"),
            "{short}"
        );
    }
}
