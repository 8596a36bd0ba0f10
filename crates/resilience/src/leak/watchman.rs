//! Takes looks, and judges what it sees by what it saw before.

use core::mem::{Discriminant, discriminant};
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::ledger::{Holding, Ledger};
use super::series::Series;
use super::{Holder, LeakConfig, LeakFinding, LeakReport, Resource, Sample, Sign, Tracked, Usage};
use crate::{Clock, Moment, Watch};

/// What all handles of a detector share.
pub(super) struct Watchman<C: Clock> {
    config: LeakConfig,
    clock: C,
    ledger: Arc<Ledger>,
    memory: Mutex<Memory>,
    latest: watch::Sender<Arc<LeakReport>>,
}

/// What is known from earlier looks.
struct Memory {
    sampler: Box<dyn Sample>,
    first: Option<Moment>,
    series: BTreeMap<Resource, Series>,
    /// What was found at the last look, and since when.
    found: HashMap<(Resource, Discriminant<Sign>), Moment>,
}

impl<C: Clock> Watchman<C> {
    pub(super) fn new(config: LeakConfig, clock: C, sampler: Box<dyn Sample>) -> Self {
        Self {
            config,
            clock,
            ledger: Arc::default(),
            memory: Mutex::new(Memory {
                sampler,
                first: None,
                series: BTreeMap::new(),
                found: HashMap::new(),
            }),
            latest: watch::Sender::default(),
        }
    }

    pub(super) fn track(&self, resource: Resource, what: Cow<'static, str>) -> Tracked {
        self.ledger.track(resource, what, self.clock.now())
    }

    pub(super) fn held(&self, resource: Resource) -> Vec<Holder> {
        self.ledger.held(resource, self.clock.now())
    }

    pub(super) fn last(&self) -> Arc<LeakReport> {
        Arc::clone(&self.latest.borrow())
    }

    pub(super) fn watch(&self) -> Watch<Arc<LeakReport>> {
        Watch::new(self.latest.subscribe())
    }

    pub(super) async fn rounds(self: Arc<Self>) {
        loop {
            let next = self.clock.now().after(self.config.check_interval);
            self.look();
            self.clock.sleep_until(next).await;
        }
    }

    pub(super) fn look(&self) -> Arc<LeakReport> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let holdings = self.ledger.count(now, NAMED);
        let sampled = catch_unwind(AssertUnwindSafe(|| memory.sampler.sample()));
        let (usage, error) = match sampled {
            Ok(Ok(usage)) => (Some(usage), None),
            Ok(Err(error)) => (None, Some(error.to_string())),
            Err(_) => (None, Some("the sampler panicked".to_owned())),
        };
        let report = Arc::new(LeakReport {
            findings: memory.judge(&self.config, now, usage, &holdings),
            tracked: holdings
                .iter()
                .map(|(resource, held)| (*resource, held.count))
                .collect(),
            usage,
            error,
        });
        self.latest.send_replace(Arc::clone(&report));
        report
    }
}

impl Memory {
    fn judge(
        &mut self,
        config: &LeakConfig,
        now: Moment,
        usage: Option<Usage>,
        holdings: &BTreeMap<Resource, Holding>,
    ) -> Vec<LeakFinding> {
        let warm = now.since(*self.first.get_or_insert(now)) >= config.warm_up;
        let levels = levels(config, usage, holdings);
        // What is not held any more has no past: programs may name resources without end. A sample that failed is no such end.
        self.series
            .retain(|resource, _| !matches!(resource, Resource::Custom(_)) || holdings.contains_key(resource));
        let mut signs = Vec::new();
        for level in &levels {
            signs.extend(level.over_limit().map(|sign| (level.resource, sign)));
            if warm {
                let series = self
                    .series
                    .entry(level.resource)
                    .or_insert_with(|| Series::new(config.window));
                series.push(now, level.value);
                signs.extend(level.growth(series).map(|sign| (level.resource, sign)));
            }
        }
        for (resource, holding) in holdings {
            signs.extend(held_long(config, holding).map(|sign| (*resource, sign)));
        }
        self.since(now, signs, holdings)
    }

