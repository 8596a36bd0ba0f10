//! What beats say ahead of trouble: metrics that leave what they ever were, work that stands still, calls that go round.
//!
//! Kept of those alone that tell of such things, and spoken of only when it changes.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use stead_model::spec::WarningStep;
use stead_model::{Activity, ActivityKind, Beat, Condition, Metric, Span, Vitals};
use stead_policy::{Pace, Pacing, Round, Rounds, Standstill, Tick, Warnings, Watch, WatchConfig, Work, time_to};

use super::class::Class;
use crate::record::Record;

/// What is remembered of all that tell of themselves, by their places.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    measured: Vec<Option<Box<Measured>>>,
    at_work: Vec<Option<Box<AtWork>>>,
    /// How long operations take, by class and kind.
    paces: BTreeMap<(u16, ActivityKind), Pace>,
    /// What changed and was not taken yet.
    news: BTreeMap<u32, News>,
}

/// What is remembered of one's metrics.
#[derive(Debug, Default)]
struct Measured {
    watch: Watch<{ Metric::COUNT }>,
    /// What is warned of at present, and for how many samples there was no sign of it.
    warned: Option<Sort>,
    quiet: u8,
}

/// What is remembered of one's work.
#[derive(Debug, Default)]
struct AtWork {
    still: Standstill,
    rounds: Rounds,
    /// What it was at, and for how long, when it last said so.
    at: Option<(ActivityKind, Option<u64>, Duration)>,
    /// How the operation gets on, by the last beat that told of one; how progress does, by the last that told of it.
    operation: Option<Pacing>,
    standing: Option<Pacing>,
    /// What was told of both, and of rounds.
    told: Option<Pacing>,
    round: bool,
}

/// What changed of what beats say ahead of trouble; what did not is absent.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct News {
    /// What its metrics warn of, or that they do no longer.
    pub(crate) warning: Option<Option<String>>,
    /// How its work gets on, with what was seen.
    pub(crate) pacing: Option<(Pacing, String)>,
    /// That it goes round, or no longer does.
    pub(crate) round: Option<Option<String>>,
}

/// What metrics may warn of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sort {
    Novelty,
    Leak,
    Errors,
}

/// So many samples without a sign end a warning.
const QUIET: u8 = 60;

impl Signs {
    /// Takes in what a beat says of metrics and work; says whether there is news. `busy`: it has tasks.
    pub(crate) fn feed(
        &mut self,
        now: Tick,
        (place, class, index): (u32, &Class, u16),
        beat: &Beat,
        (vitals, busy): (&Vitals, bool),
    ) -> bool {
        let activity = beat.more.as_ref().and_then(|more| more.activity.as_ref());
        let measured = !beat.vitals.is_empty() && class.settings.on_warning != WarningStep::Nothing;
        let mut news = News::default();
        if class.settings.on_warning == WarningStep::Nothing
            && let Some(Some(known)) = self.measured.get_mut(place as usize)
        {
            news.warning = known.warned.take().map(|_| None);
        }
        if measured && let Some(known) = slot(&mut self.measured, place) {
            news.warning = known.measure(class, vitals);
        }
        if (activity.is_some() || beat.progress.is_some())
            && let Some(work) = slot(&mut self.at_work, place)
        {
            let operation = activity.and_then(|activity| {
                let pace = self.paces.entry((index, activity.kind)).or_default();
                work.operate(class, pace, activity)
            });
            news.round = work.go_round(class, beat, activity);
            news.pacing = work.get_on((now, class), beat, activity, (busy, operation));
        }
        if news == News::default() {
            return false;
        }
        let waiting = self.news.entry(place).or_default();
        waiting.warning = news.warning.or_else(|| waiting.warning.take());
        waiting.pacing = news.pacing.or_else(|| waiting.pacing.take());
        waiting.round = news.round.or_else(|| waiting.round.take());
        true
    }

    /// Takes over what holds of an agent: what is told no longer may be told again, and what still is, though nothing is known here of
    /// why, may end.
    pub(crate) fn follow(&mut self, place: u32, record: &Record) {
        let holds = |condition| record.row.conditions.iter().any(|held| held.condition == condition);
        let warned = holds(Condition::Warning);
        if (warned || self.measured.get(place as usize).is_some_and(Option::is_some))
            && let Some(known) = slot(&mut self.measured, place)
        {
            known.warned = warned.then(|| known.warned.unwrap_or(Sort::Novelty));
        }
        let (stuck, looping) = (holds(Condition::Stuck), holds(Condition::Looping));
        if (stuck || looping || self.at_work.get(place as usize).is_some_and(Option::is_some))
            && let Some(work) = slot(&mut self.at_work, place)
        {
            work.told = stuck.then(|| work.told.unwrap_or(Pacing::Slow));
            work.round = looping;
        }
    }

