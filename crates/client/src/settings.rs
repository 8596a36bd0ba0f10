//! Where the daemon is, and how long it may take.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a daemon is looked for when nothing else is said.
pub const DEFAULT_URL: &str = "http://127.0.0.1:7878";

/// How to reach a daemon.
#[derive(Clone)]
pub struct Settings {
    /// Its address without a path; default [`DEFAULT_URL`]. Plain HTTP.
    pub url: String,
    /// Its token, where it has one.
    pub token: Option<String>,
    /// Who is said to ask; default the user's name from the environment.
    pub actor: Option<String>,
    /// How long things may take.
    pub timeouts: Timeouts,
}

/// How long things may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// Until the connection stands; default 3 s. Too short: a loaded machine looks dead.
    pub connect: Duration,
    /// One request, from sending to the last byte; default 30 s. Too short: durable answers of a slow disk are given up.
    pub request: Duration,
    /// For how long a mutation whose connection broke is sent again; default 10 s. Zero: never.
    pub retry: Duration,
    /// Silence after which a stream of events is taken for dead; default 45 s. The daemon breaks the silence every 15 s.
    pub silence: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            request: Duration::from_secs(30),
            retry: Duration::from_secs(10),
            silence: Duration::from_secs(45),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: DEFAULT_URL.to_owned(),
            token: None,
            actor: None,
            timeouts: Timeouts::default(),
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("url", &self.url)
            .field("token", &self.token.as_ref().map(|_secret| "***"))
            .field("actor", &self.actor)
            .field("timeouts", &self.timeouts)
            .finish()
    }
}

impl Settings {
    /// Reads `STEAD_URL`, `STEAD_TOKEN`, `STEAD_TOKEN_FILE`, else the file `token` of the state directory.
    ///
    /// # Errors
    /// `STEAD_TOKEN_FILE` names a file that cannot be read. A missing file in the state directory is none: the daemon has no token.
    pub fn from_env() -> Result<Self, SettingsError> {
        let token = match variable("STEAD_TOKEN") {
            Some(token) => Some(token),
            None => match variable("STEAD_TOKEN_FILE") {
                Some(path) => Some(read_token(Path::new(&path))?),
                None => read_token(&state_dir().join("token")).ok(),
            },
        };
        Ok(Self {
            url: variable("STEAD_URL").unwrap_or_else(|| DEFAULT_URL.to_owned()),
            token,
            actor: variable("USER").or_else(|| variable("LOGNAME")),
            timeouts: Timeouts::default(),
        })
    }
}

/// The directory that holds the state of this user's daemon: `STEAD_STATE_DIR`, else `/var/lib/stead` for root, else
/// `$XDG_STATE_HOME/stead`, else `~/.local/state/stead`.
#[must_use]
pub fn state_dir() -> PathBuf {
    let root = rustix::process::geteuid().is_root();
    choose_state_dir(|name| variable(name).map(PathBuf::from), root)
}

fn choose_state_dir(variable: impl Fn(&str) -> Option<PathBuf>, root: bool) -> PathBuf {
    if let Some(dir) = variable("STEAD_STATE_DIR") {
        return dir;
    }
    if root {
        return PathBuf::from("/var/lib/stead");
    }
    // The XDG rules: a relative path there is to be ignored.
    match variable("XDG_STATE_HOME").filter(|dir| dir.is_absolute()) {
        Some(dir) => dir.join("stead"),
        None => variable("HOME").unwrap_or_default().join(".local/state/stead"),
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn read_token(path: &Path) -> Result<String, SettingsError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(source) => Err(SettingsError::TokenFile {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Settings that no client can be made of.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file that should hold the token cannot be read.
    #[error("the token file {} cannot be read", path.display())]
    TokenFile {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not the address of a daemon.
    #[error("`{0}` is no address of a daemon: write http://HOST:PORT")]
    Url(String),
    /// A token or name that no header can carry.
    #[error("the {0} holds characters that HTTP cannot carry")]
    Header(&'static str),
    /// The system refused what an HTTP client needs.
    #[error("no HTTP client can be made: {0}")]
    Http(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)], root: bool) -> PathBuf {
        let find = |wanted: &str| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| PathBuf::from(value))
        };
        choose_state_dir(find, root)
    }

    #[test]
    fn the_state_directory_is_the_one_that_was_said() {
        let all = [("STEAD_STATE_DIR", "/s"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(chosen(&all, false), Path::new("/s"));
        assert_eq!(chosen(&all, true), Path::new("/s"));
    }

    #[test]
    fn the_state_directory_is_that_of_the_user_unless_it_is_root() {
        assert_eq!(
            chosen(&[("XDG_STATE_HOME", "/x"), ("HOME", "/h")], false),
            Path::new("/x/stead")
        );
        assert_eq!(chosen(&[("HOME", "/h")], false), Path::new("/h/.local/state/stead"));
        assert_eq!(
            chosen(&[("XDG_STATE_HOME", "rel"), ("HOME", "/h")], false),
            Path::new("/h/.local/state/stead")
        );
        assert_eq!(
            chosen(&[("XDG_STATE_HOME", "/x"), ("HOME", "/h")], true),
            Path::new("/var/lib/stead")
        );
    }

    #[test]
    fn a_token_is_never_printed() {
        let settings = Settings {
            token: Some("sesame".into()),
            ..Settings::default()
        };
        assert!(!format!("{settings:?}").contains("sesame"));
    }
}
