//! Looking at a breaker, storing it, restoring it, and changing its settings.

use core::time::Duration;
use std::sync::Arc;

use stead_policy::{
    BreakerConfig, BreakerImage, BreakerRefused, BreakerSettings, Buckets, CircuitState, Leaky, Marks, PhaseImage,
    Window, WindowImage, aged,
};

use super::desk::{Desk, fresh, since_origin};
use super::event::Cause;
use super::report::at;
use super::shards::At;
use super::word::{Kind, Shape, Word};
use super::{Breaker, slow_over};
use crate::sync::Ordering::{Relaxed, Release};
use crate::{Clock, Moment};

impl<C: Clock> Breaker<C> {
    /// All that it knows, for storing and for looking at. Calls in flight are not part of it.
    #[must_use]
    pub fn snapshot(&self) -> BreakerImage {
        let now = self.clock.now();
        let mut desk = self.desk();
        let word = self.word();
        let left = self.until().since(now);
        let phase = match word.mode() {
            CircuitState::Closed => PhaseImage::Closed {
                window: {
                    let window = desk.settings.config().window;
                    self.remembered(&mut desk, now, word, &window, None)
                },
            },
            CircuitState::Open => PhaseImage::Open { left },
            CircuitState::HalfOpen => PhaseImage::HalfOpen {
                successes: desk.trouble().tally,
            },
            CircuitState::Recovering => PhaseImage::Recovering {
                step: desk.trouble().step,
                left,
                failures: desk.trouble().tally,
            },
            CircuitState::Isolated => PhaseImage::Isolated,
            CircuitState::ForcedOpen => PhaseImage::ForcedOpen,
            CircuitState::ForcedClosed => PhaseImage::ForcedClosed,
            CircuitState::Disabled => PhaseImage::Disabled,
        };
        BreakerImage {
            generation: desk.generation(),
            reopened: desk.trouble().reopened,
            not_before: desk.trouble().not_before.since(now),
            phase,
        }
    }

    /// Restores what [`Breaker::snapshot`] gave, on `clock`. Time that went by in between is the caller's to subtract. A
    /// window of another kind than the settings ask for starts empty.
    #[must_use]
    pub fn restore(settings: impl Into<Arc<BreakerSettings>>, image: &BreakerImage, clock: C) -> Self {
        let breaker = Self::with_settings(settings, clock);
        let now = breaker.clock.now();
        {
            let mut desk = breaker.desk();
            desk.trouble().generation = image.generation;
            desk.trouble().reopened = image.reopened;
            if !image.not_before.is_zero() {
                desk.trouble().not_before = now.after(image.not_before);
            }
            let word = breaker.thaw(&mut desk, now, image);
            breaker.hot.state.store(word.0, Release);
            if word.mode() != CircuitState::Closed {
                breaker.rare();
            }
        }
        breaker
    }

    fn thaw(&self, desk: &mut Desk, now: Moment, image: &BreakerImage) -> Word {
        let word = Word::new(image.phase.state(), image.generation, 0).timing(desk.settings.timed());
        match &image.phase {
            PhaseImage::Closed { window } => {
                let word = fresh(word, &desk.settings);
                self.remember(desk, now, word, self.shape(), window)
            }
            PhaseImage::Open { left } => {
                self.set_until(now.after(*left));
                word
            }
            PhaseImage::HalfOpen { successes } => {
                desk.trouble().tally = *successes;
                word
            }
            PhaseImage::Recovering { step, left, failures } => {
                self.set_until(now.after(*left));
                let trouble = desk.trouble();
                (trouble.step, trouble.tally) = (*step, *failures);
                word.with_failed(desk.settings.share(*step as usize).unwrap_or(100).into())
            }
            PhaseImage::Isolated | PhaseImage::ForcedOpen | PhaseImage::ForcedClosed | PhaseImage::Disabled => word,
        }
    }

    /// Changes its settings in place. State and window stay; an isolated breaker closes, as what it waited for may be this.
    ///
    /// A window of another kind starts empty, as does one of time that has counted failures alone and is now asked for a
    /// rate. An open period that has begun ends when it was to end. Settings that are the same change nothing.
    ///
    /// # Errors
    ///
    /// A setting makes no sense; everything is as it was.
    pub fn reconfigure(&self, config: BreakerConfig) -> Result<(), BreakerRefused> {
        self.apply(BreakerSettings::try_from(config)?);
        Ok(())
    }

    /// As [`Breaker::reconfigure`], with settings that were checked before.
    pub fn apply(&self, settings: impl Into<Arc<BreakerSettings>>) {
        let settings = settings.into();
        let now = self.clock.now();
        self.under_lock(|desk| {
            if desk.settings == settings {
                return;
            }
            let before = core::mem::replace(&mut desk.settings, settings);
            // Relaxed: they mean no call in particular.
            self.slow_over.store(slow_over(&desk.settings), Relaxed);
            self.hot.enforce.store(desk.settings.config().enforce.into(), Relaxed);
            self.reshape(desk, now, &before);
            let word = self.word();
            match word.mode() {
                CircuitState::Isolated => {
                    self.close(desk, now, word, Cause::Reconfigured);
                }
                CircuitState::Recovering if desk.settings.share(0).is_none() => {
                    self.close(desk, now, word, Cause::Reconfigured);
                }
                CircuitState::Recovering => {
                    let step = desk.trouble().step;
                    let share = desk.settings.share(step as usize).unwrap_or(100);
                    self.exchange(word, word.with_failed(share.into()));
                }
                // There may be more places now.
                CircuitState::HalfOpen => self.set_until(Moment::default()),
                CircuitState::Closed
                | CircuitState::Open
                | CircuitState::ForcedOpen
                | CircuitState::ForcedClosed
                | CircuitState::Disabled => {}
            }
        });
    }

