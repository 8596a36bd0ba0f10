//! An agent that goes up and down is held down until it has been quiet for a while.
//!
//! The scheme is that of route flap damping (RFC 2439): each fall costs a penalty, which halves in a fixed time; above one
//! bound the agent is held, below another it is let go.

use core::time::Duration;

use crate::Tick;

/// When an agent flaps.
///
/// # Defaults
///
/// | field | default | too small | too large |
/// |---|---|---|---|
/// | `hold` | 4 falls | a bad afternoon counts as flapping | it goes up and down for long before anybody says so |
/// | `release` | 1 fall | it stays held long after it is well | it is let go into the next fall |
/// | `half_life` | 5 min | slow flapping is never seen | falls of yesterday count |
/// | `longest` | 1 h | it is let go while it flaps on | a storm of falls holds it for hours |
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FlapConfig {
    /// Falls at once, or what is left of older ones, from which on it is held.
    pub hold: f32,
    /// What must be left at most for it to be let go; below `hold`.
    pub release: f32,
    /// The time in which what a fall weighs halves.
    pub half_life: Duration,
    /// The longest hold after a fall.
    pub longest: Duration,
}

impl Default for FlapConfig {
    fn default() -> Self {
        Self {
            hold: 4.0,
            release: 1.0,
            half_life: Duration::from_secs(300),
            longest: Duration::from_secs(3600),
        }
    }
}

/// How much an agent has flapped of late: 16 bytes.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Flap {
    at: Tick,
    penalty: f32,
    held: Held,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Held {
    #[default]
    No,
    Yes,
}

impl Flap {
    /// It never fell.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            at: Tick::from_micros(0),
            penalty: 0.0,
            held: Held::No,
        }
    }

    /// Counts a fall from good health; until when it is held, if it is.
    pub fn fall(&mut self, config: &FlapConfig, now: Tick) -> Option<Tick> {
        self.settle(config, now);
        // No more than what is forgotten within the longest hold.
        let most = release(config) * libm::exp2f(config.longest.as_secs_f32() / half_life(config));
        self.penalty = (self.penalty + 1.0).min(most.max(config.hold));
        if self.penalty >= config.hold {
            self.held = Held::Yes;
        }
        self.held_until(config)
    }

    /// Until when it is held, if it is at `now`.
    pub fn held(&mut self, config: &FlapConfig, now: Tick) -> Option<Tick> {
        self.settle(config, now);
        self.held_until(config)
    }

    /// What its falls weigh, as of the last time that it was asked; 1 is one fall just now.
    #[must_use]
    pub const fn penalty(&self) -> f32 {
        self.penalty
    }

    fn settle(&mut self, config: &FlapConfig, now: Tick) {
        let passed = now.since(self.at).as_secs_f32();
        if self.held_until(config).is_some_and(|until| until <= now) {
            self.held = Held::No;
        }
        self.penalty *= libm::exp2f(-passed / half_life(config));
        self.at = self.at.max(now);
    }

    fn held_until(&self, config: &FlapConfig) -> Option<Tick> {
        match self.held {
            Held::No => None,
            Held::Yes => {
                let halvings = libm::log2f(self.penalty / release(config)).max(0.0);
                let wait = Duration::try_from_secs_f32(halvings * half_life(config)).unwrap_or(config.longest);
                Some(self.at.after(wait.min(config.longest)))
            }
        }
    }
}

fn half_life(config: &FlapConfig) -> f32 {
    config.half_life.as_secs_f32().max(1e-6)
}

fn release(config: &FlapConfig) -> f32 {
    config.release.clamp(0.01, config.hold.max(0.01))
}

#[cfg(test)]
mod tests;
