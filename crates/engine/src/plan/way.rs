//! Which steps a profile's table has edges for: one of its own may lack those that a wish would take.

use stead_model::{PhaseId, Role};

use crate::record::Record;
use crate::wish::Step;

/// What is nearest to down, the nearest first.
pub(super) const DOWN: [Role; 3] = [Role::Offline, Role::Stopping, Role::Error];

/// Whether a step can be taken from where it is; one without its edge never will be, however long it is waited for.
pub(crate) fn has_way(record: &Record, next: Step) -> bool {
    let role = record.role();
    let hop = |role| record.profile.hop(record.phase, role).is_some();
    let rises = || up(record, record.phase).is_some() || up_from_failed(record).is_some();
    match next {
        Step::Enter(role) => hop(role),
        Step::Prepare => hop(Role::Preparing) || rises(),
        Step::Start => matches!(role, Role::Starting | Role::Restarting) || rises(),
        Step::Stop => hop(Role::Stopping) || record.has_instance(),
        // These change no phase.
        Step::End | Step::Kill => true,
        Step::Down => DOWN.into_iter().take_while(|down| *down != role).any(hop),
    }
}

/// The phase in which it comes up, where one follows.
pub(super) fn up(record: &Record, from: PhaseId) -> Option<PhaseId> {
    let hop = |role| record.profile.hop(from, role);
    hop(Role::Restarting).or_else(|| hop(Role::Starting))
}

/// The failed phase on the way to the one in which it comes up.
pub(super) fn up_from_failed(record: &Record) -> Option<PhaseId> {
    let failed = record.profile.hop(record.phase, Role::Failed)?;
    up(record, failed).map(|_up| failed)
}
