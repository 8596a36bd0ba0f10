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
    Limits::of_system().permit(processes as u64)
}

/// What bounds how many processes there can be at once.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// The hard limit of open files of one process.
    descriptors: u64,
    /// Processes of this user.
    processes: u64,
    /// Processes of everybody.
    pids: u64,
}

impl Limits {
    /// Those in force. What cannot be read bounds nothing.
    fn of_system() -> Self {
        let pids = std::fs::read_to_string("/proc/sys/kernel/pid_max").ok();
        Self {
            descriptors: getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX),
            processes: getrlimit(Resource::Nproc).current.unwrap_or(u64::MAX),
            pids: pids.and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX),
        }
    }

    /// Whether they permit so many processes; the first one that does not, if one does not.
    fn permit(self, wanted: u64) -> Result<(), LimitsError> {
        let limits = [
            (
                self.descriptors.saturating_sub(DESCRIPTORS_BESIDE) / DESCRIPTORS_EACH,
                "the hard limit of open files",
                "raise it (`ulimit -Hn`, LimitNOFILE=)",
            ),
            (
                self.processes,
                "the limit of processes of this user",
                "raise it (`ulimit -u`, LimitNPROC=)",
            ),
            (
                self.pids.saturating_sub(PIDS_BESIDE),
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

    const AMPLE: Limits = Limits {
        descriptors: u64::MAX,
        processes: u64::MAX,
        pids: u64::MAX,
    };

    #[test]
    fn each_limit_permits_what_it_is_enough_for_and_is_named_by_the_first_process_beyond() {
        let of_three = [
            (
                Limits {
                    descriptors: DESCRIPTORS_BESIDE + 4 * DESCRIPTORS_EACH - 1,
                    ..AMPLE
                },
                ["the hard limit of open files permits 3", "LimitNOFILE="],
            ),
            (
                Limits { processes: 3, ..AMPLE },
                ["the limit of processes of this user permits 3", "LimitNPROC="],
            ),
            (
                Limits {
                    pids: PIDS_BESIDE + 3,
                    ..AMPLE
                },
                ["kernel.pid_max permits 3", "sysctl kernel.pid_max"],
            ),
        ];
        for (limits, told) in of_three {
            assert_eq!(limits.permit(3), Ok(()), "{limits:?}");
            let refused = limits.permit(4).unwrap_err().to_string();
            for words in told.into_iter().chain(["4 processes are wanted"]) {
                assert!(refused.contains(words), "{words} in {refused}");
            }
        }
        // Of a limit below what others need, nothing is left.
        assert!(Limits { pids: 1, ..AMPLE }.permit(1).is_err());
        assert!(
            Limits {
                descriptors: 1,
                ..AMPLE
            }
            .permit(1)
            .is_err()
        );
        assert_eq!(AMPLE.permit(u64::MAX / DESCRIPTORS_EACH - DESCRIPTORS_BESIDE), Ok(()));
    }

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