    /// Takes out what changed of one.
    pub(crate) fn take(&mut self, place: u32) -> Option<News> {
        self.news.remove(&place)
    }

    /// Another run, or another agent, has the place: what was seen before says nothing of it.
    pub(crate) fn forget(&mut self, place: u32) {
        self.news.remove(&place);
        if let Some(known) = self.measured.get_mut(place as usize) {
            *known = None;
        }
        if let Some(known) = self.at_work.get_mut(place as usize) {
            *known = None;
        }
    }
}

/// What is remembered at a place, from now on.
fn slot<T: Default>(known: &mut Vec<Option<Box<T>>>, place: u32) -> Option<&mut T> {
    let at = place as usize;
    if known.len() <= at {
        known.resize_with(at + 1, || None);
    }
    known
        .get_mut(at)
        .map(|known| &mut **known.get_or_insert_with(Box::default))
}

impl Measured {
    /// Looks at a sample of its metrics; what is warned of from now on, if that changes.
    fn measure(&mut self, class: &Class, vitals: &Vitals) -> Option<Option<String>> {
        let mut sample = [f32::NAN; Metric::COUNT];
        for (metric, value) in vitals.iter() {
            sample[metric as usize] = value;
        }
        let signs = self.watch.feed(&WATCH, &sample);
        let Some((sort, said)) = warned(class, vitals, &signs) else {
            self.quiet = self.quiet.saturating_add(1);
            if self.quiet < QUIET {
                return None;
            }
            return self.warned.take().map(|_| None);
        };
        self.quiet = 0;
        (self.warned.replace(sort) != Some(sort)).then_some(Some(said))
    }
}

impl AtWork {
    /// Looks at what it is at: how long that takes, beside others of its kind.
    fn operate(&mut self, class: &Class, pace: &mut Pace, activity: &Activity) -> Option<(Pacing, String)> {
        let lasts = activity.lasts.map_or(Duration::ZERO, |span| span.0);
        let (kind, hash) = (activity.kind, activity.hash);
        if let Some((last, call, before)) = self.at
            && last == kind
            && (call != hash || lasts < before)
        {
            pace.record(before);
        }
        let waits = matches!(kind, ActivityKind::WaitingInput | ActivityKind::Idle);
        let [slow, _] = pace.limits(&class.pace());
        let pacing = pace.judge(&class.pace(), lasts);
        (!waits && pacing != Pacing::Usual).then(|| {
            let said = format!(
                "`{kind}` has been running for {}, where {} is long",
                Span(lasts),
                whole(slow)
            );
            (pacing, said)
        })
    }

    /// Looks for calls that come round and round.
    fn go_round(&mut self, class: &Class, beat: &Beat, activity: Option<&Activity>) -> Option<Option<String>> {
        if beat.progress.is_some_and(|progress| progress != self.still.progress()) {
            // Something came of them.
            self.rounds.forget();
            return core::mem::take(&mut self.round).then_some(None);
        }
        let activity = activity?;
        let call = (activity.kind, activity.hash?);
        let lasts = activity.lasts.map_or(Duration::ZERO, |span| span.0);
        let new = self
            .at
            .is_none_or(|(kind, hash, before)| (kind, hash) != (call.0, Some(call.1)) || lasts < before);
        self.at = Some((call.0, Some(call.1), lasts));
        if !new {
            return None;
        }
        let round = self.rounds.feed(&class.rounds(), call.1);
        let (was, is) = (self.round, round.is_some());
        self.round = is;
        match round {
            Some(Round { calls, times }) if !was => Some(Some(format!(
                "it makes the same {} again and again: {times} times in a row, with no progress between",
                if calls == 1 {
                    "call".to_string()
                } else {
                    format!("{calls} calls")
                },
            ))),
            Some(_) | None => (was && !is).then_some(None),
        }
    }

