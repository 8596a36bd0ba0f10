//! What many breakers take, as the system counts it: the growth of this process, one process for each kind.

use std::error::Error;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use stead_resilience::{Breaker, BreakerConfig, BreakerSettings, Coarse, Window};

/// What is told of a kind of breakers, how one is configured, and whose its settings are.
type Kind = (&'static str, fn() -> BreakerConfig, Settings);

const KINDS: &[Kind] = &[
    ("consecutive, settings of its own", BreakerConfig::default, Settings::Own),
    ("consecutive, settings shared", BreakerConfig::default, Settings::Shared),
    ("count window 100, rate, settings shared", || rate(Window::Count { calls: 100 }), Settings::Shared),
    (
        "time window 60 s, rate, settings shared",
        || rate(Window::Time { span: Duration::from_secs(60) }),
        Settings::Shared,
    ),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Settings {
    Own,
    Shared,
}

fn rate(window: Window) -> BreakerConfig {
    BreakerConfig { window, failure_rate: Some(0.5), ..BreakerConfig::default() }
}

/// `memory N`: a table of all kinds; `memory N KIND`: the growth of one, in kilobytes.
pub(crate) fn run(breakers: &str, kind: Option<&str>) -> ExitCode {
    let told = match kind {
        None => table(breakers),
        Some(kind) => growth(breakers, kind),
    };
    match told {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(failed) => {
            eprintln!("{failed}");
            ExitCode::FAILURE
        }
    }
}

fn table(breakers: &str) -> Result<String, Box<dyn Error>> {
    let each: f64 = breakers.parse()?;
    let mut rows = vec![format!("| {breakers} breakers | PSS, MB | RSS, MB | bytes each (PSS) |\n|---|---|---|---|")];
    for (kind, ..) in KINDS {
        let output = Command::new(std::env::current_exe()?).args(["memory", breakers, kind]).output()?;
        let text = String::from_utf8(output.stdout)?;
        let (pss, rss) = text.trim().split_once(' ').ok_or("a kind said nothing")?;
        let (pss, rss): (f64, f64) = (pss.parse()?, rss.parse()?);
        let (pss_mb, rss_mb, bytes) = (pss * 1.024e-3, rss * 1.024e-3, pss * 1024.0 / each);
        rows.push(format!("| {kind} | {pss_mb:.1} | {rss_mb:.1} | {bytes:.0} |"));
    }
    Ok(rows.join("\n"))
}

fn growth(breakers: &str, kind: &str) -> Result<String, Box<dyn Error>> {
    let (_, config, settings) = KINDS.iter().find(|(name, ..)| *name == kind).ok_or("no such kind")?;
    let shared = Arc::new(BreakerSettings::try_from(config())?);
    let made = || match settings {
        Settings::Own => Breaker::new(config()).map_err(Box::from),
        Settings::Shared => Ok(Breaker::with_settings(Arc::clone(&shared), Coarse)),
    };
    let before = resident()?;
    let mut all = Vec::new();
    for _ in 0..breakers.parse()? {
        let breaker: Result<Breaker, Box<dyn Error>> = made();
        let breaker = Box::new(breaker?);
        // One of each, so that nothing is left to be made at the first call.
        black_box(breaker.call(|| Err::<(), _>(())).is_err());
        black_box(breaker.call(|| Ok::<_, ()>(())).is_ok());
        all.push(breaker);
    }
    let after = resident()?;
    black_box(&all);
    Ok(format!("{} {}", after.0 - before.0, after.1 - before.1))
}

/// Proportional and resident set of this process, in kilobytes.
fn resident() -> Result<(u64, u64), Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let field = |name: &str| -> Result<u64, Box<dyn Error>> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("smaps_rollup has no such line")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    Ok((field("Pss:")?, field("Rss:")?))
}
