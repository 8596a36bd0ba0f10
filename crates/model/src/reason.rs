//! Why a transition happened, as `category.code`.

use core::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares the reason codes with the text that they are written as.
macro_rules! reasons {
    ($($variant:ident = $text:literal: $meaning:literal;)*) => {
        /// A reason code. `lifecycle.completed` and `lifecycle.progress` are Stead's additions to the contract's list.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
        pub enum Reason {
            $(#[doc = $meaning] #[serde(rename = $text)] $variant,)*
        }

        impl Reason {
            /// All codes, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code as `category.code`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What the code says, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

reasons! {
    NormalStartup = "startup.normal_startup": "It became ready after its start.";
    FastStartup = "startup.fast_startup": "It became ready faster than it usually does.";
    SlowStartup = "startup.slow_startup": "It became ready slower than it usually does.";
    PartialStartup = "startup.partial_startup": "It became ready with some of its parts missing.";
    ReadinessComplete = "startup.readiness_complete": "Its probe or its own word says that it is ready.";
    ResourceExhaustion = "degradation.resource_exhaustion": "It is short of a resource.";
    DependencyFailure = "degradation.dependency_failure": "Something that it depends on failed.";
    ThroughputReduction = "degradation.throughput_reduction": "It gets less done than it should.";
    LatencyIncrease = "degradation.latency_increase": "It answers more slowly than it should.";
    ErrorRateIncrease = "degradation.error_rate_increase": "More of its work fails than should.";
    PartialFunctionality = "degradation.partial_functionality": "A part of it does not work.";
    MetricThreshold = "degradation.metric_threshold": "One of its metrics is beyond its threshold.";
    MissedHeartbeats = "degradation.missed_heartbeats": "Heartbeats of it are missing.";
    SelfHealing = "recovery.self_healing": "It came back by itself.";
    DependencyRestored = "recovery.dependency_restored": "What it depends on is back.";
    ResourceRestored = "recovery.resource_restored": "The resource that it was short of is back.";
    ManualIntervention = "recovery.manual_intervention": "A person brought it back.";
    ConfigUpdate = "recovery.config_update": "Its configuration was changed.";
    RestartRecovery = "recovery.restart_recovery": "It is started again after a failure.";
    Reset = "recovery.reset": "Its state was cleared.";
    Failover = "recovery.failover": "A standby took over.";
    ScaleUp = "recovery.scale_up": "Replicas were added.";
    FallbackMode = "recovery.fallback_mode": "Fallbacks stand in for it.";
    InitializationError = "failure.initialization_error": "It could not be prepared or started.";
    CriticalDependency = "failure.critical_dependency": "It cannot work without something that is down.";
    ResourceStarvation = "failure.resource_starvation": "The machine has not enough for it.";
    InternalError = "failure.internal_error": "It reported an error of its own.";
    Crash = "failure.crash": "Its process ended unasked.";
    Deadlock = "failure.deadlock": "It lives but answers nobody.";
    ConfigError = "failure.config_error": "Its configuration cannot work.";
    VersionMismatch = "failure.version_mismatch": "Its version does not fit.";
    HeartbeatTimeout = "failure.heartbeat_timeout": "It was silent for longer than its timeout.";
    CommunicationFailure = "failure.communication_failure": "It cannot be reached.";
    OutOfMemory = "failure.out_of_memory": "The kernel killed it for want of memory.";
    DeadlineExceeded = "failure.deadline_exceeded": "It stayed in a state for longer than it may.";
    Stuck = "failure.stuck": "It beats but its work does not advance.";
    Request = "operator.request": "A person or client asked for it.";
    BudgetSpent = "policy.budget_spent": "A budget is spent.";
    HfSpace = "sync.hf_space": "The Space's stage says so.";
    Kubernetes = "sync.kubernetes": "The cluster says so.";
    Completed = "lifecycle.completed": "Its work is done: it ended with success.";
    Progress = "lifecycle.progress": "The next step towards what is wanted.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::str::FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .iter()
            .find(|reason| reason.as_str() == text)
            .copied()
            .ok_or(UnknownReason)
    }
}

/// Not a reason code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a reason code; they are written `category.code`, such as `failure.crash`")]
pub struct UnknownReason;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_back_from_its_code_and_says_what_it_means() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse::<Reason>(), Ok(*reason));
            assert_eq!(serde_json::to_string(reason).unwrap(), alloc::format!("\"{reason}\""));
            assert!(reason.meaning().ends_with('.') && reason.as_str().contains('.'));
        }
        assert_eq!("failure.nope".parse::<Reason>(), Err(UnknownReason));
    }
}
