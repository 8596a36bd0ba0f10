use core::fmt::Debug;
use core::time::Duration;
use std::collections::BTreeSet;

use stead_policy::{Jitter, degrade};

use super::PAGES;
use crate::registry::families::{self, Family};
use crate::replay::Hindsight;
use crate::{
    AdaptiveConfig, Breaker, BreakerConfig, Budget, BudgetConfig, Bulkhead, BulkheadConfig, BulkheadPolicy,
    ChaosConfig, ChaosSnapshot, CheckConfig, Fallback, Hedge, HedgeConfig, HedgeDelay, HedgePolicy, LeakConfig,
    LeakReport, LimitRange, Limiter, LimiterConfig, PipelineFinding, PolicyKind, Preset, Quota, Ramp, Registry,
    RetryConfig, RetryPolicy, RetrySnapshot, StaleCache, StaleConfig, Timeout, TimeoutConfig, Traits, lint,
};

/// The part of a page under a heading of the second order.
fn section(file: &str, heading: &str) -> &'static str {
    let (_, page) = PAGES.iter().find(|(name, _)| *name == file).unwrap();
    let start = page
        .find(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("{file} has no {heading}"));
    let rest = &page[start + 4..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

/// The cells of each row of the first table after `mark`.
fn rows(text: &str, mark: &str) -> Vec<Vec<String>> {
    let start = text.find(mark).unwrap_or_else(|| panic!("{mark:?} is not in {text:?}"));
    let lines = text[start..].lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    let bare = |cell: &str| {
        let code = cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`'));
        code.unwrap_or(cell).to_owned()
    };
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| bare(cell.trim())).collect();
    rows.map(cells).collect()
}

/// The first two cells of each row of the first table after `mark`.
fn table(text: &str, mark: &str) -> Vec<(String, String)> {
    let cells = rows(text, mark).into_iter().map(Vec::into_iter);
    cells
        .map(|mut cells| (cells.next().unwrap(), cells.next().unwrap_or_default()))
        .collect()
}

/// The fields of a struct and their values, as it prints itself.
fn fields(value: &impl Debug) -> Vec<(String, String)> {
    let text = format!("{value:#?}");
    let mut fields: Vec<(String, String)> = Vec::new();
    let inner = text.lines().skip(1).filter(|line| *line != "}");
    for line in inner {
        match line
            .strip_prefix("    ")
            .filter(|line| !line.starts_with([' ', '}', ']', ')']))
        {
            Some(line) => {
                let (name, value) = line.split_once(": ").unwrap();
                fields.push((name.to_owned(), value.trim_end_matches(',').to_owned()));
            }
            None => {
                if let Some((_, value)) = fields.last_mut() {
                    value.push_str(line.trim());
                }
            }
        }
    }
    fields
}

/// Whether a page's words for a value mean what the value prints itself as.
fn means(words: &str, printed: &str) -> bool {
    let span = |words: &str| {
        let (number, unit) = words.split_once(' ')?;
        let number: f64 = number.parse().ok()?;
        let seconds = match unit {
            "ms" => number / 1000.0,
            "s" => number,
            "min" => number * 60.0,
            "h" => number * 3600.0,
            _ => return None,
        };
        Some(format!("{:?}", Duration::from_secs_f64(seconds)))
    };
    let same_number = || Some((words.parse::<f64>().ok()? - printed.parse::<f64>().ok()?).abs() < f64::EPSILON);
    let plain = |text: &str| text.to_lowercase().replace(['_', ' '], "");
    span(words).as_deref() == Some(printed) || same_number() == Some(true) || plain(words) == plain(printed)
}

/// Compares the table of defaults that follows the name of a settings type with its `Default`.
fn defaults<T: Default + Debug>(file: &str, name: &str) {
    defaults_but::<T>(file, name, &[]);
}

/// The same, where the page has its own words for values that are structs themselves: (field, words, value).
fn defaults_but<T: Default + Debug>(file: &str, name: &str, own: &[(&str, &str, &dyn Debug)]) {
    let told = table(section(file, "Defaults"), &format!("`{name}`"));
    let real = fields(&T::default());
    let names = |fields: &[(String, String)]| fields.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&told), names(&real), "{file}: the fields of {name}");
    for ((field, words), (_, printed)) in told.iter().zip(&real) {
        let bare = |text: &str| text.replace([' ', ','], "");
        let true_words = match own.iter().find(|(name, _, _)| name == field) {
            Some((_, own, value)) => words == own && bare(printed) == bare(&format!("{value:?}")),
            None => means(words, printed),
        };
        assert!(true_words, "{file}: {name}.{field} is {printed}, not {words}");
    }
}

/// Compares the names of a page's telemetry with the fields of what is reported.
fn telemetry(file: &str, report: &impl Debug) {
    let told: Vec<_> = table(section(file, "Telemetry"), "| field |")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let fields = fields(report).into_iter();
    let real: Vec<_> = fields.map(|(name, _)| name).collect();
    assert_eq!(told, real, "{file}: the telemetry");
}

/// The same, and compares the metrics that it names with the families of the registry.
fn metrics<S: Debug>(file: &str, report: &S, families: &[Family<S>]) {
    telemetry(file, report);
    families_of(file, families);
}

fn families_of<S>(file: &str, families: &[Family<S>]) {
    let mut told = BTreeSet::new();
    for (field, names) in table(section(file, "Telemetry"), "| field | metric |") {
        let names = names.split(", ").map(|name| name.trim_matches('`').to_owned());
        told.extend(names.filter(|name| name != "–").map(|name| (field.clone(), name)));
    }
    let real = families.iter();
    let real: BTreeSet<_> = real
        .map(|family| (family.field.to_owned(), family.name.to_owned()))
        .collect();
    assert_eq!(told, real, "{file}: the metrics");
}

#[test]
fn the_defaults_that_pages_tell_are_those_of_the_code() {
    defaults::<CheckConfig>("health-checks.md", "CheckConfig");
    defaults::<LeakConfig>("leak-detector.md", "LeakConfig");
    defaults::<degrade::Calm>("degradation.md", "Calm");
    defaults::<ChaosConfig>("chaos.md", "ChaosConfig");
    defaults::<Hindsight>("replay.md", "Hindsight");
    defaults::<TimeoutConfig>("timeouts.md", "TimeoutConfig");
    defaults::<BulkheadConfig>("bulkhead.md", "BulkheadConfig");
    defaults::<LimitRange>("bulkhead.md", "LimitRange");
    let adaptive = AdaptiveConfig::default();
    let (range, rule) = (
        ("range", "1 to 200, starting at 20", &adaptive.range as &dyn Debug),
        (
            "rule",
            "gradient, tolerance 1.5, smoothing 0.2",
            &adaptive.rule as &dyn Debug,
        ),
    );
    defaults_but::<AdaptiveConfig>("bulkhead.md", "AdaptiveConfig", &[range, rule]);
    defaults::<BreakerConfig>("circuit-breaker.md", "BreakerConfig");
    let steps = ("steps", "10, 25, 50", &[10, 25, 50] as &dyn Debug);
    defaults_but::<Ramp>("circuit-breaker.md", "Ramp", &[steps]);
    defaults::<StaleConfig>("cache-on-failure.md", "StaleConfig");
    let (least, most) = (Duration::from_millis(10), Duration::from_secs(1));
    let learned = HedgeDelay::Percentile {
        percent: 95.0,
        least,
        most,
    };
    let delay = (
        "delay",
        "slower than 95 % of the calls, 10 ms to 1 s",
        &learned as &dyn Debug,
    );
    defaults_but::<HedgeConfig>("hedging.md", "HedgeConfig", &[delay]);
    let retry = RetryPolicy::default();
    let (growth, jitter) = (
        ("growth", "2", &retry.growth as &dyn Debug),
        ("jitter", "0.1", &retry.jitter as &dyn Debug),
    );
    defaults_but::<RetryPolicy>("pipeline.md", "RetryPolicy", &[growth, jitter]);
    defaults::<HedgePolicy>("pipeline.md", "HedgePolicy");
    defaults::<BulkheadPolicy>("pipeline.md", "BulkheadPolicy");
    defaults::<Quota>("rate-limiter.md", "Quota");
    let quota = (
        "quota",
        "10 per second, bursts of 10",
        &Quota::per_second(10) as &dyn Debug,
    );
    defaults_but::<LimiterConfig>("rate-limiter.md", "LimiterConfig", &[quota]);
    defaults::<BudgetConfig>("retry-budget.md", "BudgetConfig");
    let backoff = RetryConfig::default().backoff;
    assert_eq!(
        (backoff.initial, backoff.max),
        (Duration::from_secs(1), Duration::from_secs(60))
    );
    let words = (
        "backoff",
        "1 s, doubling up to 60 s, jitter 0.1",
        &backoff as &dyn Debug,
    );
    defaults_but::<RetryConfig>("retry.md", "RetryConfig", &[words]);
}

#[test]
fn the_default_rules_of_degradation_are_those_that_its_page_tells() {
    let told = table(section("degradation.md", "Defaults"), "`Rule::defaults()`");
    let real = degrade::Rule::defaults()
        .into_iter()
        .map(|rule| (rule.name.to_string(), rule.level.as_str().to_owned()));
    assert_eq!(told, real.collect::<Vec<_>>());
}

#[test]
fn the_presets_are_those_that_their_page_tells() {
    let text = section("presets.md", "Defaults");
    for preset in Preset::ALL {
        let backoff = preset.backoff();
        let share = match backoff.jitter {
            Jitter::Proportional(share) => share.get().to_string(),
            Jitter::None => "none".to_owned(),
            Jitter::Full | Jitter::Equal | Jitter::Decorrelated => panic!("{preset}"),
        };
        let span = |span: Duration| {
            format!("{span:?}")
                .replace("ms", " ms")
                .replace("0s", "0 s")
                .replace("1s", "1 s")
                .replace("2s", "2 s")
        };
        let (first, longest) = (span(backoff.initial), span(backoff.max));
        let row = format!("| `{preset}` | {} | {first} | {longest} | {share} |", preset.attempts());
        assert!(text.contains(&row), "{row}");
    }
}

#[test]
fn the_findings_of_the_linter_are_those_that_its_page_tells() {
    use PolicyKind::{Breaker, Bulkhead, Cache, Fallback, Hedge, Limiter, Other, Retry, Timeout};
    let kinds = [
        Fallback, Cache, Timeout, Retry, Hedge, Breaker, Limiter, Bulkhead, Other,
    ];
    let mut real = BTreeSet::new();
    let mut note = |order: &[PolicyKind], operation, outer: &str, inner: &str| {
        for PipelineFinding { gravity, why, .. } in lint(order, operation) {
            let gravity = format!("{gravity:?}").to_lowercase();
            real.insert([outer, inner, &gravity, why].map(str::to_owned));
        }
    };
    for outer in kinds {
        let bounded = [Timeout, outer, Timeout];
        note(&bounded, Traits::OnceOnly, &outer.to_string(), "a once-only operation");
        for inner in kinds {
            let bounded = [Timeout, outer, inner, Timeout];
            note(&bounded, Traits::Idempotent, &outer.to_string(), &inner.to_string());
        }
    }
    note(&[Retry], Traits::Idempotent, "no timeout", "retry");
    note(&[Timeout, Retry], Traits::Idempotent, "no timeout inside", "retry");
    note(&[Retry, Timeout], Traits::Idempotent, "no timeout outside", "retry");

    let mut told = BTreeSet::new();
    for row in rows(section("pipeline.md", "The linter"), "| outside |") {
        let [outer, inner, gravity, why] = <[String; 4]>::try_from(row).unwrap();
        for (outer, inner) in outer
            .split(", ")
            .flat_map(|outer| inner.split(", ").map(move |inner| (outer, inner)))
        {
            told.insert([outer, inner, &gravity, &why].map(str::to_owned));
        }
    }
    assert_eq!(told, real);
}

#[test]
fn the_telemetry_that_pages_tell_is_what_is_reported() {
    let checker = crate::HealthChecker::new();
    checker
        .add("it", CheckConfig::default(), || async { crate::Finding::healthy() })
        .unwrap();
    telemetry("health-checks.md", &checker.report().checks[0]);
    families_of("health-checks.md", families::HEALTH);
    let breaker = Breaker::new(BreakerConfig::default()).unwrap();
    let told = table(section("circuit-breaker.md", "Telemetry"), "| field |");
    let status = ["state", "generation"].map(str::to_owned).into_iter();
    let counts = fields(&breaker.counts()).into_iter().map(|(name, _)| name);
    assert_eq!(
        told.into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
        status.chain(counts).collect::<Vec<_>>()
    );
    families_of("circuit-breaker.md", families::BREAKER);
    metrics("leak-detector.md", &LeakReport::default(), families::LEAKS);
    metrics(
        "timeouts.md",
        &Timeout::new(TimeoutConfig::default()).unwrap().snapshot(),
        families::TIMEOUT,
    );
    metrics(
        "bulkhead.md",
        &Bulkhead::new(BulkheadConfig::default()).unwrap().snapshot(),
        families::BULKHEAD,
    );
    metrics(
        "rate-limiter.md",
        &Limiter::new(LimiterConfig::default()).unwrap().snapshot(),
        families::LIMITER,
    );
    metrics(
        "hedging.md",
        &Hedge::for_idempotent(HedgeConfig::default()).unwrap().snapshot(),
        families::HEDGE,
    );
    metrics("fallback.md", &Fallback::<(), ()>::new().snapshot(), families::FALLBACK);
    metrics(
        "cache-on-failure.md",
        &StaleCache::<(), ()>::new(StaleConfig::default()).unwrap().snapshot(),
        families::CACHE,
    );
    metrics("retry.md", &RetrySnapshot::default(), families::RETRY);
    metrics(
        "retry-budget.md",
        &Budget::new(BudgetConfig::default()).unwrap().snapshot(),
        families::BUDGET,
    );
    metrics("chaos.md", &ChaosSnapshot::default(), families::CHAOS);
    let degrader = degrade::Degrader::new(degrade::Plan::default()).unwrap();
    metrics("degradation.md", degrader.state(), families::DEGRADATION);
    let registry = Registry::new();
    registry.breaker("it", BreakerConfig::default().try_into().unwrap());
    telemetry("pipeline.md", &registry.list()[0]);
    let settings = BreakerConfig::default().try_into().unwrap();
    telemetry(
        "replay.md",
        &crate::replay::replay(&crate::replay::Trace::default(), &settings, &Hindsight::default()),
    );
}

#[test]
fn every_page_says_what_it_is_how_to_use_it_what_it_does_by_default_and_what_not_to_do() {
    for (file, page) in PAGES.iter().filter(|(file, _)| *file != "README.md") {
        let mut lines = page.lines();
        assert!(lines.next().unwrap().starts_with("# "), "{file}");
        assert!(lines.nth(1).unwrap().len() > 40, "{file} does not say what it is");
        for heading in ["Usage", "Defaults", "Not like this"] {
            assert!(section(file, heading).len() > 50, "{file}: {heading}");
        }
        assert!(section(file, "Usage").contains("```rust"), "{file} has no example");
        assert!(
            section(file, "Not like this").contains("| better |"),
            "{file} does not say what is better"
        );
        // Presets are data: they have no states and report nothing.
        if *file != "presets.md" {
            assert!(section(file, "States").contains("►"), "{file} has no diagram");
            assert!(section(file, "Telemetry").contains("|"), "{file} has no telemetry");
        }
    }
}

#[test]
fn every_page_is_in_the_index_and_every_page_is_held_to_the_code() {
    let (_, index) = PAGES.iter().find(|(file, _)| *file == "README.md").unwrap();
    for (file, _) in PAGES.iter().filter(|(file, _)| *file != "README.md") {
        assert!(index.contains(&format!("]({file})")), "{file} is not in the index");
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/patterns");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            PAGES.iter().any(|(file, _)| **file == name),
            "{name} is not in the list"
        );
    }
}

#[test]
fn words_for_values_are_compared_by_what_they_mean() {
    for (words, printed) in [
        ("5 s", "5s"),
        ("5 min", "300s"),
        ("500 ms", "500ms"),
        ("none", "None"),
        ("1", "1.0"),
    ] {
        assert!(means(words, printed), "{words} {printed}");
    }
    for (words, printed) in [("5 s", "6s"), ("5 m", "300s"), ("none", "Some"), ("0.2", "0.3")] {
        assert!(!means(words, printed), "{words} {printed}");
    }
}
