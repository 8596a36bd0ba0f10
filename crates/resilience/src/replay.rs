//! What a breaker with other settings would have made of calls that were recorded.
//!
//! ```text
//!   calls ──► Recorder ──► trace (JSON lines) ──► replay with candidate settings ──► tripped when, falsely, late, never
//! ```
//!
//! # A trace
//!
//! One JSON object per line. The first says which version of this format follows; times are seconds since any origin, and lines
//! may come in any order.
//!
//! ```text
//! {"trace":1,"service":"llm/example"}
//! {"at":0.0,"took":0.25,"outcome":"success"}
//! {"at":0.5,"took":2.0,"outcome":"failure","retry_after":30}
//! {"outage":"begins","at":0.4}
//! {"outage":"ends","at":90}
//! {"lost":12}
//! ```
//!
//! | field | meaning |
//! |---|---|
//! | `at` | when the call began |
//! | `took` | how long it took; 0 where left out |
//! | `outcome` | `success`, `failure`, `terminal`, `ignored`, `abandoned`, or `rejected`: never made, so nothing is known of it |
//! | `retry_after` | when a failed call was told to come back, in seconds from its end |
//! | `outage` | a person's word on when the service was really out; replaces [`Hindsight`] where there is any |
//! | `lost` | calls that the recorder had no room for |

use core::time::Duration;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use stead_policy::{BreakerSettings, Circuit, CircuitState, Outcome, Ticket};

mod hindsight;
mod recorder;
mod report;
mod trace;

pub use hindsight::{Hindsight, Outage};
pub use recorder::{Recorder, RecorderSnapshot};
pub use report::{OutageSeen, Replay, Trip};
pub use trace::{Call, Ended, Trace, TraceRefused};

/// Runs the calls of a trace through a breaker of these settings, on the time of the trace.
///
/// A call that the breaker would have refused is taken out; the others are taken to have come out as they did. What refusing
/// does to a service that is overloaded is not in a trace: such an outage would rather have been shorter.
///
/// Costs a few dozen nanoseconds per call and no wait.
///
/// # Examples
///
/// ```
/// use stead_resilience::replay::{Hindsight, Trace, replay};
/// use stead_resilience::{BreakerConfig, BreakerSettings};
///
/// // A call a second; out from the 20th on, for a minute.
/// let mut lines = String::from("{\"trace\":1}\n");
/// for at in 0..120 {
///     let outcome = if (20..80).contains(&at) { "failure" } else { "success" };
///     lines += &format!("{{\"at\":{at},\"took\":0.1,\"outcome\":\"{outcome}\"}}\n");
/// }
/// let trace = Trace::read(lines.as_bytes())?;
///
/// let settings = BreakerSettings::try_from(BreakerConfig { failure_threshold: 10, ..BreakerConfig::default() })?;
/// let replay = replay(&trace, &settings, &Hindsight::default());
/// assert_eq!((replay.trips.len(), replay.false_trips(), replay.missed()), (1, 0, 0));
/// // It let ten calls fail first, and spared the other fifty.
/// assert_eq!((replay.outages[0].failed, replay.spared), (10, 50));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn replay(trace: &Trace, settings: &BreakerSettings, hindsight: &Hindsight) -> Replay {
    let mut replay = Replay::new(trace.outages(hindsight));
    let mut circuit = Circuit::new(settings.clone());
    let mut in_flight = BinaryHeap::new();
    for call in trace.calls() {
        let Some(outcome) = outcome(call) else {
            replay.unknown += 1;
            continue;
        };
        finish(&mut in_flight, call.at, &mut circuit, &mut replay);
        replay.calls += 1;
        match circuit.acquire(call.at) {
            Ok(ticket) => {
                replay.admitted(call);
                let ends = call.at.saturating_add(call.took);
                in_flight.push(Reverse(InFlight {
                    ends,
                    number: replay.calls,
                    ticket,
                    outcome,
                }));
            }
            Err(_) => replay.refused(call),
        }
        replay.state(call.at, circuit.state());
    }
    finish(&mut in_flight, Duration::MAX, &mut circuit, &mut replay);
    replay
}

/// Reports all calls that end until `now`, in the order in which they end.
fn finish(in_flight: &mut BinaryHeap<Reverse<InFlight>>, now: Duration, circuit: &mut Circuit, replay: &mut Replay) {
    while in_flight.peek().is_some_and(|Reverse(call)| call.ends <= now) {
        if let Some(Reverse(call)) = in_flight.pop() {
            let _noted_or_late = circuit.record(call.ends, call.ticket, call.outcome);
            replay.state(call.ends, circuit.state());
        }
    }
}

/// What the breaker hears of a call; nothing where it was never made.
const fn outcome(call: &Call) -> Option<Outcome> {
    match call.outcome {
        Ended::Success => Some(Outcome::Success),
        Ended::Failure => Some(Outcome::Failure {
            retry_after: call.retry_after,
        }),
        Ended::Terminal => Some(Outcome::Terminal),
        Ended::Ignored => Some(Outcome::Ignored),
        Ended::Abandoned => Some(Outcome::Abandoned),
        Ended::Rejected => None,
    }
}

/// A call that was let through and has not ended yet; ordered by its end, then by its beginning.
struct InFlight {
    ends: Duration,
    number: u64,
    ticket: Ticket,
    outcome: Outcome,
}

impl InFlight {
    const fn order(&self) -> (Duration, u64) {
        (self.ends, self.number)
    }
}

impl PartialEq for InFlight {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for InFlight {}

impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InFlight {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

/// Whether a breaker in this state refuses calls because it tripped.
const fn is_tripped(state: CircuitState) -> bool {
    match state {
        CircuitState::Open | CircuitState::HalfOpen | CircuitState::Isolated => true,
        CircuitState::Closed
        | CircuitState::Recovering
        | CircuitState::ForcedOpen
        | CircuitState::ForcedClosed
        | CircuitState::Disabled => false,
    }
}

#[cfg(test)]
mod tests;
