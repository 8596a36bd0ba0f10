//! What is wanted against what is: one total table.
//!
//! For every intent, role of a phase, and whether there is an instance that would have to be ended, the table says whether all
//! is well, which step comes next, whether to wait, or that it cannot be had from here.

use stead_model::{Role, Wanted};

/// What the table says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// It is as it is wanted.
    Satisfied,
    /// Something under way must end first.
    Wait,
    /// It cannot be had from here. Refused when asked for; waited on when it came to be so later.
    Refused,
    /// The next step.
    Next(Step),
}

/// A step towards what is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Enter a state of this role; nothing else is to be done.
    Enter(Role),
    /// Make sure that it can run.
    Prepare,
    /// Start it, when backoff, budget and dependencies permit.
    Start,
    /// Enter stopping; ask the instance to end, then make it.
    Stop,
    /// Ask the instance to end, then make it; the phase stays until it has.
    End,
    /// Make the instance end at once; the phase stays until it has.
    Kill,
    /// Enter what is nearest to down: offline, else stopping, else error.
    Down,
}

/// Looks up what to do.
#[must_use]
pub const fn wish(wanted: Wanted, role: Role, instance: bool) -> Wish {
    match wanted {
        Wanted::Running => running(role, instance),
        Wanted::Paused => paused(role, instance),
        Wanted::Maintenance => maintenance(role, instance),
        Wanted::Stopped => down(role, instance, Wish::Satisfied),
        Wanted::Terminated => terminated(role, instance),
        Wanted::Deleted => deleted(role, instance),
    }
}

const fn running(role: Role, instance: bool) -> Wish {
    match role {
        Role::Initial => Wish::Next(Step::Prepare),
        Role::Prepared | Role::Offline => Wish::Next(Step::Start),
        Role::Starting | Role::Restarting | Role::Error => {
            if instance {
                Wish::Wait
            } else {
                Wish::Next(Step::Start)
            }
        }
        Role::Failed | Role::TimedOut => Wish::Next(if instance { Step::Kill } else { Step::Start }),
        Role::Ready | Role::Busy | Role::Idle | Role::Impaired => Wish::Satisfied,
        Role::Maintenance | Role::Suspended => Wish::Next(if instance { Step::Enter(Role::Ready) } else { Step::Down }),
        Role::Stopping => stopping(instance),
        Role::Preparing | Role::Updating | Role::Scaling => Wish::Wait,
        Role::Retired | Role::Gone => Wish::Refused,
    }
}

const fn paused(role: Role, instance: bool) -> Wish {
    match role {
        Role::Ready | Role::Busy | Role::Idle | Role::Impaired | Role::Maintenance => {
            Wish::Next(Step::Enter(Role::Suspended))
        }
        Role::Suspended => Wish::Satisfied,
        Role::Error => {
            if instance {
                Wish::Wait
            } else {
                Wish::Next(Step::Down)
            }
        }
        Role::TimedOut => Wish::Next(if instance { Step::Kill } else { Step::Down }),
        Role::Stopping => stopping(instance),
        Role::Starting | Role::Restarting if !instance => Wish::Next(Step::Down),
        Role::Preparing | Role::Starting | Role::Restarting | Role::Updating | Role::Scaling => Wish::Wait,
        Role::Initial | Role::Prepared | Role::Failed | Role::Offline | Role::Retired | Role::Gone => Wish::Refused,
    }
}

const fn maintenance(role: Role, instance: bool) -> Wish {
    match role {
        Role::Ready | Role::Busy | Role::Idle | Role::Impaired | Role::Error | Role::Suspended | Role::Offline => {
            Wish::Next(Step::Enter(Role::Maintenance))
        }
        Role::Maintenance => Wish::Satisfied,
        Role::TimedOut => Wish::Next(if instance { Step::Kill } else { Step::Down }),
        Role::Stopping => stopping(instance),
        Role::Starting | Role::Restarting if !instance => Wish::Next(Step::Down),
        Role::Preparing | Role::Starting | Role::Restarting | Role::Updating | Role::Scaling => Wish::Wait,
        Role::Initial | Role::Prepared | Role::Failed | Role::Retired | Role::Gone => Wish::Refused,
    }
}

const fn terminated(role: Role, instance: bool) -> Wish {
    match role {
        Role::Initial | Role::Prepared | Role::Failed | Role::Gone => Wish::Refused,
        Role::Stopping if !instance => Wish::Next(Step::Enter(Role::Retired)),
        Role::Offline => Wish::Next(Step::Enter(Role::Retired)),
        Role::Retired => Wish::Satisfied,
        Role::Preparing
        | Role::Starting
        | Role::Restarting
        | Role::Ready
        | Role::Busy
        | Role::Idle
        | Role::Impaired
        | Role::Stopping
        | Role::Updating
        | Role::Scaling
        | Role::Error
        | Role::TimedOut
        | Role::Maintenance
        | Role::Suspended => down(role, instance, Wish::Satisfied),
    }
}

const fn deleted(role: Role, instance: bool) -> Wish {
    match role {
        Role::Gone => Wish::Satisfied,
        Role::Initial
        | Role::Preparing
        | Role::Prepared
        | Role::Starting
        | Role::Restarting
        | Role::Ready
        | Role::Busy
        | Role::Idle
        | Role::Impaired
        | Role::Stopping
        | Role::Updating
        | Role::Scaling
        | Role::Error
        | Role::Failed
        | Role::TimedOut
        | Role::Maintenance
        | Role::Suspended
        | Role::Offline
        | Role::Retired => down(role, instance, Wish::Next(Step::Enter(Role::Gone))),
    }
}

/// The way down, shared by what is wanted to be down; `rest` is what follows once it is.
const fn down(role: Role, instance: bool, rest: Wish) -> Wish {
    match role {
        Role::Initial | Role::Prepared | Role::Failed | Role::Offline | Role::Retired => {
            if instance {
                Wish::Next(Step::Kill)
            } else {
                rest
            }
        }
        Role::Preparing => Wish::Wait,
        Role::Ready | Role::Busy | Role::Idle | Role::Impaired => Wish::Next(Step::Stop),
        Role::Stopping => stopping(instance),
        Role::Maintenance | Role::Suspended => Wish::Next(if instance { Step::End } else { Step::Down }),
        Role::Starting | Role::Restarting | Role::Updating | Role::Scaling | Role::Error | Role::TimedOut => {
            Wish::Next(if instance { Step::Kill } else { Step::Down })
        }
        Role::Gone => Wish::Refused,
    }
}

const fn stopping(instance: bool) -> Wish {
    if instance { Wish::Wait } else { Wish::Next(Step::Down) }
}
