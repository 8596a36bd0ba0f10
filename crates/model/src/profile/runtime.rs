//! The life of the runtime inside an agent's process: 5 states, 9 edges.

use core::time::Duration;

use super::{Class, Profile, Role, StateRow, built_in};

/// The `runtime` profile.
#[must_use]
pub fn runtime() -> Profile {
    use Class::{Active, Available, Maintenance, Operational, Transitional};
    let row = |name: &'static str, role, classes, next, deadline| StateRow {
        name: name.into(),
        role,
        classes,
        next,
        deadline,
    };
    #[rustfmt::skip]
    let rows: [StateRow<'_>; 5] = [
        row("stopped",  Role::Offline,   &[],                               "starting", None),
        row("starting", Role::Starting,  &[Transitional, Active],           "running paused stopped stopping", Some((Duration::from_secs(60), "stopped"))),
        row("running",  Role::Ready,     &[Operational, Available, Active], "paused stopping", None),
        row("paused",   Role::Suspended, &[Maintenance],                    "running stopping", None),
        row("stopping", Role::Stopping,  &[Transitional],                   "stopped", Some((Duration::from_secs(40), "stopped"))),
    ];
    built_in(Profile::new("runtime".into(), 1, "stopped", &rows))
}
