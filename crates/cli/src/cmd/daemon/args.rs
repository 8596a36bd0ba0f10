//! What the verbs take that start a daemon in this process.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use stead_model::{AgentName, Span};

/// How the daemon of this process is run, whatever it runs.
#[derive(Args, Debug)]
pub(crate) struct Hosting {
    /// Where the API listens; off loopback only with a token [default: the fleet file's, else 127.0.0.1:7878]
    #[arg(long, env = "STEAD_LISTEN", hide_env_values = true, value_name = "ADDR", value_parser = listen)]
    pub(crate) listen: Option<SocketAddr>,
    /// Where state is kept [default: /var/lib/stead for root, else ~/.local/state/stead]
    #[arg(long, env = "STEAD_STATE_DIR", hide_env_values = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// An address with a port; names are not looked up, as they may mean several.
fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_other| {
        "write an address and a port, such as 127.0.0.1:7878 or [::1]:7878; it comes from --listen or STEAD_LISTEN"
            .to_owned()
    })
}

/// `stead up`.
#[derive(Args, Debug)]
pub(crate) struct Up {
    /// The fleet file
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) hosting: Hosting,
    /// Go on in the background; returns once the fleet is up, or with the names of those that are not
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// How long to wait for the fleet to be up until it is said who is not
    #[arg(long, default_value = "60s")]
    pub(crate) timeout: Span,
}

/// `stead run`.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Name of the agent [default: the program's name]
    #[arg(long)]
    pub(crate) name: Option<AgentName>,
    /// Which of its exits are answered by a start
    #[arg(long, value_enum, default_value = "always")]
    pub(crate) restart: Restart,
    #[command(flatten)]
    pub(crate) hosting: Hosting,
    /// Program and arguments, behind --
    #[arg(last = true, required = true, num_args = 1..)]
    pub(crate) command: Vec<String>,
}

/// `stead serve`.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) hosting: Hosting,
    /// Go on in the background; returns once it answers
    #[arg(short, long)]
    pub(crate) detach: bool,
}

/// `stead keeper`: not for people.
#[derive(Args, Debug)]
pub(crate) struct Keeper {
    /// The daemon's state directory
    #[arg(long)]
    pub(crate) state_dir: PathBuf,
}

/// Which exits of a command are answered by a start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Restart {
    /// Every one.
    Always,
    /// Those with a code other than 0, by a signal, or unknown.
    OnFailure,
    /// None.
    Never,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    enum Line {
        Up(Up),
        Run(Run),
        Serve(Serve),
    }

    fn parse(line: &str) -> Result<Line, clap::Error> {
        Line::try_parse_from(format!("stead {line}").split_whitespace())
    }

    #[test]
    fn a_fleet_is_brought_up_with_address_and_directory() {
        let line = parse("up fleet.toml --listen 127.0.0.1:9 --state-dir /s --detach").unwrap();
        let Line::Up(up) = line else { panic!("{line:?}") };
        assert_eq!(up.file, PathBuf::from("fleet.toml"));
        assert_eq!(
            (up.hosting.listen, up.hosting.state_dir),
            (Some("127.0.0.1:9".parse().unwrap()), Some("/s".into()))
        );
        assert!(up.detach);
    }

    #[test]
    fn an_address_that_is_none_is_refused_with_what_one_looks_like() {
        for other in ["localhost:7878", "127.0.0.1", "7878", ":7878"] {
            let refused = parse(&format!("serve --listen {other}")).unwrap_err().to_string();
            assert!(
                refused.contains("127.0.0.1:7878") && refused.contains("STEAD_LISTEN"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_command_keeps_its_own_options() {
        let line = parse("run --name web --restart on-failure -- sleep --help -x").unwrap();
        let Line::Run(run) = line else { panic!("{line:?}") };
        assert_eq!(run.command, ["sleep", "--help", "-x"]);
        assert_eq!((run.name.unwrap().as_str(), run.restart), ("web", Restart::OnFailure));
        assert_eq!(run.hosting.listen, None);
        assert!(parse("run --name web").is_err());
    }

    #[test]
    fn a_daemon_without_a_fleet_needs_nothing() {
        let line = parse("serve").unwrap();
        let Line::Serve(serve) = line else { panic!("{line:?}") };
        assert!(!serve.detach && serve.hosting.state_dir.is_none());
    }
}
