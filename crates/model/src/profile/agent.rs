//! The life of an agent: 18 states, 66 edges, and three more that make `scaling` reachable.

use core::time::Duration;

use super::{Class, Profile, Role, StateRow, built_in};

/// The `agent` profile.
#[must_use]
pub fn agent() -> Profile {
    const WAYS: [&str; 3] = [
        "busy idle stopping updating scaling maintenance suspended offline error",
        "idle online stopping scaling maintenance suspended offline error",
        "busy online stopping updating scaling maintenance suspended offline error",
    ];
    table("agent", WAYS)
}

/// The `agent-original` profile: the table as it was asked for, whose 66 edges leave no way into `scaling`.
#[must_use]
pub fn agent_original() -> Profile {
    const WAYS: [&str; 3] = [
        "busy idle stopping updating maintenance suspended offline error",
        "idle online stopping maintenance suspended offline error",
        "busy online stopping updating maintenance suspended offline error",
    ];
    table("agent-original", WAYS)
}

/// The table, with the ways from `online`, `busy` and `idle`.
fn table(name: &'static str, [online, busy, idle]: [&'static str; 3]) -> Profile {
    use Class::{Active, Available, Error, Final, Initial, Maintenance, Operational, Transitional};
    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }
    let row = |name: &'static str, role, classes, next, deadline| StateRow {
        name: name.into(),
        role,
        classes,
        next,
        deadline,
    };
    #[rustfmt::skip]
    let rows: [StateRow<'_>; 18] = [
        row("registered",  Role::Initial,     &[Initial],                        "deploying deleted", None),
        row("deploying",   Role::Preparing,   &[Transitional, Initial],          "deployed failed error", Some((secs(300), "failed"))),
        row("deployed",    Role::Prepared,    &[Initial],                        "starting updating deleted", None),
        row("starting",    Role::Starting,    &[Transitional, Active],           "online failed error timeout", Some((secs(60), "timeout"))),
        row("online",      Role::Ready,       &[Operational, Available, Active], online, None),
        row("busy",        Role::Busy,        &[Operational, Active],            busy, None),
        row("idle",        Role::Idle,        &[Operational, Available, Active], idle, None),
        row("stopping",    Role::Stopping,    &[Transitional],                   "offline terminated error", Some((secs(20), "error"))),
        row("updating",    Role::Updating,    &[Transitional, Maintenance],      "online failed error", Some((secs(600), "error"))),
        row("scaling",     Role::Scaling,     &[Transitional],                   "online busy idle error", Some((secs(120), "error"))),
        row("error",       Role::Error,       &[Error],                          "online offline maintenance failed", None),
        row("failed",      Role::Failed,      &[Error],                          "starting deploying deleted", None),
        row("timeout",     Role::TimedOut,    &[Error],                          "offline error starting", None),
        row("maintenance", Role::Maintenance, &[Maintenance],                    "online offline suspended", None),
        row("suspended",   Role::Suspended,   &[Maintenance],                    "online maintenance offline", None),
        row("offline",     Role::Offline,     &[],                               "starting maintenance terminated deleted", None),
        row("terminated",  Role::Retired,     &[Final],                          "deleted", None),
        row("deleted",     Role::Gone,        &[Final],                          "", None),
    ];
    built_in(Profile::new(name.into(), 1, "registered", &rows))
}
