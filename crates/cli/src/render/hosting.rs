//! A daemon that has just come up.

use std::net::SocketAddr;
use std::path::Path;

use owo_colors::OwoColorize;

/// Where it is, and what may be done next.
pub(crate) fn hosting(listen: SocketAddr, agents: usize) -> String {
    let count = match agents {
        0 => "no agents yet".to_owned(),
        1 => "1 agent".to_owned(),
        many => format!("{many} agents"),
    };
    format!(
        "{} {count}, API at http://{listen} (browse /docs)\n  elsewhere: `stead ps`, `stead why AGENT`, `stead logs -f AGENT`, `stead events -f`\n  Ctrl-C stops everything",
        "stead is up:".green().bold()
    )
}

/// Where it is, and why it changes nothing.
pub(crate) fn looking_on(listen: SocketAddr, damage: &str) -> String {
    format!(
        "{} {damage}\n  `stead ps` shows what there is, API at http://{listen}; Ctrl-C ends the daemon and leaves agents at work",
        "stead only looks on:".yellow().bold()
    )
}

/// That what is shown may be old or incomplete.
pub(crate) fn store_away(detail: &str) -> String {
    format!("{} {detail}", "the store is away:".yellow().bold())
}

/// Where the one in the background is.
pub(crate) fn detached(pid: u32, url: &str, log: &Path) -> String {
    format!(
        "{} process {pid}, API at {url}, log in {}\n  `stead ps` shows the fleet, `stead down` stops it",
        "stead is up:".green().bold(),
        log.display()
    )
}
