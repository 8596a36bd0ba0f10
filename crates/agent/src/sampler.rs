//! What the process uses, from `/proc`, and what its work measures.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use tokio::time::Instant;

use crate::activity::Activity;
use crate::clock;
use crate::runtime::{Runtime, Tally};

/// What this process uses at one moment. Where the system does not tell, a number is 0.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Usage {
    /// Processor time that it has used in all, in seconds.
    pub cpu_seconds: f64,
    /// Memory that it has in use (resident), in bytes.
    pub memory_bytes: u64,
    /// Memory that it may use: the limit of its cgroup, else what the machine has, in bytes.
    pub memory_limit: u64,
    /// Open files, sockets and pipes.
    pub handles: u64,
    /// Threads.
    pub threads: u64,
}

/// What a heartbeat tells of an agent.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Sample {
    /// Share of all processors that it used since the last sample, 0.0 to 1.0.
    pub cpu_usage: f64,
    /// Share of the memory that it may use, 0.0 to 1.0.
    pub memory_usage: f64,
    /// Open files, sockets and pipes.
    pub handles: u64,
    /// Threads.
    pub threads: u64,
    /// Share of the executions that ended since the last sample which failed, 0.0 to 1.0; 0 where none ended.
    pub error_rate: f64,
    /// Mean time that those took, in milliseconds; 0 where none ended.
    pub request_latency: f64,
    /// Executions that ended per second since the last sample.
    pub throughput: f64,
    /// Steps of useful work, counted since the start; see [`Call::progress`](crate::Call::progress).
    pub progress: u64,
    /// Streams with an execution that has not ended.
    pub active_streams: usize,
    /// What it is busy with: of all that its work says, what it said last; idle where nothing is in flight.
    pub activity: Activity,
}

/// Samples one runtime and the process that it is in. Each sample tells of the time since the one before.
#[derive(Debug)]
pub struct Sampler {
    runtime: Runtime,
    at: Instant,
    cpu_seconds: f64,
    ended: Ended,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    all: u64,
    failed: u64,
    busy: Duration,
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
        }
    }

    /// Looks once. Reads a few small files of `/proc`: tens of microseconds, more where very many files are open.
    pub fn sample(&mut self) -> Sample {
        let now = clock::now();
        let span = now.saturating_duration_since(self.at).as_secs_f64().max(f64::EPSILON);
        let (usage, ended) = (Usage::now(), Ended::of(&self.runtime));
        let new = ended.since(self.ended);
        let cpus = std::thread::available_parallelism().map_or(1.0, |count| as_f64(count.get() as u64));
        let cpu_usage = (usage.cpu_seconds - self.cpu_seconds) / (span * cpus);
        (self.at, self.cpu_seconds, self.ended) = (now, usage.cpu_seconds, ended);
        let said = self.runtime.activities();
        let latest = said.into_iter().max_by_key(|(_, _, since)| *since);
        Sample {
            cpu_usage: cpu_usage.clamp(0.0, 1.0),
            memory_usage: share(usage.memory_bytes, usage.memory_limit),
            handles: usage.handles,
            threads: usage.threads,
            error_rate: share(new.failed, new.all),
            request_latency: if new.all == 0 {
                0.0
            } else {
                new.busy.as_secs_f64() * 1_000.0 / as_f64(new.all)
            },
            throughput: as_f64(new.all) / span,
            progress: self.runtime.progress(),
            active_streams: self.runtime.in_flight(),
            activity: latest.map_or(Activity::Idle, |(_, activity, _)| activity),
        }
    }
}

impl Usage {
    /// Looks once.
    #[must_use]
    pub fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(number).unwrap_or(0)
        };
        Self {
            cpu_seconds: cpu_seconds(),
            memory_bytes: field("VmRSS:") * 1024,
            memory_limit: memory_limit(),
            // The directory that is read is itself open just now.
            handles: fs::read_dir("/proc/self/fd").map_or(0, |open| open.count() as u64).saturating_sub(1),
            threads: field("Threads:"),
        }
    }
}

impl Ended {
    fn of(runtime: &Runtime) -> Self {
        let tallies = runtime.tallies();
        tallies.iter().fold(Self::default(), |sum, (_, _, tally)| sum.plus(tally))
    }

    fn plus(self, tally: &Tally) -> Self {
        Self {
            all: self.all + tally.succeeded + tally.failed + tally.cancelled,
            failed: self.failed + tally.failed,
            busy: self.busy + tally.busy,
        }
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            all: self.all.saturating_sub(earlier.all),
            failed: self.failed.saturating_sub(earlier.failed),
            busy: self.busy.saturating_sub(earlier.busy),
        }
    }
}

fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    as_f64(used.tv_sec.unsigned_abs()) + as_f64(used.tv_nsec.unsigned_abs()) / 1e9
}

/// The limit of the process's cgroup (version 2, then 1), at most what the machine has.
fn memory_limit() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|told| {
        let line = told.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        line.and_then(number)
    });
    let machine = machine.map_or(u64::MAX, |kib| kib * 1024);
    let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = cgroups.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let file = match controllers {
            "" => format!("/sys/fs/cgroup{path}/memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes")
            }
            _ => return None,
        };
        read_number(&file).ok().flatten()
    });
    limits.min().unwrap_or(u64::MAX).min(machine)
}

fn read_number(file: &str) -> io::Result<Option<u64>> {
    Ok(fs::read_to_string(file)?.trim().parse().ok())
}

/// The first number of a line such as `  1234 kB`.
fn number(line: &str) -> Option<u64> {
    line.split_whitespace().next()?.parse().ok()
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        (as_f64(part) / as_f64(whole)).clamp(0.0, 1.0)
    }
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

    #[test]
    fn a_process_uses_something_of_everything() {
        let usage = Usage::now();
        assert!(usage.memory_bytes > 100_000 && usage.memory_bytes < usage.memory_limit, "{usage:?}");
        assert!(usage.threads >= 1 && usage.handles >= 3 && usage.cpu_seconds > 0.0, "{usage:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_sample_measures_what_ended_since_the_one_before() {
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
        let sample = sampler.sample();
        assert!((sample.error_rate - 1.0).abs() < 1e-9 && (sample.throughput - 1.0).abs() < 0.01);
        assert!((200.0..203.0).contains(&sample.request_latency), "{sample:?}");
        assert_eq!((sample.progress, sample.active_streams), (9, 1));
        assert_eq!(sample.activity, Activity::WaitingInput);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let quiet = sampler.sample();
        assert!(quiet.throughput.abs() < 1e-9 && quiet.error_rate.abs() < 1e-9);
    }
}
