//! What the process uses, and what its work measures: what a heartbeat tells.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use stead_resilience::{ProcSampler, Sample as _, Usage};
use tokio::time::Instant;

use crate::activity::Activity;
use crate::clock;
use crate::runtime::{Runtime, Tally};

/// What a heartbeat tells of an agent. Where the system does not tell, a number is 0.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Vitals {
    /// Share of all processors that it used since the last look, 0.0 to 1.0.
    pub cpu_usage: f64,
    /// Share of the memory that it may use, 0.0 to 1.0.
    pub memory_usage: f64,
    /// Open files, sockets and pipes.
    pub handles: u64,
    /// Threads.
    pub threads: u64,
    /// Share of the executions of the last minute or so which failed, 0.0 to 1.0. Of fewer than ten, each counts a tenth: one that fails
    /// alone says little. Each look halves the weight of what is a minute old.
    pub error_rate: f64,
    /// Mean time that tries took which ended since the last look, in milliseconds; 0 where none did.
    pub latency: f64,
    /// Executions that ended per second since the last look.
    pub throughput: f64,
    /// Steps of useful work, counted since the start: those that work has told of by [`Call::progress`](crate::Call::progress), and executions
    /// that ended. None until some work told of one: where nobody counts, standing still means nothing.
    pub progress: Option<u64>,
    /// Streams with an execution that has not ended.
    pub active_streams: usize,
    /// What it is busy with: of all that its work says, what it said last; idle where nothing is in flight.
    pub activity: Activity,
    /// For how long so far, where something in flight has said so.
    pub activity_for: Option<Duration>,
}

/// Looks at one runtime and the process that it is in. Each look tells of the time since the one before.
#[derive(Clone, Debug)]
pub struct Sampler {
    runtime: Runtime,
    at: Instant,
    cpu_seconds: f64,
    ended: Ended,
    recent: Recent,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    /// Executions.
    all: u64,
    failed: u64,
    /// Tries, those that were interrupted among them, and how long they took together.
    tries: u64,
    busy: Duration,
}

/// Executions that ended of late. Older ones weigh less and less.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    all: f64,
    failed: f64,
}

impl Sampler {
    /// Begins now.
    #[must_use]
    pub fn new(runtime: &Runtime) -> Self {
        Self {
            runtime: runtime.clone(),
            at: clock::now(),
            cpu_seconds: cpu_seconds(),
            ended: Ended::of(runtime),
            recent: Recent::default(),
        }
    }

    /// Looks once. Reads a few small files of `/proc`: tens of microseconds, more where very many files are open.
    pub fn look(&mut self) -> Vitals {
        let now = clock::now();
        let span = now.saturating_duration_since(self.at).as_secs_f64().max(f64::EPSILON);
        let (usage, cpu, ended) = (usage(), cpu_seconds(), Ended::of(&self.runtime));
        let new = ended.since(self.ended);
        let cpus = std::thread::available_parallelism().map_or(1.0, |count| as_f64(count.get() as u64));
        let cpu_usage = (cpu - self.cpu_seconds) / (span * cpus);
        (self.at, self.cpu_seconds, self.ended) = (now, cpu, ended);
        self.recent.add(new, span);
        let latest = self.runtime.latest_activity();
        let told = self.runtime.progress();
        Vitals {
            cpu_usage: cpu_usage.clamp(0.0, 1.0),
            memory_usage: usage.memory_ratio().clamp(0.0, 1.0),
            handles: usage.file_handles,
            threads: usage.threads,
            error_rate: self.recent.error_rate(),
            latency: new.busy.as_secs_f64() * 1_000.0 / as_f64(new.tries.max(1)),
            throughput: as_f64(new.all) / span,
            progress: (told > 0).then(|| told.saturating_add(ended.all)),
            active_streams: self.runtime.in_flight(),
            activity_for: latest.as_ref().map(|(_, since)| now.saturating_duration_since(*since)),
            activity: latest.map_or(Activity::Idle, |(activity, _)| activity),
        }
    }
}

