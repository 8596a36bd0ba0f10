//! A daemon that has just come up.

use std::net::SocketAddr;
use std::path::Path;

use owo_colors::OwoColorize;

use crate::cmd::Outlook;

/// Where it is, and what may be done next.
pub(crate) fn hosting(listen: SocketAddr, agents: usize) -> String {
    let count = match agents {
        0 => "no agents yet".to_owned(),
        1 => "1 agent".to_owned(),
        many => format!("{many} agents"),
    };
    format!(
        "{} {count}, API at http://{listen} (browse /docs)\n  elsewhere: `stead ps`, `stead why AGENT`, `stead logs -f AGENT`, `stead events -f`\n  Ctrl-C stops everything",
        "stead runs:".green().bold()
    )
}

/// Where it is, and why it changes nothing.
pub(crate) fn looking_on(listen: SocketAddr, damage: &str) -> String {
    format!(
        "{} {damage}\n  `stead ps` shows what there is, API at http://{listen}; Ctrl-C ends the daemon and leaves agents at work",
        "stead only looks on:".yellow().bold()
    )
}

/// Where it is, and that changes have to wait.
pub(crate) fn hosting_away(listen: SocketAddr, detail: &str) -> String {
    format!(
        "{} {detail}\n  agents are cared for; changes, those of the fleet file too, are taken once it is back, without anybody's help\n  \
         `stead ps` shows what there is, API at http://{listen}; Ctrl-C ends the daemon and leaves agents at work",
        "stead runs, but its store is away:".yellow().bold()
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
        "stead runs:".green().bold(),
        log.display()
    )
}

/// How the fleet stands: who is up, who is not and why.
pub(crate) fn settled(outlook: &Outlook) -> String {
    let Outlook {
        up,
        aside,
        troubled,
        underway,
    } = outlook;
    let all = up + troubled.len() + underway.len();
    let mut text = if *up == all {
        match all {
            0 => "no agent is to be up".to_owned(),
            1 => format!("{} its one agent", "the fleet is up:".green().bold()),
            all => format!("{} all {all} agents", "the fleet is up:".green().bold()),
        }
    } else {
        format!(
            "{} {up} of {all} agents are up",
            "the fleet is not all up:".yellow().bold()
        )
    };
    if *aside > 0 {
        text.push_str(&format!("; {aside} left as somebody wants them"));
    }
    for (name, why) in troubled {
        text.push_str(&format!("\n  {} {why}", format!("{name}:").bold()));
    }
    if !underway.is_empty() {
        text.push_str(&format!("\n  still on the way: {}", underway.join(", ")));
    }
    text
}