    /// Says of each sign for how long it has been found.
    fn since(
        &mut self,
        now: Moment,
        signs: Vec<(Resource, Sign)>,
        holdings: &BTreeMap<Resource, Holding>,
    ) -> Vec<LeakFinding> {
        let before = core::mem::take(&mut self.found);
        let mut findings = Vec::with_capacity(signs.len());
        for (resource, sign) in signs {
            let key = (resource, discriminant(&sign));
            let since = before.get(&key).copied().unwrap_or(now);
            self.found.insert(key, since);
            findings.push(LeakFinding {
                resource,
                sign,
                found_for: now.since(since),
                holders: holdings
                    .get(&resource)
                    .map_or_else(Vec::new, |holding| holding.oldest.clone()),
            });
        }
        findings
    }
}

/// How much there is of one resource, and how much there may be.
struct Level {
    resource: Resource,
    value: f64,
    limit: f64,
    /// A rise by less than this is none.
    least: f64,
    /// What value and limit are told as parts of.
    unit: f64,
}

impl Level {
    fn over_limit(&self) -> Option<Sign> {
        (self.value > self.limit).then(|| Sign::OverLimit {
            value: self.value / self.unit,
            limit: self.limit / self.unit,
        })
    }

    fn growth(&self, series: &Series) -> Option<Sign> {
        let rise = series.rise(self.least)?;
        let left = (self.limit - self.value).max(0.0) / rise.per_second;
        Some(Sign::Growth {
            from: rise.from,
            to: rise.to,
            over: rise.over,
            full_in: (left < YEAR).then(|| Duration::from_secs_f64(left)),
        })
    }
}

/// How much there is of everything that is held or sampled. Where both say, the larger number counts.
fn levels(config: &LeakConfig, usage: Option<Usage>, holdings: &BTreeMap<Resource, Holding>) -> Vec<Level> {
    let tracked = |resource| holdings.get(&resource).map_or(0, |holding| holding.count);
    let counted = |resource, sampled: u64, limit: u64| Level {
        resource,
        value: sampled.max(tracked(resource)) as f64,
        limit: limit as f64,
        least: LEAST,
        unit: 1.0,
    };
    let mut levels = Vec::new();
    if let Some(usage) = usage {
        if usage.memory_limit > 0 {
            levels.push(Level {
                resource: Resource::Memory,
                value: usage.memory as f64,
                limit: config.memory * usage.memory_limit as f64,
                least: LEAST_BYTES,
                unit: usage.memory_limit as f64,
            });
        }
        levels.push(counted(Resource::FileHandles, usage.file_handles, config.file_handles));
        levels.push(counted(Resource::Connections, usage.connections, config.connections));
        levels.push(counted(Resource::Threads, usage.threads, config.threads));
    }
    for resource in holdings
        .keys()
        .filter(|resource| matches!(resource, Resource::Custom(_)))
    {
        levels.push(counted(*resource, 0, config.tracked));
    }
    levels
}

fn held_long(config: &LeakConfig, holding: &Holding) -> Option<Sign> {
    let (limit, oldest) = (config.held_for?, holding.oldest.first()?);
    (oldest.held_for > limit).then_some(Sign::HeldLong {
        held_for: oldest.held_for,
        limit,
    })
}

/// Holders that a finding names.
const NAMED: usize = 10;

/// Growth by fewer handles, connections or threads than this is none.
const LEAST: f64 = 10.0;

/// Growth by fewer bytes than this is none: 16 MiB.
const LEAST_BYTES: f64 = 16.0 * 1024.0 * 1024.0;

/// Seconds.
const YEAR: f64 = 365.0 * 86_400.0;