    /// Rebuilds the window for the settings that are at the desk now, where it must be rebuilt.
    ///
    /// New words go into the window first: who counts in the old one finds them newer than itself and waits for this.
    fn reshape(&self, desk: &mut Desk, now: Moment, before: &BreakerSettings) {
        let (word, old) = (self.word(), self.shape());
        let same = before.config().window == desk.settings.config().window
            && before.by_rate() == desk.settings.by_rate()
            && before.timed() == desk.settings.timed();
        if same {
            let shape = Shape::new(old.number(), &desk.settings);
            self.hot.shape.store(shape.0, Release);
            return;
        }
        let shape = Shape::new(old.number() + 1, &desk.settings);
        self.prepare(shape, desk.settings.timed());
        let mut next = word.with_shape(shape.number()).timing(desk.settings.timed());
        if shape.number() == 0 {
            // The numbers of shapes have come round: another generation keeps epochs apart, and calls in flight are late.
            next = next.with_generation(desk.generation() + 1);
            Self::turn_page(desk, now, word);
        }
        if word.mode() == CircuitState::Closed {
            self.rings.freeze();
            let new = Some(at(next, shape, now));
            let remembered = self.remembered(desk, now, word, &before.config().window, new);
            let counts_anew = shape.kind() == Kind::Time && !before.by_rate() && desk.settings.by_rate();
            next = fresh(next.with_failed(0).with_slow(0).warmed(false), &desk.settings);
            desk.trouble().leaky = Leaky::default();
            if !counts_anew {
                next = self.remember(desk, now, next, shape, &remembered);
            }
        }
        while !self.exchange(self.word(), next) {}
        self.hot.shape.store(shape.0, Release);
    }

    /// What the window holds, under the settings that it was filled by. Where it is to go on as a `new` one, a window of time
    /// is taken out of the old one.
    fn remembered(&self, desk: &mut Desk, now: Moment, word: Word, window: &Window, new: Option<At>) -> WindowImage {
        let shape = self.shape();
        match window {
            Window::Consecutive => WindowImage::Consecutive {
                failures: word.failed(),
            },
            Window::Leaky { leak } => {
                let (level, next) = desk.trouble().leaky.level(since_origin(now), *leak);
                let next = if level == 0 {
                    Duration::ZERO
                } else {
                    next.saturating_sub(since_origin(now))
                };
                WindowImage::Leaky { level, next }
            }
            Window::Count { .. } => WindowImage::Count {
                calls: Marks(self.rings.marks(word.epoch(), shape.size())),
            },
            Window::Time { .. } => WindowImage::Time {
                shift: shape.shift(),
                buckets: match new {
                    Some(new) => self.shards().take(at(word, shape, now), new),
                    None => self.shards().buckets(at(word, shape, now)),
                },
            },
        }
    }

    /// Fills the window of `word`'s epoch, which nobody uses yet, and says what the word becomes by it.
    fn remember(&self, desk: &mut Desk, now: Moment, word: Word, shape: Shape, image: &WindowImage) -> Word {
        match (desk.settings.config().window, image) {
            (Window::Consecutive, WindowImage::Consecutive { failures }) => {
                word.with_failed(*failures).calmed(*failures == 0)
            }
            (Window::Leaky { leak }, WindowImage::Leaky { level, next }) => {
                desk.trouble().leaky = Leaky::at(*level, since_origin(now).saturating_add(leak.min(*next)));
                word
            }
            (Window::Count { calls: size }, WindowImage::Count { calls }) => {
                let counts = self.rings.fill(word.epoch(), size, &calls.0);
                let word = word.with_failed(counts.failed).with_slow(counts.slow);
                word.calmed(counts.total == size && word.uneventful())
            }
            (Window::Time { span }, WindowImage::Time { shift, buckets }) => {
                let (at, cut) = (at(word, shape, now), Buckets::of(span));
                let tick = |age| aged(cut, since_origin(now), age, *shift);
                let buckets = buckets.iter().map(|bucket| (tick(bucket.age), bucket.counts()));
                self.shards().fill(at, buckets);
                word.warmed(self.shards().counts(at).total >= shape.minimum())
            }
            (
                Window::Consecutive | Window::Leaky { .. } | Window::Count { .. } | Window::Time { .. },
                WindowImage::Consecutive { .. }
                | WindowImage::Leaky { .. }
                | WindowImage::Count { .. }
                | WindowImage::Time { .. },
            ) => word,
        }
    }
}