    /// Looks at how its work gets on, if that changes.
    fn get_on(
        &mut self,
        (now, class): (Tick, &Class),
        beat: &Beat,
        activity: Option<&Activity>,
        (busy, operation): (bool, Option<(Pacing, String)>),
    ) -> Option<(Pacing, String)> {
        if let Some(activity) = activity {
            self.at = Some((
                activity.kind,
                activity.hash,
                activity.lasts.map_or(Duration::ZERO, |span| span.0),
            ));
        }
        let excused = activity.is_some_and(|activity| activity.kind == ActivityKind::WaitingInput);
        if excused {
            self.still.excuse(now);
        }
        let standing = beat.progress.map(|progress| {
            let gauges = beat.more.as_ref().map(|more| &more.gauges);
            let gauge = |name| gauges.and_then(|gauges| gauges.get(name)).copied();
            let at_work = activity.is_some_and(|activity| !matches!(activity.kind, ActivityKind::Idle));
            let streams = gauge("active_streams").is_some_and(|streams| streams > 0.0);
            let still = self.still.feed(
                now,
                Work {
                    progress,
                    tokens: gauge("tokens_used").map_or(0, whole_number),
                    in_flight: u32::from(busy || at_work || streams),
                },
            );
            let pacing = if still.standing >= class.settings.stuck_after.saturating_mul(3) {
                Pacing::Stuck
            } else if still.standing >= class.settings.stuck_after {
                Pacing::Slow
            } else {
                return None;
            };
            let spent = if still.tokens > 0 {
                format!("; {} tokens were used meanwhile", still.tokens)
            } else {
                String::new()
            };
            let standing = whole(still.standing);
            Some((
                pacing,
                format!("work is in flight, and its progress has stood at {progress} for {standing}{spent}"),
            ))
        });
        if activity.is_some() {
            self.operation = operation.as_ref().map(|(pacing, _)| *pacing);
        }
        if let Some(standing) = &standing {
            self.standing = standing.as_ref().map(|(pacing, _)| *pacing);
        }
        let pacing = self.operation.max(self.standing);
        if pacing == self.told {
            return None;
        }
        self.told = pacing;
        let said = operation
            .into_iter()
            .chain(standing.flatten())
            .max_by_key(|(pacing, _)| *pacing);
        Some(match (pacing, said) {
            (None, _) => (Pacing::Usual, "its work gets on again".into()),
            (Some(pacing), Some((_, said))) => (pacing, said),
            (Some(pacing), None) => (pacing, "a part of its work still does not get on".into()),
        })
    }
}

/// The weightiest of what a sample warns of, in words.
fn warned(class: &Class, vitals: &Vitals, signs: &Warnings) -> Option<(Sort, String)> {
    let value = |metric| vitals.get(metric).unwrap_or_default();
    if let Some(slope) = signs.leak {
        let (metric, interval) = (Metric::MemoryUsage, class.settings.interval);
        let (now, most) = (value(metric), class.settings.most(metric));
        let ahead = most.and_then(|most| Some((most, time_to(most, now, slope, interval)?)));
        // Beyond its threshold it is judged by that.
        if let Some((most, wait)) = ahead.filter(|(_, wait)| !wait.is_zero() && *wait < HORIZON) {
            let said = format!(
                "{metric} of {now} grows without rest: over {most} in about {}",
                whole(wait)
            );
            return Some((Sort::Leak, said));
        }
    }
    if let Some(excess) = signs.errors {
        let now = value(Metric::ErrorRate);
        let said = format!(
            "errors add up to {excess:.2} more than usual; {} is {now}",
            Metric::ErrorRate
        );
        return Some((Sort::Errors, said));
    }
    let novelty = signs.novelty?;
    let metric = *Metric::ALL.get(novelty.metric)?;
    let (now, share) = (value(metric), novelty.score * 100.0);
    let most = class.settings.most(metric)?;
    (now > most * HEADING && now <= most).then(|| {
        let said = format!(
            "{metric} of {now} is beyond all that it ever was, by {share:.0} % of its range, and heads for {most}"
        );
        (Sort::Novelty, said)
    })
}

/// What is further ahead is not worth a word yet.
const HORIZON: Duration = Duration::from_secs(86_400);
/// The share of its threshold from which on a value that is new heads for it.
const HEADING: f32 = 0.5;

/// A span in whole seconds, for people.
fn whole(span: Duration) -> Span {
    Span::secs(span.as_secs())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count that was sent as a number"
)]
const fn whole_number(value: f64) -> u64 {
    value as u64
}

/// Memory is what leaks, the error rate what adds up. Values may well be a little higher than ever: that alone is no news for people.
const WATCH: WatchConfig = WatchConfig {
    novelty: 0.25,
    leaks: Metric::MemoryUsage as usize,
    growth: 2.0,
    errors: Metric::ErrorRate as usize,
    drift: 0.02,
    excess: 0.5,
    unusual: 4.0,
};
