//! When a probe is made: at its first due time, then once a period, always a little beside its neighbours.

use std::time::Duration;

use stead_model::AgentId;
use tokio::time::{Instant, sleep_until};

/// The turns of one probe.
#[derive(Debug)]
pub(super) struct Pace {
    next: Instant,
    period: Duration,
    /// Added once, after the first turn: readiness is never seen later for it, and no failure is counted sooner.
    stagger: Duration,
}

impl Pace {
    /// The first turn is at `due`, or now if that has passed.
    pub(super) fn new(due: Instant, period: Duration, agent: AgentId) -> Self {
        Self {
            next: due.max(Instant::now()),
            period,
            stagger: share(agent, period / STAGGER),
        }
    }

    /// Waits for the next turn. Turns that went by meanwhile are left out. Cancel safe.
    pub(super) async fn turn(&mut self) {
        sleep_until(self.next).await;
        self.next = self.following();
        self.stagger = Duration::ZERO;
        let behind = Instant::now().saturating_duration_since(self.next);
        if !behind.is_zero() {
            let missed = behind.as_nanos().div_ceil(self.period.as_nanos().max(1));
            self.next += self.period.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX));
        }
    }

    /// When the turn after the next one would be.
    pub(super) fn following(&self) -> Instant {
        self.next + self.period + self.stagger
    }
}

/// Waits for a part of a second if the instance started long ago: it was found alive, most likely with many others.
pub(super) async fn spread_found(started: Instant, agent: AgentId) {
    let now = Instant::now();
    if now.saturating_duration_since(started) > JUST_NOW {
        sleep_until(now + share(agent, SPREAD)).await;
    }
}

/// The agent's own share of a span, the same at every call: from nothing to just below all of it.
fn share(agent: AgentId, span: Duration) -> Duration {
    // The finalizer of SplitMix64: neighbouring ids end up far apart.
    let mut bits = agent.to_bits().wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    let [high, low, ..] = bits.to_be_bytes();
    span.saturating_mul(u32::from(u16::from_be_bytes([high, low]))) / (1 << 16)
}

/// Probes of neighbours are up to this part of their period apart.
const STAGGER: u32 = 10;

/// An instance this young was just started.
const JUST_NOW: Duration = Duration::from_secs(1);

/// The first probes of instances that were found alive are spread over this long.
const SPREAD: Duration = Duration::from_secs(1);
