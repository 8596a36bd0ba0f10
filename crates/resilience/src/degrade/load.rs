//! How busy this machine is.

use std::io;

use stead_policy::degrade::Load;

use crate::procfs::{Root, kibibytes, share};

/// Measures load. [`ProcLoad`] measures this machine's; tests feed loads of their own.
pub trait MeasureLoad: Send + 'static {
    /// Measures once.
    ///
    /// # Errors
    ///
    /// The system did not say.
    fn measure(&mut self) -> io::Result<Load>;
}

impl<F: FnMut() -> io::Result<Load> + Send + 'static> MeasureLoad for F {
    fn measure(&mut self) -> io::Result<Load> {
        self()
    }
}

/// Measures this machine by `/proc/stat` (all processors, since the measurement before) and `/proc/meminfo` (what is not
/// available), and the memory of the cgroup with the lowest limit (what is not easily given back); the fuller counts.
#[derive(Clone, Debug)]
pub struct ProcLoad {
    root: Root,
    /// Ticks until the measurement before: busy and all.
    before: Option<(u64, u64)>,
}

impl ProcLoad {
    /// Of this machine. The first measurement is of the time since its start.
    #[must_use]
    pub fn new() -> Self {
        Self::below("/")
    }

    pub(super) fn below(root: &str) -> Self {
        Self {
            root: Root::new(root),
            before: None,
        }
    }

    fn cpu(&mut self) -> io::Result<f64> {
        let text = self.root.read("proc/stat")?;
        let now = ticks(&text).ok_or_else(|| io::Error::other("/proc/stat has no line of all processors"))?;
        let before = self.before.replace(now).unwrap_or_default();
        let (busy, all) = (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1));
        Ok(share(busy, all))
    }

    fn memory(&self) -> io::Result<f64> {
        let text = self.root.read("proc/meminfo")?;
        let missing = || io::Error::other("/proc/meminfo has no MemTotal or no MemAvailable");
        let all = kibibytes(&text, "MemTotal:").ok_or_else(missing)?;
        let free = kibibytes(&text, "MemAvailable:").ok_or_else(missing)?;
        let host = share(all.saturating_sub(free), all);
        let group = self.root.memory_group();
        let group = group.and_then(|group| Some(share(group.working_set()?, group.limit)));
        Ok(group.map_or(host, |group| group.max(host)))
    }
}

impl Default for ProcLoad {
    fn default() -> Self {
        Self::new()
    }
}

impl MeasureLoad for ProcLoad {
    fn measure(&mut self) -> io::Result<Load> {
        Ok(Load {
            cpu: self.cpu()?,
            memory: self.memory()?,
        })
    }
}

/// Busy and all ticks of all processors: user, nice, system, idle, iowait, irq, softirq, steal.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = line
        .split_whitespace()
        .take(8)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let all = fields.iter().sum::<u64>();
    let idle = fields.get(3)? + fields.get(4)?;
    Some((all.saturating_sub(idle), all))
}
