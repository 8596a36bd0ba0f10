//! The life of what agents depend on: 10 states, 61 edges.

use core::time::Duration;

use super::{Class, Profile, Role, StateRow, built_in};

/// The `component` profile.
///
/// The class `serving` of the contract is operational here.
#[must_use]
pub fn component() -> Profile {
    use Class::{Active, Available, Error, Impaired, Operational, Transitional};
    const MINUTE: Duration = Duration::from_secs(60);
    let row = |name: &'static str, role, classes, next, deadline| StateRow {
        name: name.into(),
        role,
        classes,
        next,
        deadline,
    };
    #[rustfmt::skip]
    let rows: [StateRow<'_>; 10] = [
        row("unknown",      Role::Initial,    &[],                               "initializing ready active degraded inactive error failed stopping", None),
        row("initializing", Role::Starting,   &[Transitional, Active],           "ready active degraded error failed stopping restarting", Some((MINUTE, "failed"))),
        row("ready",        Role::Ready,      &[Operational, Available, Active], "active degraded inactive error failed stopping restarting", None),
        row("active",       Role::Busy,       &[Operational, Available, Active], "ready degraded inactive error failed stopping restarting", None),
        row("degraded",     Role::Impaired,   &[Operational, Available, Active, Impaired], "ready active error inactive failed stopping restarting", None),
        row("inactive",     Role::Offline,    &[Impaired],                               "ready active degraded error failed stopping restarting", None),
        row("error",        Role::Error,      &[Error, Impaired],                          "ready active degraded inactive failed stopping restarting", None),
        row("failed",       Role::Failed,     &[Error],                          "initializing restarting", None),
        row("stopping",     Role::Stopping,   &[Transitional],                   "unknown failed inactive", Some((Duration::from_secs(30), "failed"))),
        row("restarting",   Role::Restarting, &[Transitional, Active],           "initializing ready active degraded error failed", Some((MINUTE, "failed"))),
    ];
    built_in(Profile::new("component".into(), 1, "initializing", &rows))
}