impl Ended {
    fn of(runtime: &Runtime) -> Self {
        let tallies = runtime.tallies();
        tallies
            .iter()
            .fold(Self::default(), |sum, (_, _, tally)| sum.plus(tally))
    }

    fn plus(self, tally: &Tally) -> Self {
        let ended = tally.succeeded + tally.failed + tally.cancelled;
        Self {
            all: self.all + ended,
            failed: self.failed + tally.failed,
            tries: self.tries + ended + tally.interrupted,
            busy: self.busy + tally.busy,
        }
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            all: self.all.saturating_sub(earlier.all),
            failed: self.failed.saturating_sub(earlier.failed),
            tries: self.tries.saturating_sub(earlier.tries),
            busy: self.busy.saturating_sub(earlier.busy),
        }
    }
}

impl Recent {
    /// Takes in what ended in the last `span` seconds.
    fn add(&mut self, new: Ended, span: f64) {
        let kept = (-span / HALF_LIFE).exp2();
        self.all = self.all * kept + as_f64(new.all);
        self.failed = self.failed * kept + as_f64(new.failed);
    }

    fn error_rate(&self) -> f64 {
        (self.failed / self.all.max(FEW)).clamp(0.0, 1.0)
    }
}

/// After how many seconds an execution that ended weighs half.
const HALF_LIFE: f64 = 60.0;
/// Fewer executions than these say too little of a rate.
const FEW: f64 = 10.0;

/// What this process holds; nothing where the system does not tell.
pub(crate) fn usage() -> Usage {
    ProcSampler::new().sample().unwrap_or_default()
}

/// Processor time that this process has used in all.
pub(crate) fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    as_f64(used.tv_sec.unsigned_abs()) + as_f64(used.tv_nsec.unsigned_abs()) / 1e9
}

/// Exact up to 2^53, and near enough beyond.
#[expect(clippy::cast_precision_loss, reason = "measures, not counts to the last digit")]
pub(crate) const fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Call, EntryPoint, Submission};

    #[tokio::test(start_paused = true)]
    async fn a_look_measures_what_ended_since_the_one_before() {
        let work = EntryPoint::new("work", async |call: Call| {
            call.progress(3);
            call.says(Activity::WaitingInput);
            tokio::time::sleep(Duration::from_millis(call.input::<u64>()?)).await;
            Err::<(), _>(Box::<dyn std::error::Error + Send + Sync>::from("no"))
        });
        let runtime = Runtime::builder().entry_point(work).build().unwrap();
        runtime.start().await.unwrap();
        let mut sampler = Sampler::new(&runtime);
        for millis in [100_u64, 300, 100_000] {
            runtime.submit(Submission::new("work", &millis).unwrap()).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let vitals = sampler.look();
        assert!((vitals.error_rate - 0.2).abs() < 0.01 && (vitals.throughput - 1.0).abs() < 0.01);
        assert!((200.0..203.0).contains(&vitals.latency), "{vitals:?}");
        // Three that said how far they are, and two that ended.
        assert_eq!((vitals.progress, vitals.active_streams), (Some(11), 1));
        assert_eq!(vitals.activity, Activity::WaitingInput);
        assert_eq!(vitals.activity_for.map(|span| span.as_secs()), Some(2));
        assert!(vitals.memory_usage > 0.0 && vitals.threads >= 1 && vitals.handles >= 3);
        tokio::time::sleep(Duration::from_mins(10)).await;
        assert!(sampler.look().error_rate > 0.09, "the third has failed as well");
        tokio::time::sleep(Duration::from_mins(10)).await;
        let quiet = sampler.look();
        assert!(quiet.error_rate < 0.001, "{quiet:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn where_no_work_tells_of_steps_there_is_no_progress_to_stand_still() {
        let work = EntryPoint::new("work", async |_: Call| Ok::<_, String>(()));
        let runtime = Runtime::builder().entry_point(work).build().unwrap();
        runtime.start().await.unwrap();
        let mut sampler = Sampler::new(&runtime);
        runtime.submit(Submission::new("work", &()).unwrap()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(sampler.look().progress, None);
    }
}
