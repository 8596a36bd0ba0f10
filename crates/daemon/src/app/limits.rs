//! What the system permits, checked before it is needed.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stead_keeper::{DESCRIPTORS_BESIDE, DESCRIPTORS_EACH};

/// The system permits fewer processes than are wanted. Nothing was started.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{wanted} processes are wanted, but {what} permits {permitted}; {remedy}")]
pub struct LimitsError {
    wanted: u64,
    permitted: u64,
    what: &'static str,
    remedy: &'static str,
}

/// Checks that the system permits so many processes beside each other.
///
/// # Errors
/// Names the limit that does not, and how to raise it.
pub fn check_limits(processes: usize) -> Result<(), LimitsError> {
    let wanted = processes as u64;
    let descriptors = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let own = getrlimit(Resource::Nproc).current.unwrap_or(u64::MAX);
    let pids = std::fs::read_to_string("/proc/sys/kernel/pid_max")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(u64::MAX);
    let limits = [
        (
            descriptors.saturating_sub(DESCRIPTORS_BESIDE) / DESCRIPTORS_EACH,
            "the hard limit of open files",
            "raise it (`ulimit -Hn`, LimitNOFILE=)",
        ),
        (
            own,
            "the limit of processes of this user",
            "raise it (`ulimit -u`, LimitNPROC=)",
        ),
        (
            pids.saturating_sub(PIDS_BESIDE),
            "kernel.pid_max",
            "raise it (`sysctl kernel.pid_max=4194304`)",
        ),
    ];
    match limits.into_iter().find(|(permitted, _, _)| *permitted < wanted) {
        Some((permitted, what, remedy)) => Err(LimitsError {
            wanted,
            permitted,
            what,
            remedy,
        }),
        None => Ok(()),
    }
}

/// Lets the process, and the keeper that it starts, use all descriptors that it may have.
pub(super) fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // Where it may not be raised, the check above speaks of what there is.
    let _refused = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}

/// Processes of everybody else.
const PIDS_BESIDE: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_larger_than_the_system_permits_is_refused_with_the_limit_and_the_remedy() {
        check_limits(1).unwrap();
        let refused = check_limits(usize::try_from(u32::MAX).unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("4294967295 processes are wanted") && refused.contains("raise it"),
            "{refused}"
        );
    }
}
