//! Checks of the daemon: is it there, and do its parts work.

use std::net::{TcpListener, ToSocketAddrs};
use std::os::unix::fs::MetadataExt;

use stead_client::{Client, ClientError, ConfigView, DaemonView, PartState, StatusView};

use super::{fine, warning, wrong};
use crate::clock;
use crate::render::Check;

/// Looks at the daemon, and at what is in the place of one that is not there.
pub(super) async fn checks(client: &Client, checks: &mut Vec<Check>) -> Option<DaemonView> {
    let view = match client.daemon().await {
        Ok(view) => view,
        Err(error) => {
            unreachable(client, &error, checks);
            return None;
        }
    };
    checks.push(fine(
        "daemon",
        format!("version {} at {}, pid {}", view.version, view.listen, view.pid),
    ));
    if view.version != env!("CARGO_PKG_VERSION") {
        let here = env!("CARGO_PKG_VERSION");
        let help = "restart the daemon with this program; its agents live on (`stead down --leave-agents`)";
        checks.push(warning(
            "version",
            format!("the daemon is {}, this program {here}", view.version),
            help,
        ));
    }
    parts(&view.status, checks);
    checks.extend(view.keeper_pid.and_then(|keeper| program(view.pid, keeper)));
    if let Ok(config) = client.config().await {
        checks.extend(configuration(&config));
    }
    if view.started_at > clock::now() {
        let help = "set the clock; waits are not affected, but times in the history are";
        checks.push(warning(
            "clock",
            format!("the daemon started in the future, at {}", view.started_at),
            help,
        ));
    }
    Some(view)
}

/// Whether the keeper runs the daemon's program; nothing where that cannot be seen, as of another machine's or user's.
fn program(daemon: u32, keeper: u32) -> Option<Check> {
    let of = |pid: u32| {
        let file = std::fs::metadata(format!("/proc/{pid}/exe")).ok()?;
        Some((file.dev(), file.ino()))
    };
    let (ours, its) = (of(daemon)?, of(keeper)?);
    Some(if ours == its {
        fine("program", "daemon and keeper run the same")
    } else {
        let help = "restart the daemon, which upgrades the keeper too; agents live on (`stead down --leave-agents`); its log says if that failed";
        warning(
            "program",
            format!("the keeper, pid {keeper}, runs another than the daemon"),
            help,
        )
    })
}

/// Whether the fleet file is in force as it lies there.
fn configuration(config: &ConfigView) -> Option<Check> {
    let revision = config.revision?;
    let file = config.fleet_file.as_deref().unwrap_or_default();
    if config.missing {
        let detail = format!("{file} is gone; revision {revision} of it stays in force");
        let help = "put it back before the next `stead up`; `stead config show` prints it, secrets hidden";
        return Some(warning("configuration", detail, help));
    }
    if config.differs && config.refused.is_none() {
        let detail = format!("{file} says something else than revision {revision}, which is in force");
        let help =
            "put into the file what is to stay; its next change, SIGHUP or `stead up` puts in force what it says then";
        return Some(warning("configuration", detail, help));
    }
    let Some(refused) = &config.refused else {
        return Some(fine(
            "configuration",
            format!("revision {revision} of {file} is in force"),
        ));
    };
    let fault = refused.problems.first();
    let place = fault.map(|fault| {
        let (line, column) = (fault.line.unwrap_or(1), fault.column.unwrap_or(1));
        format!("{line}:{column}: {}", fault.message)
    });
    let detail = format!(
        "{file} changed at {} and was refused: {}; revision {revision} stays in force",
        refused.at,
        place.as_deref().unwrap_or(&refused.detail)
    );
    let help = "mend the file, which is then applied by itself; `stead config show` lists all that is wrong";
    Some(warning("configuration", detail, help))
}

fn parts(status: &StatusView, checks: &mut Vec<Check>) {
    let parts = [
        ("store", &status.store),
        ("keeper", &status.keeper),
        ("adoption", &status.adopted),
    ];
    for (name, part) in parts {
        checks.push(match part {
            PartState::Up => fine(name, "works"),
            PartState::Starting => warning(name, "not there yet", "look again in a moment"),
            PartState::Away { since, detail } => wrong(
                name,
                format!("away since {since}: {detail}"),
                "see the daemon's log; agents that run are left alone",
            ),
        });
    }
}

fn unreachable(client: &Client, error: &ClientError, checks: &mut Vec<Check>) {
    let help = error.help().unwrap_or_else(|| "see the daemon's log".to_owned());
    checks.push(wrong("daemon", error.to_string(), help));
    if !matches!(error, ClientError::Unreachable { .. }) {
        return;
    }
    if let Some(free) = port_free(client.url()) {
        checks.push(match free {
            Ok(()) => fine("port", "free for a daemon to listen on"),
            Err(error) => wrong(
                "port",
                format!("cannot be listened on: {error}"),
                "choose another with --listen and STEAD_URL",
            ),
        });
    }
}

/// Whether a daemon could listen where this client looks; nothing where that is another machine.
fn port_free(url: &str) -> Option<std::io::Result<()>> {
    let authority = url.strip_prefix("http://")?.split('/').next()?;
    let mut addresses = authority.to_socket_addrs().ok()?;
    let address = addresses.find(|address| address.ip().is_loopback())?;
    Some(TcpListener::bind(address).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Verdict;

    #[test]
    fn a_keeper_of_another_program_than_the_daemon_s_is_told_of() {
        let mut other = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let own = std::process::id();
        let same = program(own, own).map(|check| check.verdict);
        let different = program(own, other.id()).map(|check| check.verdict);
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!((same, different), (Some(Verdict::Fine), Some(Verdict::Warning)));
        assert_eq!(program(own, u32::MAX).map(|check| check.verdict), None);
    }
}
