//! What signs of life, and their absence, make of an agent.

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use stead_model::spec::{ProbeKind, ReadinessSource};
use stead_model::{Condition, Driver, FailureKind, Health, Reason, Report, Role, Span};

use super::{ill, report, sign};
use crate::abstain;
use crate::beats::Word;
use crate::plan::{self, plan};
use crate::record::Record;
use crate::step::{Step, Why};

/// Takes in what the table of beats has to say.
pub(crate) fn word(step: &mut Step, record: &mut Record, word: Word) {
    let silent = word.silent;
    if silent.is_none() || word.heard {
        heard(step, record, &word);
    }
    match (word.report, &record.spec.driver) {
        (Some(report), _) => report::reported(step, record, *report),
        (None, Driver::None) if silent.is_none() => report::reported(step, record, Report::default()),
        (None, Driver::None | Driver::Process(_)) => {}
    }
    if let Some(news) = word.news {
        sign::told(step, record, news);
    }
    if let Some(silent) = silent {
        let company = word.company.as_deref();
        quiet(step, record, word.level, (silent, word.interval, company));
    }
}

/// It was heard.
fn heard(step: &mut Step, record: &mut Record, word: &Word) {
    step.clear(record, Condition::Suspect);
    // However it does, from here on this run is expected to go on beating.
    if let Some(instance) = record.row.instance.as_mut().filter(|instance| !instance.beats) {
        instance.beats = true;
        step.touch();
    }
    match word.level {
        Health::Unknown | Health::Healthy | Health::Recovering => {
            if record.row.vital.is_some() {
                let detail = format!("{} good beats in a row", word.good.1);
                step.evidence(record, "beat", "agent", detail.clone());
                step.vital(record, None, &detail);
            }
            comes(step, record);
        }
        Health::Degraded | Health::Critical => {
            let detail = match word.over {
                Some((metric, value, most)) => format!(
                    "{metric} of {value} is over its threshold of {most} for {} beats",
                    word.settings.bad_beats
                ),
                None => "it beats again after a silence".to_string(),
            };
            if record.row.vital != Some(word.level) {
                step.evidence(record, "beat", "agent", detail.clone());
                step.vital(record, Some(word.level), &detail);
            }
            comes(step, record);
        }
        Health::Failed => {
            if record.row.health == Health::Failed && plan::awaits_report(record.role()) && word.good.0 > 0 {
                let (good, need) = word.good;
                let detail = format!("it beats again: {good} of the {need} beats that bring it back");
                step.evidence(record, "beat", "agent", detail.clone());
                step.health(record, Health::Recovering, &detail);
            }
        }
    }
}

/// That it beats shows that it lives.
fn comes(step: &mut Step, record: &mut Record) {
    match record.spec.driver {
        Driver::None if !record.is_watched() => report::heard(step, record),
        Driver::None => {}
        Driver::Process(_) => {
            abstain::take_back(step, record, FailureKind::HeartbeatTimeout, "it beats again");
            if record.role().serves() && !record.ending() && record.spec.readiness() == ReadinessSource::Spawn {
                if matches!(record.row.health, Health::Unknown | Health::Recovering) {
                    step.health(record, Health::Healthy, "it beats");
                }
                step.clear(record, Condition::Unverified);
            }
        }
    }
}

/// It was not heard for longer than it may.
fn quiet(
    step: &mut Step,
    record: &mut Record,
    level: Health,
    (silent, interval, company): (Duration, Duration, Option<&str>),
) {
    let mut detail = format!("silent for {}; it beats every {}", short(silent), short(interval));
    if let Some(company) = company {
        detail += ", ";
        detail += company;
    }
    step.evidence(record, "beat", "engine", detail.clone());
    match level {
        Health::Unknown | Health::Healthy | Health::Recovering => {}
        Health::Degraded | Health::Critical => suspect(step, record, level, &detail),
        Health::Failed => match record.spec.driver {
            // A probe that answers shows that it lives; the probe alone convicts it then.
            Driver::Process(_) if record.probes[ProbeKind::Liveness as usize] > 0 => {
                let detail = format!("{detail}; its liveness probe answers");
                suspect(step, record, Health::Critical, &detail);
            }
            Driver::Process(_) if record.role().serves() => {
                record.row.correlation_id.clone_from(&step.origin.correlation_id);
                ill(step, record, Reason::HeartbeatTimeout, &detail);
            }
            Driver::Process(_) => {}
            Driver::None => lost(step, record, &detail),
        },
    }
}

fn suspect(step: &mut Step, record: &mut Record, level: Health, detail: &str) {
    step.raise(record, Condition::Suspect, String::from(detail));
    step.vital(record, Some(level), detail);
}

/// One that nothing runs has failed: there is nothing to end, and it may come back by itself.
fn lost(step: &mut Step, record: &mut Record, detail: &str) {
    let idle = matches!(record.role(), Role::Maintenance | Role::Suspended);
    if !record.role().serves() && !idle {
        return;
    }
    record.heard = false;
    record.row.correlation_id.clone_from(&step.origin.correlation_id);
    let why = Why::new(Reason::HeartbeatTimeout, detail);
    if idle {
        plan::go_down(step, record, &why);
    } else {
        step.hop(record, Role::Error, why);
    }
    step.vital(record, None, detail);
    step.clear(record, Condition::Suspect);
    step.health(record, Health::Failed, detail);
    plan(step, record);
}

/// A span for people: whole milliseconds below ten seconds, whole tenths above.
fn short(span: Duration) -> Span {
    let grain: u64 = if span < Duration::from_secs(10) { 10 } else { 100 };
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Span::millis(millis / grain * grain)
}
